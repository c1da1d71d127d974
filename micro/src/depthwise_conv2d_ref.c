#include "tern_internal.h"

static tern_status check(const tern_depthwise_conv2d_params *params, const int8_t *input,
                         const int8_t *output, int32_t levels) {
    if (params == NULL || input == NULL || output == NULL)
        return TERN_ERROR_NULL;
    tern_status status = tern_check_window(&params->window, params->input, params->output);
    if (status != TERN_OK)
        return status;
    if (params->output.channels % params->input.channels != 0)
        return TERN_ERROR_SHAPE;
    status = tern_check_weights(&params->weights, levels,
                                tern_size(params->window.height, params->window.width, 1),
                                params->output.channels);
    if (status != TERN_OK)
        return status;
    if (!tern_is_int8(params->input_zero_point))
        return TERN_ERROR_PARAMETER;
    return tern_check_requantization(&params->requantization, params->output.channels);
}

static tern_status depthwise_conv2d(const tern_depthwise_conv2d_params *params, const int8_t *input,
                                    int8_t *output, int32_t levels, tern_column *column) {
    const tern_status status = check(params, input, output, levels);
    if (status != TERN_OK)
        return status;
    const tern_window *window = &params->window;
    const int32_t channels = params->input.channels;
    const int32_t multiplier = params->output.channels / channels;
    const int32_t positions = window->height * window->width;
    const tern_rows weights = {params->weights.data, params->output.channels};

    for (int32_t y = 0; y < params->output.height; y++) {
        const int32_t top = y * window->stride_height - window->pad_top;
        const tern_taps rows =
            tern_taps_inside(top, window->dilation_height, window->height, params->input.height);
        for (int32_t x = 0; x < params->output.width; x++) {
            const int32_t left = x * window->stride_width - window->pad_left;
            const tern_taps columns =
                tern_taps_inside(left, window->dilation_width, window->width, params->input.width);
            const int32_t taps = columns.end - columns.begin;
            /* between taps; where there are none to step between, the dilation may be anything */
            const int32_t step = taps > 1 ? window->dilation_width * channels : 0;
            const int32_t first_x = left + columns.begin * window->dilation_width;
            for (int32_t channel = 0; channel < params->output.channels; channel++) {
                uint32_t sum = 0;
                for (int32_t plane = 0; plane <= params->weights.residual_planes; plane++) {
                    tern_sums sums = {0, 0};
                    for (int32_t ky = rows.begin; taps > 0 && ky < rows.end; ky++) {
                        const int32_t first_y = top + ky * window->dilation_height;
                        column(weights, plane * positions + ky * window->width + columns.begin, channel,
                               input + (first_y * params->input.width + first_x) * channels +
                                   channel / multiplier,
                               step, taps, params->input_zero_point, &sums);
                    }
                    sum +=
                        tern_join(&params->weights, levels, plane * params->output.channels + channel, sums);
                }
                *output++ = tern_requantize(&params->requantization, channel, sum);
            }
        }
    }
    return TERN_OK;
}

tern_status tern_depthwise_conv2d_int8_ref(const tern_depthwise_conv2d_params *params, const int8_t *input,
                                           int8_t *output) {
    return depthwise_conv2d(params, input, output, TERN_NUMBERS, tern_column_int8);
}

tern_status tern_depthwise_conv2d_ternary_ref(const tern_depthwise_conv2d_params *params, const int8_t *input,
                                              int8_t *output) {
    return depthwise_conv2d(params, input, output, TERN_LEVELS, tern_column_ternary);
}

tern_status tern_depthwise_conv2d_base3_ref(const tern_depthwise_conv2d_params *params, const int8_t *input,
                                            int8_t *output) {
    return depthwise_conv2d(params, input, output, TERN_LEVELS, tern_column_base3);
}

tern_status tern_depthwise_conv2d_binary_ref(const tern_depthwise_conv2d_params *params, const int8_t *input,
                                             int8_t *output) {
    return depthwise_conv2d(params, input, output, TERN_LEVELS, tern_column_binary);
}
