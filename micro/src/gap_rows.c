#include "gap_rows.h"
#include "scaling.h"

/* The symbols NAME_frame say how much of the stack a function takes, as compilers say it of theirs. */

#ifdef TERN_PORT_DSP

/* In C a compiler would spill: eight sums, four words of a row, the row and the gaps take all fourteen registers. Steps
 * have one length, so that the first word is entered where its gaps begin. */
#ifdef TERN_PORT_DUAL_ISSUE
/* The second half of a row is added in the next step, while the first half of that one's row is loaded. */
#define STEP_BYTES "48"
#define STEP                                                                                                 \
    "    ubfx r0, lr, #\\shift, #4\n"                                                                        \
    "    add.w r12, r12, r0, lsl #4\n"                                                                       \
    "    ldrd r0, r1, [r12]\n" ADD_SECOND_HALF "    ldrd r2, r3, [r12, #8]\n" ADD_FIRST_HALF
#define BEFORE_STEPS                                                                                         \
    "    mov r2, #0\n"                                                                                       \
    "    mov r3, #0\n"
#define BEHIND_STEPS ADD_SECOND_HALF
#else
#define STEP_BYTES "44"
#define STEP                                                                                                 \
    "    ubfx r0, lr, #\\shift, #4\n"                                                                        \
    "    add.w r12, r12, r0, lsl #4\n"                                                                       \
    "    ldmia.w r12, {r0-r3}\n" ADD_FIRST_HALF ADD_SECOND_HALF
#define BEFORE_STEPS
#define BEHIND_STEPS
#endif
#define ADD_FIRST_HALF                                                                                       \
    "    sxtab16 r4, r4, r0\n"                                                                               \
    "    sxtab16 r5, r5, r0, ror #8\n"                                                                       \
    "    sxtab16 r6, r6, r1\n"                                                                               \
    "    sxtab16 r7, r7, r1, ror #8\n"
#define ADD_SECOND_HALF                                                                                      \
    "    sxtab16 r8, r8, r2\n"                                                                               \
    "    sxtab16 r9, r9, r2, ror #8\n"                                                                       \
    "    sxtab16 r10, r10, r3\n"                                                                             \
    "    sxtab16 r11, r11, r3, ror #8\n"
__asm__(".syntax unified\n"
        ".thumb\n"
        ".macro tern_gap_step shift\n" STEP ".endm\n"
        "    .section .text.tern_add_gap_stream, \"ax\", %progbits\n"
        /* A stream: from gaps r1, steps r2, row r12 to sums r4-r11, row r12, and the gaps behind it in r0. */
        "    .balign 4\n"
        "    .type tern_add_gap_stream, %function\n"
        "    .thumb_func\n"
        "tern_add_gap_stream:\n"
        "    mov r4, #0\n"
        "    mov r5, #0\n"
        "    mov r6, #0\n"
        "    mov r7, #0\n"
        "    mov r8, #0\n"
        "    mov r9, #0\n"
        "    mov r10, #0\n"
        "    mov r11, #0\n"
        "    .type tern_go_on_with_gap_stream, %function\n"
        "    .thumb_func\n"
        "tern_go_on_with_gap_stream:\n" /* onto the sums that are there */
        "    add r3, r2, #7\n"
        "    lsr r3, r3, #3\n"
        "    add r3, r1, r3, lsl #2\n" /* behind the last word */
        "    push {r1, r3, lr}\n"
        "    cmp r2, #0\n"
        "    beq 3f\n"
        "    rsb r2, r2, #0\n"
        "    and r2, r2, #7\n" /* gaps that the first word lacks */
        "    mov r3, #" STEP_BYTES "\n"
        "    mul r2, r2, r3\n"
        "    adr r0, 2f\n"
        "    add r0, r0, r2\n"
        "    add r0, r0, #1\n" /* Thumb */
        "    ldr.w lr, [r1], #4\n"
        "    str.w r1, [sp]\n" BEFORE_STEPS "    bx r0\n"
        "    .balign 4\n"
        "1:  ldr.w lr, [r0], #4\n"
        "    str.w r0, [sp]\n"
        "2:  tern_gap_step 0\n"
        "    tern_gap_step 4\n"
        "    tern_gap_step 8\n"
        "    tern_gap_step 12\n"
        "    tern_gap_step 16\n"
        "    tern_gap_step 20\n"
        "    tern_gap_step 24\n"
        "    tern_gap_step 28\n"
        "    ldrd r0, r1, [sp]\n"
        "    cmp r0, r1\n"
        "    bne 1b\n" BEHIND_STEPS "3:  pop {r0, r1, pc}\n"
        "    .size tern_add_gap_stream, . - tern_add_gap_stream\n"
        "    .equ tern_add_gap_stream_frame, 12\n"
        "    .section .text.tern_add_gap_rows, \"ax\", %progbits\n"
        "    .global tern_add_gap_rows\n"
        "    .type tern_add_gap_rows, %function\n"
        "    .thumb_func\n"
        "tern_add_gap_rows:\n" /* r0 sums, r1 gaps, r2 steps, r3 row */
        "    push {r0, r4-r11, lr}\n"
        "    mov r12, r3\n"
        "    bl tern_add_gap_stream\n"
        "    pop {r0}\n"
        "    stmia r0, {r4-r11}\n"
        "    mov r0, r12\n"
        "    pop {r4-r11, pc}\n"
        "    .size tern_add_gap_rows, . - tern_add_gap_rows\n"
        "    .equ tern_add_gap_rows_frame, 40\n"
        "    .purgem tern_gap_step\n"
        "    .text\n");

__asm__(".syntax unified\n"
        ".thumb\n"
        "    .section .text.tern_write_gap_block, \"ax\", %progbits\n"
        "    .balign 4\n"
        /* From accumulators r1 and r0 to two outputs. */
        "    .macro tern_gap_write\n"
        "    smmlar r11, r1, r2, r8\n"
        "    add r1, r11, r1, asr #31\n"
        "    smmlar r11, r0, r2, r8\n"
        "    add r0, r11, r0, asr #31\n"
        "    asr r1, r1, r3\n"
        "    asr r0, r0, r3\n"
        "    ssat r1, #8, r1, asr #1\n"
        "    ssat r0, #8, r0, asr #1\n"
        "    strb r1, [r10]\n"
        "    strb r0, [r10, r9]\n"
        "    add r10, r10, r9, lsl #1\n"
        "    .endm\n"
        /* Of a sum over the second stream and of the first one's, which is popped. */
        "    .macro tern_gap_outputs plus\n"
        "    pop {r0}\n"
        "    smlabb r1, r0, r12, lr\n"
        "    smlabt r1, \\plus, r12, r1\n"
        "    smlatb r0, r0, r12, lr\n"
        "    smlatt r0, \\plus, r12, r0\n"
        "    tern_gap_write\n"
        "    .endm\n"
        /* Of the two streams' difference. */
        "    .macro tern_gap_joint_outputs difference\n"
        "    smlabt r1, \\difference, r12, lr\n"
        "    smlatt r0, \\difference, r12, lr\n"
        "    tern_gap_write\n"
        "    .endm\n"
        "    .global tern_write_gap_block\n"
        "    .type tern_write_gap_block, %function\n"
        "    .thumb_func\n"
        "tern_write_gap_block:\n" /* r0 block */
        "    push {r0, r4-r11, lr}\n"
        "    ldr r1, [r0, #32]\n" /* gaps */
        "    mov r3, #0\n"        /* the channel's number */
        /* 16 bytes for the last four sums, then gaps, number, block */
        "    sub sp, #24\n"
        "1:  strd r1, r3, [sp, #16]\n"
        "    ldrd r12, r2, [r0]\n" /* rows, channels */
        "    ldrh r2, [r2, r3, lsl #3]\n"
        "    bl tern_add_gap_stream\n"
        "    mov r1, r0\n"
        "    ldrd r3, r0, [sp, #20]\n"
        "    ldrd r12, r2, [r0]\n"
        "    add r3, r2, r3, lsl #3\n"
        "    ldrh r2, [r3, #2]\n"
        "    ldrb r3, [r3, #7]\n"
        "    cbnz r3, 2f\n"
        "    push {r4-r11}\n"
        "    bl tern_add_gap_stream\n"
        "    add r1, sp, #32\n"
        "    b 3f\n"
        "2:  mov r3, #0\n"
        "    ssub16 r4, r3, r4\n"
        "    ssub16 r5, r3, r5\n"
        "    ssub16 r6, r3, r6\n"
        "    ssub16 r7, r3, r7\n"
        "    ssub16 r8, r3, r8\n"
        "    ssub16 r9, r3, r9\n"
        "    ssub16 r10, r3, r10\n"
        "    ssub16 r11, r3, r11\n"
        "    bl tern_go_on_with_gap_stream\n"
        "    mov r1, sp\n"
        "3:  stmia r1!, {r8-r11}\n"
        "    str r0, [r1]\n"
        "    ldrd r10, r11, [r1, #4]\n" /* number, block */
        "    ldrd r1, r0, [r11, #4]\n"  /* channels, bias */
        "    ldrd r2, r8, [r11, #12]\n" /* multiplier, offset */
        "    add r1, r1, r10, lsl #3\n"
        "    ldr r3, [r1, #4]\n"
        "    ldr lr, [r0, r10, lsl #2]\n"
        "    ldr r2, [r2, r10, lsl #2]\n"
        "    ldrd r9, r0, [r11, #20]\n" /* stride, output */
        "    sxtb16 r12, r3\n"
        "    sadd16 r12, r12, r12\n"
        "    add r10, r10, r0\n"
        "    lsr r0, r3, #24\n" /* whether the streams are joint */
        "    ubfx r3, r3, #8, #8\n"
        "    lsl r8, r8, r3\n"
        /* shifts take the low byte alone: above it is the number of halves that follow */
        "    orr r3, r3, #0x100\n"
        "    cmp r0, #0\n"
        "    bne 5f\n"
        "4:  tern_gap_outputs r4\n"
        "    tern_gap_outputs r5\n"
        "    tern_gap_outputs r6\n"
        "    tern_gap_outputs r7\n"
        "    subs r3, #0x100\n"
        "    bmi 6f\n"
        "    add r0, sp, #16\n"
        "    ldmia r0, {r4-r7}\n"
        "    b 4b\n"
        "5:  tern_gap_joint_outputs r4\n"
        "    tern_gap_joint_outputs r5\n"
        "    tern_gap_joint_outputs r6\n"
        "    tern_gap_joint_outputs r7\n"
        "    subs r3, #0x100\n"
        "    bmi 6f\n"
        "    ldmia sp, {r4-r7}\n"
        "    b 5b\n"
        "6:  ldrd r1, r3, [sp, #16]\n"
        "    ldr r0, [sp, #24]\n"
        "    ldr r2, [r0, #28]\n"
        "    add r3, #1\n"
        "    cmp r3, r2\n"
        "    bne 1b\n"
        "    add sp, #24\n"
        "    pop {r0, r4-r11, pc}\n"
        "    .size tern_write_gap_block, . - tern_write_gap_block\n"
        "    .equ tern_write_gap_block_frame, 96\n"
        "    .purgem tern_gap_outputs\n"
        "    .purgem tern_gap_joint_outputs\n"
        "    .purgem tern_gap_write\n"
        "    .text\n");

__asm__(".syntax unified\n"
        ".thumb\n"
        "    .section .text.tern_write_row_words, \"ax\", %progbits\n"
        "    .balign 4\n"
        "    .global tern_write_row_words\n"
        "    .type tern_write_row_words, %function\n"
        "    .thumb_func\n"
        "tern_write_row_words:\n" /* r0 rows, r1 from, r2 words */
        "    push {r0, r4-r11, lr}\n"
        "    ldrd r10, r11, [r0]\n" /* to, left in group */
        "    ldrd r8, r9, [r1, #8]\n"
        "    ldrd r0, r1, [r1]\n"
        "    mov r12, #0x00ff00ff\n"
        "1:  subs r11, #4\n"
        "    bmi 3f\n"
        "2:  ldr r3, [r0], #4\n"
        "    ldr r4, [r1], #4\n"
        "    ldr r5, [r8], #4\n"
        "    ldr r6, [r9], #4\n"
        "    pkhbt r7, r3, r4, lsl #16\n"
        "    pkhtb r3, r4, r3, asr #16\n"
        "    pkhbt r4, r5, r6, lsl #16\n"
        "    pkhtb r5, r6, r5, asr #16\n"
        "    eor r6, r4, r7, lsr #8\n"
        "    and r6, r6, r12\n"
        "    eor r7, r7, r6, lsl #8\n"
        "    eor r4, r4, r6\n"
        "    eor r6, r5, r3, lsr #8\n"
        "    and r6, r6, r12\n"
        "    eor r3, r3, r6, lsl #8\n"
        "    eor r5, r5, r6\n"
        "    str r4, [r10, #16]\n"
        "    str r3, [r10, #32]\n"
        "    str r5, [r10, #48]\n"
        "    str r7, [r10], #64\n"
        "    subs r2, #1\n"
        "    bne 1b\n"
        "    pop {r0}\n"
        "    strd r10, r11, [r0]\n"
        "    pop {r4-r11, pc}\n"
        "3:  add r10, #16\n" /* a row of zeros */
        "    mov r11, #8\n"  /* TERN_GAP_GROUP - 4 */
        "    b 2b\n"
        "    .size tern_write_row_words, . - tern_write_row_words\n"
        "    .equ tern_write_row_words_frame, 40\n"
        "    .text\n");

void tern_write_row_bytes(tern_row_writer *rows, const uint8_t *const from[TERN_GAP_PIXELS_IN_WORD],
                          int32_t bytes) {
    for (int32_t i = 0; i < bytes; i++) {
        tern_skip_zeros(rows);
        const uint32_t even = from[0][i] | (uint32_t)from[1][i] << 16;
        const uint32_t odd = from[2][i] | (uint32_t)from[3][i] << 16;
        *rows->to = even | odd << 8;
        rows->to += TERN_GAP_ROW_WORDS;
        rows->left_in_group--;
    }
}

#else

void tern_write_row_bytes(tern_row_writer *rows, const uint8_t *const from[TERN_GAP_PIXELS_IN_WORD],
                          int32_t bytes) {
    for (int32_t i = 0; i < bytes; i++) {
        tern_skip_zeros(rows);
        const uint32_t pixels = from[0][i] | (uint32_t)from[1][i] << 16;
        *rows->to = pixels ^ (TERN_GAP_BIAS << 16 | TERN_GAP_BIAS);
        rows->to += TERN_GAP_ROW_WORDS;
        rows->left_in_group--;
    }
}

void tern_write_row_words(tern_row_writer *rows, const uint8_t *const from[TERN_GAP_PIXELS_IN_WORD],
                          int32_t words) {
    const uint32_t even_bytes = 0x00ff00ff, every_sign = 0x80808080;
    tern_row_writer writer = *rows;
    const tern_word *first = (const tern_word *)(const void *)from[0];
    const tern_word *second = (const tern_word *)(const void *)from[1];
    for (; words > 0; words--) {
        tern_skip_zeros(&writer);
        const uint32_t a = *first++ ^ every_sign, b = *second++ ^ every_sign;
        const uint32_t even_a = a & even_bytes, odd_a = a >> 8 & even_bytes;
        const uint32_t even_b = b & even_bytes, odd_b = b >> 8 & even_bytes;
        writer.to[0] = (even_a & 0xffff) | even_b << 16;
        writer.to[TERN_GAP_ROW_WORDS] = (odd_a & 0xffff) | odd_b << 16;
        writer.to[2 * TERN_GAP_ROW_WORDS] = even_a >> 16 | (even_b & 0xffff0000u);
        writer.to[3 * TERN_GAP_ROW_WORDS] = odd_a >> 16 | (odd_b & 0xffff0000u);
        writer.to += 4 * TERN_GAP_ROW_WORDS;
        writer.left_in_group -= 4;
    }
    *rows = writer;
}

#if defined(__ARM_ARCH_ISA_THUMB) && !defined(TERN_PORTABLE)

/* As tern_add_gap_rows, with the bias in the sums. */
const uint8_t *tern_sum_biased_rows(uint32_t sums[4], const uint32_t *gaps, int32_t steps,
                                    const uint8_t *row);

/* Compilers count the steps of a word in a loop; here its first gap is jumped to, and they follow without one. */
#if __ARM_ARCH_ISA_THUMB == 2
__asm__(".syntax unified\n"
        ".thumb\n"
        ".macro tern_gap_step shift\n"
        "    ubfx r0, lr, #\\shift, #4\n"
        "    add.w r12, r12, r0, lsl #4\n"
        "    ldmia.w r12, {r0-r3}\n"
        "    adds r4, r4, r0\n"
        "    adds r5, r5, r1\n"
        "    adds r6, r6, r2\n"
        "    adds r7, r7, r3\n"
        ".endm\n"
        "    .section .text.tern_sum_biased_rows, \"ax\", %progbits\n"
        "    .balign 4\n"
        "    .global tern_sum_biased_rows\n"
        "    .type tern_sum_biased_rows, %function\n"
        "    .thumb_func\n"
        "tern_sum_biased_rows:\n"
        "    push {r0, r4-r9, lr}\n"
        "    mov r12, r3\n"
        "    add r9, r2, #7\n"
        "    lsr r9, r9, #3\n"
        "    add r9, r1, r9, lsl #2\n" /* behind the last word */
        "    rsb r2, r2, #0\n"
        "    and r2, r2, #7\n" /* gaps that the first word lacks, of 20 bytes each */
        "    add r2, r2, r2, lsl #2\n"
        "    adr r3, 2f\n"
        "    add r3, r3, r2, lsl #2\n"
        "    add r3, r3, #1\n" /* Thumb */
        "    mov r8, r1\n"
        "    mov r4, #0\n"
        "    mov r5, #0\n"
        "    mov r6, #0\n"
        "    mov r7, #0\n"
        "    ldr lr, [r8], #4\n"
        "    bx r3\n"
        "    .balign 4\n"
        "1:  ldr.w lr, [r8], #4\n"
        "2:  tern_gap_step 0\n"
        "    tern_gap_step 4\n"
        "    tern_gap_step 8\n"
        "    tern_gap_step 12\n"
        "    tern_gap_step 16\n"
        "    tern_gap_step 20\n"
        "    tern_gap_step 24\n"
        "    tern_gap_step 28\n"
        "    cmp r8, r9\n"
        "    bne 1b\n"
        "    pop {r0}\n"
        "    stmia r0!, {r4-r7}\n"
        "    mov r0, r12\n"
        "    pop {r4-r9, pc}\n"
        "    .size tern_sum_biased_rows, . - tern_sum_biased_rows\n"
        "    .equ tern_sum_biased_rows_frame, 32\n"
        "    .purgem tern_gap_step\n"
        "    .text\n");
#else
__asm__(".syntax unified\n"
        ".thumb\n"
        ".macro tern_gap_step shift\n"
        "    mov r0, r8\n"
        "    lsls r0, r0, #\\shift\n"
        "    lsrs r0, r0, #28\n"
        "    lsls r0, r0, #4\n"
        "    add r12, r0\n"
        "    mov r0, r12\n"
        "    ldmia r0, {r0-r3}\n"
        "    adds r4, r4, r0\n"
        "    adds r5, r5, r1\n"
        "    adds r6, r6, r2\n"
        "    adds r7, r7, r3\n"
        ".endm\n"
        "    .section .text.tern_sum_biased_rows, \"ax\", %progbits\n"
        "    .balign 4\n"
        "    .global tern_sum_biased_rows\n"
        "    .type tern_sum_biased_rows, %function\n"
        "    .thumb_func\n"
        "tern_sum_biased_rows:\n"
        "    push {r0, r4-r7, lr}\n"
        "    mov r4, r8\n"
        "    mov r5, r9\n"
        "    mov r6, r10\n"
        "    push {r4-r6}\n"
        "    mov r12, r3\n"
        "    adds r4, r2, #7\n"
        "    lsrs r4, r4, #3\n"
        "    lsls r4, r4, #2\n"
        "    adds r4, r4, r1\n"
        "    mov r10, r4\n" /* behind the last word */
        "    ldmia r1!, {r0}\n"
        "    mov r8, r0\n"
        "    mov r9, r1\n"
        "    rsbs r2, r2, #0\n"
        "    movs r3, #7\n"
        "    ands r2, r3\n" /* gaps that the first word lacks, of 22 bytes each */
        "    movs r3, #22\n"
        "    muls r2, r3\n"
        "    adr r3, 2f\n"
        "    adds r3, r3, r2\n"
        "    adds r3, #1\n" /* Thumb */
        "    movs r4, #0\n"
        "    movs r5, #0\n"
        "    movs r6, #0\n"
        "    movs r7, #0\n"
        "    bx r3\n"
        "1:  mov r0, r9\n"
        "    ldmia r0!, {r1}\n"
        "    mov r9, r0\n"
        "    mov r8, r1\n"
        "    .balign 4\n"
        "2:  tern_gap_step 28\n"
        "    tern_gap_step 24\n"
        "    tern_gap_step 20\n"
        "    tern_gap_step 16\n"
        "    tern_gap_step 12\n"
        "    tern_gap_step 8\n"
        "    tern_gap_step 4\n"
        "    tern_gap_step 0\n"
        "    cmp r9, r10\n"
        "    bne 1b\n"
        "    pop {r1-r3}\n"
        "    mov r8, r1\n"
        "    mov r9, r2\n"
        "    mov r10, r3\n"
        "    pop {r0}\n"
        "    stmia r0!, {r4-r7}\n"
        "    mov r0, r12\n"
        "    pop {r4-r7, pc}\n"
        "    .size tern_sum_biased_rows, . - tern_sum_biased_rows\n"
        "    .equ tern_sum_biased_rows_frame, 36\n"
        "    .purgem tern_gap_step\n"
        "    .text\n");
#endif

#else

static const uint8_t *tern_sum_biased_rows(uint32_t sums[4], const uint32_t *gaps, int32_t steps,
                                           const uint8_t *from) {
    const tern_word *row = (const tern_word *)(const void *)from;
    const uint32_t *const end = gaps + tern_gap_words(steps);
    int32_t lacking = -steps & 7;
    uint32_t sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
    uint32_t word = *gaps++ >> 4 * lacking;
#define TERN_ADD_ROW(gap)                                                                                    \
    do {                                                                                                     \
        row += (gap) * TERN_GAP_ROW_WORDS;                                                                   \
        sum0 += row[0];                                                                                      \
        sum1 += row[1];                                                                                      \
        sum2 += row[2];                                                                                      \
        sum3 += row[3];                                                                                      \
    } while (0)
    for (; lacking < 8; lacking++) {
        TERN_ADD_ROW(word & 15);
        word >>= 4;
    }
    while (gaps != end) {
        word = *gaps++;
        TERN_ADD_ROW(word & 15);
        TERN_ADD_ROW(word >> 4 & 15);
        TERN_ADD_ROW(word >> 8 & 15);
        TERN_ADD_ROW(word >> 12 & 15);
        TERN_ADD_ROW(word >> 16 & 15);
        TERN_ADD_ROW(word >> 20 & 15);
        TERN_ADD_ROW(word >> 24 & 15);
        TERN_ADD_ROW(word >> 28);
    }
#undef TERN_ADD_ROW
    sums[0] = sum0;
    sums[1] = sum1;
    sums[2] = sum2;
    sums[3] = sum3;
    return (const uint8_t *)row;
}

#endif

const uint8_t *tern_add_gap_rows(uint32_t sums[TERN_GAP_PIXELS / 2], const uint32_t *gaps, int32_t steps,
                                 const uint8_t *row) {
    const uint32_t bias = (uint32_t)steps * TERN_GAP_BIAS;
    row = tern_sum_biased_rows(sums, gaps, steps, row);
    for (int32_t i = 0; i < TERN_GAP_ROW_WORDS; i++)
        sums[i] = ((sums[i] - bias) & 0xffff) | ((sums[i] >> 16) - bias) << 16;
    return row;
}

/* From accumulators that lack the bias to the outputs of two pixels. */
static inline void write_pair(const tern_scaling *by, uint32_t bias, int32_t low, int32_t high,
                              int8_t *output, int32_t stride) {
    output[0] = tern_scale_doubled_unclamped(by, (int32_t)(bias + (uint32_t)low));
    output[stride] = tern_scale_doubled_unclamped(by, (int32_t)(bias + (uint32_t)high));
}

void tern_write_gap_block(const tern_gap_block *block) {
    const uint32_t *gaps = block->gaps;
    const int32_t stride = block->stride;
    for (int32_t i = 0; i < block->count; i++) {
        const uint32_t *channel = block->channels + 2 * i;
        const int32_t minus = tern_gap_level(channel, 0), plus = tern_gap_level(channel, 1);
        const tern_scaling by = {block->multiplier[i], tern_gap_exponent(channel), block->offset, INT8_MIN,
                                 INT8_MAX};
        uint32_t sums[2][TERN_GAP_ROW_WORDS];
        uint32_t bias =
            (uint32_t)block->bias[i]; /* less what the bias of the pixels adds up to; it may wrap */
        for (int32_t stream = 0; stream < 2; stream++) {
            const int32_t steps = tern_gap_steps(channel, stream);
            if (steps > 0) {
                tern_sum_biased_rows(sums[stream], gaps, steps, block->rows);
            } else {
                for (int32_t j = 0; j < TERN_GAP_ROW_WORDS; j++)
                    sums[stream][j] = 0;
            }
            bias -= (uint32_t)((stream == 0 ? minus : plus) * steps) * TERN_GAP_BIAS;
            gaps += tern_gap_words(steps);
        }
        int8_t *output = block->output + i;
        for (int32_t j = 0; j < TERN_GAP_ROW_WORDS; j++) {
            const int32_t low_minus = (int32_t)(sums[0][j] & 0xffff),
                          high_minus = (int32_t)(sums[0][j] >> 16);
            const int32_t low_plus = (int32_t)(sums[1][j] & 0xffff), high_plus = (int32_t)(sums[1][j] >> 16);
            if (plus == -minus)
                write_pair(&by, bias, (low_plus - low_minus) * plus, (high_plus - high_minus) * plus, output,
                           stride);
            else
                write_pair(&by, bias, low_minus * minus + low_plus * plus,
                           high_minus * minus + high_plus * plus, output, stride);
            output += 2 * stride;
        }
    }
}

#endif
