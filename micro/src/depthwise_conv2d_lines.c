#include "depthwise_lines.h"
#include "scaling.h"

/* Four channels after the other four. Their lines are copied to a ring that holds those that a window spans, each input
 * once, with the zero point around; then a line of outputs is written of each channel. */

typedef tern_depthwise_conv2d_lines_params lines_params;

/* The window's geometry across lines and along them, and what the input and output are then. */
typedef struct {
    int32_t size, output, kernel, stride, dilation, pad;
    int32_t step, output_step; /* bytes */
} axis;

typedef struct {
    axis across, along;
} axes;

static axes axes_of(const lines_params *params) {
    const tern_window *window = &params->window;
    const int32_t channels = params->input.channels;
    const axis vertical = {params->input.height,           params->output.height,          window->height,
                           window->stride_height,          window->dilation_height,        window->pad_top,
                           channels * params->input.width, channels * params->output.width};
    const axis horizontal = {
        params->input.width,    params->output.width, window->width, window->stride_width,
        window->dilation_width, window->pad_left,     channels,      channels};
    const axes by_rows = {vertical, horizontal}, by_columns = {horizontal, vertical};
    return params->along_height ? by_columns : by_rows;
}

/* Even, and as far as whole groups of outputs read. */
static int64_t line_length(const axis *along) {
    const int64_t groups = (along->output + TERN_LINE_OUTPUTS - 1) / TERN_LINE_OUTPUTS;
    const int64_t reach = (int64_t)(along->kernel - 1) * along->dilation;
    return (groups * TERN_LINE_OUTPUTS * along->stride + reach + 3) & ~(int64_t)1;
}

static int64_t weight_words(const axes *by) {
    return (int64_t)by->across.kernel * 2 * tern_line_pairs(by->along.kernel);
}

static int64_t scratch_bytes(const axes *by) {
    const int64_t lines = TERN_LINE_CHANNELS * (int64_t)by->across.kernel;
    const int64_t length = line_length(&by->along);
    if (length > INT32_MAX / lines)
        return INT64_MAX;
    return 2 * weight_words(by) * (int64_t)sizeof(uint32_t) + lines * length * (int64_t)sizeof(int16_t);
}

int32_t tern_depthwise_conv2d_lines_scratch_bytes(const lines_params *params) {
    const axes by = axes_of(params);
    const int64_t bytes = scratch_bytes(&by);
    return bytes > INT32_MAX ? 0 : (int32_t)bytes;
}

static tern_status check(const lines_params *params, const int8_t *input, const int8_t *output,
                         const void *scratch) {
    if (params == NULL || input == NULL || output == NULL || scratch == NULL || params->weights == NULL ||
        params->bias == NULL || params->multiplier == NULL || params->shift == NULL)
        return TERN_ERROR_NULL;
    if ((uintptr_t)scratch % sizeof(uint32_t) != 0)
        return TERN_ERROR_ALIGNMENT;
    const tern_status status = tern_check_window(&params->window, params->input, params->output);
    if (status != TERN_OK)
        return status;
    if (params->output.channels != params->input.channels ||
        tern_size(params->window.height, params->window.width, params->input.channels) == 0 ||
        tern_depthwise_conv2d_lines_scratch_bytes(params) == 0)
        return TERN_ERROR_SHAPE;
    if (!tern_is_int8(params->input_zero_point) || !tern_is_int8(params->zero_point) ||
        !tern_is_clamp(params->minimum, params->maximum))
        return TERN_ERROR_PARAMETER;
    for (int32_t i = 0; i < params->output.channels; i++) {
        if (!tern_is_fast_scale(params->multiplier[i], params->shift[i]))
            return TERN_ERROR_PARAMETER;
    }
    return TERN_OK;
}

/* What the loops share: `line` elements from one line of the ring to the next. */
typedef struct {
    const lines_params *params;
    axes by;
    int32_t line;
    int32_t inside_first, inside; /* the elements of a line that are inputs */
    uint32_t *weights;
    int16_t *ring; /* a ring of `kernel` lines for each of the channels */
} lines_layer;

/* The input's line `at`, or padding, to `slot` of the rings of `channels` channels. */
static void copy_line(const lines_layer *layer, const int8_t *input, int32_t at, int32_t slot,
                      int32_t channels) {
    const axis *across = &layer->by.across;
    const int32_t ring = across->kernel * layer->line, step = layer->by.along.step;
    int16_t *const to = layer->ring + slot * layer->line;
    const bool outside = at < 0 || at >= across->size;
    const int32_t first = outside ? layer->line : layer->inside_first, count = outside ? 0 : layer->inside;
    for (int32_t i = 0; i < channels; i++) {
        int16_t *padded = to + i * ring;
        for (int32_t x = 0; x < first; x++)
            padded[x] = (int16_t)layer->params->input_zero_point;
        for (int32_t x = first + count; x < layer->line; x++)
            padded[x] = (int16_t)layer->params->input_zero_point;
    }
    if (count == 0)
        return;
    const int8_t *from = input + at * across->step;
    if (channels == TERN_LINE_CHANNELS) {
        tern_copy_four_lines(to + first, ring, from, step, count);
        return;
    }
    for (int32_t i = 0; i < channels; i++) {
        for (int32_t x = 0; x < count; x++)
            to[i * ring + first + x] = from[i + x * step];
    }
}

/* The weights of a channel twice, so that any line of the ring can be the first. */
static void expand_weights(const lines_layer *layer, const int8_t *weights) {
    const int32_t lines = layer->by.across.kernel, taps = layer->by.along.kernel;
    const int32_t words = 2 * tern_line_pairs(taps);
    for (int32_t i = 0; i < lines; i++) {
        uint32_t *const to = layer->weights + i * words;
        tern_expand_line_weights(to, weights + i * taps, taps);
        for (int32_t j = 0; j < words; j++)
            to[lines * words + j] = to[j];
    }
}

/* Any strides, dilations and clamp. */
static void write_any_line(const lines_layer *layer, const int16_t *ring, int32_t slot, int32_t channel,
                           int8_t *output) {
    const lines_params *params = layer->params;
    const axis *along = &layer->by.along;
    const int32_t lines = layer->by.across.kernel;
    const tern_scaling by = tern_scaling_of(params->multiplier[channel], params->shift[channel],
                                            params->zero_point, params->minimum, params->maximum);
    for (int32_t i = 0; i < along->output; i++) {
        const int8_t *weight = params->weights + channel * lines * along->kernel;
        int32_t sum = 0;
        for (int32_t y = 0; y < lines; y++) {
            const int32_t at = slot + y < lines ? slot + y : slot + y - lines;
            const int16_t *x = ring + at * layer->line + i * along->stride;
            for (int32_t tap = 0; tap < along->kernel; tap++) {
                sum += *weight++ * *x;
                x += along->dilation;
            }
        }
        *output = tern_scale_doubled(&by, (int32_t)((uint32_t)params->bias[channel] + 2 * (uint32_t)sum));
        output += along->output_step;
    }
}

static bool is_plain(const lines_layer *layer) {
    const axis *along = &layer->by.along;
    return along->stride <= 2 && (along->dilation == 1 || along->kernel == 1) &&
           layer->params->minimum == INT8_MIN && layer->params->maximum == INT8_MAX;
}

/* One line of outputs of each of `count` channels; the window's first line is in `slot`. */
static void write_lines(const lines_layer *layer, int32_t first, int32_t count, int32_t slot,
                        int8_t *output) {
    const lines_params *params = layer->params;
    const axis *along = &layer->by.along;
    const int32_t lines = layer->by.across.kernel, pairs = tern_line_pairs(along->kernel);
    const bool plain = is_plain(layer);
    for (int32_t i = 0; i < count; i++) {
        const int32_t channel = first + i;
        const int16_t *ring = layer->ring + i * lines * layer->line;
        if (!plain) {
            write_any_line(layer, ring, slot, channel, output + channel);
            continue;
        }
        expand_weights(layer, params->weights + channel * lines * along->kernel);
        const tern_depthwise_line line = {ring,
                                          layer->line * (int32_t)sizeof(int16_t),
                                          layer->weights + (slot == 0 ? 0 : lines - slot) * 2 * pairs,
                                          lines,
                                          params->bias[channel],
                                          params->multiplier[channel],
                                          tern_scaling_shift(params->shift[channel]),
                                          tern_scaling_offset(params->zero_point),
                                          output + channel,
                                          along->output_step,
                                          along->output,
                                          pairs,
                                          along->stride};
        tern_write_depthwise_line(&line);
    }
}

/* All outputs of `count` channels. A line that the next window also spans stays where it is. */
static void write_channels(const lines_layer *layer, const int8_t *input, int8_t *output, int32_t first,
                           int32_t count) {
    const axis *across = &layer->by.across;
    const bool dense = across->dilation == 1;
    int32_t slot = 0, copied = -across->pad; /* lines before this one are in the ring */
    for (int32_t i = 0; i < across->output; i++) {
        const int32_t top = i * across->stride - across->pad;
        for (int32_t y = 0; y < across->kernel; y++) {
            const int32_t at = top + y * across->dilation;
            if (dense && at < copied)
                continue;
            const int32_t place = slot + y < across->kernel ? slot + y : slot + y - across->kernel;
            copy_line(layer, input + first, at, place, count);
        }
        copied = top + across->kernel;
        write_lines(layer, first, count, slot, output + i * across->output_step);
        if (dense)
            slot = (slot + across->stride) % across->kernel;
    }
}

tern_status tern_depthwise_conv2d_lines(const lines_params *params, const int8_t *input, int8_t *output,
                                        void *scratch) {
    const tern_status status = check(params, input, output, scratch);
    if (status != TERN_OK)
        return status;
    lines_layer work = {params, axes_of(params), 0, 0, 0, scratch, NULL};
    const axis *along = &work.by.along;
    work.line = (int32_t)line_length(along);
    work.inside_first = along->pad < work.line ? along->pad : work.line;
    const int32_t room = work.line - work.inside_first;
    work.inside = along->size < room ? along->size : room;
    work.ring = (int16_t *)(void *)(work.weights + 2 * weight_words(&work.by));
    const int32_t channels = params->input.channels;
    for (int32_t first = 0; first < channels; first += TERN_LINE_CHANNELS) {
        const int32_t left = channels - first;
        write_channels(&work, input, output, first, left < TERN_LINE_CHANNELS ? left : TERN_LINE_CHANNELS);
    }
    return TERN_OK;
}
