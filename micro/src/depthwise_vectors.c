#include "depthwise_vectors.h"
#include "tern_fixed_point.h"

enum { GROUP = TERN_DEPTHWISE_GROUP };

#ifdef TERN_PORT_MVE

__asm__(".syntax unified\n"
        ".thumb\n"
        /* From accumulators \value without biases to outputs without the zero point. */
        ".macro tern_depthwise_scale value\n"
        "    vldrw.32 q1, [r0], #16\n"
        "    vldrw.32 q2, [r1], #16\n"
        "    vadd.i32 \\value, \\value, q1\n"
        "    vldrb.s32 q3, [r2], #4\n"
        "    vqrdmulh.s32 \\value, \\value, q2\n"
        "    vshr.s32 q5, \\value, #31\n"
        "    vmla.s32 \\value, q5, r6\n" /* one less where negative, so that halves round away from zero */
        "    vrshl.s32 \\value, \\value, q3\n"
        ".endm\n"
        ".macro tern_depthwise_begin name\n"
        "    .section .text.\\name, \"ax\", %progbits\n"
        "    .balign 4\n"
        "    .global \\name\n"
        "    .type \\name, %function\n"
        "    .thumb_func\n"
        "\\name:\n" /* r0 block */
        "    push {r4-r11, lr}\n"
        "    vpush {d8-d15}\n"
        "    mov r9, r0\n"
        "    ldr r5, [r9]\n"             /* input */
        "    ldrd r11, r12, [r9, #24]\n" /* output, step of a tap */
        "    ldrd r7, r8, [r9, #40]\n"   /* height, width */
        "    ldr r10, [r9, #48]\n"       /* positions */
        "1:  ldrd r3, r1, [r9, #4]\n"    /* offsets, weights */
        "    vmov.i32 q4, #0\n"
        "    mov r4, r7\n"
        "    vmov.i32 q5, #0\n"
        ".endm\n"
        ".macro tern_depthwise_row\n"
        "2:  ldr r0, [r3], #4\n"
        "    add r0, r5\n"
        "    dls lr, r8\n"
        "3:  vldrb.8 q0, [r0]\n"
        "    add r0, r12\n"
        ".endm\n"
        ".macro tern_depthwise_row_end\n"
        "    le lr, 3b\n"
        "    subs r4, #1\n"
        "    bne 2b\n"
        ".endm\n"
        /* From sums q0, q6, q4, q7 to outputs. */
        ".macro tern_depthwise_end name\n"
        "    ldrd r0, r1, [r9, #12]\n" /* bias, multiplier */
        "    ldr r2, [r9, #20]\n"      /* shift */
        "    mov r6, #1\n"
        "    tern_depthwise_scale q0\n"
        "    tern_depthwise_scale q6\n"
        "    tern_depthwise_scale q4\n"
        "    tern_depthwise_scale q7\n"
        "    ldrd r0, r1, [r9, #52]\n" /* zero point, minimum */
        "    vqmovnb.s32 q0, q0\n"
        "    vqmovnt.s32 q0, q6\n"
        "    vqmovnb.s32 q4, q4\n"
        "    vqmovnt.s32 q4, q7\n"
        "    ldrd r2, r3, [r9, #60]\n" /* maximum, channels */
        "    vqadd.s16 q0, q0, r0\n"
        "    vqadd.s16 q4, q4, r0\n"
        "    vdup.8 q1, r1\n"
        "    vqmovnb.s16 q0, q0\n"
        "    vdup.8 q2, r2\n"
        "    vqmovnt.s16 q0, q4\n"
        "    vctp.8 r3\n"
        "    vmax.s8 q0, q0, q1\n"
        "    ldrd r0, r1, [r9, #32]\n" /* steps of a position and of its output */
        "    vmin.s8 q0, q0, q2\n"
        "    add r5, r0\n"
        "    vpst\n"
        "    vstrbt.8 q0, [r11]\n"
        "    add r11, r1\n"
        "    subs r10, #1\n"
        "    bne 1b\n"
        "    vpop {d8-d15}\n"
        "    pop {r4-r11, pc}\n"
        "    .size \\name, . - \\name\n"
        "    .equ \\name\\()_frame, 100\n"
        ".endm\n"

        "    tern_depthwise_begin tern_write_depthwise_halves\n"
        "    vmov.i32 q6, #0\n"
        "    vmov.i32 q7, #0\n"
        "    tern_depthwise_row\n"
        "    vldrb.8 q1, [r1], #32\n"
        "    vmullb.s8 q2, q0, q1\n"
        "    vmullt.s8 q3, q0, q1\n"
        "    vadd.i16 q4, q4, q2\n"
        "    vldrb.8 q1, [r1, #-16]\n"
        "    vadd.i16 q5, q5, q3\n"
        "    vmullb.s8 q2, q0, q1\n"
        "    vmullt.s8 q3, q0, q1\n"
        "    vadd.i16 q6, q6, q2\n"
        "    vadd.i16 q7, q7, q3\n"
        "    tern_depthwise_row_end\n"
        "    mov r6, #16\n" /* times the sums q4, q5, and once q6, q7 */
        "    vmovlb.s16 q0, q6\n"
        "    vmovlb.s16 q1, q4\n"
        "    vmovlt.s16 q6, q6\n"
        "    vmla.s32 q0, q1, r6\n"
        "    vmovlt.s16 q2, q4\n"
        "    vmovlb.s16 q4, q7\n"
        "    vmla.s32 q6, q2, r6\n"
        "    vmovlb.s16 q3, q5\n"
        "    vmovlt.s16 q7, q7\n"
        "    vmla.s32 q4, q3, r6\n"
        "    vmovlt.s16 q5, q5\n"
        "    vmla.s32 q7, q5, r6\n"
        "    tern_depthwise_end tern_write_depthwise_halves\n"

        "    tern_depthwise_begin tern_write_depthwise_levels\n"
        "    tern_depthwise_row\n"
        "    vldrb.8 q1, [r1], #16\n"
        "    vmullb.s8 q2, q0, q1\n"
        "    vmullt.s8 q3, q0, q1\n"
        "    vadd.i16 q4, q4, q2\n"
        "    vadd.i16 q5, q5, q3\n"
        "    tern_depthwise_row_end\n"
        "    ldr r0, [r9, #68]\n" /* levels */
        "    vldrb.s16 q1, [r0]\n"
        "    vldrb.s16 q2, [r0, #8]\n"
        "    vmullb.s16 q0, q4, q1\n"
        "    vmullt.s16 q6, q4, q1\n"
        "    vmullb.s16 q4, q5, q2\n"
        "    vmullt.s16 q7, q5, q2\n"
        "    tern_depthwise_end tern_write_depthwise_levels\n"
        "    .purgem tern_depthwise_scale\n"
        "    .purgem tern_depthwise_begin\n"
        "    .purgem tern_depthwise_row\n"
        "    .purgem tern_depthwise_row_end\n"
        "    .purgem tern_depthwise_end\n"
        "    .text\n");

#else

/* Of a vector a tap, or two, the first of which counts 16 times. */
static int32_t sum_taps(const tern_depthwise_block *block, int32_t vectors, const int8_t *input,
                        int32_t channel) {
    const int8_t *weights = block->weights + channel;
    int32_t sum = 0;
    for (int32_t ky = 0; ky < block->height; ky++) {
        const int8_t *tap = input + (block->offsets[ky] + channel);
        for (int32_t kx = 0; kx < block->width; kx++) {
            const int32_t weight = vectors == 2 ? 16 * weights[0] + weights[GROUP] : weights[0];
            sum += weight * tap[kx * block->tap_step];
            weights += vectors * GROUP;
        }
    }
    return sum;
}

static void write_line(const tern_depthwise_block *block, int32_t vectors) {
    for (int32_t channel = 0; channel < block->channels; channel++) {
        static const uint8_t quarters[] = {0, 2, 1, 3};
        const int32_t place = quarters[channel % 4] * 4 + channel / 4;
        const int32_t level = vectors == 2 ? 1 : block->levels[channel % 2 * (GROUP / 2) + channel / 2];
        for (int32_t i = 0; i < block->count; i++) {
            const int32_t sum =
                level * sum_taps(block, vectors, block->input + i * block->position_step, channel);
            const int32_t accumulator = (int32_t)((uint32_t)block->bias[place] + (uint32_t)sum);
            const int32_t output =
                tern_scale(accumulator, block->multiplier[place], block->shift[place]) + block->zero_point;
            block->output[channel + i * block->output_step] =
                (int8_t)tern_clamp(output, block->minimum, block->maximum);
        }
    }
}

void tern_write_depthwise_halves(const tern_depthwise_block *block) {
    write_line(block, 2);
}

void tern_write_depthwise_levels(const tern_depthwise_block *block) {
    write_line(block, 1);
}

#endif
