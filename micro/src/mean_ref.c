#include "tern_fixed_point.h"
#include "tern_internal.h"

static tern_status check(const tern_mean_params *params, const int8_t *input, const int8_t *output) {
    if (params == NULL || input == NULL || output == NULL)
        return TERN_ERROR_NULL;
    const int32_t *shape = params->shape;
    if (tern_size(tern_size(shape[0], shape[1], shape[2]), shape[3], 1) == 0)
        return TERN_ERROR_SHAPE;
    if (!tern_is_int8(params->input_zero_point) || !tern_is_int8(params->output_zero_point) ||
        !tern_is_scale(params->multiplier, params->shift))
        return TERN_ERROR_PARAMETER;
    return TERN_OK;
}

static uint32_t sum_of(const int8_t *values, const int32_t *shape, const int32_t *strides) {
    uint32_t sum = 0;
    for (int32_t a = 0; a < shape[0]; a++) {
        for (int32_t b = 0; b < shape[1]; b++) {
            for (int32_t c = 0; c < shape[2]; c++) {
                const int8_t *row = values + a * strides[0] + b * strides[1] + c * strides[2];
                for (int32_t d = 0; d < shape[3]; d++) {
                    const int32_t value = row[d * strides[3]];
                    sum += (uint32_t)value;
                }
            }
        }
    }
    return sum;
}

static int8_t mean_of(const tern_mean_params *params, uint32_t sum, int32_t count) {
    const int32_t centred = (int32_t)(sum - (uint32_t)params->input_zero_point * (uint32_t)count);
    const int32_t scaled = tern_scale(centred, params->multiplier, params->shift);
    const int32_t output = (int32_t)((uint32_t)scaled + (uint32_t)params->output_zero_point);
    return (int8_t)tern_clamp(output, INT8_MIN, INT8_MAX);
}

tern_status tern_mean_ref(const tern_mean_params *params, const int8_t *input, int8_t *output) {
    const tern_status status = check(params, input, output);
    if (status != TERN_OK)
        return status;
    /* the input's dimensions, split into those that are kept and those that are summed over; 1 in the other's
     * places */
    int32_t kept[TERN_MAX_RANK], summed[TERN_MAX_RANK], strides[TERN_MAX_RANK];
    int32_t count = 1, size = 1;
    for (int32_t i = TERN_MAX_RANK - 1; i >= 0; i--) {
        kept[i] = params->reduced[i] ? 1 : params->shape[i];
        summed[i] = params->reduced[i] ? params->shape[i] : 1;
        strides[i] = size;
        size *= params->shape[i];
        count *= summed[i];
    }
    for (int32_t a = 0; a < kept[0]; a++) {
        for (int32_t b = 0; b < kept[1]; b++) {
            for (int32_t c = 0; c < kept[2]; c++) {
                const int8_t *row = input + a * strides[0] + b * strides[1] + c * strides[2];
                for (int32_t d = 0; d < kept[3]; d++)
                    *output++ = mean_of(params, sum_of(row + d * strides[3], summed, strides), count);
            }
        }
    }
    return TERN_OK;
}
