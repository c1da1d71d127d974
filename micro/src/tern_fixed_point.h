/* Fixed-point arithmetic with TFLite's roundings.
 *
 * Where TFLite's int32 would overflow, in a sum or in a shift to the left, two's complement wraps; here the
 * same bits come out of unsigned arithmetic, which may. Shifts of negative numbers to the right are taken to
 * be arithmetic, as on every compiler for these machines.
 */
#ifndef TERN_FIXED_POINT_H
#define TERN_FIXED_POINT_H

#include <stdint.h>

/* a * b / 2^31, rounded to the nearest, halves up. No caller multiplies INT32_MIN by itself, the one
 * product that would need saturation. */
static inline int32_t tern_high_mul(int32_t a, int32_t b) {
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 30)) >> 31);
}

/* x / 2^exponent for an exponent in [0, 31], rounded to the nearest, halves away from zero. */
static inline int32_t tern_round_shift(int32_t x, int32_t exponent) {
    const uint32_t mask = ((uint32_t)1 << exponent) - 1;
    const uint32_t remainder = (uint32_t)x & mask;
    const uint32_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
    return (x >> exponent) + (remainder > threshold ? 1 : 0);
}

static inline int32_t tern_shift_left(int32_t x, int32_t exponent) {
    return (int32_t)((uint32_t)x << exponent);
}

/* x * multiplier * 2^(shift - 31) with two roundings; multiplier >= 0, shift in [-31, 31]. */
static inline int32_t tern_scale(int32_t x, int32_t multiplier, int32_t shift) {
    if (shift > 0)
        return tern_high_mul(tern_shift_left(x, shift), multiplier);
    return tern_round_shift(tern_high_mul(x, multiplier), -shift);
}

static inline int32_t tern_clamp(int32_t x, int32_t minimum, int32_t maximum) {
    return x < minimum ? minimum : x > maximum ? maximum : x;
}

/* How many bits x needs: 0 for 0, 32 for 2^31 and above. */
static inline int32_t tern_bit_length(uint32_t x) {
    int32_t length = 0;
    for (int32_t step = 16; step > 0; step /= 2) {
        if (x >> step) {
            x >>= step;
            length += step;
        }
    }
    return length + (int32_t)x;
}

#endif
