/* What a fast kernel needs of a core, in a handful of primitives. A port is this header; without one, plain C does.
 *
 * All of it assumes a little-endian core, as every supported one is.
 */
#ifndef TERN_PORT_H
#define TERN_PORT_H

#include <stdint.h>

/* A word of bytes that are int8 elsewhere. */
typedef uint32_t __attribute__((may_alias)) tern_word;

/* A byte of a word in memory: one load and extensions where they are instructions, else four loads that extend. */
static inline int32_t tern_signed_byte(const tern_word *word, int32_t number) {
#ifdef __thumb__
    return (int8_t)(*word >> 8 * number);
#else
    return ((const int8_t *)word)[number];
#endif
}

/* The packed 16-bit halves of a word, and the multiplications of two of them. */
static inline int32_t tern_low(uint32_t x) {
    return (int16_t)x;
}

static inline int32_t tern_high(uint32_t x) {
    return (int32_t)x >> 16;
}

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && !defined(TERN_PORTABLE)

#define TERN_PORT_DSP 1

/* Two instructions a cycle: of the cores with DSP, and without Helium, the Cortex-M7, known by its double precision. */
#if defined(__ARM_FP) && (__ARM_FP & 8) && !defined(__ARM_FEATURE_MVE)
#define TERN_PORT_DUAL_ISSUE 1
#endif

#define TERN_PORT_MULTIPLY_ADD(name, instruction)                                                            \
    static inline int32_t name(uint32_t x, uint32_t y, int32_t sum) {                                        \
        int32_t result;                                                                                      \
        __asm__(instruction " %0, %1, %2, %3" : "=r"(result) : "r"(x), "r"(y), "r"(sum));                    \
        return result;                                                                                       \
    }
TERN_PORT_MULTIPLY_ADD(tern_low_times_low, "smlabb")
TERN_PORT_MULTIPLY_ADD(tern_low_times_high, "smlabt")
TERN_PORT_MULTIPLY_ADD(tern_high_times_low, "smlatb")
TERN_PORT_MULTIPLY_ADD(tern_high_times_high, "smlatt")
#undef TERN_PORT_MULTIPLY_ADD

/* a * b / 2^32, rounded to the nearest, halves up. */
static inline int32_t tern_upper_half(int32_t a, int32_t b) {
    int32_t result;
    __asm__("smmulr %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
    return result;
}

/* Bytes 0 and 2 of a word, and bytes 1 and 3, each as an int16 in a half of its own. */
static inline uint32_t tern_even_signed_bytes(uint32_t x) {
    uint32_t result;
    __asm__("sxtb16 %0, %1" : "=r"(result) : "r"(x));
    return result;
}

static inline uint32_t tern_odd_signed_bytes(uint32_t x) {
    uint32_t result;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(result) : "r"(x));
    return result;
}

#else

static inline int32_t tern_low_times_low(uint32_t x, uint32_t y, int32_t sum) {
    return sum + tern_low(x) * tern_low(y);
}

static inline int32_t tern_low_times_high(uint32_t x, uint32_t y, int32_t sum) {
    return sum + tern_low(x) * tern_high(y);
}

static inline int32_t tern_high_times_low(uint32_t x, uint32_t y, int32_t sum) {
    return sum + tern_high(x) * tern_low(y);
}

static inline int32_t tern_high_times_high(uint32_t x, uint32_t y, int32_t sum) {
    return sum + tern_high(x) * tern_high(y);
}

#if defined(__ARM_ARCH_ISA_THUMB) && __ARM_ARCH_ISA_THUMB == 1 && !defined(TERN_PORTABLE)
/* A core without the long product, which would be a call of the compiler's library: from the four short ones. No sum
 * leaves an int32: |high * low| < 2^31 - 2^15, and what is added is less than 2^16. */
static inline int32_t tern_upper_half(int32_t a, int32_t b) {
    const int32_t low_b = b & 0xffff, high_b = b >> 16;
    int32_t low, product, cross;
    __asm__(".syntax unified\n" /* GCC has another one here */
            "uxth %1, %0\n"
            "asrs %0, %0, #16\n"
            "movs %2, %1\n"
            "muls %2, %4\n"
            "lsrs %2, %2, #16\n"
            "movs %3, %0\n"
            "muls %3, %4\n"
            "adds %2, %2, %3\n" /* high a * low b, and what low a * low b carries */
            "muls %1, %5\n"
            "uxth %3, %2\n"
            "adds %1, %1, %3\n" /* low a * high b, and the lower half of that */
            "muls %0, %5\n"
            "asrs %2, %2, #16\n"
            "adds %0, %0, %2\n"
            "asrs %1, %1, #15\n"
            "adds %1, #1\n"
            "asrs %1, %1, #1\n"
            "adds %0, %0, %1\n"
            : "+l"(a), "=&l"(low), "=&l"(product), "=&l"(cross)
            : "l"(low_b), "l"(high_b)
            : "cc");
    return a;
}
#else
static inline int32_t tern_upper_half(int32_t a, int32_t b) {
    const int64_t product = (int64_t)a * b;
    return (int32_t)(product >> 32) + (int32_t)((uint32_t)product >> 31);
}
#endif

#endif

/* x / 2, rounded down, and within int8. */
static inline int32_t tern_saturated_half(int32_t x) {
#if defined(__ARM_FEATURE_SAT) && !defined(TERN_PORTABLE)
    int32_t result;
    __asm__("ssat %0, #8, %1, asr #1" : "=r"(result) : "r"(x));
    return result;
#else
    const int32_t half = x >> 1;
    return half < INT8_MIN ? INT8_MIN : half > INT8_MAX ? INT8_MAX : half;
#endif
}

#endif
