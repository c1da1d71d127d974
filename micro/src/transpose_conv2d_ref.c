#include "tern_internal.h"

static tern_status check(const tern_transpose_conv2d_params *params, const int8_t *input,
                         const int8_t *output, int32_t levels) {
    if (params == NULL || input == NULL || output == NULL)
        return TERN_ERROR_NULL;
    /* the window slides over the output, which it writes */
    tern_status status = tern_check_window(&params->window, params->output, params->input);
    if (status != TERN_OK)
        return status;
    if (params->window.dilation_height != 1 || params->window.dilation_width != 1)
        return TERN_ERROR_PARAMETER;
    const int32_t row = tern_size(params->window.height, params->window.width, params->input.channels);
    if (row == 0)
        return TERN_ERROR_SHAPE;
    status = tern_check_weights(&params->weights, levels, params->output.channels, row);
    if (status != TERN_OK)
        return status;
    if (!tern_is_int8(params->input_zero_point))
        return TERN_ERROR_PARAMETER;
    return tern_check_requantization(&params->requantization, params->output.channels);
}

/* The taps of one dimension that reach an output position: `first`, and every `stride` behind it. Tap k of input
 * position i falls on i * stride - pad + k. Unsigned: a stride may be such that there is no second tap. */
typedef struct {
    uint32_t first, stride, kernel, position, size;
} tap_walk;

static tap_walk taps_at(int32_t position, int32_t pad, int32_t stride, int32_t kernel, int32_t size) {
    const tap_walk walk = {(uint32_t)(position + pad) % (uint32_t)stride, (uint32_t)stride, (uint32_t)kernel,
                           (uint32_t)(position + pad), (uint32_t)size};
    return walk;
}

/* The input position whose tap it is; one that is not there is larger than any. */
static uint32_t input_position(tap_walk walk, uint32_t tap) {
    return tap > walk.position ? UINT32_MAX : (walk.position - tap) / walk.stride;
}

/* All input positions whose window covers one output position: TFLite scatters sums, this gathers them, and needs no
 * memory for it. */
static tern_sums sum_covering(const tern_transpose_conv2d_params *params, tern_dot *dot, int32_t y, int32_t x,
                              tern_rows rows, int32_t row, const int8_t *input) {
    const tern_window *window = &params->window;
    const int32_t channels = params->input.channels;
    const tap_walk down =
        taps_at(y, window->pad_top, window->stride_height, window->height, params->input.height);
    const tap_walk along =
        taps_at(x, window->pad_left, window->stride_width, window->width, params->input.width);
    tern_sums sums = {0, 0};
    for (uint32_t ky = down.first; ky < down.kernel; ky += down.stride) {
        const uint32_t from_y = input_position(down, ky);
        for (uint32_t kx = along.first; from_y < down.size && kx < along.kernel; kx += along.stride) {
            const uint32_t from_x = input_position(along, kx);
            if (from_x < along.size)
                dot(rows, row, (int32_t)(ky * along.kernel + kx) * channels,
                    input + (from_y * along.size + from_x) * (uint32_t)channels, channels,
                    params->input_zero_point, &sums);
        }
    }
    return sums;
}

static tern_status transpose_conv2d(const tern_transpose_conv2d_params *params, const int8_t *input,
                                    int8_t *output, int32_t levels, tern_dot *dot) {
    const tern_status status = check(params, input, output, levels);
    if (status != TERN_OK)
        return status;
    const tern_weights *weights = &params->weights;
    const int32_t channels = params->output.channels;
    const tern_rows rows = {weights->data,
                            params->window.height * params->window.width * params->input.channels};
    for (int32_t y = 0; y < params->output.height; y++) {
        for (int32_t x = 0; x < params->output.width; x++) {
            for (int32_t channel = 0; channel < channels; channel++) {
                uint32_t sum = 0;
                for (int32_t plane = 0; plane <= weights->residual_planes; plane++) {
                    const int32_t row = plane * channels + channel;
                    sum += tern_join(weights, levels, row, sum_covering(params, dot, y, x, rows, row, input));
                }
                *output++ = tern_requantize(&params->requantization, channel, sum);
            }
        }
    }
    return TERN_OK;
}

tern_status tern_transpose_conv2d_int8_ref(const tern_transpose_conv2d_params *params, const int8_t *input,
                                           int8_t *output) {
    return transpose_conv2d(params, input, output, TERN_NUMBERS, tern_dot_int8);
}

tern_status tern_transpose_conv2d_ternary_ref(const tern_transpose_conv2d_params *params, const int8_t *input,
                                              int8_t *output) {
    return transpose_conv2d(params, input, output, TERN_LEVELS, tern_dot_ternary);
}

tern_status tern_transpose_conv2d_base3_ref(const tern_transpose_conv2d_params *params, const int8_t *input,
                                            int8_t *output) {
    return transpose_conv2d(params, input, output, TERN_LEVELS, tern_dot_base3);
}

tern_status tern_transpose_conv2d_binary_ref(const tern_transpose_conv2d_params *params, const int8_t *input,
                                             int8_t *output) {
    return transpose_conv2d(params, input, output, TERN_LEVELS, tern_dot_binary);
}
