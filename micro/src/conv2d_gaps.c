#include "conv2d_gaps.h"
#include "scaling.h"

/* A block of output positions at a time. What they see is copied to rows, one a weight; then an output channel is the
 * sum of the rows where its weight is `plus`, times `plus`, and likewise for `minus`: many pixels for each weight that
 * is not zero, no multiplication, no branch, and weights straight from flash. */

enum { BLOCK = TERN_GAP_PIXELS, IN_WORD = TERN_GAP_PIXELS_IN_WORD };
enum { ROW_BYTES = TERN_GAP_ROW_BYTES };

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
    return row_count(params) * ROW_BYTES + padded_channels(params);
}

static tern_status check(const tern_conv2d_gaps_params *params, const int8_t *input, const int8_t *output,
                         const void *scratch) {
    if (params == NULL || input == NULL || output == NULL || scratch == NULL)
        return TERN_ERROR_NULL;
    const tern_gap_weights *weights = &params->weights;
    if (weights->gaps == NULL || weights->channels == NULL || params->bias == NULL ||
        params->multiplier == NULL)
        return TERN_ERROR_NULL;
    if ((uintptr_t)scratch % sizeof(uint32_t) != 0)
        return TERN_ERROR_ALIGNMENT;
    const tern_status status = tern_check_window(&params->window, params->input, params->output);
    if (status != TERN_OK)
        return status;
    if (weights_in_row(params) == 0 || weights_in_row(params) > TERN_GAP_MOST_WEIGHTS)
        return TERN_ERROR_SHAPE;
    if (!tern_are_quantized(params->input_zero_point, params->zero_point, params->minimum, params->maximum))
        return TERN_ERROR_PARAMETER;
    for (int32_t i = 0; i < params->output.channels; i++) {
        if (params->multiplier[i] < 0 || tern_gap_exponent(weights->channels + 2 * i) > 30)
            return TERN_ERROR_PARAMETER;
    }
    return TERN_OK;
}

/* ---- from the input to rows ---- */

/* Output positions from `first` on, as many as a word of a row has; those beyond the last repeat it. */
static void write_positions(const tern_conv2d_gaps_params *params, const int8_t *input, int32_t first,
                            const uint8_t *padding, tern_row_writer rows) {
    const tern_window *window = &params->window;
    const int32_t channels = params->input.channels, width = params->output.width;
    const int32_t last = params->output.height * width - 1, line = params->input.width * channels;
    /* groups of rows are whole words of channels: TERN_GAP_GROUP is a multiple of 4 */
    const bool by_words = channels % 4 == 0 && (uintptr_t)input % sizeof(uint32_t) == 0;
    const int32_t reach_y = (window->height - 1) * window->dilation_height;
    const int32_t reach_x = (window->width - 1) * window->dilation_width;
    int32_t top[IN_WORD], left[IN_WORD];
    bool inside = true;
    for (int32_t i = 0; i < IN_WORD; i++) {
        const int32_t position = first + i < last ? first + i : last;
        top[i] = position / width * window->stride_height - window->pad_top;
        left[i] = position % width * window->stride_width - window->pad_left;
        inside = inside && top[i] >= 0 && top[i] + reach_y < params->input.height && left[i] >= 0 &&
                 left[i] + reach_x < params->input.width;
    }
    /* without dilation the taps of a line lie one behind the other */
    const bool joined = inside && window->dilation_width == 1;
    const int32_t runs = joined ? 1 : window->width, length = joined ? window->width * channels : channels;
    for (int32_t ky = 0; ky < window->height; ky++) {
        const int32_t dy = ky * window->dilation_height;
        const uint8_t *lines[IN_WORD];
        uint32_t widths[IN_WORD]; /* 0 for a line beside the input */
        for (int32_t i = 0; i < IN_WORD; i++) {
            const int32_t y = top[i] + dy;
            const bool is_line = (uint32_t)y < (uint32_t)params->input.height;
            lines[i] = is_line ? (const uint8_t *)input + y * line : padding;
            widths[i] = is_line ? (uint32_t)params->input.width : 0;
        }
        for (int32_t kx = 0; kx < runs; kx++) {
            const uint8_t *from[IN_WORD];
            for (int32_t i = 0; i < IN_WORD; i++) {
                const int32_t x = left[i] + kx * window->dilation_width;
                from[i] = (uint32_t)x < widths[i] ? lines[i] + x * channels : padding;
            }
            if (by_words)
                tern_write_row_words(&rows, from, length / 4);
            else
                tern_write_row_bytes(&rows, from, length);
        }
    }
}

/* ---- from rows to outputs ---- */

/* Adds a stream of any length to accumulators, in parts that sums of 16 bits hold. */
static void add_stream(uint32_t accumulators[BLOCK], const uint32_t *gaps, int32_t steps, const uint8_t *row,
                       int32_t level) {
    while (steps > 0) {
        /* whole words remain behind any part but the last */
        const int32_t part = steps > TERN_GAP_MAXIMUM_STEPS ? TERN_GAP_MAXIMUM_STEPS - (-steps & 7) : steps;
        uint32_t sums[BLOCK / 2];
        row = tern_add_gap_rows(sums, gaps, part, row);
        for (int32_t i = 0; i < BLOCK / 2; i++) {
            accumulators[2 * i] += (uint32_t)(tern_low(sums[i]) * level);
            accumulators[2 * i + 1] += (uint32_t)(tern_high(sums[i]) * level);
        }
        gaps += tern_gap_words(part);
        steps -= part;
    }
}

/* One channel of any block: with long streams, with outputs that are clamped, or with fewer positions. Returns the
 * gaps of the next channel. */
static const uint32_t *write_any_channel(const tern_gap_block *block, const uint32_t *gaps, int32_t number,
                                         const tern_conv2d_gaps_params *params, int32_t positions) {
    const uint32_t *channel = block->channels + 2 * number;
    uint32_t accumulators[BLOCK]; /* as sums wrap, so do these */
    for (int32_t i = 0; i < BLOCK; i++)
        accumulators[i] = (uint32_t)block->bias[number];
    for (int32_t i = 0; i < 2; i++) {
        const int32_t steps = tern_gap_steps(channel, i);
        add_stream(accumulators, gaps, steps, block->rows, tern_gap_level(channel, i));
        gaps += tern_gap_words(steps);
    }
    const tern_scaling by = {block->multiplier[number], tern_gap_exponent(channel), block->offset,
                             params->minimum, params->maximum};
    int8_t *output = block->output + number;
    for (int32_t i = 0; i < positions; i++) {
        *output = tern_scale_doubled(&by, (int32_t)accumulators[i]);
        output += block->stride;
    }
    return gaps;
}

/* Whether all channels are as tern_write_gap_block wants them. */
static bool are_plain(const tern_conv2d_gaps_params *params, int32_t channels) {
    for (int32_t i = 0; i < channels; i++) {
        const uint32_t *channel = params->weights.channels + 2 * i;
        if (tern_gap_steps(channel, 0) > TERN_GAP_MAXIMUM_STEPS ||
            tern_gap_steps(channel, 1) > TERN_GAP_MAXIMUM_STEPS ||
            tern_gap_exponent(channel) > TERN_GAP_MAXIMUM_EXPONENT)
            return false;
    }
    return params->minimum == INT8_MIN && params->maximum == INT8_MAX;
}

TERN_SMALL void tern_conv2d_gap_channels(const tern_conv2d_gaps_params *params, const int8_t *input,
                                         int8_t *output, int32_t channels, void *scratch) {
    const int32_t count = params->output.height * params->output.width;
    const int32_t rows_bytes = row_count(params) * ROW_BYTES;
    uint8_t *const rows = scratch, *const padding = rows + rows_bytes;
    for (int32_t i = 0; i < padded_channels(params); i++)
        padding[i] = (uint8_t)params->input_zero_point;
    tern_word *zeros = (tern_word *)(void *)rows + TERN_GAP_GROUP * TERN_GAP_ROW_WORDS;
    for (int32_t i = row_count(params) / (TERN_GAP_GROUP + 1); i > 0; i--) {
        for (int32_t j = 0; j < TERN_GAP_ROW_WORDS; j++)
            zeros[j] = TERN_GAP_BIAS << 16 | TERN_GAP_BIAS;
        zeros += (TERN_GAP_GROUP + 1) * TERN_GAP_ROW_WORDS;
    }

    tern_gap_block block;
    block.rows = rows;
    block.channels = params->weights.channels;
    block.bias = params->bias;
    block.multiplier = params->multiplier;
    block.offset = tern_scaling_offset(params->zero_point);
    block.stride = params->output.channels;
    block.count = channels;
    block.gaps = params->weights.gaps;
    const bool plain = count >= BLOCK && are_plain(params, channels);
    for (int32_t done = 0; done < count; done += BLOCK) {
        /* the last block may do some positions again */
        const int32_t first = count - done < BLOCK && count >= BLOCK ? count - BLOCK : done;
        for (int32_t i = 0; i < TERN_GAP_ROW_WORDS; i++) {
            const tern_row_writer writer = {(tern_word *)(void *)rows + i, TERN_GAP_GROUP};
            write_positions(params, input, first + i * IN_WORD, padding, writer);
        }
        block.output = output + first * block.stride;
        if (plain) {
            tern_write_gap_block(&block);
            continue;
        }
        const uint32_t *gaps = block.gaps;
        for (int32_t channel = 0; channel < channels; channel++)
            gaps = write_any_channel(&block, gaps, channel, params, count < BLOCK ? count : BLOCK);
    }
}

TERN_SMALL tern_status tern_conv2d_gaps(const tern_conv2d_gaps_params *params, const int8_t *input,
                                        int8_t *output, void *scratch) {
    const tern_status status = check(params, input, output, scratch);
    if (status == TERN_OK)
        tern_conv2d_gap_channels(params, input, output, params->output.channels, scratch);
    return status;
}
