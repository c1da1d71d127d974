#include "gap_rows.h"
#include "scaling.h"

/* Sixteen output positions at a time. What they see is copied to rows, one a weight, a byte a position; then an output
 * channel is the sum of the rows where its weight is `plus`, times `plus`, and likewise for `minus`: many pixels for
 * each weight that is not zero, no multiplication, no branch, and weights straight from flash. */

enum { BLOCK = TERN_GAP_PIXELS, QUADS = BLOCK / 4, ROW_WORDS = BLOCK / 4 };

static int32_t weights_in_row(const tern_conv2d_gaps_params *params) {
    return tern_size(params->window.height, params->window.width, params->input.channels);
}

/* Rows, those of zeros included, in whole groups. */
static int32_t row_count(const tern_conv2d_gaps_params *params) {
    return (weights_in_row(params) + TERN_GAP_GROUP - 1) / TERN_GAP_GROUP * (TERN_GAP_GROUP + 1);
}

static int32_t padded_channels(const tern_conv2d_gaps_params *params) {
    return (params->input.channels + 3) / 4 * 4;
}

int32_t tern_conv2d_gaps_scratch_bytes(const tern_conv2d_gaps_params *params) {
    return row_count(params) * BLOCK + padded_channels(params);
}

static tern_status check(const tern_conv2d_gaps_params *params, const int8_t *input, const int8_t *output,
                         const void *scratch) {
    if (params == NULL || input == NULL || output == NULL || scratch == NULL)
        return TERN_ERROR_NULL;
    const tern_gap_weights *weights = &params->weights;
    if (weights->gaps == NULL || weights->steps == NULL || weights->plus == NULL || weights->minus == NULL ||
        params->bias == NULL || params->multiplier == NULL || params->shift == NULL)
        return TERN_ERROR_NULL;
    if ((uintptr_t)scratch % sizeof(uint32_t) != 0)
        return TERN_ERROR_ALIGNMENT;
    const tern_status status = tern_check_window(&params->window, params->input, params->output);
    if (status != TERN_OK)
        return status;
    if (weights_in_row(params) == 0 || weights_in_row(params) > INT32_MAX / (2 * BLOCK))
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

/* ---- from the input to rows ---- */

/* Where the rows of four positions are written: one after the other, but over those of zeros. */
typedef struct {
    tern_word *to;
    int32_t left_in_group;
} row_writer;

static inline void skip_zeros(row_writer *rows) {
    if (rows->left_in_group == 0) {
        rows->to += ROW_WORDS;
        rows->left_in_group = TERN_GAP_GROUP;
    }
}

/* Four channels of four positions: a word a position becomes a word a channel. */
static inline void write_four_rows(row_writer *rows, const uint8_t *const from[4], int32_t channel) {
    const uint32_t a = *(const tern_word *)(const void *)(from[0] + channel) ^ TERN_ROW_BIAS;
    const uint32_t b = *(const tern_word *)(const void *)(from[1] + channel) ^ TERN_ROW_BIAS;
    const uint32_t c = *(const tern_word *)(const void *)(from[2] + channel) ^ TERN_ROW_BIAS;
    const uint32_t d = *(const tern_word *)(const void *)(from[3] + channel) ^ TERN_ROW_BIAS;
    const uint32_t ab_even = tern_even_bytes(a) | tern_even_bytes(b) << 8;
    const uint32_t ab_odd = tern_odd_bytes(a) | tern_odd_bytes(b) << 8;
    const uint32_t cd_even = tern_even_bytes(c) | tern_even_bytes(d) << 8;
    const uint32_t cd_odd = tern_odd_bytes(c) | tern_odd_bytes(d) << 8;
    rows->to[0] = (ab_even & 0xffff) | cd_even << 16;
    rows->to[ROW_WORDS] = (ab_odd & 0xffff) | cd_odd << 16;
    rows->to[2 * ROW_WORDS] = ab_even >> 16 | (cd_even & 0xffff0000u);
    rows->to[3 * ROW_WORDS] = ab_odd >> 16 | (cd_odd & 0xffff0000u);
    rows->to += 4 * ROW_WORDS;
    rows->left_in_group -= 4;
}

static inline void write_row(row_writer *rows, const uint8_t *const from[4], int32_t channel) {
    const uint32_t word = (uint32_t)from[0][channel] | (uint32_t)from[1][channel] << 8 |
                          (uint32_t)from[2][channel] << 16 | (uint32_t)from[3][channel] << 24;
    *rows->to = word ^ TERN_ROW_BIAS;
    rows->to += ROW_WORDS;
    rows->left_in_group--;
}

/* Output positions `first` to `first` + 3, of which those beyond the last repeat it. */
static void write_quad(const tern_conv2d_gaps_params *params, const int8_t *input, int32_t first,
                       const uint8_t *padding, row_writer rows) {
    const tern_window *window = &params->window;
    const int32_t channels = params->input.channels, width = params->output.width;
    const int32_t last = params->output.height * width - 1;
    /* groups of rows are whole words of channels: TERN_GAP_GROUP is a multiple of 4 */
    const bool by_words = channels % 4 == 0 && (uintptr_t)input % sizeof(uint32_t) == 0;
    int32_t top[4], left[4];
    for (int32_t i = 0; i < 4; i++) {
        const int32_t at = first + i < last ? first + i : last;
        top[i] = at / width * window->stride_height - window->pad_top;
        left[i] = at % width * window->stride_width - window->pad_left;
    }
    for (int32_t ky = 0; ky < window->height; ky++) {
        for (int32_t kx = 0; kx < window->width; kx++) {
            const uint8_t *from[4];
            for (int32_t i = 0; i < 4; i++) {
                const int32_t y = top[i] + ky * window->dilation_height,
                              x = left[i] + kx * window->dilation_width;
                const bool inside = y >= 0 && y < params->input.height && x >= 0 && x < params->input.width;
                from[i] =
                    inside ? (const uint8_t *)input + (y * params->input.width + x) * channels : padding;
            }
            if (by_words) {
                for (int32_t channel = 0; channel < channels; channel += 4) {
                    skip_zeros(&rows);
                    write_four_rows(&rows, from, channel);
                }
            } else {
                for (int32_t channel = 0; channel < channels; channel++) {
                    skip_zeros(&rows);
                    write_row(&rows, from, channel);
                }
            }
        }
    }
}

/* ---- from rows to outputs ---- */

/* A channel's sums over its two streams. Of a stream that is too long for one sum of 16 bits the last part is kept, and
 * the others are in `earlier`. */
typedef struct {
    uint32_t minus[8], plus[8];
    int32_t earlier[BLOCK]; /* doubled accumulators, in the order of the halves of the sums */
    bool has_earlier;
} channel_sums;

static void add_stream(channel_sums *sums, uint32_t of_stream[8], const uint32_t *gaps, int32_t steps,
                       const uint8_t *row, int32_t level) {
    if (steps == 0) {
        for (int32_t i = 0; i < 8; i++)
            of_stream[i] = 0;
        return;
    }
    while (steps > TERN_GAP_MAXIMUM_STEPS) {
        if (!sums->has_earlier) {
            sums->has_earlier = true;
            for (int32_t i = 0; i < BLOCK; i++)
                sums->earlier[i] = 0;
        }
        /* whole words remain behind the first part */
        const int32_t part = TERN_GAP_MAXIMUM_STEPS - (-steps & 7);
        row = tern_add_gap_rows(of_stream, gaps, part, row);
        for (int32_t i = 0; i < 8; i++) {
            sums->earlier[2 * i] += tern_low(of_stream[i]) * level;
            sums->earlier[2 * i + 1] += tern_high(of_stream[i]) * level;
        }
        gaps += (part + 7) / 8;
        steps -= part;
    }
    tern_add_gap_rows(of_stream, gaps, steps, row);
}

/* Positions 4i and 4i + 2 are the halves of a sum, 4i + 1 and 4i + 3 those of the next. */
static inline __attribute__((always_inline)) void write_outputs(const tern_conv2d_gaps_params *params,
                                                                int32_t channel, const channel_sums *sums,
                                                                uint32_t levels, bool has_earlier,
                                                                int8_t *output, int32_t count) {
    const int32_t channels = params->output.channels, bias = params->bias[channel];
    const tern_scaling by = tern_scaling_of(params->multiplier[channel], params->shift[channel],
                                            params->zero_point, params->minimum, params->maximum);
    for (int32_t i = 0; i < 8; i += 2) {
        const int32_t *earlier = sums->earlier + 2 * i;
        int8_t quad[4];
        for (int32_t odd = 0; odd < 2; odd++) {
            const uint32_t minus = sums->minus[i + odd], plus = sums->plus[i + odd];
            const int32_t low = has_earlier ? bias + earlier[2 * odd] : bias;
            const int32_t high = has_earlier ? bias + earlier[2 * odd + 1] : bias;
            quad[odd] = tern_scale_doubled(
                &by, tern_low_times_high(plus, levels, tern_low_times_low(minus, levels, low)));
            quad[odd + 2] = tern_scale_doubled(
                &by, tern_high_times_high(plus, levels, tern_high_times_low(minus, levels, high)));
        }
        for (int32_t j = 0; j < 4 && j < count; j++)
            output[j * channels] = quad[j];
        output += 4 * channels;
        count -= 4;
    }
}

tern_status tern_conv2d_gaps(const tern_conv2d_gaps_params *params, const int8_t *input, int8_t *output,
                             void *scratch) {
    const tern_status status = check(params, input, output, scratch);
    if (status != TERN_OK)
        return status;
    const tern_gap_weights *weights = &params->weights;
    const int32_t channels = params->output.channels, count = params->output.height * params->output.width;
    const int32_t rows_bytes = row_count(params) * BLOCK;
    uint8_t *const rows = scratch, *const padding = rows + rows_bytes;
    for (int32_t i = 0; i < padded_channels(params); i++)
        padding[i] = (uint8_t)params->input_zero_point;
    for (int32_t zeros = TERN_GAP_GROUP * BLOCK; zeros < rows_bytes; zeros += (TERN_GAP_GROUP + 1) * BLOCK) {
        for (int32_t i = 0; i < BLOCK; i++)
            rows[zeros + i] = (uint8_t)TERN_ROW_BIAS;
    }

    for (int32_t first = 0; first < count; first += BLOCK) {
        for (int32_t quad = 0; quad < QUADS; quad++) {
            const row_writer writer = {(tern_word *)(void *)rows + quad, TERN_GAP_GROUP};
            write_quad(params, input, first + 4 * quad, padding, writer);
        }
        const uint32_t *gaps = weights->gaps;
        for (int32_t channel = 0; channel < channels; channel++) {
            const uint16_t *steps = weights->steps + 2 * channel;
            const uint32_t levels = (uint16_t)weights->minus[channel] | (uint32_t)weights->plus[channel]
                                                                            << 16;
            int8_t *to = output + first * channels + channel;
            channel_sums sums;
            sums.has_earlier = false;
            add_stream(&sums, sums.minus, gaps, steps[0], rows, weights->minus[channel]);
            gaps += (steps[0] + 7) / 8;
            add_stream(&sums, sums.plus, gaps, steps[1], rows, weights->plus[channel]);
            gaps += (steps[1] + 7) / 8;
            if (sums.has_earlier || count - first < BLOCK)
                write_outputs(params, channel, &sums, levels, sums.has_earlier, to, count - first);
            else
                write_outputs(params, channel, &sums, levels, false, to, BLOCK);
        }
    }
    return TERN_OK;
}
