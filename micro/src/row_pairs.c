#include "row_pairs.h"

#ifdef TERN_PORT_DSP

/* Four accumulators, four words of inputs, two of weights, the mask, two addresses and what is masked take all registers.
 * So what else there is lies on the stack, and an address tells where a block ends. Additions of one weight stand beside
 * the masking of the next one: cores with two instructions a cycle do both at once. */
__asm__(".syntax unified\n"
        ".thumb\n"
        ".macro tern_pair_of_words first, second, low, high, from\n"
        "    ldrd \\first, \\second, [r2], #8\n"
        "    and r0, r3, \\first, ror #(0 + \\from)\n"
        "    smlad \\low, r0, r8, \\low\n"
        "    and r0, r3, \\second, ror #(0 + \\from)\n"
        "    smlad \\high, r0, r8, \\high\n"
        "    and r0, r3, \\first, ror #(4 + \\from)\n"
        "    smlad \\low, r0, r9, \\low\n"
        "    and r0, r3, \\second, ror #(4 + \\from)\n"
        "    smlad \\high, r0, r9, \\high\n"
        "    and r0, r3, \\first, ror #(8 + \\from)\n"
        "    smlad \\low, r0, r10, \\low\n"
        "    and r0, r3, \\second, ror #(8 + \\from)\n"
        "    smlad \\high, r0, r10, \\high\n"
        "    and r0, r3, \\first, ror #(12 + \\from)\n"
        "    smlad \\low, r0, r11, \\low\n"
        "    and r0, r3, \\second, ror #(12 + \\from)\n"
        "    smlad \\high, r0, r11, \\high\n"
        ".endm\n"
        ".macro tern_pair_of_inputs from\n"
        "    ldmia r1!, {r8-r11}\n"
        "    tern_pair_of_words r12, lr, r4, r5, \\from\n"
        "    tern_pair_of_words r12, lr, r6, r7, \\from\n"
        ".endm\n"
        /* The lower sum of an accumulator goes to memory; the higher one goes on. */
        ".macro tern_pair_flush pair, sum\n"
        "    sub \\pair, lr\n"
        "    sbfx r12, \\pair, #0, #14\n"
        "    sub \\pair, r12\n"
        "    add \\sum, r12\n"
        ".endm\n"
        ".macro tern_pair_function name, mask\n"
        "    .section .text.\\name, \"ax\", %progbits\n"
        "    .balign 4\n"
        "    .global \\name\n"
        "    .type \\name, %function\n"
        "    .thumb_func\n"
        "\\name:\n" /* r0 sums, r1 inputs, r2 weights, r3 run */
        "    push {r0, r3, r4-r11, lr}\n"
        "    .equ \\name\\()_frame, 44\n"
        "    movw r3, #\\mask\n"
        "    movt r3, #\\mask\n"
        "    mov r4, #0\n"
        "    mov r5, #0\n"
        "    mov r6, #0\n"
        "    mov r7, #0\n"
        "    .balign 4\n"
        "1:\n"
        ".endm\n"
        ".macro tern_pair_function_end name\n"
        "    lsls r0, r1, #24\n"
        "    bne 1b\n"
        "    ldr r0, [sp]\n"
        "    ldr lr, [r1, #-252]\n"
        "    ldmia r0, {r8-r11}\n"
        "    tern_pair_flush r4, r8\n"
        "    tern_pair_flush r5, r9\n"
        "    tern_pair_flush r6, r10\n"
        "    tern_pair_flush r7, r11\n"
        "    stmia r0!, {r8-r11}\n"
        "    ldr r12, [sp, #4]\n"
        "    ldrd r8, r9, [r12]\n"
        "    cmp r1, r8\n"
        "    add r1, r9\n"
        "    bne 1b\n"
        "    ldmia r0, {r8-r11}\n"
        "    add r8, r8, r4, asr #14\n"
        "    add r9, r9, r5, asr #14\n"
        "    add r10, r10, r6, asr #14\n"
        "    add r11, r11, r7, asr #14\n"
        "    stmia r0, {r8-r11}\n"
        "    mov r0, r2\n"
        "    add sp, #8\n"
        "    pop {r4-r11, pc}\n"
        "    .size \\name, . - \\name\n"
        ".endm\n"
        "    tern_pair_function tern_add_joint_rows, 0xc003\n"
        "    tern_pair_of_inputs 0\n"
        "    tern_pair_of_inputs 0\n"
        "    tern_pair_function_end tern_add_joint_rows\n"
        "    tern_pair_function tern_add_split_rows, 0x4001\n"
        "    tern_pair_of_inputs 0\n"
        "    sub r2, #16\n"
        "    tern_pair_of_inputs 1\n"
        "    tern_pair_function_end tern_add_split_rows\n"
        "    .purgem tern_pair_of_words\n"
        "    .purgem tern_pair_of_inputs\n"
        "    .purgem tern_pair_flush\n"
        "    .purgem tern_pair_function\n"
        "    .purgem tern_pair_function_end\n"
        "    .text\n");

#else

static inline uint32_t rotated(uint32_t x, int32_t right) {
    return x >> right | x << (-right & 31);
}

/* Four words of inputs with four words of weights, whose fields are so many bits from the right. */
static void add_words(uint32_t pairs[4], const tern_word *inputs, const uint32_t *weights, uint32_t mask,
                      int32_t from) {
    for (int32_t i = 0; i < 4; i++) {
        uint32_t pair = pairs[i];
        for (int32_t j = 0; j < 4; j++) {
            const uint32_t fields = rotated(weights[i], 4 * j + from) & mask;
            pair += (uint32_t)tern_low_times_low(fields, inputs[j], 0);
            pair += (uint32_t)tern_high_times_high(fields, inputs[j], 0);
        }
        pairs[i] = pair;
    }
}

static void flush(uint32_t pairs[4], int32_t sums[TERN_PAIR_SUMS], uint32_t excess) {
    const uint32_t half = 1u << (TERN_PAIR_LOW_BITS - 1), mask = 2 * half - 1;
    for (int32_t i = 0; i < 4; i++) {
        pairs[i] -= excess;
        const uint32_t low = ((pairs[i] + half) & mask) - half;
        pairs[i] -= low;
        sums[i] += (int32_t)low;
    }
}

static const uint32_t *add_rows(int32_t sums[TERN_PAIR_SUMS], const tern_word *inputs,
                                const uint32_t *weights, const tern_pair_run *run, bool split) {
    uint32_t pairs[4] = {0, 0, 0, 0};
    for (;;) {
        do {
            add_words(pairs, inputs, weights, split ? 0x40014001 : 0xc003c003, 0);
            if (!split)
                weights += 4;
            add_words(pairs, inputs + 4, weights, split ? 0x40014001 : 0xc003c003, split);
            weights += 4;
            inputs += 8;
        } while ((uintptr_t)inputs % TERN_PAIR_BLOCK_BYTES != 0);
        flush(pairs, sums, inputs[TERN_PAIR_EXCESS - TERN_PAIR_BLOCK_WORDS]);
        if (inputs == run->end)
            break;
        inputs += run->skipped / 4;
    }
    for (int32_t i = 0; i < 4; i++)
        sums[4 + i] += (int32_t)pairs[i] >> TERN_PAIR_LOW_BITS;
    return weights;
}

const uint32_t *tern_add_joint_rows(int32_t sums[TERN_PAIR_SUMS], const tern_word *inputs,
                                    const uint32_t *weights, const tern_pair_run *run) {
    return add_rows(sums, inputs, weights, run, false);
}

const uint32_t *tern_add_split_rows(int32_t sums[TERN_PAIR_SUMS], const tern_word *inputs,
                                    const uint32_t *weights, const tern_pair_run *run) {
    return add_rows(sums, inputs, weights, run, true);
}

#endif
