#include "tern_internal.h"

static tern_status check(const tern_fully_connected_params *params, const int8_t *input, const int8_t *output,
                         int32_t bits) {
    if (params == NULL || input == NULL || output == NULL || !tern_has_weights(&params->weights, bits))
        return TERN_ERROR_NULL;
    if (tern_size(params->rows, params->inputs, 1) == 0 || tern_size(params->rows, params->outputs, 1) == 0 ||
        tern_size(params->inputs, params->outputs, 1) == 0)
        return TERN_ERROR_SHAPE;
    if (!tern_is_int8(params->input_zero_point))
        return TERN_ERROR_PARAMETER;
    return tern_check_float64_requantization(&params->requantization, params->outputs);
}

static tern_status fully_connected(const tern_fully_connected_params *params, const int8_t *input,
                                   int8_t *output, int32_t bits, tern_dot *dot) {
    const tern_status status = check(params, input, output, bits);
    if (status != TERN_OK)
        return status;
    const int32_t row_bytes = tern_row_bytes(params->inputs, bits);
    for (int32_t i = 0; i < params->rows; i++) {
        const uint8_t *row = params->weights.data;
        for (int32_t channel = 0; channel < params->outputs; channel++) {
            tern_sums sums = {0, 0};
            dot(row, 0, input, params->inputs, params->input_zero_point, &sums);
            const uint32_t sum = tern_join(&params->weights, bits, channel, sums);
            *output++ = tern_float64_requantize(&params->requantization, channel, sum);
            row += row_bytes;
        }
        input += params->inputs;
    }
    return TERN_OK;
}

tern_status tern_fully_connected_int8_ref(const tern_fully_connected_params *params, const int8_t *input,
                                          int8_t *output) {
    return fully_connected(params, input, output, TERN_BITS_INT8, tern_dot_int8);
}

tern_status tern_fully_connected_ternary_ref(const tern_fully_connected_params *params, const int8_t *input,
                                             int8_t *output) {
    return fully_connected(params, input, output, TERN_BITS_TERNARY, tern_dot_ternary);
}

tern_status tern_fully_connected_binary_ref(const tern_fully_connected_params *params, const int8_t *input,
                                            int8_t *output) {
    return fully_connected(params, input, output, TERN_BITS_BINARY, tern_dot_binary);
}
