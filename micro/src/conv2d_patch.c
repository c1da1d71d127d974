#include "conv2d_patch.h"

TERN_SMALL tern_status tern_conv2d_check(const tern_conv2d_params *params, const int8_t *input,
                                         const int8_t *output, int32_t levels) {
    if (params == NULL || input == NULL || output == NULL)
        return TERN_ERROR_NULL;
    tern_status status = tern_check_window(&params->window, params->input, params->output);
    if (status != TERN_OK)
        return status;
    const int32_t row = tern_size(params->window.height, params->window.width, params->kernel_channels);
    if (row == 0 || params->input.channels % params->kernel_channels != 0 ||
        params->output.channels % (params->input.channels / params->kernel_channels) != 0)
        return TERN_ERROR_SHAPE;
    status = tern_check_weights(&params->weights, levels, params->output.channels, row);
    if (status != TERN_OK)
        return status;
    if (!tern_is_int8(params->input_zero_point))
        return TERN_ERROR_PARAMETER;
    return tern_check_requantization(&params->requantization, params->output.channels);
}

tern_patch tern_conv2d_patch(const tern_conv2d_params *params, int32_t y, int32_t x) {
    const tern_window *window = &params->window;
    const int32_t top = y * window->stride_height - window->pad_top;
    const int32_t left = x * window->stride_width - window->pad_left;
    const tern_taps rows =
        tern_taps_inside(top, window->dilation_height, window->height, params->input.height);
    const tern_taps columns =
        tern_taps_inside(left, window->dilation_width, window->width, params->input.width);
    const tern_patch at = {rows, columns, top + rows.begin * window->dilation_height,
                           left + columns.begin * window->dilation_width};
    return at;
}

/* Where taps are neighbours in memory a kernel row is a run, else each tap is. */
tern_sums tern_conv2d_sum_patch(const tern_conv2d_params *params, tern_dot *dot, const tern_patch *at,
                                tern_rows rows, int32_t row, const int8_t *input) {
    const int32_t channels = params->input.channels, depth = params->kernel_channels;
    const bool contiguous = params->window.dilation_width == 1 && depth == channels;
    const int32_t taps = at->columns.end - at->columns.begin;
    const int32_t runs = contiguous ? (taps > 0 ? 1 : 0) : taps;
    const int32_t length = contiguous ? taps * depth : depth;
    tern_sums sums = {0, 0};
    for (int32_t ky = at->rows.begin; ky < at->rows.end; ky++) {
        const int32_t y = at->top + (ky - at->rows.begin) * params->window.dilation_height;
        for (int32_t run = 0; run < runs; run++) {
            const int32_t x = at->left + run * params->window.dilation_width;
            const int32_t first = (ky * params->window.width + at->columns.begin + run) * depth;
            dot(rows, row, first, input + (y * params->input.width + x) * channels, length,
                params->input_zero_point, &sums);
        }
    }
    return sums;
}
