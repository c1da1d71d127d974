#include "row_quads.h"

#ifdef TERN_PORT_DSP

/* Four sums, four words of weights, two of inputs, three addresses and one word more: in C a compiler spills. */
__asm__(".syntax unified\n"
        ".thumb\n"
        ".macro tern_quad_row weights, sum\n"
        "    sxtb16 lr, \\weights, ror #8\n"
        "    sxtb16 \\weights, \\weights\n"
        "    smlad \\sum, lr, r12, \\sum\n"
        "    smlad \\sum, \\weights, r0, \\sum\n"
        ".endm\n"
        ".macro tern_quad\n"
        "    ldmia r2!, {r8-r11}\n"
        "    ldrd r0, r12, [r1], #8\n"
        "    tern_quad_row r8, r4\n"
        "    tern_quad_row r9, r5\n"
        "    tern_quad_row r10, r6\n"
        "    tern_quad_row r11, r7\n"
        ".endm\n"
        "    .section .text.tern_dot_quads, \"ax\", %progbits\n"
        "    .balign 4\n"
        "    .global tern_dot_quads\n"
        "    .type tern_dot_quads, %function\n"
        "    .thumb_func\n"
        "tern_dot_quads:\n" /* r0 sums, r1 inputs, r2 weights, r3 end */
        "    push {r0, r4-r11, lr}\n"
        "    .equ tern_dot_quads_frame, 40\n"
        "    mov r4, #0\n"
        "    mov r5, #0\n"
        "    mov r6, #0\n"
        "    mov r7, #0\n"
        "    .balign 4\n"
        "1:  tern_quad\n"
        "    tern_quad\n"
        "    cmp r1, r3\n"
        "    bne 1b\n"
        "    pop {r0}\n"
        "    stmia r0, {r4-r7}\n"
        "    mov r0, r2\n"
        "    pop {r4-r11, pc}\n"
        "    .size tern_dot_quads, . - tern_dot_quads\n"
        "    .purgem tern_quad_row\n"
        "    .purgem tern_quad\n"
        "    .text\n");

#else

static inline int32_t dot_four(const tern_word *weights, int32_t x0, int32_t x1, int32_t x2, int32_t x3,
                               int32_t sum) {
    sum += x0 * tern_signed_byte(weights, 0);
    sum += x1 * tern_signed_byte(weights, 1);
    sum += x2 * tern_signed_byte(weights, 2);
    return sum + x3 * tern_signed_byte(weights, 3);
}

const uint32_t *tern_dot_quads(int32_t sums[TERN_QUAD_ROWS], const tern_word *inputs, const uint32_t *weights,
                               const tern_word *end) {
    int32_t sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
    const tern_word *four = weights;
    for (; inputs != end; inputs++) {
        const int32_t x0 = tern_signed_byte(inputs, 0), x1 = tern_signed_byte(inputs, 1);
        const int32_t x2 = tern_signed_byte(inputs, 2), x3 = tern_signed_byte(inputs, 3);
        sum0 = dot_four(four, x0, x1, x2, x3, sum0);
        sum1 = dot_four(four + 1, x0, x1, x2, x3, sum1);
        sum2 = dot_four(four + 2, x0, x1, x2, x3, sum2);
        sum3 = dot_four(four + 3, x0, x1, x2, x3, sum3);
        four += TERN_QUAD_ROWS;
    }
    sums[0] = sum0;
    sums[1] = sum1;
    sums[2] = sum2;
    sums[3] = sum3;
    return (const uint32_t *)four;
}

#endif
