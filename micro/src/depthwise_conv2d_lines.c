#include "depthwise_conv2d_lines.h"
#include "depthwise_lines.h"
#include "scaling.h"

/* Four channels after the other four: the lines of inputs that a band of outputs takes are copied, with the zero point
 * around them; then the outputs of each channel are written. */

typedef tern_depthwise_conv2d_lines_params lines_params;
typedef tern_lines_axis axis;
typedef tern_lines_layer lines_layer;

static int32_t smaller(int32_t a, int32_t b) {
    return a < b ? a : b;
}

/* From the first input of a line of outputs to behind the last; 0 for lines that are out of the question. */
static int32_t span(const axis *of) {
    const int64_t needed =
        (int64_t)(of->output - 1) * of->stride + (int64_t)(of->kernel - 1) * of->dilation + 1;
    return needed > INT32_MAX / 8 || of->stride > INT32_MAX / 32 ? 0 : (int32_t)needed;
}

bool tern_lay_out_lines(lines_layer *layer, const lines_params *params) {
    const tern_window *window = &params->window;
    const int32_t channels = params->input.channels;
    const axis vertical = {params->input.height,           params->output.height,          window->height,
                           window->stride_height,          window->dilation_height,        window->pad_top,
                           channels * params->input.width, channels * params->output.width};
    const axis horizontal = {
        params->input.width,    params->output.width, window->width, window->stride_width,
        window->dilation_width, window->pad_left,     channels,      channels};
    layer->params = params;
    layer->across = params->along_height ? horizontal : vertical;
    layer->along = params->along_height ? vertical : horizontal;
    const axis *across = &layer->across, *along = &layer->along;
    const int32_t needed = span(along);
    if (needed == 0 || span(across) == 0)
        return false;
    layer->band = across->dilation > 1 ? 1 : smaller(params->band, across->output);
    layer->padding = smaller(along->pad, needed);
    layer->inside = smaller(along->size, needed - layer->padding);
    layer->line = layer->padding + layer->inside;
    if (layer->line < needed - layer->padding)
        layer->line = needed - layer->padding;
    layer->line = (layer->line + 1) & ~1;
    layer->lines = (layer->band - 1) * across->stride + across->kernel;
    layer->weight_words = across->kernel * tern_line_words(along->kernel);
    if (layer->lines > INT32_MAX / 64 / layer->line || layer->weight_words > INT32_MAX / 64)
        return false;
    /* what groups of outputs read behind the last line, at most */
    const int32_t behind = (TERN_LINE_OUTPUTS - 1) * along->stride + 3 + needed - layer->line;
    layer->channel = layer->lines * layer->line + ((behind + 1) & ~1);
    return true;
}

int32_t tern_lines_bytes(const lines_layer *layer) {
    return layer->weight_words * (int32_t)sizeof(uint32_t) +
           TERN_LINE_CHANNELS * layer->channel * (int32_t)sizeof(int16_t);
}

TERN_SMALL int32_t tern_depthwise_conv2d_lines_scratch_bytes(const lines_params *params) {
    lines_layer layer;
    if (!tern_lay_out_lines(&layer, params))
        return 0;
    return tern_lines_bytes(&layer);
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
        (params->band > 0 && tern_depthwise_conv2d_lines_scratch_bytes(params) == 0))
        return TERN_ERROR_SHAPE;
    if (!tern_are_quantized(params->input_zero_point, params->zero_point, params->minimum, params->maximum) ||
        params->band < 1)
        return TERN_ERROR_PARAMETER;
    if (!tern_are_fast_scales(params->multiplier, params->shift, params->output.channels))
        return TERN_ERROR_PARAMETER;
    return TERN_OK;
}

/* Whole words. */
static void fill(int16_t *to, int32_t value, int32_t count) {
    const uint32_t half = (uint16_t)tern_line_input((int8_t)value);
    tern_word *word = (tern_word *)(void *)to, *const end = word + count / 2;
    while (word != end)
        *word++ = half | half << 16;
}

/* The input's line `at`, or padding, to the line `to` of each of `channels` channels. */
static void copy_line(const lines_layer *layer, const int8_t *input, int32_t at, int16_t *to,
                      int32_t channels) {
    const axis *across = &layer->across;
    const int32_t channel = layer->channel, count = layer->inside;
    const int32_t step = layer->along.step;
    if (at < 0 || at >= across->size) {
        /* with a single band it is there from the beginning */
        for (int32_t i = 0; i < channels && layer->band < across->output; i++)
            fill(to + i * channel, layer->params->input_zero_point, layer->line);
        return;
    }
    const int8_t *from = input + at * across->step;
    to += layer->padding;
    if (channels == TERN_LINE_CHANNELS) {
        tern_copy_four_lines(to, channel, from, step, count);
        return;
    }
    for (int32_t i = 0; i < channels; i++) {
        for (int32_t x = 0; x < count; x++)
            to[x] = tern_line_input(from[i + x * step]);
        to += channel;
    }
}

/* Any strides, dilations and clamp. */
static void write_any_lines(const lines_layer *layer, const int16_t *inputs, int32_t channel, int32_t count,
                            int8_t *output) {
    const lines_params *params = layer->params;
    const axis *along = &layer->along, *across = &layer->across;
    const int32_t line = layer->line;
    const tern_scaling by = tern_scaling_of(params->multiplier[channel], params->shift[channel],
                                            params->zero_point, params->minimum, params->maximum);
    for (int32_t i = 0; i < count; i++) {
        for (int32_t j = 0; j < along->output; j++) {
            const int8_t *weight = params->weights + channel * across->kernel * along->kernel;
            uint32_t sum = 0;
            for (int32_t y = 0; y < across->kernel; y++) {
                const int16_t *x = inputs + (i * across->stride + y) * line + j * along->stride;
                for (int32_t tap = 0; tap < along->kernel; tap++)
                    sum += (uint32_t)(*weight++ * (x[tap * along->dilation] - TERN_LINE_INPUT_OFFSET));
            }
            output[i * across->output_step + j * along->output_step] =
                tern_scale_doubled(&by, (int32_t)((uint32_t)params->bias[channel] + 2 * sum));
        }
    }
}

/* Whether the lines of a channel are as tern_write_depthwise_band wants them. */
static bool is_plain(const lines_layer *layer, int32_t channel) {
    const lines_params *params = layer->params;
    return layer->along.stride <= 2 && (layer->along.dilation == 1 || layer->along.kernel == 1) &&
           layer->across.kernel <= TERN_LINE_MAXIMUM_LINES && params->minimum == INT8_MIN &&
           params->maximum == INT8_MAX &&
           tern_scaling_shift(params->shift[channel]) <= TERN_LINE_MAXIMUM_SHIFT;
}

/* `count` lines of outputs of one channel. */
static void write_lines(const lines_layer *layer, const int16_t *inputs, int32_t channel, int32_t count,
                        int8_t *output) {
    const lines_params *params = layer->params;
    const axis *along = &layer->along, *across = &layer->across;
    if (!is_plain(layer, channel)) {
        write_any_lines(layer, inputs, channel, count, output);
        return;
    }
    const uint32_t offset =
        tern_expand_line_weights(layer->weights, params->weights + channel * across->kernel * along->kernel,
                                 across->kernel, along->kernel);
    const int32_t line_bytes = layer->line * (int32_t)sizeof *inputs;
    const int32_t groups = (along->output + TERN_LINE_OUTPUTS - 1) / TERN_LINE_OUTPUTS;
    tern_depthwise_band band;
    band.inputs = inputs;
    band.output = output;
    band.multiplier = params->multiplier[channel];
    band.shift = tern_scaling_shift(params->shift[channel]);
    band.offset = tern_scaling_offset(params->zero_point);
    band.output_step = along->output_step;
    band.left = along->output;
    band.weights = layer->weights;
    band.lines = across->kernel;
    band.bias = (uint32_t)params->bias[channel] - offset;
    band.groups = tern_line_groups(along->kernel);
    band.line_bytes = line_bytes;
    band.stride = along->stride;
    band.output_lines = count;
    band.next_inputs =
        across->stride * line_bytes - groups * TERN_LINE_OUTPUTS * along->stride * (int32_t)sizeof *inputs;
    band.next_output = across->output_step - along->output * along->output_step;
    band.outputs = along->output;
    tern_write_depthwise_band(&band);
}

/* The lines that the next band takes too, from the end of the scratch's to their beginning. */
static void move_lines(const lines_layer *layer, int32_t kept, int32_t channels) {
    const int32_t line = layer->line, lines = layer->lines;
    for (int32_t i = 0; i < channels; i++) {
        int16_t *to = layer->inputs + i * layer->channel;
        const uint32_t *from = (const uint32_t *)(const void *)(to + (lines - kept) * line);
        for (int32_t left = kept * line / 2; left > 0; left--) {
            __builtin_memcpy(to, from++, sizeof *from);
            to += 2;
        }
    }
}

void tern_start_lines(lines_layer *layer, uint32_t *scratch) {
    layer->weights = scratch;
    layer->inputs = (int16_t *)(void *)(scratch + layer->weight_words);
    fill(layer->inputs, layer->params->input_zero_point, TERN_LINE_CHANNELS * layer->channel);
}

/* Each line of the input is copied once where the window is not dilated. */
void tern_write_line_channels(const lines_layer *layer, const int8_t *input, int8_t *output,
                              int32_t channels) {
    const axis *across = &layer->across;
    const int32_t band = layer->band;
    const int32_t shared = across->dilation == 1 ? across->kernel - across->stride : 0;
    int32_t kept = 0;
    for (int32_t i = 0; i < across->output; i += band) {
        const int32_t left = across->output - i, count = left < band ? left : band;
        const int32_t top = i * across->stride - across->pad;
        int16_t *to = layer->inputs + kept * layer->line;
        for (int32_t j = kept; j < (count - 1) * across->stride + across->kernel; j++) {
            copy_line(layer, input, top + j * across->dilation, to, channels);
            to += layer->line;
        }
        for (int32_t j = 0; j < channels; j++)
            write_lines(layer, layer->inputs + j * layer->channel, j, count,
                        output + j + i * across->output_step);
        if (shared > 0 && left > band) {
            kept = shared;
            move_lines(layer, kept, channels);
        }
    }
}

TERN_SMALL tern_status tern_depthwise_conv2d_lines(const lines_params *params, const int8_t *input,
                                                   int8_t *output, void *scratch) {
    const tern_status status = check(params, input, output, scratch);
    if (status != TERN_OK)
        return status;
    lines_params four = *params;
    lines_layer layer;
    if (!tern_lay_out_lines(&layer, &four))
        return TERN_ERROR_SHAPE;
    tern_start_lines(&layer, scratch);
    const int32_t taps = params->window.height * params->window.width;
    for (int32_t left = params->input.channels; left > 0; left -= TERN_LINE_CHANNELS) {
        tern_write_line_channels(&layer, input, output,
                                 left < TERN_LINE_CHANNELS ? left : TERN_LINE_CHANNELS);
        input += TERN_LINE_CHANNELS;
        output += TERN_LINE_CHANNELS;
        four.weights += TERN_LINE_CHANNELS * taps;
        four.bias += TERN_LINE_CHANNELS;
        four.multiplier += TERN_LINE_CHANNELS;
        four.shift += TERN_LINE_CHANNELS;
    }
    return TERN_OK;
}
