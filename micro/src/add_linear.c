#include "tern_internal.h"
#include "words.h"

static bool is_multiplier(int32_t multiplier) {
    return multiplier > -(1 << 23) && multiplier < 1 << 23;
}

static tern_status check(const tern_add_linear_params *params, const int8_t *input0, const int8_t *input1,
                         const int8_t *output) {
    if (params == NULL || input0 == NULL || input1 == NULL || output == NULL)
        return TERN_ERROR_NULL;
    if (params->size < 1)
        return TERN_ERROR_SHAPE;
    if (!is_multiplier(params->multiplier[0]) || !is_multiplier(params->multiplier[1]) ||
        params->shift < 16 || params->shift > 31 || !tern_is_clamp(params->minimum, params->maximum))
        return TERN_ERROR_PARAMETER;
    return TERN_OK;
}

/* Unsigned: with hostile parameters the sum may leave an int32. */
static inline int32_t sum_of(const tern_add_linear_params *params, int32_t a, int32_t b) {
    return (int32_t)((uint32_t)params->offset + (uint32_t)(a * params->multiplier[0]) +
                     (uint32_t)(b * params->multiplier[1]));
}

static inline int32_t clamp(int32_t x, int32_t minimum, int32_t maximum) {
    return x < minimum ? minimum : x > maximum ? maximum : x;
}

/* Four sums, shifted and within int8. */
static inline void add_word(const tern_add_linear_params *params, const int8_t *input0, const int8_t *input1,
                            int8_t *output) {
#ifdef TERN_PORT_DSP
    const int32_t offset = params->offset, shift = params->shift;
    /* Bytes come in the upper half of 16 bits, and multipliers shifted likewise: the product's upper 32 of 48 bits are
     * the very product. */
    const uint32_t m0 = (uint32_t)params->multiplier[0] << 8, m1 = (uint32_t)params->multiplier[1] << 8;
    const uint32_t a = tern_load_word(input0), b = tern_load_word(input1);
    const uint32_t even_a = tern_even_bytes_above(a), odd_a = tern_odd_bytes_above(a);
    const uint32_t even_b = tern_even_bytes_above(b), odd_b = tern_odd_bytes_above(b);
    const int32_t sum0 = tern_wide_times_low(m1, even_b, tern_wide_times_low(m0, even_a, offset));
    const int32_t sum1 = tern_wide_times_low(m1, odd_b, tern_wide_times_low(m0, odd_a, offset));
    const int32_t sum2 = tern_wide_times_high(m1, even_b, tern_wide_times_high(m0, even_a, offset));
    const int32_t sum3 = tern_wide_times_high(m1, odd_b, tern_wide_times_high(m0, odd_a, offset));
    tern_store_word(output, tern_saturated_bytes(sum0 >> shift, sum1 >> shift, sum2 >> shift, sum3 >> shift));
#else
    output[0] = (int8_t)tern_saturated(sum_of(params, input0[0], input1[0]) >> params->shift);
    output[1] = (int8_t)tern_saturated(sum_of(params, input0[1], input1[1]) >> params->shift);
    output[2] = (int8_t)tern_saturated(sum_of(params, input0[2], input1[2]) >> params->shift);
    output[3] = (int8_t)tern_saturated(sum_of(params, input0[3], input1[3]) >> params->shift);
#endif
}

/* How many outputs are done: all but the last few, where no clamp is narrower than int8's. */
static int32_t add_words(const tern_add_linear_params *params, const int8_t *input0, const int8_t *input1,
                         int8_t *output) {
    if (params->minimum != INT8_MIN || params->maximum != INT8_MAX || !tern_are_words(input0, 0) ||
        !tern_are_words(input1, 0) || !tern_are_words(output, 0))
        return 0;
    const tern_add_linear_params by = *params;
    const int32_t count = by.size & ~3;
    const int8_t *const end = output + count;
    while (output != end) {
        add_word(&by, input0, input1, output);
        input0 += 4;
        input1 += 4;
        output += 4;
    }
    return count;
}

tern_status tern_add_linear(const tern_add_linear_params *params, const int8_t *input0, const int8_t *input1,
                            int8_t *output) {
    const tern_status status = check(params, input0, input1, output);
    if (status != TERN_OK)
        return status;
    const tern_add_linear_params by = *params;
    for (int32_t i = add_words(params, input0, input1, output); i < by.size; i++)
        output[i] = (int8_t)clamp(sum_of(&by, input0[i], input1[i]) >> by.shift, by.minimum, by.maximum);
    return status;
}
