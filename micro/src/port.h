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

/* Helium: vectors of 16 bytes. */
#if defined(__ARM_FEATURE_MVE) && __ARM_FEATURE_MVE && !defined(TERN_PORTABLE)
#define TERN_PORT_MVE 1
#endif

/* Whether the core loads and stores words at any address. */
#if defined(__ARM_FEATURE_UNALIGNED) || !(defined(__arm__) || defined(__riscv))
#define TERN_PORT_UNALIGNED 1
#else
#define TERN_PORT_UNALIGNED 0
#endif

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
TERN_PORT_MULTIPLY_ADD(tern_halves_times_halves, "smlad")
/* of the first operand's all 32 bits; the product's upper 32 of 48 */
TERN_PORT_MULTIPLY_ADD(tern_wide_times_low, "smlawb")
TERN_PORT_MULTIPLY_ADD(tern_wide_times_high, "smlawt")
#undef TERN_PORT_MULTIPLY_ADD

/* a * b / 2^32, rounded to the nearest, halves up. */
static inline int32_t tern_upper_half(int32_t a, int32_t b) {
    int32_t result;
    __asm__("smmulr %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
    return result;
}

/* a * b / 2^32, rounded down, plus c. */
static inline int32_t tern_high_product_plus(int32_t a, int32_t b, int32_t c) {
    int32_t result;
    __asm__("smmla %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(c));
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

/* Bytes 0 and 2 of a word, and bytes 1 and 3, each in the upper half of 16 bits. */
static inline uint32_t tern_even_bytes_above(uint32_t x) {
    uint32_t result;
    __asm__("and %0, %1, %2, lsl #8" : "=r"(result) : "r"(0xff00ff00), "r"(x));
    return result;
}

static inline uint32_t tern_odd_bytes_above(uint32_t x) {
    return x & 0xff00ff00;
}

/* Four numbers of 16 bits, brought within int8, as the bytes of a word. */
static inline uint32_t tern_saturated_bytes(int32_t x0, int32_t x1, int32_t x2, int32_t x3) {
    uint32_t even, odd;
    __asm__("pkhbt %0, %1, %2, lsl #16\n"
            "ssat16 %0, #8, %0\n"
            "uxtb16 %0, %0"
            : "=&r"(even)
            : "r"(x0), "r"(x2));
    __asm__("pkhbt %0, %1, %2, lsl #16\n"
            "ssat16 %0, #8, %0"
            : "=&r"(odd)
            : "r"(x1), "r"(x3));
    return even | tern_even_bytes_above(odd);
}

/* Of int8 in the bytes of two words. */
static inline uint32_t tern_maximum_of_bytes(uint32_t x, uint32_t y) {
    uint32_t result, difference;
    __asm__("ssub8 %1, %2, %3\n" /* leaves what is not negative in flags that sel reads */
            "sel %0, %2, %3"
            : "=r"(result), "=&r"(difference)
            : "r"(x), "r"(y));
    return result;
}

/* Adds bytes 0 and 2 of a word, or bytes 1 and 3, to the halves of sums. */
static inline uint32_t tern_add_even_bytes(uint32_t sums, uint32_t x) {
    __asm__("sxtab16 %0, %0, %1" : "+r"(sums) : "r"(x));
    return sums;
}

static inline uint32_t tern_add_odd_bytes(uint32_t sums, uint32_t x) {
    __asm__("sxtab16 %0, %0, %1, ror #8" : "+r"(sums) : "r"(x));
    return sums;
}

#define TERN_PORT_SUM_BIAS 0

static inline int32_t tern_low_sum(uint32_t sums) {
    return tern_low(sums);
}

static inline int32_t tern_high_sum(uint32_t sums) {
    return tern_high(sums);
}

/* The top bytes of four numbers. */
static inline uint32_t tern_top_bytes(uint32_t x0, uint32_t x1, uint32_t x2, uint32_t x3) {
    uint32_t even, odd;
    __asm__("pkhtb %0, %1, %2, asr #16\n"
            "uxtb16 %0, %0, ror #8"
            : "=r"(even)
            : "r"(x2), "r"(x0));
    __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(odd) : "r"(x3), "r"(x1));
    return even | tern_odd_bytes_above(odd);
}

#else

static inline uint32_t tern_maximum_of_bytes(uint32_t x, uint32_t y) {
    const uint32_t top = 0x80808080, differ = x ^ y;
    const uint32_t low =
        (x | top) - (y & ~top); /* no borrow leaves a byte; bit 7: the lower 7 bits of x are not less */
    const uint32_t not_less = ((y & ~x) | (low & ~differ)) & top; /* a sign in y alone, or equal signs */
    const uint32_t mask = (not_less - (not_less >> 7)) | not_less;
    return y ^ (differ & mask);
}

/* Bytes are made unsigned. */
#define TERN_PORT_SUM_BIAS 128

static inline uint32_t tern_add_even_bytes(uint32_t sums, uint32_t x) {
    return sums + ((x ^ 0x80808080) & 0xff00ff);
}

static inline uint32_t tern_add_odd_bytes(uint32_t sums, uint32_t x) {
    return sums + ((x ^ 0x80808080) >> 8 & 0xff00ff);
}

static inline int32_t tern_low_sum(uint32_t sums) {
    return (int32_t)(sums & 0xffff);
}

static inline int32_t tern_high_sum(uint32_t sums) {
    return (int32_t)(sums >> 16);
}

static inline uint32_t tern_top_bytes(uint32_t x0, uint32_t x1, uint32_t x2, uint32_t x3) {
    return x0 >> 24 | x1 >> 24 << 8 | x2 >> 24 << 16 | x3 >> 24 << 24;
}

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

static inline int32_t tern_halves_times_halves(uint32_t x, uint32_t y, int32_t sum) {
    return sum + tern_low(x) * tern_low(y) + tern_high(x) * tern_high(y);
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

static inline int32_t tern_high_product_plus(int32_t a, int32_t b, int32_t c) {
    const uint32_t low_a = (uint32_t)a & 0xffff, low_b = (uint32_t)b & 0xffff;
    const int32_t high_a = a >> 16, high_b = b >> 16;
    const int32_t cross = high_a * (int32_t)low_b + (int32_t)(low_a * low_b >> 16);
    const int32_t other = (int32_t)low_a * high_b + (cross & 0xffff);
    return high_a * high_b + (cross >> 16) + (other >> 16) + c;
}
#else
static inline int32_t tern_upper_half(int32_t a, int32_t b) {
    const int64_t product = (int64_t)a * b;
    return (int32_t)(product >> 32) + (int32_t)((uint32_t)product >> 31);
}

static inline int32_t tern_high_product_plus(int32_t a, int32_t b, int32_t c) {
    return (int32_t)((int64_t)a * b >> 32) + c;
}
#endif

static inline uint32_t tern_even_signed_bytes(uint32_t x) {
    return (uint16_t)(int8_t)x | (uint32_t)(int8_t)(x >> 16) << 16;
}

static inline uint32_t tern_odd_signed_bytes(uint32_t x) {
    return tern_even_signed_bytes(x >> 8);
}

#endif

/* The number of the highest bit that is set; x is not 0. */
static inline int32_t tern_highest_bit(uint32_t x) {
#if defined(__thumb2__) || !(defined(__thumb__) || defined(__riscv))
    return 31 - __builtin_clz(x);
#else
    /* no instruction, and the compiler's library is slower */
    int32_t bit = 0;
    for (int32_t half = 16; half > 0; half >>= 1) {
        if (x >> half != 0) {
            x >>= half;
            bit += half;
        }
    }
    return bit;
#endif
}

/* x within int8. */
static inline int32_t tern_saturated(int32_t x) {
#if defined(__ARM_FEATURE_SAT) && !defined(TERN_PORTABLE)
    int32_t result;
    __asm__("ssat %0, #8, %1" : "=r"(result) : "r"(x));
    return result;
#else
    return (int8_t)x == x ? x : x >> 31 ^ INT8_MAX;
#endif
}

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
