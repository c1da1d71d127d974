#include "depthwise_conv2d_lines.h"
#include "depthwise_lines.h"
#include "scaling.h"

/* Weights of 1.6 bits or 1 bit in flash: those of four channels become int8 in scratch, then the kernel for lines does
 * these channels. */

typedef tern_depthwise_conv2d_params packed_params;

/* Codes of up to four channels at one place of the window: 0 for `minus`, 1 for zero, 2 for `plus`. */
typedef void unpack(uint8_t codes[TERN_LINE_CHANNELS], tern_rows rows, int32_t row, int32_t first,
                    int32_t channels);

/* What a division by a constant would be, without the library's on cores that have none. */
static inline uint32_t third(uint32_t byte) {
    return byte * 171 >> 9;
}

static void unpack_base3(uint8_t codes[TERN_LINE_CHANNELS], tern_rows rows, int32_t row, int32_t first,
                         int32_t channels) {
    const uint32_t at = (uint32_t)(row * rows.length + first);
    const uint8_t *byte = rows.data + at / TERN_BASE3_DIGITS;
    uint32_t digit = at % TERN_BASE3_DIGITS, digits = *byte;
    for (uint32_t i = 0; i < digit; i++)
        digits = third(digits);
    for (int32_t i = 0; i < channels; i++) {
        if (digit++ == TERN_BASE3_DIGITS) {
            digit = 1;
            digits = *++byte;
        }
        const uint32_t rest = third(digits);
        codes[i] = (uint8_t)(digits - 3 * rest);
        digits = rest;
    }
}

static void unpack_binary(uint8_t codes[TERN_LINE_CHANNELS], tern_rows rows, int32_t row, int32_t first,
                          int32_t channels) {
    const uint8_t *bytes = rows.data + row * tern_row_bytes(rows.length, 1);
    for (int32_t i = 0; i < channels; i++)
        codes[i] = (uint8_t)((bytes[(first + i) >> 3] >> ((first + i) & 7) & 1) << 1);
}

/* What is in scratch before the lines. */
typedef struct {
    int32_t bias[TERN_LINE_CHANNELS];
    int8_t weights[]; /* of four channels, a channel after the other, in whole words */
} four_channels;

static int32_t taps_of(const packed_params *params) {
    return params->window.height * params->window.width;
}

static int32_t four_bytes(const packed_params *params) {
    return (int32_t)sizeof(four_channels) + TERN_LINE_CHANNELS * taps_of(params);
}

/* Lines of outputs are whole groups at the end: those that compute less in vain. */
static int32_t padded(int32_t outputs) {
    return (outputs + TERN_LINE_OUTPUTS - 1) / TERN_LINE_OUTPUTS * TERN_LINE_OUTPUTS;
}

/* What a band of several lines of outputs may take. */
enum { BAND_BYTES = 2048 };

static bool lay_out(tern_lines_layer *layer, tern_depthwise_conv2d_lines_params *lines,
                    const packed_params *params) {
    const tern_requantization *by = &params->requantization;
    const tern_shape *output = &params->output;
    lines->input = params->input;
    lines->output = *output;
    lines->window = params->window;
    lines->input_zero_point = params->input_zero_point;
    lines->along_height =
        (int64_t)padded(output->height) * output->width < (int64_t)padded(output->width) * output->height;
    lines->band = 1;
    lines->multiplier = by->multiplier;
    lines->shift = by->shift;
    lines->zero_point = by->zero_point;
    lines->minimum = by->minimum;
    lines->maximum = by->maximum;
    if (!tern_lay_out_lines(layer, lines))
        return false;
    const int64_t more = (int64_t)TERN_LINE_CHANNELS * layer->across.stride * layer->line * 2;
    const int32_t left = BAND_BYTES - tern_lines_bytes(layer);
    if (left >= more)
        lines->band += (int32_t)(left / (int32_t)more);
    return tern_lay_out_lines(layer, lines);
}

static int32_t scratch_bytes(const packed_params *params) {
    tern_lines_layer layer;
    tern_depthwise_conv2d_lines_params lines;
    return lay_out(&layer, &lines, params) ? four_bytes(params) + tern_lines_bytes(&layer) : 0;
}

int32_t tern_depthwise_conv2d_base3_lines_scratch_bytes(const packed_params *params) {
    return scratch_bytes(params);
}

int32_t tern_depthwise_conv2d_binary_lines_scratch_bytes(const packed_params *params) {
    return scratch_bytes(params);
}

static tern_status check(const packed_params *params, const int8_t *input, const int8_t *output,
                         const void *scratch) {
    if (params == NULL || input == NULL || output == NULL || scratch == NULL)
        return TERN_ERROR_NULL;
    if ((uintptr_t)scratch % sizeof(uint32_t) != 0)
        return TERN_ERROR_ALIGNMENT;
    const tern_window *window = &params->window;
    const int32_t channels = params->input.channels;
    tern_status status = tern_check_window(window, params->input, params->output);
    if (status != TERN_OK)
        return status;
    status = tern_check_weights(&params->weights, TERN_LEVELS, tern_size(window->height, window->width, 1),
                                channels);
    if (status != TERN_OK)
        return status;
    status = tern_check_requantization(&params->requantization, channels);
    if (status != TERN_OK)
        return status;
    if (params->output.channels != channels || scratch_bytes(params) == 0)
        return TERN_ERROR_SHAPE;
    if (!tern_is_int8(params->input_zero_point) || params->weights.residual_planes != 0)
        return TERN_ERROR_PARAMETER;
    for (int32_t i = 0; i < channels; i++) {
        if (!tern_is_fast_scale(params->requantization.multiplier[i], params->requantization.shift[i]))
            return TERN_ERROR_PARAMETER;
    }
    return TERN_OK;
}

/* The weights and biases of the channels from `first` on. */
static void expand(const packed_params *params, unpack *unpack_codes, bool along_height, int32_t first,
                   int32_t channels, four_channels *to) {
    const tern_rows rows = {params->weights.data, params->input.channels};
    const int32_t height = params->window.height, width = params->window.width;
    int32_t sums[TERN_LINE_CHANNELS] = {0};
    for (int32_t row = 0, y = 0; y < height; y++) {
        for (int32_t x = 0; x < width; x++, row++) {
            uint8_t codes[TERN_LINE_CHANNELS];
            unpack_codes(codes, rows, row, first, channels);
            int8_t *weight = to->weights + (along_height ? x * height + y : row);
            for (int32_t i = 0; i < channels; i++) {
                *weight = codes[i] == 1  ? 0
                          : codes[i] > 1 ? params->weights.plus[first + i]
                                         : params->weights.minus[first + i];
                sums[i] += *weight;
                weight += height * width;
            }
        }
    }
    const int32_t *bias = params->requantization.bias;
    for (int32_t i = 0; i < channels; i++) {
        const uint32_t given = bias == NULL ? 0 : (uint32_t)bias[first + i];
        to->bias[i] = (int32_t)(2 * (given - (uint32_t)params->input_zero_point * (uint32_t)sums[i]));
    }
}

static tern_status convolve(const packed_params *params, unpack *unpack_codes, const int8_t *input,
                            int8_t *output, void *scratch) {
    const tern_status status = check(params, input, output, scratch);
    if (status != TERN_OK)
        return status;
    tern_lines_layer layer;
    tern_depthwise_conv2d_lines_params lines;
    (void)lay_out(&layer, &lines, params);
    four_channels *const four = scratch;
    lines.weights = four->weights;
    lines.bias = four->bias;
    tern_start_lines(&layer, (uint32_t *)scratch + four_bytes(params) / (int32_t)sizeof(uint32_t));
    for (int32_t first = 0; first < params->input.channels; first += TERN_LINE_CHANNELS) {
        const int32_t left = params->input.channels - first;
        const int32_t channels = left < TERN_LINE_CHANNELS ? left : TERN_LINE_CHANNELS;
        expand(params, unpack_codes, lines.along_height != 0, first, channels, four);
        tern_write_line_channels(&layer, input + first, output + first, channels);
        lines.multiplier += TERN_LINE_CHANNELS;
        lines.shift += TERN_LINE_CHANNELS;
    }
    return TERN_OK;
}

tern_status tern_depthwise_conv2d_base3_lines(const packed_params *params, const int8_t *input,
                                              int8_t *output, void *scratch) {
    return convolve(params, unpack_base3, input, output, scratch);
}

tern_status tern_depthwise_conv2d_binary_lines(const packed_params *params, const int8_t *input,
                                               int8_t *output, void *scratch) {
    return convolve(params, unpack_binary, input, output, scratch);
}
