#include "tern_fixed_point.h"
#include "tern_internal.h"

/* Formats are named Qm.n: m bits before the binary point, n behind it, a sign besides. Differences of inputs
 * are Q5.26, exponentials Q0.31 and their sum Q12.19, which as a uint32 holds a row of up to 8191 ones. */
#define DIFFERENCE_FRACTION 26
#define SUM_INTEGER_BITS 12
#define MAXIMUM_DEPTH 8191
#define ONE_Q0_31 INT32_MAX /* all but 2^-31 of it */

static tern_status check(const tern_softmax_params *params, const int8_t *input, const int8_t *output) {
    if (params == NULL || input == NULL || output == NULL)
        return TERN_ERROR_NULL;
    if (tern_size(params->rows, params->depth, 1) == 0 || params->depth > MAXIMUM_DEPTH)
        return TERN_ERROR_SHAPE;
    if (params->multiplier < 0 || params->shift < 0 || params->shift > 31 || params->difference_minimum > 0)
        return TERN_ERROR_PARAMETER;
    /* the furthest difference, shifted, is an int32 */
    const uint32_t furthest = params->difference_minimum < -255 ? 255 : -(uint32_t)params->difference_minimum;
    return furthest > (uint32_t)1 << (31 - params->shift) ? TERN_ERROR_PARAMETER : TERN_OK;
}

/* exp(a), Q0.31, by the Taylor series about -1/8 to the fourth power; for a in [-1/4, 0), Q0.31. */
static int32_t exp_of_small(int32_t a) {
    const int32_t exp_of_minus_eighth = 1895147668, third = 715827883;
    const int32_t x = a + ((int32_t)1 << 28);
    const int32_t x2 = tern_high_mul(x, x);
    const int32_t x3 = tern_high_mul(x2, x);
    const int32_t x4 = tern_high_mul(x2, x2);
    const int32_t cubic = tern_high_mul(tern_round_shift(x4, 2) + x3, third); /* x^4 / 12 + x^3 / 3 */
    const int32_t higher = tern_round_shift(cubic + x2, 1);
    return exp_of_minus_eighth + tern_high_mul(exp_of_minus_eighth, x + higher);
}

/* exp(a), Q0.31, for a <= 0, Q5.26: the part below 1/4 by the series, every bit above by a constant. */
static int32_t exp_of_negative(int32_t a) {
    /* exp(-2^(i - 2)), Q0.31 */
    static const int32_t powers[] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    if (a == 0)
        return ONE_Q0_31;
    const uint32_t quarter = (uint32_t)1 << (DIFFERENCE_FRACTION - 2);
    const uint32_t small = ((uint32_t)a & (quarter - 1)) - quarter;
    const uint32_t rest = small - (uint32_t)a;
    int32_t result = exp_of_small(tern_shift_left((int32_t)small, 31 - DIFFERENCE_FRACTION));
    for (int32_t i = 0; i < (int32_t)(sizeof powers / sizeof powers[0]); i++) {
        if (rest & quarter << i)
            result = tern_high_mul(result, powers[i]);
    }
    return result;
}

/* 1 / (1 + a), Q0.31, for a in [0, 1), Q0.31, by Newton-Raphson in Q2.29. */
static int32_t one_over_one_plus(int32_t a) {
    const int32_t start_48_17 = 1515870810, start_minus_32_17 = -1010580540, one = (int32_t)1 << 29;
    const int32_t half_denominator = (int32_t)(((uint32_t)a + ((uint32_t)1 << 31)) >> 1);
    int32_t x = start_48_17 + tern_high_mul(half_denominator, start_minus_32_17);
    for (int32_t i = 0; i < 3; i++) {
        const int32_t error = one - tern_high_mul(half_denominator, x);
        x += tern_shift_left(tern_high_mul(x, error), 2);
    }
    return x >= (int32_t)1 << 30 ? INT32_MAX : tern_shift_left(x, 1);
}

static int32_t scaled_difference(const tern_softmax_params *params, int32_t difference) {
    return tern_high_mul(tern_shift_left(difference, params->shift), params->multiplier);
}

static void softmax_row(const tern_softmax_params *params, const int8_t *input, int8_t *output) {
    int32_t maximum = INT8_MIN;
    for (int32_t i = 0; i < params->depth; i++)
        maximum = input[i] > maximum ? input[i] : maximum;

    uint32_t sum = 0;
    for (int32_t i = 0; i < params->depth; i++) {
        const int32_t difference = input[i] - maximum;
        if (difference >= params->difference_minimum)
            sum += (uint32_t)tern_round_shift(exp_of_negative(scaled_difference(params, difference)),
                                              SUM_INTEGER_BITS);
    }
    /* sum = 2^integer_bits * (1 + fraction), the maximum's exp(0) makes it at least 1 */
    const int32_t headroom = 32 - tern_bit_length(sum);
    const int32_t integer_bits = SUM_INTEGER_BITS - headroom;
    const int32_t reciprocal = one_over_one_plus((int32_t)((sum << headroom) - ((uint32_t)1 << 31)));
    const int32_t exponent = integer_bits + 31 - 8;

    for (int32_t i = 0; i < params->depth; i++) {
        const int32_t difference = input[i] - maximum;
        int32_t probability = 0;
        if (difference >= params->difference_minimum && exponent <= 31) /* beyond it all are below 1/512 */
            probability = tern_round_shift(
                tern_high_mul(reciprocal, exp_of_negative(scaled_difference(params, difference))), exponent);
        output[i] = (int8_t)tern_clamp(probability + INT8_MIN, INT8_MIN, INT8_MAX);
    }
}

TERN_SMALL tern_status tern_softmax_ref(const tern_softmax_params *params, const int8_t *input,
                                        int8_t *output) {
    const tern_status status = check(params, input, output);
    if (status != TERN_OK)
        return status;
    for (int32_t row = 0; row < params->rows; row++)
        softmax_row(params, input + row * params->depth, output + row * params->depth);
    return TERN_OK;
}
