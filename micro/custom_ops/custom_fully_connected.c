#include "custom_internal.h"

static tern_custom_sizes read(tern_custom_op *op, tern_options *options, const tern_bytes *tensors) {
    tern_fully_connected_params *params = &op->params.fully_connected;
    params->rows = tern_custom_int32(options);
    params->inputs = tern_custom_int32(options);
    params->outputs = tern_custom_int32(options);
    params->input_zero_point = tern_custom_int32(options);
    tern_custom_sizes sizes = {
        .input = tern_custom_product(params->rows, params->inputs, 1),
        .output = tern_custom_product(params->rows, params->outputs, 1),
        .rows = params->outputs,
        .length = params->inputs,
        .channels = params->outputs,
        .multiplier_bytes = sizeof(uint64_t),
    };
    params->weights = tern_custom_weights(options, tensors, &sizes);
    const tern_requantization shared = tern_custom_requantization(options, tensors);
    const tern_float64_requantization requantization = {
        .bias = shared.bias,
        .multiplier = tensors[TERN_CUSTOM_MULTIPLIER].data,
        .shift = shared.shift,
        .zero_point = shared.zero_point,
        .minimum = shared.minimum,
        .maximum = shared.maximum,
    };
    params->requantization = requantization;
    return sizes;
}

static tern_status run(const tern_custom_op *op, const int8_t *input, int8_t *output, void *scratch) {
    (void)scratch;
    const tern_fully_connected_params *params = &op->params.fully_connected;
    switch (op->format) {
    case TERN_CUSTOM_TERNARY:
        return tern_fully_connected_ternary_ref(params, input, output);
    case TERN_CUSTOM_BASE3:
        return tern_fully_connected_base3_ref(params, input, output);
    default:
        return tern_fully_connected_binary_ref(params, input, output);
    }
}

const tern_custom_type tern_custom_fully_connected = {"TernFullyConnected", read, NULL, run};
