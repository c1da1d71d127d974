#include "tern_gates.h"

#include "tern_fixed_point.h"

/* As in softmax_ref.c, with 16 bits: the same series and the same constants, rounded. Qm.n has m bits before the
 * binary point and n behind it, a sign besides. Where 16 bits overflow, two's complement wraps. */
#define ONE_Q0_15 INT16_MAX /* all but 2^-15 of it */
#define ONE_Q2_13 ((int16_t)1 << 13)
#define HALF_Q0_15 ((int16_t)1 << 14)

static int16_t wrap(int32_t x) {
    return (int16_t)(uint16_t)(uint32_t)x;
}

/* a * b / 2^15, rounded to the nearest, halves away from zero. No caller multiplies INT16_MIN by itself. */
static int16_t high_mul(int16_t a, int16_t b) {
    const int32_t product = (int32_t)a * b;
    const int32_t nudge = product >= 0 ? (int32_t)1 << 14 : 1 - ((int32_t)1 << 14);
    return (int16_t)((product + nudge) / ((int32_t)1 << 15));
}

/* x * 2^exponent, saturated as TFLite does it: to the minimum one step early. */
static int16_t saturating_shift_left(int16_t x, int32_t exponent) {
    const int32_t threshold = ((int32_t)1 << (15 - exponent)) - 1;
    if (x > threshold)
        return INT16_MAX;
    if (x < -threshold)
        return INT16_MIN;
    return (int16_t)(x * ((int32_t)1 << exponent));
}

/* exp(a), Q0.15, by the Taylor series about -1/8 to the fourth power; for a in [-1/4, 0), Q0.15. */
static int16_t exp_of_small(int16_t a) {
    const int16_t exp_of_minus_eighth = 28918, third = 10923;
    const int16_t x = wrap(a + ((int32_t)1 << 12));
    const int16_t x2 = high_mul(x, x);
    const int16_t x3 = high_mul(x2, x);
    const int16_t x4 = high_mul(x2, x2);
    const int16_t cubic = high_mul(wrap(tern_round_shift(x4, 2) + x3), third); /* x^4 / 12 + x^3 / 3 */
    const int16_t higher = (int16_t)tern_round_shift(wrap(cubic + x2), 1);
    const int32_t result = exp_of_minus_eighth + high_mul(exp_of_minus_eighth, wrap(x + higher));
    return (int16_t)tern_clamp(result, INT16_MIN, INT16_MAX);
}

/* exp(a), Q0.15, for a < 0: the part below 1/4 by the series, every bit above by a constant. */
static int16_t exp_of_negative(int16_t a, int32_t integer_bits) {
    /* exp(-2^(i - 2)), Q0.15 */
    static const int16_t powers[] = {25520, 19875, 12055, 4435, 600, 11, 0};
    const int32_t quarter = (int32_t)1 << (15 - integer_bits - 2);
    const int32_t small = (a & (quarter - 1)) - quarter;
    const int32_t rest = small - a;
    if (integer_bits > 5 && a < -((int32_t)1 << (20 - integer_bits))) /* below -32 */
        return 0;
    int16_t result = exp_of_small(wrap(small * ((int32_t)1 << integer_bits)));
    for (int32_t i = 0; i < (int32_t)(sizeof powers / sizeof powers[0]); i++) {
        if (rest & quarter << i)
            result = high_mul(result, powers[i]);
    }
    return result;
}

/* 2 / (1 + a), Q2.13, for a in [0, 1], Q0.15, by Newton-Raphson. */
static int16_t two_over_one_plus(int16_t a) {
    const int16_t start_48_17 = 23130, start_minus_32_17 = -15420;
    const int16_t half_denominator = (int16_t)((a + ONE_Q0_15 + 1) / 2);
    int16_t x = wrap(start_48_17 + high_mul(half_denominator, start_minus_32_17));
    for (int32_t i = 0; i < 3; i++) {
        const int16_t error = wrap(ONE_Q2_13 - high_mul(half_denominator, x));
        x = wrap(x + saturating_shift_left(high_mul(x, error), 2));
    }
    return x;
}

int16_t tern_logistic_q15(int16_t x) {
    if (x == 0)
        return HALF_Q0_15;
    const int16_t negative = x > 0 ? (int16_t)-x : x;
    const int16_t of_positive = saturating_shift_left(two_over_one_plus(exp_of_negative(negative, 3)), 1);
    return x > 0 ? of_positive : (int16_t)(ONE_Q0_15 - of_positive);
}

int16_t tern_tanh_q15(int16_t x, int32_t integer_bits) {
    if (x == 0)
        return 0;
    /* tanh(|x|) = (1 - e) / (1 + e) with e = exp(-2|x|): a bit more before the binary point doubles x */
    const int16_t e = exp_of_negative(x > 0 ? (int16_t)-x : x, integer_bits + 1);
    const int16_t of_positive = saturating_shift_left(wrap(two_over_one_plus(e) - ONE_Q2_13), 2);
    return x > 0 ? of_positive : wrap(-of_positive);
}
