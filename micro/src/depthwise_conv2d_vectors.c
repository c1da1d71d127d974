#include "byte_runs.h"
#include "depthwise_vectors.h"
#include "scaling.h"

/* A line of outputs at a time. The lines of the input that its windows span are copied to scratch, with the padding beside
 * them, each once where windows follow each other without dilation. */

enum { GROUP = TERN_DEPTHWISE_GROUP };

/* Columns that the windows of a line span. */
static int32_t columns_of(const tern_depthwise_conv2d_vectors_params *params) {
    const tern_window *window = &params->window;
    return (params->output.width - 1) * window->stride_width + (window->width - 1) * window->dilation_width +
           1;
}

static int32_t line_bytes(const tern_depthwise_conv2d_vectors_params *params) {
    return columns_of(params) * params->input.channels;
}

/* Where the lines are, the lines, and what is read behind the channels of the last one. */
int32_t tern_depthwise_conv2d_vectors_scratch_bytes(const tern_depthwise_conv2d_vectors_params *params) {
    return params->window.height * (4 + line_bytes(params)) + GROUP;
}

static tern_status check(const tern_depthwise_conv2d_vectors_params *params, const int8_t *input,
                         const int8_t *output, const void *scratch) {
    if (params == NULL || input == NULL || output == NULL || scratch == NULL || params->weights == NULL ||
        params->bias == NULL || params->multiplier == NULL || params->shift == NULL)
        return TERN_ERROR_NULL;
    if ((uintptr_t)scratch % sizeof(int32_t) != 0)
        return TERN_ERROR_ALIGNMENT;
    const tern_window *window = &params->window;
    const tern_status status = tern_check_window(window, params->input, params->output);
    if (status != TERN_OK)
        return status;
    if (params->output.channels != params->input.channels || window->height > TERN_DEPTHWISE_MAXIMUM_TAPS ||
        window->width > TERN_DEPTHWISE_MAXIMUM_TAPS / window->height)
        return TERN_ERROR_SHAPE;
    if (tern_size(columns_of(params), params->input.channels, window->height) == 0 ||
        tern_size(columns_of(params), params->input.channels, window->height) > INT32_MAX / 2)
        return TERN_ERROR_SHAPE;
    if (!tern_are_quantized(params->input_zero_point, params->zero_point, params->minimum, params->maximum))
        return TERN_ERROR_PARAMETER;
    /* of whole groups: their order is not that of the channels */
    if (!tern_are_fast_scales(params->multiplier, params->shift,
                              (params->output.channels + GROUP - 1) / GROUP * GROUP))
        return TERN_ERROR_PARAMETER;
    return TERN_OK;
}

/* Line `y` of the input, or one of padding where there is none. */
static void copy_line(const tern_depthwise_conv2d_vectors_params *params, const int8_t *input, int32_t y,
                      uint8_t *to) {
    const int32_t channels = params->input.channels, width = params->input.width;
    const int32_t columns = columns_of(params), pad_left = params->window.pad_left;
    const uint8_t padding = (uint8_t)params->input_zero_point;
    if (y < 0 || y >= params->input.height || pad_left >= columns) {
        (void)tern_fill_bytes(to, padding, columns * channels);
        return;
    }
    const int32_t inside = columns - pad_left < width ? columns - pad_left : width;
    to = tern_fill_bytes(to, padding, pad_left * channels);
    to = tern_copy_bytes(to, (const uint8_t *)input + y * width * channels, inside * channels);
    (void)tern_fill_bytes(to, padding, (columns - pad_left - inside) * channels);
}

/* The lines of the windows at line `y` of the output; a line that the line before had is there already. */
static void copy_lines(const tern_depthwise_conv2d_vectors_params *params, const int8_t *input, int32_t y,
                       int32_t *offsets, uint8_t *lines) {
    const tern_window *window = &params->window;
    const int32_t height = window->height, bytes = line_bytes(params);
    const int32_t first = y * window->stride_height; /* counted from the padding on */
    const int32_t ready =
        y == 0 || window->dilation_height > 1 ? first : first - window->stride_height + height;
    for (int32_t ky = 0; ky < height; ky++) {
        const int32_t line = first + ky * window->dilation_height;
        const int32_t place = window->dilation_height > 1 ? ky : line % height;
        offsets[ky] = place * bytes;
        if (line >= ready)
            copy_line(params, input, line - window->pad_top, lines + place * bytes);
    }
}

tern_status tern_depthwise_conv2d_vectors(const tern_depthwise_conv2d_vectors_params *params,
                                          const int8_t *input, int8_t *output, void *scratch) {
    const tern_status status = check(params, input, output, scratch);
    if (status != TERN_OK)
        return status;
    const tern_window *window = &params->window;
    const int32_t channels = params->input.channels, width = params->output.width;
    const int32_t taps = window->height * window->width, vectors = params->levels == NULL ? 2 : 1;
    int32_t *const offsets = scratch;
    uint8_t *const lines = (uint8_t *)(offsets + window->height);
    for (int32_t y = 0; y < params->output.height; y++) {
        copy_lines(params, input, y, offsets, lines);
        for (int32_t first = 0; first < channels; first += GROUP) {
            const tern_depthwise_block block = {(const int8_t *)lines + first,
                                                offsets,
                                                params->weights + vectors * first * taps,
                                                params->bias + first,
                                                params->multiplier + first,
                                                params->shift + first,
                                                output + first,
                                                window->width > 1 ? window->dilation_width * channels : 0,
                                                width > 1 ? window->stride_width * channels : 0,
                                                channels,
                                                window->height,
                                                window->width,
                                                width,
                                                params->zero_point,
                                                params->minimum,
                                                params->maximum,
                                                channels - first < GROUP ? channels - first : GROUP,
                                                vectors == 1 ? params->levels + first : NULL};
            (vectors == 1 ? tern_write_depthwise_levels : tern_write_depthwise_halves)(&block);
        }
        output += width * channels;
    }
    return TERN_OK;
}
