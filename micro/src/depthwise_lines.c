#include "depthwise_lines.h"
#include "scaling.h"

#ifdef TERN_PORT_DSP

static uint32_t pair_of(int32_t low, int32_t high) {
    return (uint16_t)(2 * low) | (uint32_t)(2 * high) << 16;
}

int32_t tern_line_groups(int32_t taps) {
    return taps <= 3 ? 1 : taps / 2;
}

uint32_t tern_expand_line_weights(uint32_t *to, const int8_t *weights, int32_t lines, int32_t taps) {
    for (int32_t i = 0; i == 0 || i + 1 < taps; i += 2) {
        const int8_t *line = weights + i;
        for (int32_t j = 0; j < lines; j++) {
            const int32_t second = i + 1 < taps ? line[1] : 0;
            *to++ = pair_of(i == 0 ? line[0] : 0, second);
            *to++ = pair_of(second, i + 2 < taps ? line[2] : 0);
            line += taps;
        }
    }
    return 0;
}

#else

enum { TAPS = 3 };

int32_t tern_line_groups(int32_t taps) {
    return (taps + TAPS - 1) / TAPS;
}

uint32_t tern_expand_line_weights(uint32_t *to, const int8_t *weights, int32_t lines, int32_t taps) {
    uint32_t sum = 0;
    for (int32_t i = 0; i < taps; i += TAPS) {
        for (int32_t j = 0; j < lines; j++) {
            for (int32_t k = i; k < i + TAPS; k++) {
                const uint32_t weight = k < taps ? 2 * (uint32_t)weights[j * taps + k] : 0;
                *to++ = weight;
                sum += weight;
            }
        }
    }
    return TERN_LINE_INPUT_OFFSET * sum;
}

#endif

#ifdef TERN_PORT_DSP

/* Two inputs of each channel are a word; one alone goes before the first word, and behind the last one. */
__asm__(".syntax unified\n"
        ".thumb\n"
        "    .section .text.tern_copy_four_lines, \"ax\", %progbits\n"
        "    .balign 4\n"
        "    .global tern_copy_four_lines\n"
        "    .type tern_copy_four_lines, %function\n"
        "    .thumb_func\n"
        "tern_copy_four_lines:\n" /* r0 to, r1 its step, r2 from, r3 its step, on the stack count */
        "    push {r4-r11, lr}\n"
        "    ldr r7, [sp, #36]\n"
        "    add r4, r0, r1, lsl #1\n"
        "    add r5, r4, r1, lsl #1\n"
        "    add r6, r5, r1, lsl #1\n"
        "    tst r0, #2\n"
        "    bne 3f\n"
        "1:  subs r7, #2\n"
        "    bmi 2f\n"
        "    ldr r8, [r2]\n"
        "    ldr r9, [r2, r3]\n"
        "    add r2, r2, r3, lsl #1\n"
        "    sxtb16 r10, r8\n"
        "    sxtb16 r11, r9\n"
        "    sxtb16 r8, r8, ror #8\n"
        "    sxtb16 r9, r9, ror #8\n"
        "    pkhbt r12, r10, r11, lsl #16\n"
        "    pkhtb r11, r11, r10, asr #16\n"
        "    pkhbt r10, r8, r9, lsl #16\n"
        "    pkhtb r9, r9, r8, asr #16\n"
        "    str r12, [r0], #4\n"
        "    str r10, [r4], #4\n"
        "    str r11, [r5], #4\n"
        "    str r9, [r6], #4\n"
        "    b 1b\n"
        "2:  adds r7, #2\n"
        "    beq 4f\n"
        "3:  ldrsb r8, [r2]\n"
        "    ldrsb r9, [r2, #1]\n"
        "    ldrsb r10, [r2, #2]\n"
        "    ldrsb r11, [r2, #3]\n"
        "    add r2, r3\n"
        "    strh r8, [r0], #2\n"
        "    strh r9, [r4], #2\n"
        "    strh r10, [r5], #2\n"
        "    strh r11, [r6], #2\n"
        "    subs r7, #1\n"
        "    bne 1b\n"
        "4:  pop {r4-r11, pc}\n"
        "    .size tern_copy_four_lines, . - tern_copy_four_lines\n"
        "    .equ tern_copy_four_lines_frame, 36\n"
        "    .text\n");

#else

void tern_copy_four_lines(int16_t *to, int32_t to_step, const int8_t *from, int32_t from_step,
                          int32_t count) {
    int16_t *const second = to + to_step, *const third = second + to_step, *const fourth = third + to_step;
    for (int32_t i = 0; i < count; i++) {
        to[i] = tern_line_input(from[0]);
        second[i] = tern_line_input(from[1]);
        third[i] = tern_line_input(from[2]);
        fourth[i] = tern_line_input(from[3]);
        from += from_step;
    }
}

#endif

#if defined(__ARM_ARCH_ISA_THUMB) && __ARM_ARCH_ISA_THUMB == 2 && !defined(TERN_PORTABLE)

/* Four sums, inputs and weights leave no registers for what scales sums, and compilers spill. STEP1 adds a line of inputs
 * r1 and weights r2 onto r4-r7 and goes to the next line; STEP2 does it for outputs that see inputs two apart. OUTPUT is
 * tern_scale_doubled_unclamped of a sum, to r3. Three lines follow one another, so that a kernel of three is no loop;
 * others enter where their lines begin. */
#ifdef TERN_PORT_DSP
#define GROUP_BYTES "4"
#define STEP1_BYTES "56"
#define STEP1                                                                                                \
    "    ldr.w r8, [r1]\n"                                                                                   \
    "    ldr.w r9, [r1, #4]\n"                                                                               \
    "    ldr.w r10, [r1, #8]\n"                                                                              \
    "    ldr.w r11, [r2], #4\n"                                                                              \
    "    ldr.w r12, [r2], #4\n"                                                                              \
    "    add.w r1, r1, lr\n"                                                                                 \
    "    smlad r4, r8, r11, r4\n"                                                                            \
    "    smlad r5, r9, r12, r5\n"                                                                            \
    "    smlad r6, r9, r11, r6\n"                                                                            \
    "    smlad r7, r10, r12, r7\n"                                                                           \
    "    smlabt r4, r9, r12, r4\n"                                                                           \
    "    smlatb r5, r8, r11, r5\n"                                                                           \
    "    smlabt r6, r10, r12, r6\n"                                                                          \
    "    smlatb r7, r9, r11, r7\n"
#define STEP2_BYTES "60"
#define STEP2                                                                                                \
    "    ldr.w r8, [r1]\n"                                                                                   \
    "    ldr.w r9, [r1, #4]\n"                                                                               \
    "    ldr.w r10, [r1, #8]\n"                                                                              \
    "    ldr.w r11, [r2], #4\n"                                                                              \
    "    ldr.w r12, [r2], #4\n"                                                                              \
    "    smlad r4, r8, r11, r4\n"                                                                            \
    "    smlad r5, r9, r11, r5\n"                                                                            \
    "    smlad r6, r10, r11, r6\n"                                                                           \
    "    smlabt r4, r9, r12, r4\n"                                                                           \
    "    ldrd r8, r9, [r1, #12]\n"                                                                           \
    "    add.w r1, r1, lr\n"                                                                                 \
    "    smlabt r5, r10, r12, r5\n"                                                                          \
    "    smlad r7, r8, r11, r7\n"                                                                            \
    "    smlabt r6, r8, r12, r6\n"                                                                           \
    "    smlabt r7, r9, r12, r7\n"
#define PREPARE_OFFSET "    lsl r10, r10, r9\n"
#define OUTPUT                                                                                               \
    "    smmlar r2, \\sum, r8, r10\n"                                                                        \
    "    add \\sum, r2, \\sum, asr #31\n"                                                                    \
    "    asr \\sum, \\sum, r9\n"
#else
#define GROUP_BYTES "6"
#define STEP1_BYTES "80"
#define STEP1                                                                                                \
    "    ldmia.w r2!, {r8-r10}\n"                                                                            \
    "    ldrsh.w r11, [r1]\n"                                                                                \
    "    ldrsh.w r12, [r1, #2]\n"                                                                            \
    "    mla r4, r8, r11, r4\n"                                                                              \
    "    mla r4, r9, r12, r4\n"                                                                              \
    "    mla r5, r8, r12, r5\n"                                                                              \
    "    ldrsh.w r11, [r1, #4]\n"                                                                            \
    "    ldrsh.w r12, [r1, #6]\n"                                                                            \
    "    mla r4, r10, r11, r4\n"                                                                             \
    "    mla r5, r9, r11, r5\n"                                                                              \
    "    mla r6, r8, r11, r6\n"                                                                              \
    "    mla r5, r10, r12, r5\n"                                                                             \
    "    mla r6, r9, r12, r6\n"                                                                              \
    "    mla r7, r8, r12, r7\n"                                                                              \
    "    ldrsh.w r11, [r1, #8]\n"                                                                            \
    "    ldrsh.w r12, [r1, #10]\n"                                                                           \
    "    add.w r1, r1, lr\n"                                                                                 \
    "    mla r6, r10, r11, r6\n"                                                                             \
    "    mla r7, r9, r11, r7\n"                                                                              \
    "    mla r7, r10, r12, r7\n"
#define STEP2_BYTES "92"
#define STEP2                                                                                                \
    "    ldmia.w r2!, {r8-r10}\n"                                                                            \
    "    ldrsh.w r11, [r1]\n"                                                                                \
    "    ldrsh.w r12, [r1, #2]\n"                                                                            \
    "    mla r4, r8, r11, r4\n"                                                                              \
    "    mla r4, r9, r12, r4\n"                                                                              \
    "    ldrsh.w r11, [r1, #4]\n"                                                                            \
    "    ldrsh.w r12, [r1, #6]\n"                                                                            \
    "    mla r4, r10, r11, r4\n"                                                                             \
    "    mla r5, r8, r11, r5\n"                                                                              \
    "    mla r5, r9, r12, r5\n"                                                                              \
    "    ldrsh.w r11, [r1, #8]\n"                                                                            \
    "    ldrsh.w r12, [r1, #10]\n"                                                                           \
    "    mla r5, r10, r11, r5\n"                                                                             \
    "    mla r6, r8, r11, r6\n"                                                                              \
    "    mla r6, r9, r12, r6\n"                                                                              \
    "    ldrsh.w r11, [r1, #12]\n"                                                                           \
    "    ldrsh.w r12, [r1, #14]\n"                                                                           \
    "    mla r6, r10, r11, r6\n"                                                                             \
    "    mla r7, r8, r11, r7\n"                                                                              \
    "    mla r7, r9, r12, r7\n"                                                                              \
    "    ldrsh.w r11, [r1, #16]\n"                                                                           \
    "    add.w r1, r1, lr\n"                                                                                 \
    "    mla r7, r10, r11, r7\n"
#define PREPARE_OFFSET
#define OUTPUT                                                                                               \
    "    smull r2, \\sum, \\sum, r8\n"                                                                       \
    "    add \\sum, \\sum, r2, lsr #31\n"                                                                    \
    "    add \\sum, \\sum, \\sum, asr #31\n"                                                                 \
    "    asr \\sum, \\sum, r9\n"                                                                             \
    "    add \\sum, r10\n"
#endif

__asm__(".syntax unified\n"
        ".thumb\n"
        ".macro tern_line_output sum\n" OUTPUT "    ssat \\sum, #8, \\sum, asr #1\n"
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
        "    ldr r2, [r0, #12]\n"        /* groups */
        "    ldr r3, [r0, #20]\n"        /* stride */
        "    adr.w r4, 2f\n"
        "    movs r5, #" STEP1_BYTES "\n"
        "    cmp r3, #1\n"
        "    beq 1f\n"
        "    adr.w r4, 3f\n"
        "    movs r5, #" STEP2_BYTES "\n"
        "1:  movs r7, #3\n"
        "    add r6, r1, #3-1\n"
        "    udiv r6, r6, r7\n" /* rounds */
        "    mul r7, r6, r7\n"
        "    subs r7, r7, r1\n" /* lines that the first round lacks */
        "    mla r4, r5, r7, r4\n"
        "    adds r4, #1\n" /* Thumb */
        "    subs r2, #1\n" /* groups behind the first one */
        "    orr r6, r6, r2, lsl #8\n" PREPARE_OFFSET "    str r6, [r0, #4]\n"
        "    str r4, [r0, #12]\n"
        "    str r10, [r0, #-12]\n"
        "    ldr r1, [r0, #-28]\n"
        /* Four outputs: weights, rounds and groups that are left, bias, where to enter, bytes of a line. */
        "4:  ldm r0, {r2, r3, r4, r8, lr}\n"
        "    mov r5, r4\n"
        "    mov r6, r4\n"
        "    mov r7, r4\n"
        "    bx r8\n"
        "    .balign 4\n"
        "2:  .rept 3\n" STEP1 "    .endr\n"
        "    subs r3, #1\n"
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
        "3:  .rept 3\n" STEP2 "    .endr\n"
        "    subs r3, #1\n"
        "    mov lr, #16\n"
        "    beq 5b\n"
        "    ldr lr, [r0, #16]\n"
        "    lsls r8, r3, #24\n"
        "    bne 3b\n"
        "6:  lsls r8, r3, #24\n"
        "    bne 2b\n"
        /* The next group of weights, from its inputs on. */
        "    ldr r8, [r0, #4]\n"
        "    ldr r1, [r0, #-28]\n"
        "    sub r9, r8, r3\n"
        "    lsr r9, r9, #8\n"
        "    add r9, #1\n"
        "    movs r10, #" GROUP_BYTES "\n"
        "    mla r1, r9, r10, r1\n"
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
        "    .purgem tern_line_output\n"
        "    .text\n");

#else

/* What is beside the four sums, the inputs and the weights. The assembly knows the order. */
typedef struct {
    int32_t line_bytes;   /* from a line of inputs to the next one */
    int32_t weight_bytes; /* of three taps of all lines */
} line_sum;

#if defined(__ARM_ARCH_ISA_THUMB) && !defined(TERN_PORTABLE)

void tern_sum_lines1(uint32_t sums[TERN_LINE_OUTPUTS], const int16_t *x, const uint32_t *weights,
                     const line_sum *of);
void tern_sum_lines2(uint32_t sums[TERN_LINE_OUTPUTS], const int16_t *x, const uint32_t *weights,
                     const line_sum *of);

/* Four sums, an input and a weight, and the addresses of both: just the eight registers that instructions reach, where
 * compilers keep inputs for the next tap and move registers about. */
__asm__(".syntax unified\n"
        ".thumb\n"
        ".macro tern_line_product sum, offset\n"
        "    ldrh r7, [r1, #\\offset]\n"
        "    muls r7, r0\n"
        "    adds \\sum, \\sum, r7\n"
        ".endm\n"
        ".macro tern_line_tap stride, offset\n"
        "    ldmia r2!, {r0}\n"
        "    tern_line_product r3, \\offset\n"
        "    tern_line_product r4, 2*\\stride+\\offset\n"
        "    tern_line_product r5, 4*\\stride+\\offset\n"
        "    tern_line_product r6, 6*\\stride+\\offset\n"
        ".endm\n"
        ".macro tern_sum_lines name, stride\n"
        "    .section .text.\\name, \"ax\", %progbits\n"
        "    .balign 4\n"
        "    .global \\name\n"
        "    .type \\name, %function\n"
        "    .thumb_func\n"
        "\\name:\n" /* r0 sums, r1 inputs, r2 weights, r3 what the sum is of */
        "    push {r0, r4-r7, lr}\n"
        "    mov r4, r8\n"
        "    push {r4}\n"
        "    ldmia r3!, {r4, r5}\n"
        "    mov r12, r4\n"
        "    adds r5, r5, r2\n" /* the end of the weights */
        "    mov r8, r5\n"
        "    ldmia r0!, {r3-r6}\n"
        "1:  tern_line_tap \\stride, 0\n"
        "    tern_line_tap \\stride, 2\n"
        "    tern_line_tap \\stride, 4\n"
        "    add r1, r12\n"
        "    cmp r2, r8\n"
        "    bne 1b\n"
        "    pop {r7}\n"
        "    mov r8, r7\n"
        "    pop {r0}\n"
        "    stmia r0!, {r3-r6}\n"
        "    pop {r4-r7, pc}\n"
        "    .size \\name, . - \\name\n"
        "    .equ \\name\\()_frame, 28\n"
        ".endm\n"
        "tern_sum_lines tern_sum_lines1, 1\n"
        "tern_sum_lines tern_sum_lines2, 2\n"
        "    .purgem tern_line_product\n"
        "    .purgem tern_line_tap\n"
        "    .purgem tern_sum_lines\n"
        "    .text\n");

#else

static inline uint32_t input(const int16_t *x, int32_t at) {
    return (uint32_t)x[at];
}

static inline void sum_lines(uint32_t sums[TERN_LINE_OUTPUTS], const int16_t *x, const uint32_t *weights,
                             const line_sum *of, int32_t stride) {
    const uint32_t *const end = (const uint32_t *)(const void *)((const uint8_t *)weights + of->weight_bytes);
    uint32_t sum0 = sums[0], sum1 = sums[1], sum2 = sums[2], sum3 = sums[3];
    do {
        const uint32_t w0 = weights[0], w1 = weights[1], w2 = weights[2];
        sum0 += w0 * input(x, 0) + w1 * input(x, 1) + w2 * input(x, 2);
        sum1 += w0 * input(x, stride) + w1 * input(x, stride + 1) + w2 * input(x, stride + 2);
        sum2 += w0 * input(x, 2 * stride) + w1 * input(x, 2 * stride + 1) + w2 * input(x, 2 * stride + 2);
        sum3 += w0 * input(x, 3 * stride) + w1 * input(x, 3 * stride + 1) + w2 * input(x, 3 * stride + 2);
        weights += TAPS;
        x = (const int16_t *)(const void *)((const uint8_t *)x + of->line_bytes);
    } while (weights != end);
    sums[0] = sum0;
    sums[1] = sum1;
    sums[2] = sum2;
    sums[3] = sum3;
}

/* Functions of their own, for compilers run out of registers where all else is around them. */
static void __attribute__((noinline)) tern_sum_lines1(uint32_t sums[TERN_LINE_OUTPUTS], const int16_t *x,
                                                      const uint32_t *weights, const line_sum *of) {
    sum_lines(sums, x, weights, of, 1);
}

static void __attribute__((noinline)) tern_sum_lines2(uint32_t sums[TERN_LINE_OUTPUTS], const int16_t *x,
                                                      const uint32_t *weights, const line_sum *of) {
    sum_lines(sums, x, weights, of, 2);
}

#endif

void tern_write_depthwise_band(tern_depthwise_band *band) {
    const tern_scaling by = {band->multiplier, band->shift, band->offset, INT8_MIN, INT8_MAX};
    const int16_t *from = band->inputs;
    int8_t *output = band->output;
    const int32_t group = band->lines * TAPS;
    const line_sum of = {band->line_bytes, group * (int32_t)sizeof *band->weights};
    for (int32_t line = band->output_lines; line > 0; line--) {
        for (int32_t left = band->outputs; left > 0; left -= TERN_LINE_OUTPUTS) {
            uint32_t sums[TERN_LINE_OUTPUTS] = {band->bias, band->bias, band->bias, band->bias};
            const uint32_t *weights = band->weights;
            for (int32_t i = 0; i < band->groups; i++) {
                if (band->stride == 1)
                    tern_sum_lines1(sums, from + i * TAPS, weights, &of);
                else
                    tern_sum_lines2(sums, from + i * TAPS, weights, &of);
                weights += group;
            }
            from += TERN_LINE_OUTPUTS * band->stride;
            for (int32_t i = 0; i < TERN_LINE_OUTPUTS && i < left; i++) {
                *output = tern_scale_doubled_unclamped(&by, (int32_t)sums[i]);
                output += band->output_step;
            }
        }
        from += band->next_inputs / (int32_t)sizeof *from;
        output += band->next_output;
    }
}

#endif
