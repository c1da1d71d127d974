#include "tables.h"

/* From `words` words of sums to as many more with an input added: two at a time. */
static inline void extend(tern_word *table, int32_t words, int32_t input) {
    const uint32_t both = (uint32_t)input * 0x00010001;
    tern_word *to = table + words;
    for (const tern_word *const end = to; table != end; table += 2) {
        const uint32_t a = table[0], b = table[1];
        to[0] = a + both;
        to[1] = b + both;
        to += 2;
    }
}

void tern_write_subset_table(tern_word *table, const int8_t *inputs) {
    const uint32_t excess = TERN_TABLE_EXCESS, first = (uint32_t)inputs[0];
    table[0] = (excess + first) << 16 | excess;
    table[1] = table[0] + (uint32_t)inputs[1] * 0x00010001;
    for (int32_t i = 2; i < TERN_SUBSET_TABLE_INPUTS; i++)
        extend(table, 1 << (i - 1), inputs[i]);
}

#if defined(__thumb__) && !defined(TERN_PORTABLE)

#ifdef __thumb2__
/* Loads that follow each other take a cycle each but the first one. */
__asm__(
    ".syntax unified\n"
    ".thumb\n"
    ".macro tern_pick codes, sum\n"
    "    uxtb r11, \\codes\n"
    "    uxtb r12, \\codes, ror #8\n"
    "    uxtb lr, \\codes, ror #16\n"
    "    lsr \\codes, \\codes, #24\n"
    "    ldrh r11, [r3, r11]\n"
    "    ldrh r12, [r4, r12]\n"
    "    ldrh lr, [r5, lr]\n"
    "    ldrh \\codes, [r6, \\codes]\n"
    "    add \\sum, r11\n"
    "    add r12, lr\n"
    "    add \\sum, \\codes\n"
    "    add \\sum, r12\n"
    ".endm\n"
    "    .section .text.tern_add_table_rows, \"ax\", %progbits\n"
    "    .balign 4\n"
    "    .global tern_add_table_rows\n"
    "    .type tern_add_table_rows, %function\n"
    "    .thumb_func\n"
    "tern_add_table_rows:\n" /* r0 sums, r1 codes, r2 end, r3 tables */
    "    push {r4-r11, lr}\n"
    "    .equ tern_add_table_rows_frame, 36\n"
    "    ldr r6, [sp, #36]\n"
    "    add r4, r3, r6\n"
    "    add r5, r4, r6\n"
    "    add r6, r5\n"
    "    .balign 4\n"
    "1:  ldr r7, [r1], #4\n"
    "    ldr r8, [r1], #4\n"
    "    ldr r9, [r0]\n"
    "    ldr r10, [r0, #4]\n"
    "    tern_pick r7, r9\n"
    "    tern_pick r8, r10\n"
    "    str r9, [r0], #4\n"
    "    str r10, [r0], #4\n"
    "    cmp r0, r2\n"
    "    bne 1b\n"
    "    mov r0, r1\n"
    "    pop {r4-r11, pc}\n"
    "    .size tern_add_table_rows, . - tern_add_table_rows\n"
    "    .purgem tern_pick\n"
    ".macro tern_table_digit number\n" /* from words r4-r9 to those with the input added, and subtracted */
    "    ldrsb r2, [r1, #\\number]\n"
    "    add r2, r2, r2, lsl #16\n"
    "    lsl r3, r2, #1\n"
    ".endm\n"
    ".macro tern_table_words plus, minus\n"
    "    add r4, r2\n"
    "    add r5, r2\n"
    "    add r6, r2\n"
    "    add r7, r2\n"
    "    add r8, r2\n"
    "    add r9, r2\n"
    "    stmia \\plus!, {r4-r9}\n"
    "    sub r4, r3\n"
    "    sub r5, r3\n"
    "    sub r6, r3\n"
    "    sub r7, r3\n"
    "    sub r8, r3\n"
    "    sub r9, r3\n"
    "    stmia \\minus!, {r4-r9}\n"
    ".endm\n"
    "    .section .text.tern_write_signed_table, \"ax\", %progbits\n"
    "    .balign 4\n"
    "    .global tern_write_signed_table\n"
    "    .type tern_write_signed_table, %function\n"
    "    .thumb_func\n"
    "tern_write_signed_table:\n" /* r0 table, r1 inputs */
    "    push {r4-r11, lr}\n"
    "    .equ tern_write_signed_table_frame, 36\n"
    "    mov r12, r0\n"
    "    ldrsb r2, [r1]\n"
    "    mov r3, #0x04000400\n"
    "    add r4, r3, r2, lsl #16\n"
    "    sub r5, r3, r2\n"
    "    tern_table_digit 1\n"
    "    add r6, r4, r2\n"
    "    add r7, r5, r2\n"
    "    sub r8, r4, r2\n"
    "    sub r9, r5, r2\n"
    "    stmia r12!, {r4-r9}\n"
    "    tern_table_digit 2\n"
    "    tern_table_words r12, r12\n"
    "    tern_table_digit 3\n"
    "    add r11, r12, #72\n"
    "    mov lr, r12\n"
    "1:  ldmia r0!, {r4-r9}\n"
    "    tern_table_words r12, r11\n"
    "    cmp r0, lr\n"
    "    bne 1b\n"
    "    pop {r4-r11, pc}\n"
    "    .size tern_write_signed_table, . - tern_write_signed_table\n"
    "    .purgem tern_table_digit\n"
    "    .purgem tern_table_words\n"
    "    .text\n");
#else
__asm__(".syntax unified\n"
        ".thumb\n"
        ".macro tern_pick number, table\n"
        "    ldrb r6, [r1, #\\number]\n"
        "    ldrh r6, [\\table, r6]\n"
        "    adds r7, r7, r6\n"
        ".endm\n"
        "    .section .text.tern_add_table_rows, \"ax\", %progbits\n"
        "    .balign 4\n"
        "    .global tern_add_table_rows\n"
        "    .type tern_add_table_rows, %function\n"
        "    .thumb_func\n"
        "tern_add_table_rows:\n" /* r0 sums, r1 codes, r2 end, r3 tables */
        "    push {r4-r7, lr}\n"
        "    .equ tern_add_table_rows_frame, 20\n"
        "    mov r12, r2\n"
        "    ldr r5, [sp, #20]\n"
        "    adds r4, r3, r5\n"
        "    adds r2, r4, r5\n"
        "    adds r5, r2, r5\n"
        "1:  ldr r7, [r0]\n"
        "    tern_pick 0, r3\n"
        "    tern_pick 1, r4\n"
        "    tern_pick 2, r2\n"
        "    tern_pick 3, r5\n"
        "    stmia r0!, {r7}\n"
        "    ldr r7, [r0]\n"
        "    tern_pick 4, r3\n"
        "    tern_pick 5, r4\n"
        "    tern_pick 6, r2\n"
        "    tern_pick 7, r5\n"
        "    stmia r0!, {r7}\n"
        "    adds r1, #8\n"
        "    cmp r0, r12\n"
        "    bne 1b\n"
        "    movs r0, r1\n"
        "    pop {r4-r7, pc}\n"
        "    .size tern_add_table_rows, . - tern_add_table_rows\n"
        "    .purgem tern_pick\n"
        ".macro tern_table_digit number, bytes\n"
        "    mov r1, lr\n"
        "    movs r2, #\\number\n"
        "    ldrsb r3, [r1, r2]\n"
        "    lsls r4, r3, #16\n"
        "    adds r4, r4, r3\n"
        "    lsls r3, r4, #1\n"
        "    movs r1, #\\bytes\n"
        "    adds r2, r0, r1\n"
        "    adds r1, r1, r2\n"
        "    mov r12, r2\n"
        "1:  ldmia r0!, {r5-r7}\n"
        "    adds r5, r5, r4\n"
        "    adds r6, r6, r4\n"
        "    adds r7, r7, r4\n"
        "    stmia r2!, {r5-r7}\n"
        "    subs r5, r5, r3\n"
        "    subs r6, r6, r3\n"
        "    subs r7, r7, r3\n"
        "    stmia r1!, {r5-r7}\n"
        "    cmp r0, r12\n"
        "    bne 1b\n"
        "    subs r0, #\\bytes\n"
        ".endm\n"
        "    .section .text.tern_write_signed_table, \"ax\", %progbits\n"
        "    .balign 4\n"
        "    .global tern_write_signed_table\n"
        "    .type tern_write_signed_table, %function\n"
        "    .thumb_func\n"
        "tern_write_signed_table:\n" /* r0 table, r1 inputs */
        "    push {r4-r7, lr}\n"
        "    .equ tern_write_signed_table_frame, 20\n"
        "    mov lr, r1\n"
        "    movs r2, #0\n"
        "    ldrsb r3, [r1, r2]\n"
        "    movs r4, #4\n"
        "    lsls r5, r4, #24\n"
        "    lsls r4, r4, #8\n"
        "    orrs r4, r5\n"
        "    lsls r5, r3, #16\n"
        "    adds r5, r5, r4\n"
        "    subs r6, r4, r3\n"
        "    movs r2, #1\n"
        "    ldrsb r3, [r1, r2]\n"
        "    lsls r4, r3, #16\n"
        "    adds r4, r4, r3\n"
        "    stmia r0!, {r5, r6}\n"
        "    adds r5, r5, r4\n"
        "    adds r6, r6, r4\n"
        "    stmia r0!, {r5, r6}\n"
        "    lsls r4, r4, #1\n"
        "    subs r5, r5, r4\n"
        "    subs r6, r6, r4\n"
        "    stmia r0!, {r5, r6}\n"
        "    subs r0, #24\n"
        "    tern_table_digit 2, 24\n"
        "    tern_table_digit 3, 72\n"
        "    pop {r4-r7, pc}\n"
        "    .size tern_write_signed_table, . - tern_write_signed_table\n"
        "    .purgem tern_table_digit\n"
        "    .text\n");
#endif

#else

/* From `words` words of sums to as many with an input added, and as many with it subtracted. */
static inline void extend_both_ways(tern_word *table, int32_t words, int32_t input) {
    const uint32_t both = (uint32_t)input * 0x00010001;
    tern_word *plus = table + words, *minus = plus + words;
    for (const tern_word *const end = plus; table != end; table += 2) {
        const uint32_t a = table[0], b = table[1];
        plus[0] = a + both;
        plus[1] = b + both;
        plus += 2;
        minus[0] = a - both;
        minus[1] = b - both;
        minus += 2;
    }
}

void tern_write_signed_table(tern_word *table, const int8_t *inputs) {
    const uint32_t excess = TERN_TABLE_EXCESS, first = (uint32_t)inputs[0];
    table[0] = (excess + first) << 16 | excess;
    table[1] = excess << 16 | (excess - first);
    extend_both_ways(table, 2, inputs[1]);
    extend_both_ways(table, 6, inputs[2]);
    extend_both_ways(table, 18, inputs[3]);
}

typedef uint16_t __attribute__((may_alias)) sum16;

static inline uint32_t at(const uint8_t *table, uint32_t bytes) {
    return *(const sum16 *)(table + bytes);
}

const uint32_t *tern_add_table_rows(uint32_t *sums, const uint32_t *codes, const uint32_t *end,
                                    const tern_word *tables, int32_t bytes) {
    const uint8_t *const first = (const uint8_t *)tables, *const second = first + bytes;
    const uint8_t *const third = second + bytes, *const fourth = third + bytes;
    for (; sums != end; sums++) {
        const uint32_t word = *codes++;
        *sums += at(first, word & 0xff) + at(second, word >> 8 & 0xff) + at(third, word >> 16 & 0xff) +
                 at(fourth, word >> 24);
    }
    return codes;
}

#endif
