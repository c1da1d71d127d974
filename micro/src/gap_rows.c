#include "gap_rows.h"

#ifdef TERN_PORT_DSP

/* In C a compiler would spill: eight sums, four words of a row, the row and the gaps take all fourteen registers. Each
 * step is 44 bytes long, so that the first word is entered where its gaps begin. */
__asm__(".syntax unified\n"
        ".thumb\n"
        ".macro tern_gap_step shift\n"
        "    ubfx r0, lr, #\\shift, #4\n"
        "    add.w r12, r12, r0, lsl #4\n"
        "    ldmia.w r12, {r0-r3}\n"
        "    sxtab16 r4, r4, r0\n"
        "    sxtab16 r5, r5, r0, ror #8\n"
        "    sxtab16 r6, r6, r1\n"
        "    sxtab16 r7, r7, r1, ror #8\n"
        "    sxtab16 r8, r8, r2\n"
        "    sxtab16 r9, r9, r2, ror #8\n"
        "    sxtab16 r10, r10, r3\n"
        "    sxtab16 r11, r11, r3, ror #8\n"
        ".endm\n"
        "    .section .text.tern_add_gap_rows, \"ax\", %progbits\n"
        "    .balign 4\n"
        "    .global tern_add_gap_rows\n"
        "    .type tern_add_gap_rows, %function\n"
        "    .thumb_func\n"
        "tern_add_gap_rows:\n" /* r0 sums, r1 gaps, r2 steps, r3 row */
        "    push {r0, r4-r11, lr}\n"
        "    add r4, r2, #7\n"
        "    lsr r4, r4, #3\n"
        "    add r4, r1, r4, lsl #2\n" /* behind the last word */
        "    ldr lr, [r1], #4\n"
        "    push {r1, r4}\n"
        "    mov r12, r3\n"
        "    rsb r2, r2, #0\n"
        "    and r2, r2, #7\n" /* gaps that the first word lacks */
        "    mov r3, #44\n"
        "    mul r2, r2, r3\n"
        "    adr r3, 2f\n"
        "    add r3, r3, r2\n"
        "    add r3, r3, #1\n" /* Thumb */
        "    mov r4, #0\n"
        "    mov r5, #0\n"
        "    mov r6, #0\n"
        "    mov r7, #0\n"
        "    mov r8, #0\n"
        "    mov r9, #0\n"
        "    mov r10, #0\n"
        "    mov r11, #0\n"
        "    bx r3\n"
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
        "    ldr r0, [sp]\n"
        "    ldr r1, [sp, #4]\n"
        "    cmp r0, r1\n"
        "    bne 1b\n"
        "    pop {r1, r2}\n"
        "    pop {r0}\n"
        "    stmia r0, {r4-r11}\n"
        "    mov r0, r12\n"
        "    pop {r4-r11, pc}\n"
        "    .size tern_add_gap_rows, . - tern_add_gap_rows\n"
        "    .purgem tern_gap_step\n"
        "    .text\n");

#else

const uint8_t *tern_add_gap_rows(uint32_t sums[8], const uint32_t *gaps, int32_t steps, const uint8_t *row) {
    const int32_t lacking = -steps & 7;
    /* what the bias of the bytes adds up to, in both halves; no half overflows: 256 * 255 < 2^16 */
    const uint32_t bias = (uint32_t)steps * 128;
    uint32_t word = *gaps++ >> lacking * 4;
    int32_t in_word = 8 - lacking;
    uint32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;
    for (;;) {
        steps -= in_word;
        do {
            row += (word & 15) * TERN_GAP_PIXELS;
            word >>= 4;
            const tern_word *pixels = (const tern_word *)(const void *)row;
            s0 += tern_even_bytes(pixels[0]);
            s1 += tern_odd_bytes(pixels[0]);
            s2 += tern_even_bytes(pixels[1]);
            s3 += tern_odd_bytes(pixels[1]);
            s4 += tern_even_bytes(pixels[2]);
            s5 += tern_odd_bytes(pixels[2]);
            s6 += tern_even_bytes(pixels[3]);
            s7 += tern_odd_bytes(pixels[3]);
        } while (--in_word > 0);
        if (steps <= 0)
            break;
        word = *gaps++;
        in_word = 8;
    }
    const uint32_t biased[8] = {s0, s1, s2, s3, s4, s5, s6, s7};
    for (int32_t i = 0; i < 8; i++)
        sums[i] = ((biased[i] - bias) & 0xffff) | ((biased[i] >> 16) - bias) << 16;
    return row;
}

#endif
