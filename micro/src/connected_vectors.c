#include "connected_vectors.h"

enum { VECTOR = TERN_CONNECTED_VECTOR, GROUP = TERN_CONNECTED_GROUP };

/* A field of 2 bits is not cut out: a byte is multiplied as it is, and shifted to the left by 2, 4 and 6 bits. With t the
 * fields' own sums, the four sums are
 *     64 t0,   64 t1 + 16 t0,   64 t2 + 16 t1 + 4 t0,   64 t3 + 16 t2 + 4 t1 + t0,
 * each less a quarter of the one before 64 times a field's. Bytes are unsigned for that, and so are inputs. */

#ifdef TERN_PORT_MVE

__asm__(".syntax unified\n"
        ".thumb\n"
        /* From weights r3, and inputs of the block r9, to sums r0, r2, r4, r6. */
        ".macro tern_connected_fields masked\n"
        "    ldr r1, [r9]\n"
        "    vldrb.8 q0, [r3], #16\n"
        "    mov r0, #0\n"
        "    mov r2, #0\n"
        "    vldrb.8 q1, [r1], #16\n"
        "    mov r4, #0\n"
        "    mov r6, #0\n"
        "    wls lr, r12, 4f\n"
        "3:\n"
        "    .if \\masked\n"
        "    vand q0, q0, q4\n"
        "    .endif\n"
        "    vshl.i8 q2, q0, #2\n"
        "    vmladava.u8 r6, q0, q1\n"
        "    vshl.i8 q3, q2, #2\n"
        "    vmladava.u8 r4, q2, q1\n"
        "    vldrb.8 q0, [r3], #16\n"
        "    vmladava.u8 r2, q3, q1\n"
        "    vshl.i8 q3, q3, #2\n"
        "    vmladava.u8 r0, q3, q1\n"
        "    vldrb.8 q1, [r1], #16\n"
        "    le lr, 3b\n"
        "4:\n"
        "    .if \\masked\n"
        "    vand q0, q0, q4\n"
        "    .endif\n"
        "    vshl.i8 q2, q0, #2\n"
        "    vmladava.u8 r6, q0, q1\n"
        "    vshl.i8 q3, q2, #2\n"
        "    vmladava.u8 r4, q2, q1\n"
        "    vmladava.u8 r2, q3, q1\n"
        "    vshl.i8 q3, q3, #2\n"
        "    vmladava.u8 r0, q3, q1\n"
        "    sub r6, r6, r4, lsr #2\n"
        "    sub r4, r4, r2, lsr #2\n"
        "    sub r2, r2, r0, lsr #2\n"
        ".endm\n"
        ".macro tern_connected_begin name\n"
        "    .section .text.\\name, \"ax\", %progbits\n"
        "    .balign 4\n"
        "    .global \\name\n"
        "    .type \\name, %function\n"
        "    .thumb_func\n"
        "\\name:\n" /* r0 block */
        "    push {r4-r11, lr}\n"
        "    vpush {d8-d15}\n"
        "    mov r9, r0\n"
        "    ldr r3, [r9, #4]\n"
        "    ldr r12, [r9, #32]\n" /* vectors */
        "    mov r11, #0\n"        /* the group's first output */
        ".endm\n"
        /* From sums q5 without biases to the outputs; then on to the next group, or the end. */
        ".macro tern_connected_end name\n"
        "    ldrd r0, r1, [r9, #8]\n" /* bias, multiplier */
        "    ldr r2, [r9, #16]\n"     /* shift */
        "    add r0, r0, r11, lsl #2\n"
        "    add r1, r1, r11, lsl #2\n"
        "    vldrw.32 q0, [r0]\n"
        "    add r2, r11\n"
        "    vldrw.32 q1, [r1]\n"
        "    vadd.i32 q5, q5, q0\n"
        "    vldrb.s32 q2, [r2]\n"
        "    ldrd r0, r1, [r9, #40]\n" /* offset, minimum */
        "    vmulh.s32 q5, q5, q1\n"
        "    vdup.32 q0, r0\n"
        "    vmvn q3, q2\n"
        "    ldr r0, [r9, #48]\n" /* maximum */
        "    vshl.s32 q0, q0, q3\n"
        "    vdup.32 q1, r1\n"
        "    vadd.i32 q5, q5, q0\n"
        "    vdup.32 q3, r0\n"
        "    vshl.s32 q5, q5, q2\n"
        "    ldrd r1, r2, [r9, #28]\n" /* output, vectors */
        "    ldr r0, [r9, #36]\n"      /* outputs */
        "    vmax.s32 q5, q5, q1\n"
        "    add r1, r11\n"
        "    sub r2, r0, r11\n" /* those left */
        "    vmin.s32 q5, q5, q3\n"
        "    vctp.32 r2\n"
        "    add r11, #4\n"
        "    vpst\n"
        "    vstrbt.32 q5, [r1]\n"
        "    cmp r2, #4\n"
        "    bgt 2b\n"
        "    vpop {d8-d15}\n"
        "    pop {r4-r11, pc}\n"
        "    .size \\name, . - \\name\n"
        "    .equ \\name\\()_frame, 100\n"
        ".endm\n"

        "    tern_connected_begin tern_write_connected_int8\n"
        "2:  ldr r1, [r9]\n"
        "    mov r0, #0\n"
        "    mov r2, #0\n"
        "    mov r4, #0\n"
        "    mov r6, #0\n"
        "    dls lr, r12\n"
        "3:  vldrb.8 q1, [r1], #16\n"
        "    vldrb.8 q0, [r3], #64\n"
        "    vldrb.8 q2, [r3, #-48]\n"
        "    vmladava.s8 r0, q0, q1\n"
        "    vldrb.8 q0, [r3, #-32]\n"
        "    vmladava.s8 r2, q2, q1\n"
        "    vldrb.8 q2, [r3, #-16]\n"
        "    vmladava.s8 r4, q0, q1\n"
        "    vmladava.s8 r6, q2, q1\n"
        "    le lr, 3b\n"
        "    vmov q5[2], q5[0], r0, r4\n"
        "    vmov q5[3], q5[1], r2, r6\n"
        "    tern_connected_end tern_write_connected_int8\n"

        "    tern_connected_begin tern_write_connected_ternary\n"
        "    sub r12, #1\n"
        "    ldr r8, [r9, #52]\n"  /* sum of the inputs */
        "    ldr r10, [r9, #20]\n" /* plus */
        "2:  tern_connected_fields 0\n"
        "    add r1, r10, r11\n"
        "    vmov q5[2], q5[0], r0, r4\n"
        "    vldrb.s32 q0, [r1]\n"
        "    vmov q5[3], q5[1], r2, r6\n"
        "    vshr.u32 q5, q5, #6\n"
        "    vsub.i32 q5, q5, r8\n"
        "    vmul.i32 q5, q5, q0\n"
        "    tern_connected_end tern_write_connected_ternary\n"

        "    tern_connected_begin tern_write_connected_levels\n"
        "    mov r0, #0xaa\n" /* the bits of `minus` */
        "    vdup.8 q4, r0\n"
        "    sub r12, #1\n"
        "    ldrd r8, r10, [r9, #20]\n" /* plus, minus */
        "2:  tern_connected_fields 0\n"
        "    sub r3, r3, r12, lsl #4\n"
        "    vmov q5[2], q5[0], r0, r4\n"
        "    sub r3, #16\n"
        "    vmov q5[3], q5[1], r2, r6\n"
        "    tern_connected_fields 1\n"
        "    vmov q6[2], q6[0], r0, r4\n"
        "    add r0, r8, r11\n"
        "    vmov q6[3], q6[1], r2, r6\n"
        "    add r1, r10, r11\n"
        "    vsub.i32 q5, q5, q6\n"
        "    vldrb.s32 q0, [r0]\n"
        "    vshr.u32 q5, q5, #6\n"
        "    vldrb.s32 q1, [r1]\n"
        "    vshr.u32 q6, q6, #7\n"
        "    vmul.i32 q5, q5, q0\n"
        "    vmul.i32 q6, q6, q1\n"
        "    vadd.i32 q5, q5, q6\n"
        "    tern_connected_end tern_write_connected_levels\n"
        "    .purgem tern_connected_fields\n"
        "    .purgem tern_connected_begin\n"
        "    .purgem tern_connected_end\n"
        "    .text\n");

int32_t tern_write_vector_inputs(uint8_t *to, const int8_t *inputs, int32_t count, uint8_t flipped) {
    int32_t sum = 0;
    /* a masked load reads zeros; so only the addition is masked, and the last vector is whole */
    __asm__ volatile("vdup.8 q1, %4\n"
                     "vmov.i8 q2, #0\n"
                     "1: vctp.8 %2\n"
                     "vmov q3, q2\n"
                     "vpstt\n"
                     "vldrbt.8 q0, [%1], #16\n"
                     "veort q3, q0, q1\n"
                     "vaddva.u8 %3, q3\n"
                     "vstrb.8 q3, [%0], #16\n"
                     "subs %2, #16\n"
                     "bgt 1b\n"
                     : "+l"(to), "+l"(inputs), "+r"(count), "+Te"(sum)
                     : "r"(flipped)
                     : "d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7", "cc", "memory");
    return sum;
}

#else

static int8_t connected_output(const tern_connected_block *block, int32_t output, uint32_t sum) {
    const int32_t accumulator = (int32_t)(sum + (uint32_t)block->bias[output]);
    const int32_t product = (int32_t)((int64_t)accumulator * block->multiplier[output] >> 32);
    const int32_t shift = block->shift[output];
    const uint32_t offset = (uint32_t)block->offset << (-1 - shift);
    const int32_t scaled = (int32_t)((uint32_t)product + offset) >> -shift;
    return (int8_t)(scaled < block->minimum   ? block->minimum
                    : scaled > block->maximum ? block->maximum
                                              : scaled);
}

void tern_write_connected_int8(const tern_connected_block *block) {
    const int8_t *inputs = (const int8_t *)block->inputs;
    for (int32_t output = 0; output < block->outputs; output++) {
        const int32_t first = output / GROUP * GROUP * block->vectors + output % GROUP;
        const int8_t *weights = (const int8_t *)block->weights + first * VECTOR;
        uint32_t sum = 0;
        for (int32_t i = 0; i < block->vectors * VECTOR; i++)
            sum += (uint32_t)(weights[i + i / VECTOR * VECTOR * (GROUP - 1)] * inputs[i]);
        block->output[output] = connected_output(block, output, sum);
    }
}

/* Of inputs at codes 1 and 2. */
static void sum_codes(uint32_t sums[2], const tern_connected_block *block, int32_t output) {
    const uint8_t *codes = block->weights + output / GROUP * block->vectors * VECTOR;
    sums[0] = sums[1] = 0;
    for (int32_t i = 0; i < block->vectors * VECTOR; i++) {
        const uint32_t code = (uint32_t)codes[i] >> output % GROUP * 2 & 3;
        sums[0] += (code & 1) * block->inputs[i];
        sums[1] += (code >> 1) * block->inputs[i];
    }
}

void tern_write_connected_ternary(const tern_connected_block *block) {
    for (int32_t output = 0; output < block->outputs; output++) {
        uint32_t sums[2];
        sum_codes(sums, block, output);
        const uint32_t sum = sums[0] + 2 * sums[1] - (uint32_t)block->input_sum;
        const int32_t plus = block->plus[output];
        block->output[output] = connected_output(block, output, sum * (uint32_t)plus);
    }
}

void tern_write_connected_levels(const tern_connected_block *block) {
    for (int32_t output = 0; output < block->outputs; output++) {
        uint32_t sums[2];
        sum_codes(sums, block, output);
        const int32_t plus = block->plus[output], minus = block->minus[output];
        const uint32_t sum = sums[0] * (uint32_t)plus + sums[1] * (uint32_t)minus;
        block->output[output] = connected_output(block, output, sum);
    }
}

int32_t tern_write_vector_inputs(uint8_t *to, const int8_t *inputs, int32_t count, uint8_t flipped) {
    int32_t sum = 0;
    for (int32_t i = 0; i < (count + VECTOR - 1) / VECTOR * VECTOR; i++) {
        to[i] = i < count ? (uint8_t)inputs[i] ^ flipped : 0;
        sum += to[i];
    }
    return sum;
}

#endif
