#include "vectors.h"
#include "tern_fixed_point.h"

enum { BYTES = TERN_VECTOR_BYTES, CHANNELS = TERN_VECTOR_CHANNELS, POSITIONS = TERN_VECTOR_POSITIONS };

#ifdef TERN_PORT_MVE

/* Only even registers sum products up, so two channels times three positions are six of the seven that are left beside the
 * loop counter. Between two multiplications lies a load of what is multiplied next: either unit takes two cycles. */
__asm__(
    ".syntax unified\n"
    ".thumb\n"
    /* From positions r1, r3, r5, weights r7 and the number of vectors less one, r12, to sums r0, r4, r8 of the first
           row and r2, r6, r10 of the second, from which r11 has the biases. */
    ".macro tern_vector_pair first second\n"
    "    vldrb.8 q0, [r7], #32\n"
    "    ldr r0, [r11, #\\first]\n"
    "    ldr r2, [r11, #\\second]\n"
    "    vldrb.8 q2, [r1]\n"
    "    mov r4, r0\n"
    "    mov r6, r2\n"
    "    vldrb.8 q1, [r7, #-16]\n"
    "    mov r8, r0\n"
    "    mov r10, r2\n"
    "    wls lr, r12, 4f\n"
    "3:  vmladava.s8 r0, q0, q2\n"
    "    vldrb.8 q3, [r3], #16\n"
    "    vmladava.s8 r2, q1, q2\n"
    "    vldrb.8 q4, [r5], #16\n"
    "    vmladava.s8 r4, q0, q3\n"
    "    vldrb.8 q2, [r1, #16]!\n"
    "    vmladava.s8 r6, q1, q3\n"
    "    vmladava.s8 r8, q0, q4\n"
    "    vldrb.8 q0, [r7], #32\n"
    "    vmladava.s8 r10, q1, q4\n"
    "    vldrb.8 q1, [r7, #-16]\n"
    "    le lr, 3b\n"
    "4:  vmladava.s8 r0, q0, q2\n"
    "    vldrb.8 q3, [r3]\n"
    "    vmladava.s8 r2, q1, q2\n"
    "    vldrb.8 q4, [r5]\n"
    "    vmladava.s8 r4, q0, q3\n"
    "    vmladava.s8 r6, q1, q3\n"
    "    vmladava.s8 r8, q0, q4\n"
    "    vmladava.s8 r10, q1, q4\n"
    ".endm\n"
    "    .section .text.tern_write_vector_block, \"ax\", %progbits\n"
    "    .balign 4\n"
    "    .global tern_write_vector_block\n"
    "    .type tern_write_vector_block, %function\n"
    "    .thumb_func\n"
    "tern_write_vector_block:\n" /* r0 block */
    "    push {r4-r11, lr}\n"
    "    vpush {d8-d15}\n"
    "    sub sp, #12\n"
    "    mov r9, r0\n"
    "    ldrd r2, r4, [r9, #24]\n" /* output, its stride */
    "    ldr r6, [r9, #36]\n"      /* triples */
    "    ldrd r1, r8, [r9, #16]\n" /* input, its stride */
    "    ldr r12, [r9, #32]\n"     /* vectors */
    "    sub r12, #1\n"
    "    strd r2, r6, [sp]\n"
    "2:  add r3, r1, r8\n"
    "    add r5, r3, r8\n"
    "    ldrd r7, r11, [r9]\n" /* weights, bias */
    "    tern_vector_pair 0 8\n"
    "    sub r1, r1, r12, lsl #4\n"
    "    sub r3, r3, r12, lsl #4\n"
    "    sub r5, r5, r12, lsl #4\n"
    "    vmov q5[2], q5[0], r0, r2\n"
    "    vmov q6[2], q6[0], r4, r6\n"
    "    vmov q7[2], q7[0], r8, r10\n"
    "    tern_vector_pair 4 12\n"
    "    ldrd r3, r1, [r9, #8]\n" /* multiplier, shift */
    "    ldr r7, [r9, #40]\n"     /* zero point */
    "    vldrw.32 q0, [r3]\n"
    "    vmov q5[3], q5[1], r0, r2\n"
    "    vmov q6[3], q6[1], r4, r6\n"
    "    vmov q7[3], q7[1], r8, r10\n"
    "    vqrdmulh.s32 q5, q5, q0\n"
    "    vldrb.s32 q1, [r1]\n"
    "    vqrdmulh.s32 q6, q6, q0\n"
    "    ldrd r0, r2, [r9, #44]\n" /* minimum, maximum */
    "    vqrdmulh.s32 q7, q7, q0\n"
    "    mov r4, #1\n"
    "    vshr.s32 q2, q5, #31\n"
    "    vshr.s32 q3, q6, #31\n"
    "    vmla.s32 q5, q2, r4\n" /* one less where negative, so that halves round away from zero */
    "    vshr.s32 q2, q7, #31\n"
    "    vmla.s32 q6, q3, r4\n"
    "    vrshl.s32 q5, q5, q1\n"
    "    vmla.s32 q7, q2, r4\n"
    "    vdup.32 q3, r0\n"
    "    vrshl.s32 q6, q6, q1\n"
    "    vdup.32 q4, r2\n"
    "    vrshl.s32 q7, q7, q1\n"
    "    vadd.i32 q5, q5, r7\n"
    "    vadd.i32 q6, q6, r7\n"
    "    vadd.i32 q7, q7, r7\n"
    "    vmax.s32 q5, q5, q3\n"
    "    vmax.s32 q6, q6, q3\n"
    "    vmax.s32 q7, q7, q3\n"
    "    ldr r2, [sp]\n" /* output */
    "    vmin.s32 q5, q5, q4\n"
    "    ldr r4, [r9, #28]\n" /* its stride */
    "    vmin.s32 q6, q6, q4\n"
    "    ldr r6, [r9, #52]\n" /* channels */
    "    vmin.s32 q7, q7, q4\n"
    "    add r0, r2, r4\n"
    "    vctp.32 r6\n"
    "    add r3, r0, r4\n"
    "    vpsttt\n"
    "    vstrbt.32 q5, [r2]\n"
    "    vstrbt.32 q6, [r0]\n"
    "    vstrbt.32 q7, [r3]\n"
    "    add r3, r4\n"
    "    ldr r0, [sp, #4]\n" /* triples left */
    "    ldr r8, [r9, #20]\n"
    "    sub r1, r5, r12, lsl #4\n"
    "    add r1, r8\n"
    "    subs r0, #1\n"
    "    strd r3, r0, [sp]\n"
    "    bne 2b\n"
    "    add sp, #12\n"
    "    vpop {d8-d15}\n"
    "    pop {r4-r11, pc}\n"
    "    .size tern_write_vector_block, . - tern_write_vector_block\n"
    "    .equ tern_write_vector_block_frame, 112\n"
    "    .purgem tern_vector_pair\n"
    "    .text\n");

__asm__(
    ".syntax unified\n"
    ".thumb\n"
    /* Of each field of the codes, first q1 = 1, 0 or -1 and q2 = 1 where that is -1; then weights, `plus` times the one
           and the sum of both levels times the other. Two fields overlap, in q1, q2 and q3, q4. */
    ".macro tern_codes value minus left levels\n"
    "    .if \\left\n"
    "    vshl.i8 \\value, q0, #\\left\n"
    "    .if \\levels\n"
    "    vshr.u8 \\minus, \\value, #7\n"
    "    .endif\n"
    "    vshr.s8 \\value, \\value, #6\n"
    "    .else\n"
    "    .if \\levels\n"
    "    vshr.u8 \\minus, q0, #7\n"
    "    .endif\n"
    "    vshr.s8 \\value, q0, #6\n"
    "    .endif\n"
    ".endm\n"
    ".macro tern_weights value minus plus both to levels\n"
    "    vmul.i8 \\value, \\value, \\plus\n"
    "    .if \\levels\n"
    "    vmla.s8 \\value, \\minus, \\both\n"
    "    .endif\n"
    "    vstrb.8 \\value, \\to\n"
    ".endm\n"
    ".macro tern_unpack levels\n"
    "1:  vldrb.8 q0, [r1], #16\n"
    "    tern_codes q1 q2 6 \\levels\n"
    "    tern_codes q3 q4 4 \\levels\n"
    "    tern_weights q1 q2 r4 r8 \"[r0], #32\" \\levels\n"
    "    tern_codes q1 q2 2 \\levels\n"
    "    tern_weights q3 q4 r5 r9 \"[r2], #32\" \\levels\n"
    "    tern_codes q3 q4 0 \\levels\n"
    "    tern_weights q1 q2 r6 r10 \"[r0, #-16]\" \\levels\n"
    "    tern_weights q3 q4 r7 r11 \"[r2, #-16]\" \\levels\n"
    "    le lr, 1b\n"
    ".endm\n"
    "    .section .text.tern_unpack_vectors, \"ax\", %progbits\n"
    "    .balign 4\n"
    "    .global tern_unpack_vectors\n"
    "    .type tern_unpack_vectors, %function\n"
    "    .thumb_func\n"
    "tern_unpack_vectors:\n" /* r0 weights, r1 codes, r2 plus, r3 minus, vectors on the stack */
    "    push {r4-r11, lr}\n"
    "    vpush {d8-d9}\n"
    "    ldr lr, [sp, #52]\n"
    "    ldrsb r4, [r2]\n"
    "    ldrsb r5, [r2, #1]\n"
    "    ldrsb r6, [r2, #2]\n"
    "    ldrsb r7, [r2, #3]\n"
    "    ldrsb r8, [r3]\n"
    "    ldrsb r9, [r3, #1]\n"
    "    ldrsb r10, [r3, #2]\n"
    "    ldrsb r11, [r3, #3]\n"
    "    add r8, r4\n"
    "    add r9, r5\n"
    "    add r10, r6\n"
    "    add r11, r7\n"
    "    add r2, r0, lr, lsl #5\n" /* channels 1 and 3 */
    "    orr r3, r8, r9\n"
    "    orr r12, r10, r11\n"
    "    orrs r3, r12\n"
    "    dls lr, lr\n"
    "    beq 2f\n"
    "    tern_unpack 1\n"
    "    b 3f\n"
    "2:\n" /* all `minus` are -`plus` */
    "    tern_unpack 0\n"
    "3:  vpop {d8-d9}\n"
    "    pop {r4-r11, pc}\n"
    "    .size tern_unpack_vectors, . - tern_unpack_vectors\n"
    "    .equ tern_unpack_vectors_frame, 52\n"
    "    .purgem tern_codes\n"
    "    .purgem tern_weights\n"
    "    .purgem tern_unpack\n"
    "    .text\n");

__asm__(".syntax unified\n"
        ".thumb\n"
        /* A bit, shifted to all of its byte, is 0 or -1; times `minus` - `plus`, and `minus` besides. */
        ".macro tern_unpack_bit value left difference minus to\n"
        "    .if \\left\n"
        "    vshl.i8 \\value, q0, #\\left\n"
        "    vshr.s8 \\value, \\value, #7\n"
        "    .else\n"
        "    vshr.s8 \\value, q0, #7\n"
        "    .endif\n"
        "    vmlas.s8 \\value, \\difference, \\minus\n"
        "    vstrb.8 \\value, \\to\n"
        ".endm\n"
        ".macro tern_unpack_bits left0 left1 left2 left3\n"
        "    tern_unpack_bit q1 \\left0 q4 r8 \"[r0], #32\"\n"
        "    tern_unpack_bit q2 \\left1 q5 r9 \"[r2], #32\"\n"
        "    tern_unpack_bit q3 \\left2 q6 r10 \"[r0, #-16]\"\n"
        "    tern_unpack_bit q1 \\left3 q7 r11 \"[r2, #-16]\"\n"
        ".endm\n"
        "    .section .text.tern_unpack_binary_vectors, \"ax\", %progbits\n"
        "    .balign 4\n"
        "    .global tern_unpack_binary_vectors\n"
        "    .type tern_unpack_binary_vectors, %function\n"
        "    .thumb_func\n"
        "tern_unpack_binary_vectors:\n" /* r0 weights, r1 codes, r2 plus, r3 minus, vectors on the stack */
        "    push {r4-r11, lr}\n"
        "    vpush {d8-d15}\n"
        "    ldr r12, [sp, #100]\n"
        "    ldrsb r4, [r2]\n"
        "    ldrsb r5, [r2, #1]\n"
        "    ldrsb r6, [r2, #2]\n"
        "    ldrsb r7, [r2, #3]\n"
        "    ldrsb r8, [r3]\n"
        "    ldrsb r9, [r3, #1]\n"
        "    ldrsb r10, [r3, #2]\n"
        "    ldrsb r11, [r3, #3]\n"
        "    sub r4, r8, r4\n"
        "    sub r5, r9, r5\n"
        "    sub r6, r10, r6\n"
        "    sub r7, r11, r7\n"
        "    vdup.8 q4, r4\n"
        "    vdup.8 q5, r5\n"
        "    vdup.8 q6, r6\n"
        "    vdup.8 q7, r7\n"
        "    add r2, r0, r12, lsl #5\n" /* channels 1 and 3 */
        "1:  vldrb.8 q0, [r1], #16\n"
        "    tern_unpack_bits 7 6 5 4\n"
        "    subs r12, #1\n"
        "    beq 2f\n"
        "    tern_unpack_bits 3 2 1 0\n"
        "    subs r12, #1\n"
        "    bne 1b\n"
        "2:  vpop {d8-d15}\n"
        "    pop {r4-r11, pc}\n"
        "    .size tern_unpack_binary_vectors, . - tern_unpack_binary_vectors\n"
        "    .equ tern_unpack_binary_vectors_frame, 100\n"
        "    .purgem tern_unpack_bit\n"
        "    .purgem tern_unpack_bits\n"
        "    .text\n");

#else

static int32_t dot_vectors(const int8_t *weights, const int8_t *input, int32_t vectors) {
    int32_t sum = 0;
    for (int32_t i = 0; i < vectors; i++) {
        for (int32_t lane = 0; lane < BYTES; lane++)
            sum += weights[2 * i * BYTES + lane] * input[i * BYTES + lane];
    }
    return sum;
}

void tern_write_vector_block(const tern_vector_block *block) {
    const int32_t stride = block->output_stride;
    for (int32_t channel = 0; channel < block->channels; channel++) {
        const int32_t row = channel % 2 * 2 * block->vectors + channel / 2;
        const int8_t *weights = block->weights + row * BYTES;
        for (int32_t i = 0; i < block->triples * POSITIONS; i++) {
            const int32_t sum = dot_vectors(weights, block->input + i * block->input_stride, block->vectors);
            const int32_t accumulator = (int32_t)((uint32_t)block->bias[channel] + (uint32_t)sum);
            const int32_t output =
                tern_scale(accumulator, block->multiplier[channel], block->shift[channel]) +
                block->zero_point;
            block->output[channel + i * stride] = (int8_t)tern_clamp(output, block->minimum, block->maximum);
        }
    }
}

void tern_unpack_vectors(int8_t *weights, const uint8_t *codes, const int8_t plus[CHANNELS],
                         const int8_t minus[CHANNELS], int32_t vectors) {
    for (int32_t channel = 0; channel < CHANNELS; channel++) {
        const int8_t levels[4] = {0, plus[channel], 0, minus[channel]};
        int8_t *row = weights + (channel % 2 * 2 * vectors + channel / 2) * BYTES;
        for (int32_t i = 0; i < vectors * BYTES; i++)
            row[i + i / BYTES * BYTES] = levels[codes[i] >> 2 * channel & 3];
    }
}

void tern_unpack_binary_vectors(int8_t *weights, const uint8_t *codes, const int8_t plus[CHANNELS],
                                const int8_t minus[CHANNELS], int32_t vectors) {
    for (int32_t channel = 0; channel < CHANNELS; channel++) {
        int8_t *row = weights + (channel % 2 * 2 * vectors + channel / 2) * BYTES;
        for (int32_t i = 0; i < vectors; i++) {
            for (int32_t lane = 0; lane < BYTES; lane++) {
                const int32_t bit = codes[i / 2 * BYTES + lane] >> (channel + i % 2 * CHANNELS) & 1;
                row[2 * i * BYTES + lane] = bit ? plus[channel] : minus[channel];
            }
        }
    }
}

#endif
