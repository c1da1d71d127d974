#include "tern_fixed_point.h"
#include "tern_internal.h"

/* The difference of two int8 shifted further, and the sum of two such, could leave an int32. */
#define MAXIMUM_LEFT_SHIFT 22

static bool is_scale_below_one(int32_t multiplier, int32_t shift) {
    return tern_is_scale(multiplier, shift) && shift <= 0;
}

/* Of a view of an input: no element lies further than an int32 reaches. */
static bool is_bounded(const int32_t *shape, const int32_t *strides) {
    int64_t last = 0;
    for (int32_t i = 0; i < TERN_MAX_RANK; i++) {
        if (strides[i] < 0)
            return false;
        last += (int64_t)(shape[i] - 1) * strides[i];
        if (last > INT32_MAX)
            return false;
    }
    return true;
}

static tern_status check(const tern_add_params *params, const int8_t *input0, const int8_t *input1,
                         const int8_t *output) {
    if (params == NULL || input0 == NULL || input1 == NULL || output == NULL)
        return TERN_ERROR_NULL;
    const int32_t *shape = params->shape;
    if (tern_size(tern_size(shape[0], shape[1], shape[2]), shape[3], 1) == 0 ||
        !is_bounded(shape, params->strides[0]) || !is_bounded(shape, params->strides[1]))
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

static int8_t sum_of(const tern_add_params *params, int8_t value0, int8_t value1) {
    const int32_t sum = term(params, 0, value0) + term(params, 1, value1);
    const int32_t output = tern_scale(sum, params->output_multiplier, params->output_shift);
    return (int8_t)tern_clamp(output + params->output_zero_point, params->minimum, params->maximum);
}

tern_status tern_add_ref(const tern_add_params *params, const int8_t *input0, const int8_t *input1,
                         int8_t *output) {
    const tern_status status = check(params, input0, input1, output);
    if (status != TERN_OK)
        return status;
    const int32_t *shape = params->shape, *strides0 = params->strides[0], *strides1 = params->strides[1];
    for (int32_t a = 0; a < shape[0]; a++) {
        for (int32_t b = 0; b < shape[1]; b++) {
            for (int32_t c = 0; c < shape[2]; c++) {
                const int8_t *row0 = input0 + a * strides0[0] + b * strides0[1] + c * strides0[2];
                const int8_t *row1 = input1 + a * strides1[0] + b * strides1[1] + c * strides1[2];
                for (int32_t d = 0; d < shape[3]; d++)
                    *output++ = sum_of(params, row0[d * strides0[3]], row1[d * strides1[3]]);
            }
        }
    }
    return TERN_OK;
}
