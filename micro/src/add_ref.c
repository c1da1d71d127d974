#include "tern_broadcast.h"
#include "tern_fixed_point.h"

/* The difference of two int8 shifted further, and the sum of two such, could leave an int32. */
#define MAXIMUM_LEFT_SHIFT 22

static bool is_scale_below_one(int32_t multiplier, int32_t shift) {
    return tern_is_scale(multiplier, shift) && shift <= 0;
}

static tern_status check(const tern_add_params *params, const int8_t *input0, const int8_t *input1,
                         const int8_t *output) {
    if (params == NULL || input0 == NULL || input1 == NULL || output == NULL)
        return TERN_ERROR_NULL;
    if (!tern_is_broadcast(params->shape, params->strides))
        return TERN_ERROR_SHAPE;
    for (int32_t i = 0; i < 2; i++) {
        if (!tern_is_int8(params->zero_point[i]) ||
            !is_scale_below_one(params->multiplier[i], params->shift[i]))
            return TERN_ERROR_PARAMETER;
    }
    if (params->left_shift < 0 || params->left_shift > MAXIMUM_LEFT_SHIFT ||
        !tern_is_int8(params->output_zero_point) ||
        !is_scale_below_one(params->output_multiplier, params->output_shift) ||
        !tern_is_clamp(params->minimum, params->maximum))
        return TERN_ERROR_PARAMETER;
    return TERN_OK;
}

static int32_t term(const tern_add_params *params, int32_t i, int8_t value) {
    const int32_t shifted = tern_shift_left(value - params->zero_point[i], params->left_shift);
    return tern_scale(shifted, params->multiplier[i], params->shift[i]);
}

static int8_t to_output(const tern_add_params *params, int32_t sum) {
    const int32_t output = tern_scale(sum, params->output_multiplier, params->output_shift);
    return (int8_t)tern_clamp(output + params->output_zero_point, params->minimum, params->maximum);
}

static int8_t sum_of(const void *params, int8_t value0, int8_t value1) {
    return to_output(params, term(params, 0, value0) + term(params, 1, value1));
}

static int8_t difference_of(const void *params, int8_t value0, int8_t value1) {
    return to_output(params, term(params, 0, value0) - term(params, 1, value1));
}

/* Unsigned: with hostile parameters the square may leave an int32. */
static int8_t squared_difference_of(const void *params, int8_t value0, int8_t value1) {
    const uint32_t difference = (uint32_t)(term(params, 0, value0) - term(params, 1, value1));
    return to_output(params, (int32_t)(difference * difference));
}

tern_status tern_add_ref(const tern_add_params *params, const int8_t *input0, const int8_t *input1,
                         int8_t *output) {
    const tern_status status = check(params, input0, input1, output);
    if (status == TERN_OK)
        tern_for_each_pair(params->shape, params->strides, input0, input1, output, sum_of, params);
    return status;
}

tern_status tern_sub_ref(const tern_add_params *params, const int8_t *input0, const int8_t *input1,
                         int8_t *output) {
    const tern_status status = check(params, input0, input1, output);
    if (status == TERN_OK)
        tern_for_each_pair(params->shape, params->strides, input0, input1, output, difference_of, params);
    return status;
}

tern_status tern_squared_difference_ref(const tern_add_params *params, const int8_t *input0,
                                        const int8_t *input1, int8_t *output) {
    const tern_status status = check(params, input0, input1, output);
    if (status == TERN_OK)
        tern_for_each_pair(params->shape, params->strides, input0, input1, output, squared_difference_of,
                           params);
    return status;
}
