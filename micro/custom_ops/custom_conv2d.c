#include "custom_internal.h"

static tern_custom_sizes read(tern_custom_op *op, tern_options *options, const tern_bytes *tensors) {
    tern_conv2d_params *params = &op->params.conv2d;
    params->input = tern_custom_shape(options);
    params->output = tern_custom_shape(options);
    params->window = tern_custom_window(options);
    params->kernel_channels = tern_custom_int32(options);
    params->input_zero_point = tern_custom_int32(options);
    const tern_shape input = params->input, output = params->output;
    tern_custom_sizes sizes = {
        .input = tern_custom_product(input.height, input.width, input.channels),
        .output = tern_custom_product(output.height, output.width, output.channels),
        .rows = output.channels,
        .length = tern_custom_product(params->window.height, params->window.width, params->kernel_channels),
        .channels = output.channels,
        .multiplier_bytes = sizeof(int32_t),
    };
    params->weights = tern_custom_weights(options, tensors, &sizes);
    params->requantization = tern_custom_requantization(options, tensors);
    return sizes;
}

static int32_t scratch_bytes(const tern_custom_op *op) {
    return op->format == TERN_CUSTOM_BASE3 ? tern_conv2d_base3_expanded_scratch_bytes(&op->params.conv2d) : 0;
}

static tern_status run(const tern_custom_op *op, const int8_t *input, int8_t *output, void *scratch) {
    const tern_conv2d_params *params = &op->params.conv2d;
    switch (op->format) {
    case TERN_CUSTOM_TERNARY:
        return tern_conv2d_ternary_ref(params, input, output);
    case TERN_CUSTOM_BASE3:
        return tern_conv2d_base3_expanded(params, input, output, scratch);
    default:
        return tern_conv2d_binary_ref(params, input, output);
    }
}

const tern_custom_type tern_custom_conv2d = {"TernConv2D", read, scratch_bytes, run};
