/* What a fast kernel needs of a core, in a handful of primitives. A port is this header; without one, plain C does.
 *
 * All of it assumes a little-endian core, as every supported one is.
 */
#ifndef TERN_PORT_H
#define TERN_PORT_H

#include <stdint.h>

/* A word of bytes that are int8 elsewhere. */
typedef uint32_t __attribute__((may_alias)) tern_word;

/* The packed 16-bit halves of a word, and the multiplications of two of them. */
static inline int32_t tern_low(uint32_t x) {
    return (int16_t)x;
}

static inline int32_t tern_high(uint32_t x) {
    return (int32_t)x >> 16;
}

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && !defined(TERN_PORTABLE)

#define TERN_PORT_DSP 1

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

static inline int32_t tern_saturate_int8(int32_t x) {
    int32_t result;
    __asm__("ssat %0, #8, %1" : "=r"(result) : "r"(x));
    return result;
}

/* Bytes 0 and 2 of a word, and bytes 1 and 3, each in a half of its own. */
static inline uint32_t tern_even_bytes(uint32_t x) {
    uint32_t result;
    __asm__("uxtb16 %0, %1" : "=r"(result) : "r"(x));
    return result;
}

static inline uint32_t tern_odd_bytes(uint32_t x) {
    uint32_t result;
    __asm__("uxtb16 %0, %1, ror #8" : "=r"(result) : "r"(x));
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

#if defined(__ARM_ARCH_6M__)
/* A core without the long product, which would be a call of the compiler's library: from the four short ones. */
static inline int32_t tern_upper_half(int32_t a, int32_t b) {
    const uint32_t low_a = (uint32_t)a & 0xffff, low_b = (uint32_t)b & 0xffff;
    const int32_t high_a = a >> 16, high_b = b >> 16;
    const uint32_t low = low_a * low_b;
    /* neither sum leaves an int32: |high * low| < 2^31 - 2^15, and what is added is less than 2^16 */
    const int32_t cross = high_a * (int32_t)low_b + (int32_t)(low >> 16);
    const int32_t other = (int32_t)low_a * high_b + (cross & 0xffff);
    const uint32_t lower = (uint32_t)other << 16;
    return high_a * high_b + (cross >> 16) + (other >> 16) + (int32_t)(lower >> 31);
}
#else
static inline int32_t tern_upper_half(int32_t a, int32_t b) {
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 31)) >> 32);
}
#endif

static inline int32_t tern_saturate_int8(int32_t x) {
    return x < INT8_MIN ? INT8_MIN : x > INT8_MAX ? INT8_MAX : x;
}

static inline uint32_t tern_even_bytes(uint32_t x) {
    return x & 0x00ff00ffu;
}

static inline uint32_t tern_odd_bytes(uint32_t x) {
    return x >> 8 & 0x00ff00ffu;
}

#endif
#endif
