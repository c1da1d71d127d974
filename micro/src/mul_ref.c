#include "tern_broadcast.h"
#include "tern_fixed_point.h"

static tern_status check(const tern_mul_params *params, const int8_t *input0, const int8_t *input1,
                         const int8_t *output) {
    if (params == NULL || input0 == NULL || input1 == NULL || output == NULL)
        return TERN_ERROR_NULL;
    if (!tern_is_broadcast(params->shape, params->strides))
        return TERN_ERROR_SHAPE;
    if (!tern_is_int8(params->zero_point[0]) || !tern_is_int8(params->zero_point[1]) ||
        !tern_is_int8(params->output_zero_point) || !tern_is_scale(params->multiplier, params->shift) ||
        !tern_is_clamp(params->minimum, params->maximum))
        return TERN_ERROR_PARAMETER;
    return TERN_OK;
}

static int8_t product_of(const void *of, int8_t value0, int8_t value1) {
    const tern_mul_params *params = of;
    const int32_t product = (value0 - params->zero_point[0]) * (value1 - params->zero_point[1]);
    const int32_t output = (int32_t)((uint32_t)tern_scale(product, params->multiplier, params->shift) +
                                     (uint32_t)params->output_zero_point);
    return (int8_t)tern_clamp(output, params->minimum, params->maximum);
}

tern_status tern_mul_ref(const tern_mul_params *params, const int8_t *input0, const int8_t *input1,
                         int8_t *output) {
    const tern_status status = check(params, input0, input1, output);
    if (status == TERN_OK)
        tern_for_each_pair(params->shape, params->strides, input0, input1, output, product_of, params);
    return status;
}
