#include "conv2d_patch.h"

static tern_status conv2d(const tern_conv2d_params *params, const int8_t *input, int8_t *output,
                          int32_t levels, tern_dot *dot) {
    const tern_status status = tern_conv2d_check(params, input, output, levels);
    if (status != TERN_OK)
        return status;
    const tern_weights *weights = &params->weights;
    const int32_t channels = params->output.channels;
    const int32_t outputs_in_group = channels / (params->input.channels / params->kernel_channels);
    const tern_rows rows = {weights->data,
                            params->window.height * params->window.width * params->kernel_channels};

    for (int32_t y = 0; y < params->output.height; y++) {
        for (int32_t x = 0; x < params->output.width; x++) {
            const tern_patch at = tern_conv2d_patch(params, y, x);
            const int8_t *group = input;
            int32_t left_in_group = outputs_in_group;
            for (int32_t channel = 0; channel < channels; channel++, left_in_group--) {
                if (left_in_group == 0) {
                    group += params->kernel_channels;
                    left_in_group = outputs_in_group;
                }
                uint32_t sum = 0;
                for (int32_t plane = 0; plane <= weights->residual_planes; plane++) {
                    const int32_t row = plane * channels + channel;
                    const tern_sums sums = tern_conv2d_sum_patch(params, dot, &at, rows, row, group);
                    sum += tern_join(weights, levels, row, sums);
                }
                *output++ = tern_requantize(&params->requantization, channel, sum);
            }
        }
    }
    return TERN_OK;
}

tern_status tern_conv2d_int8_ref(const tern_conv2d_params *params, const int8_t *input, int8_t *output) {
    return conv2d(params, input, output, TERN_NUMBERS, tern_dot_int8);
}

tern_status tern_conv2d_ternary_ref(const tern_conv2d_params *params, const int8_t *input, int8_t *output) {
    return conv2d(params, input, output, TERN_LEVELS, tern_dot_ternary);
}

tern_status tern_conv2d_base3_ref(const tern_conv2d_params *params, const int8_t *input, int8_t *output) {
    return conv2d(params, input, output, TERN_LEVELS, tern_dot_base3);
}

tern_status tern_conv2d_binary_ref(const tern_conv2d_params *params, const int8_t *input, int8_t *output) {
    return conv2d(params, input, output, TERN_LEVELS, tern_dot_binary);
}
