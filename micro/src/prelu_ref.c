#include "tern_broadcast.h"
#include "tern_fixed_point.h"

static tern_status check(const tern_prelu_params *params, const int8_t *input, const int8_t *slopes,
                         const int8_t *output) {
    if (params == NULL || input == NULL || slopes == NULL || output == NULL)
        return TERN_ERROR_NULL;
    if (!tern_is_broadcast(params->shape, params->strides))
        return TERN_ERROR_SHAPE;
    for (int32_t i = 0; i < 2; i++) {
        if (!tern_is_int8(params->zero_point[i]) || !tern_is_scale(params->multiplier[i], params->shift[i]))
            return TERN_ERROR_PARAMETER;
    }
    return tern_is_int8(params->output_zero_point) ? TERN_OK : TERN_ERROR_PARAMETER;
}

static int8_t prelu_of(const void *of, int8_t value, int8_t slope) {
    const tern_prelu_params *params = of;
    const int32_t x = value - params->zero_point[0];
    const int32_t product = x >= 0 ? x : x * (slope - params->zero_point[1]);
    const int32_t which = x >= 0 ? 0 : 1;
    const int32_t output =
        (int32_t)((uint32_t)tern_scale(product, params->multiplier[which], params->shift[which]) +
                  (uint32_t)params->output_zero_point);
    return (int8_t)tern_clamp(output, INT8_MIN, INT8_MAX);
}

tern_status tern_prelu_ref(const tern_prelu_params *params, const int8_t *input, const int8_t *slopes,
                           int8_t *output) {
    const tern_status status = check(params, input, slopes, output);
    if (status == TERN_OK)
        tern_for_each_pair(params->shape, params->strides, input, slopes, output, prelu_of, params);
    return status;
}
