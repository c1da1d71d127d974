#include "columns.h"
#include "scaling.h"

#ifdef TERN_PORT_DSP

void tern_write_column(tern_word *columns, int32_t pixel, const uint32_t *bytes, int32_t words) {
    columns += pixel * TERN_COLUMN_WORDS;
    for (int32_t i = 0; i < words; i++) {
        columns[0] = tern_even_signed_bytes(bytes[i]);
        columns[1] = tern_odd_signed_bytes(bytes[i]);
        columns += TERN_COLUMN_PIXELS * TERN_COLUMN_WORDS;
    }
}

/* Four sums, four words of the columns, two of the weights, both addresses and the end: in C a compiler spills. */
__asm__(
    ".syntax unified\n"
    ".thumb\n"
    /* From columns r1, weights r2 and the number of words r3 to sums r4-r7 and the weights behind them, r2. */
    ".macro tern_dot\n"
    "    add r12, r2, r3, lsl #2\n"
    "    mov r4, #0\n"
    "    mov r5, #0\n"
    "    mov r6, #0\n"
    "    mov r7, #0\n"
    "    .balign 4\n"
    "1:  ldr lr, [r2], #4\n"
    "    ldmia r1!, {r8-r11}\n"
    "    sxtb16 r3, lr\n"
    "    sxtb16 lr, lr, ror #8\n"
    "    smlad r4, r3, r8, r4\n"
    "    smlad r4, lr, r9, r4\n"
    "    smlad r5, r3, r10, r5\n"
    "    smlad r5, lr, r11, r5\n"
    "    ldmia r1!, {r8-r11}\n"
    "    smlad r6, r3, r8, r6\n"
    "    smlad r6, lr, r9, r6\n"
    "    smlad r7, r3, r10, r7\n"
    "    smlad r7, lr, r11, r7\n"
    "    cmp r2, r12\n"
    "    bne 1b\n"
    ".endm\n"
    ".macro tern_column_output sum\n"
    "    add \\sum, r8, \\sum, lsl #1\n"
    "    smmlar lr, \\sum, r9, r11\n"
    "    add \\sum, lr, \\sum, asr #31\n"
    "    asr \\sum, \\sum, r10\n"
    "    ssat \\sum, #8, \\sum, asr #1\n"
    "    strb \\sum, [r3]\n"
    "    add r3, r12\n"
    ".endm\n"
    "    .section .text.tern_dot_columns, \"ax\", %progbits\n"
    "    .balign 4\n"
    "    .global tern_dot_columns\n"
    "    .type tern_dot_columns, %function\n"
    "    .thumb_func\n"
    "tern_dot_columns:\n" /* r0 sums, r1 columns, r2 weights, r3 words */
    "    push {r4-r11, lr}\n"
    "    tern_dot\n"
    "    stmia r0, {r4-r7}\n"
    "    pop {r4-r11, pc}\n"
    "    .size tern_dot_columns, . - tern_dot_columns\n"
    "    .equ tern_dot_columns_frame, 36\n"
    "    .section .text.tern_write_column_block, \"ax\", %progbits\n"
    "    .balign 4\n"
    "    .global tern_write_column_block\n"
    "    .type tern_write_column_block, %function\n"
    "    .thumb_func\n"
    "tern_write_column_block:\n" /* r0 block */
    "    mov r1, #0\n"
    "    push {r0, r1, r4-r11, lr}\n" /* block, the channel's number */
    "    ldr r2, [r0, #4]\n"          /* weights */
    "2:  ldr r1, [r0]\n"              /* columns */
    "    ldr r3, [r0, #36]\n"         /* words */
    "    tern_dot\n"
    "    ldrd r0, r1, [sp]\n"
    "    ldrd r8, r9, [r0, #8]\n"    /* bias, multiplier */
    "    ldrd r10, r11, [r0, #16]\n" /* shift, offset */
    "    ldr r8, [r8, r1, lsl #2]\n"
    "    ldr r9, [r9, r1, lsl #2]\n"
    "    ldrsb r10, [r10, r1]\n"
    "    ldrd r12, r3, [r0, #24]\n" /* stride, output */
    "    mvn r10, r10\n"            /* -1 - shift */
    "    lsl r11, r11, r10\n"
    "    add r3, r1\n"
    "    tern_column_output r4\n"
    "    tern_column_output r5\n"
    "    tern_column_output r6\n"
    "    tern_column_output r7\n"
    "    ldr r3, [r0, #32]\n" /* count */
    "    add r1, #1\n"
    "    str r1, [sp, #4]\n"
    "    cmp r1, r3\n"
    "    bne 2b\n"
    "    pop {r0, r1, r4-r11, pc}\n"
    "    .size tern_write_column_block, . - tern_write_column_block\n"
    "    .equ tern_write_column_block_frame, 44\n"
    "    .purgem tern_dot\n"
    "    .purgem tern_column_output\n"
    "    .text\n");

#else

void tern_write_column(tern_word *columns, int32_t pixel, const uint32_t *bytes, int32_t words) {
    const uint8_t *from = (const uint8_t *)bytes;
    uint8_t *to = (uint8_t *)columns + pixel;
    for (int32_t i = 0; i < 4 * words; i++)
        to[i * TERN_COLUMN_PIXELS] = from[i];
}

void tern_dot_columns(int32_t sums[TERN_COLUMN_PIXELS], const tern_word *columns, const uint32_t *weights,
                      int32_t words) {
    const int8_t *weight = (const int8_t *)weights;
    const tern_word *const end = columns + 4 * words;
    int32_t sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
    while (columns != end) {
        const int32_t w = *weight++;
        sum0 += w * tern_signed_byte(columns, 0);
        sum1 += w * tern_signed_byte(columns, 1);
        sum2 += w * tern_signed_byte(columns, 2);
        sum3 += w * tern_signed_byte(columns, 3);
        columns++;
    }
    sums[0] = sum0;
    sums[1] = sum1;
    sums[2] = sum2;
    sums[3] = sum3;
}

void tern_write_column_block(const tern_column_block *block) {
    const uint32_t *weights = block->weights;
    const int32_t stride = block->stride;
    for (int32_t i = 0; i < block->count; i++) {
        int32_t sums[TERN_COLUMN_PIXELS];
        tern_dot_columns(sums, block->columns, weights, block->words);
        const tern_scaling by = {block->multiplier[i], tern_scaling_shift(block->shift[i]), block->offset,
                                 INT8_MIN, INT8_MAX};
        const uint32_t bias = (uint32_t)block->bias[i];
        int8_t *output = block->output + i;
        for (int32_t j = 0; j < TERN_COLUMN_PIXELS; j++)
            output[j * stride] = tern_scale_doubled_unclamped(&by, (int32_t)(bias + 2 * (uint32_t)sums[j]));
        weights += block->words;
    }
}

#endif
