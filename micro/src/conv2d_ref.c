#include "tern_internal.h"

static int32_t weights_in_row(const tern_conv2d_params *params) {
    return tern_size(params->window.height, params->window.width, params->kernel_channels);
}

static tern_status check(const tern_conv2d_params *params, const int8_t *input, const int8_t *output,
                         int32_t bits) {
    if (params == NULL || input == NULL || output == NULL || !tern_has_weights(&params->weights, bits))
        return TERN_ERROR_NULL;
    const tern_status status = tern_check_window(&params->window, params->input, params->output);
    if (status != TERN_OK)
        return status;
    const int32_t row = weights_in_row(params);
    if (row == 0 || tern_size(row, params->output.channels, 1) == 0 ||
        params->input.channels % params->kernel_channels != 0 ||
        params->output.channels % (params->input.channels / params->kernel_channels) != 0)
        return TERN_ERROR_SHAPE;
    if (!tern_is_int8(params->input_zero_point))
        return TERN_ERROR_PARAMETER;
    return tern_check_requantization(&params->requantization, params->output.channels);
}

/* The part of the input that one output position sees. */
typedef struct {
    tern_taps rows, columns;
    int32_t top, left; /* where the first tap of each falls */
} patch;

/* All runs of one output: where taps are neighbours in memory a kernel row is a run, else each tap is. */
static tern_sums sum_patch(const tern_conv2d_params *params, tern_dot *dot, patch at, const uint8_t *row,
                           const int8_t *input) {
    const int32_t channels = params->input.channels, depth = params->kernel_channels;
    const bool contiguous = params->window.dilation_width == 1 && depth == channels;
    const int32_t taps = at.columns.end - at.columns.begin;
    const int32_t runs = contiguous ? (taps > 0 ? 1 : 0) : taps;
    const int32_t length = contiguous ? taps * depth : depth;
    tern_sums sums = {0, 0};
    for (int32_t ky = at.rows.begin; ky < at.rows.end; ky++) {
        const int32_t y = at.top + (ky - at.rows.begin) * params->window.dilation_height;
        for (int32_t run = 0; run < runs; run++) {
            const int32_t x = at.left + run * params->window.dilation_width;
            const int32_t first = (ky * params->window.width + at.columns.begin + run) * depth;
            dot(row, first, input + (y * params->input.width + x) * channels, length,
                params->input_zero_point, &sums);
        }
    }
    return sums;
}

static tern_status conv2d(const tern_conv2d_params *params, const int8_t *input, int8_t *output, int32_t bits,
                          tern_dot *dot) {
    const tern_status status = check(params, input, output, bits);
    if (status != TERN_OK)
        return status;
    const tern_window *window = &params->window;
    const int32_t row_bytes = tern_row_bytes(weights_in_row(params), bits);
    const int32_t outputs_in_group =
        params->output.channels / (params->input.channels / params->kernel_channels);

    for (int32_t y = 0; y < params->output.height; y++) {
        const int32_t top = y * window->stride_height - window->pad_top;
        const tern_taps rows =
            tern_taps_inside(top, window->dilation_height, window->height, params->input.height);
        for (int32_t x = 0; x < params->output.width; x++) {
            const int32_t left = x * window->stride_width - window->pad_left;
            const tern_taps columns =
                tern_taps_inside(left, window->dilation_width, window->width, params->input.width);
            const patch at = {rows, columns, top + rows.begin * window->dilation_height,
                              left + columns.begin * window->dilation_width};
            const uint8_t *row = params->weights.data;
            for (int32_t channel = 0; channel < params->output.channels; channel++) {
                const int32_t group = channel / outputs_in_group;
                const tern_sums sums =
                    sum_patch(params, dot, at, row, input + group * params->kernel_channels);
                const uint32_t sum = tern_join(&params->weights, bits, channel, sums);
                *output++ = tern_requantize(&params->requantization, channel, sum);
                row += row_bytes;
            }
        }
    }
    return TERN_OK;
}

tern_status tern_conv2d_int8_ref(const tern_conv2d_params *params, const int8_t *input, int8_t *output) {
    return conv2d(params, input, output, TERN_BITS_INT8, tern_dot_int8);
}

tern_status tern_conv2d_ternary_ref(const tern_conv2d_params *params, const int8_t *input, int8_t *output) {
    return conv2d(params, input, output, TERN_BITS_TERNARY, tern_dot_ternary);
}

tern_status tern_conv2d_binary_ref(const tern_conv2d_params *params, const int8_t *input, int8_t *output) {
    return conv2d(params, input, output, TERN_BITS_BINARY, tern_dot_binary);
}
