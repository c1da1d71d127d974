#include "depthwise_lines.h"
#include "scaling.h"

static uint32_t pair_of(int32_t low, int32_t high) {
    return (uint16_t)(2 * low) | (uint32_t)(2 * high) << 16;
}

void tern_expand_line_weights(uint32_t *to, const int8_t *weights, int32_t lines, int32_t count) {
    for (int32_t i = 0; i == 0 || i + 1 < count; i += 2) {
        const int8_t *line = weights + i;
        for (int32_t j = 0; j < lines; j++) {
            const int32_t second = i + 1 < count ? line[1] : 0;
            *to++ = pair_of(i == 0 ? line[0] : 0, second);
            *to++ = pair_of(second, i + 2 < count ? line[2] : 0);
            line += count;
        }
    }
}

void tern_copy_four_lines(int16_t *to, int32_t to_step, const int8_t *from, int32_t from_step,
                          int32_t count) {
    int16_t *const second = to + to_step, *const third = second + to_step, *const fourth = third + to_step;
    for (int32_t i = 0; i < count; i++) {
        to[i] = from[0];
        second[i] = from[1];
        third[i] = from[2];
        fourth[i] = from[3];
        from += from_step;
    }
}

#ifdef TERN_PORT_DSP

/* Four sums, three words of inputs and two of weights leave no registers for what scales sums. Three lines follow one
 * another, so that a kernel of three is no loop; one of another height enters where its lines begin. */
__asm__(".syntax unified\n"
        ".thumb\n"
        /* A line of inputs r1 and two words of weights r2 onto r4-r7, and to the next line: 44 bytes. */
        ".macro tern_line_step1\n"
        "    ldmia.w r1, {r8-r10}\n"
        "    ldrd r11, r12, [r2], #8\n"
        "    add.w r1, r1, lr\n"
        "    smlad r4, r8, r11, r4\n"
        "    smlad r5, r9, r12, r5\n"
        "    smlad r6, r9, r11, r6\n"
        "    smlad r7, r10, r12, r7\n"
        "    smlabt r4, r9, r12, r4\n"
        "    smlatb r5, r8, r11, r5\n"
        "    smlabt r6, r10, r12, r6\n"
        "    smlatb r7, r9, r11, r7\n"
        ".endm\n"
        /* The same for outputs two inputs apart: 48 bytes. */
        ".macro tern_line_step2\n"
        "    ldmia.w r1, {r8-r10}\n"
        "    ldrd r11, r12, [r2], #8\n"
        "    smlad r4, r8, r11, r4\n"
        "    smlad r5, r9, r11, r5\n"
        "    smlad r6, r10, r11, r6\n"
        "    smlabt r4, r9, r12, r4\n"
        "    ldrd r8, r9, [r1, #12]\n"
        "    add.w r1, r1, lr\n"
        "    smlabt r5, r10, r12, r5\n"
        "    smlad r7, r8, r11, r7\n"
        "    smlabt r6, r8, r12, r6\n"
        "    smlabt r7, r9, r12, r7\n"
        ".endm\n"
        ".macro tern_line_output sum\n"
        "    smmlar r2, \\sum, r8, r10\n"
        "    add \\sum, r2, \\sum, asr #31\n"
        "    asr \\sum, \\sum, r9\n"
        "    ssat \\sum, #8, \\sum, asr #1\n"
        "    strb \\sum, [r3]\n"
        "    add r3, r11\n"
        ".endm\n"
        "    .section .text.tern_write_depthwise_band, \"ax\", %progbits\n"
        "    .balign 4\n"
        "    .global tern_write_depthwise_band\n"
        "    .type tern_write_depthwise_band, %function\n"
        "    .thumb_func\n"
        "tern_write_depthwise_band:\n"
        "    push {r4-r11, lr}\n"
        "    add r0, #28\n"
        "    ldrd r9, r10, [r0, #-16]\n" /* shift, offset */
        "    ldr r1, [r0, #4]\n"         /* lines */
        "    ldr r2, [r0, #12]\n"        /* pairs */
        "    ldr r3, [r0, #20]\n"        /* stride */
        "    adr.w r4, 2f\n"
        "    movs r5, #44\n"
        "    cmp r3, #1\n"
        "    beq 1f\n"
        "    adr.w r4, 3f\n"
        "    movs r5, #48\n"
        "1:  adds r6, r1, #2\n"
        "    movs r7, #3\n"
        "    udiv r6, r6, r7\n" /* rounds */
        "    mul r7, r6, r7\n"
        "    subs r7, r7, r1\n" /* lines that the first round lacks */
        "    mla r4, r5, r7, r4\n"
        "    adds r4, #1\n" /* Thumb */
        "    subs r2, #1\n"
        "    orr r6, r6, r2, lsl #8\n"
        "    lsl r10, r10, r9\n"
        "    str r6, [r0, #4]\n"
        "    str r4, [r0, #12]\n"
        "    str r10, [r0, #-12]\n"
        "    ldr r1, [r0, #-28]\n"
        /* Four outputs: weights, rounds and pairs that are left, bias, where to enter, bytes of a line. */
        "4:  ldm r0, {r2, r3, r4, r8, lr}\n"
        "    mov r5, r4\n"
        "    mov r6, r4\n"
        "    mov r7, r4\n"
        "    bx r8\n"
        "    .balign 4\n"
        "2:  tern_line_step1\n"
        "    tern_line_step1\n"
        "    tern_line_step1\n"
        "    subs r3, #1\n"
        "    lsls r8, r3, #24\n"
        "    bne 2b\n"
        "    cmp r3, #0\n"
        "    bne 6f\n"
        "    mov lr, #8\n"
        "5:  ldmdb r0, {r1, r3, r8-r12}\n"
        "    subs r12, #4\n"
        "    add r1, lr\n"
        "    bmi 7f\n"
        "    tern_line_output r4\n"
        "    tern_line_output r5\n"
        "    tern_line_output r6\n"
        "    tern_line_output r7\n"
        "    str r1, [r0, #-28]\n"
        "    str r3, [r0, #-24]\n"
        "    str r12, [r0, #-4]\n"
        "    bne 4b\n"
        /* The next line: lines that are left, steps to its inputs and outputs, and how many these are. */
        "8:  add r4, r0, #24\n"
        "    ldm r4, {r5, r6, r7, r8}\n"
        "    subs r5, #1\n"
        "    beq 9f\n"
        "    add r1, r6\n"
        "    add r3, r7\n"
        "    str r5, [r4]\n"
        "    str r1, [r0, #-28]\n"
        "    str r3, [r0, #-24]\n"
        "    str r8, [r0, #-4]\n"
        "    b 4b\n"
        "9:  pop {r4-r11, pc}\n"
        "    .balign 4\n"
        "3:  tern_line_step2\n"
        "    tern_line_step2\n"
        "    tern_line_step2\n"
        "    subs r3, #1\n"
        "    lsls r8, r3, #24\n"
        "    bne 3b\n"
        "    mov lr, #16\n"
        "    cmp r3, #0\n"
        "    beq 5b\n"
        /* The next pairs of weights, two inputs further. */
        "6:  ldr r8, [r0, #4]\n"
        "    ldr r1, [r0, #-28]\n"
        "    sub r9, r8, r3\n"
        "    lsr r9, r9, #8\n"
        "    add r1, r1, r9, lsl #2\n"
        "    add r1, #4\n"
        "    sub r3, #256\n"
        "    uxtb r8, r8\n"
        "    orr r3, r3, r8\n"
        "    ldrd r8, lr, [r0, #12]\n"
        "    bx r8\n"
        /* Fewer than four outputs. */
        "7:  add r12, #4\n"
        "1:  tern_line_output r4\n"
        "    mov r4, r5\n"
        "    mov r5, r6\n"
        "    subs r12, #1\n"
        "    bne 1b\n"
        "    b 8b\n"
        "    .size tern_write_depthwise_band, . - tern_write_depthwise_band\n"
        "    .equ tern_write_depthwise_band_frame, 36\n"
        "    .purgem tern_line_step1\n"
        "    .purgem tern_line_step2\n"
        "    .purgem tern_line_output\n"
        "    .text\n");

#else

/* Of three taps of a line, onto the sums of four outputs. */
static inline void add_taps(int32_t sums[TERN_LINE_OUTPUTS], const int16_t *x, int32_t stride, uint32_t first,
                            uint32_t last) {
    const int32_t w0 = tern_low(first), w1 = tern_high(first), w2 = tern_high(last);
    for (int32_t i = 0; i < TERN_LINE_OUTPUTS; i++) {
        sums[i] += w0 * x[0] + w1 * x[1] + w2 * x[2];
        x += stride;
    }
}

void tern_write_depthwise_band(tern_depthwise_band *band) {
    const tern_scaling by = {band->multiplier, band->shift, band->offset, INT8_MIN, INT8_MAX};
    const int16_t *from = band->inputs;
    int8_t *output = band->output;
    for (int32_t line = band->output_lines; line > 0; line--) {
        for (int32_t left = band->outputs; left > 0; left -= TERN_LINE_OUTPUTS) {
            int32_t sums[TERN_LINE_OUTPUTS] = {band->bias, band->bias, band->bias, band->bias};
            const uint32_t *weights = band->weights;
            for (int32_t j = 0; j < band->pairs; j++) {
                const int16_t *x = from + 2 * j;
                for (int32_t i = 0; i < band->lines; i++) {
                    add_taps(sums, x, band->stride, weights[0], weights[1]);
                    weights += 2;
                    x += band->line_bytes / (int32_t)sizeof *x;
                }
            }
            for (int32_t i = 0; i < TERN_LINE_OUTPUTS && i < left; i++) {
                *output = tern_scale_doubled_unclamped(&by, sums[i]);
                output += band->output_step;
            }
            from += TERN_LINE_OUTPUTS * band->stride;
        }
        from += band->next_inputs / (int32_t)sizeof *from;
        output += band->next_output;
    }
}

#endif
