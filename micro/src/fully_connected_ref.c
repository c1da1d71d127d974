#include "tern_internal.h"

static tern_status check(const tern_fully_connected_params *params, const int8_t *input, const int8_t *output,
                         int32_t levels) {
    if (params == NULL || input == NULL || output == NULL)
        return TERN_ERROR_NULL;
    if (tern_size(params->rows, params->inputs, 1) == 0 || tern_size(params->rows, params->outputs, 1) == 0)
        return TERN_ERROR_SHAPE;
    const tern_status status = tern_check_weights(&params->weights, levels, params->outputs, params->inputs);
    if (status != TERN_OK)
        return status;
    if (!tern_is_int8(params->input_zero_point))
        return TERN_ERROR_PARAMETER;
    return tern_check_float64_requantization(&params->requantization, params->outputs);
}

static tern_status fully_connected(const tern_fully_connected_params *params, const int8_t *input,
                                   int8_t *output, int32_t levels, tern_dot *dot) {
    const tern_status status = check(params, input, output, levels);
    if (status != TERN_OK)
        return status;
    const tern_rows rows = {params->weights.data, params->inputs};
    for (int32_t i = 0; i < params->rows; i++) {
        for (int32_t channel = 0; channel < params->outputs; channel++) {
            uint32_t sum = 0;
            for (int32_t plane = 0; plane <= params->weights.residual_planes; plane++) {
                const int32_t row = plane * params->outputs + channel;
                tern_sums sums = {0, 0};
                dot(rows, row, 0, input, params->inputs, params->input_zero_point, &sums);
                sum += tern_join(&params->weights, levels, row, sums);
            }
            *output++ = tern_float64_requantize(&params->requantization, channel, sum);
        }
        input += params->inputs;
    }
    return TERN_OK;
}

tern_status tern_fully_connected_int8_ref(const tern_fully_connected_params *params, const int8_t *input,
                                          int8_t *output) {
    return fully_connected(params, input, output, TERN_NUMBERS, tern_dot_int8);
}

tern_status tern_fully_connected_ternary_ref(const tern_fully_connected_params *params, const int8_t *input,
                                             int8_t *output) {
    return fully_connected(params, input, output, TERN_LEVELS, tern_dot_ternary);
}

tern_status tern_fully_connected_base3_ref(const tern_fully_connected_params *params, const int8_t *input,
                                           int8_t *output) {
    return fully_connected(params, input, output, TERN_LEVELS, tern_dot_base3);
}

tern_status tern_fully_connected_binary_ref(const tern_fully_connected_params *params, const int8_t *input,
                                            int8_t *output) {
    return fully_connected(params, input, output, TERN_LEVELS, tern_dot_binary);
}
