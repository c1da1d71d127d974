#include "custom_internal.h"

static tern_custom_sizes read(tern_custom_op *op, tern_options *options, const tern_bytes *tensors) {
    tern_depthwise_conv2d_params *params = &op->params.depthwise_conv2d;
    params->input = tern_custom_shape(options);
    params->output = tern_custom_shape(options);
    params->window = tern_custom_window(options);
    params->input_zero_point = tern_custom_int32(options);
    const tern_shape input = params->input, output = params->output;
    tern_custom_sizes sizes = {
        .input = tern_custom_product(input.height, input.width, input.channels),
        .output = tern_custom_product(output.height, output.width, output.channels),
        .rows = tern_custom_product(params->window.height, params->window.width, 1),
        .length = output.channels,
        .channels = output.channels,
        .multiplier_bytes = sizeof(int32_t),
    };
    params->weights = tern_custom_weights(options, tensors, &sizes);
    params->requantization = tern_custom_requantization(options, tensors);
    return sizes;
}

static tern_status run(const tern_custom_op *op, const int8_t *input, int8_t *output, void *scratch) {
    (void)scratch;
    const tern_depthwise_conv2d_params *params = &op->params.depthwise_conv2d;
    switch (op->format) {
    case TERN_CUSTOM_TERNARY:
        return tern_depthwise_conv2d_ternary_ref(params, input, output);
    case TERN_CUSTOM_BASE3:
        return tern_depthwise_conv2d_base3_ref(params, input, output);
    default:
        return tern_depthwise_conv2d_binary_ref(params, input, output);
    }
}

const tern_custom_type tern_custom_depthwise_conv2d = {"TernDepthwiseConv2D", read, NULL, run};
