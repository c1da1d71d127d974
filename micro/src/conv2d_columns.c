#include "columns.h"
#include "scaling.h"
#include "window_copy.h"

/* Four output positions at a time. What they see is copied to columns, as bytes first and then in the form that the
 * core multiplies; then an output channel is the product of its weights with the four columns. */

enum { BLOCK = TERN_COLUMN_PIXELS };

static int32_t weights_in_row(const tern_conv2d_columns_params *params) {
    return tern_size(params->window.height, params->window.width, params->input.channels);
}

static int32_t words_in_row(const tern_conv2d_columns_params *params) {
    return (weights_in_row(params) + 3) / 4;
}

/* The columns, and behind them the bytes of one and what its copy may write beyond: as many on every core. */
int32_t tern_conv2d_columns_scratch_bytes(const tern_conv2d_columns_params *params) {
    return words_in_row(params) * 4 * (BLOCK * 2 + 1) + 4;
}

static tern_status check(const tern_conv2d_columns_params *params, const int8_t *input, const int8_t *output,
                         const void *scratch) {
    if (params == NULL || input == NULL || output == NULL || scratch == NULL || params->weights == NULL ||
        params->bias == NULL || params->multiplier == NULL || params->shift == NULL)
        return TERN_ERROR_NULL;
    if ((uintptr_t)scratch % sizeof(uint32_t) != 0)
        return TERN_ERROR_ALIGNMENT;
    const tern_status status = tern_check_window(&params->window, params->input, params->output);
    if (status != TERN_OK)
        return status;
    if (weights_in_row(params) == 0 || weights_in_row(params) > INT32_MAX / 64)
        return TERN_ERROR_SHAPE;
    if (!tern_are_quantized(params->input_zero_point, params->zero_point, params->minimum, params->maximum))
        return TERN_ERROR_PARAMETER;
    if (!tern_are_fast_scales(params->multiplier, params->shift, params->output.channels))
        return TERN_ERROR_PARAMETER;
    return TERN_OK;
}

/* Any block: with outputs that are clamped, or with fewer positions. */
static void write_any_block(const tern_column_block *block, const tern_conv2d_columns_params *params,
                            int32_t positions) {
    const uint32_t *weights = block->weights;
    for (int32_t channel = 0; channel < block->count; channel++) {
        int32_t sums[BLOCK];
        tern_dot_columns(sums, block->columns, weights, block->words);
        const tern_scaling by = tern_scaling_of(params->multiplier[channel], params->shift[channel],
                                                params->zero_point, params->minimum, params->maximum);
        for (int32_t i = 0; i < positions; i++) {
            const uint32_t sum = (uint32_t)params->bias[channel] + 2 * (uint32_t)sums[i];
            block->output[channel + i * block->stride] = tern_scale_doubled(&by, (int32_t)sum);
        }
        weights += block->words;
    }
}

/* Whether all channels are as tern_write_column_block wants them. */
static bool are_plain(const tern_conv2d_columns_params *params) {
    for (int32_t i = 0; i < params->output.channels; i++) {
        if (params->shift[i] < TERN_COLUMN_MINIMUM_SHIFT)
            return false;
    }
    return params->minimum == INT8_MIN && params->maximum == INT8_MAX;
}

TERN_SMALL tern_status tern_conv2d_columns(const tern_conv2d_columns_params *params, const int8_t *input,
                                           int8_t *output, void *scratch) {
    const tern_status status = check(params, input, output, scratch);
    if (status != TERN_OK)
        return status;
    const int32_t channels = params->output.channels, width = params->output.width;
    const int32_t words = words_in_row(params), count = params->output.height * width;
    tern_word *const columns = scratch;
    uint32_t *const bytes = (uint32_t *)scratch + words * BLOCK * TERN_COLUMN_WORDS;
    bytes[words - 1] = 0; /* the rest of the last word, whose weights are 0 */
    tern_column_block block;
    block.columns = columns;
    block.weights = params->weights;
    block.bias = params->bias;
    block.multiplier = params->multiplier;
    block.shift = params->shift;
    block.offset = tern_scaling_offset(params->zero_point);
    block.stride = channels;
    block.count = channels;
    block.words = words;
    const bool plain = count >= BLOCK && are_plain(params);
    for (int32_t done = 0; done < count; done += BLOCK) {
        /* the last block may do some positions again */
        const int32_t first = count - done < BLOCK && count >= BLOCK ? count - BLOCK : done;
        const int32_t positions = count < BLOCK ? count : BLOCK;
        int32_t y = first / width, x = first - y * width;
        for (int32_t i = 0; i < positions; i++) {
            tern_copy_window(&params->window, &params->input, (const uint8_t *)input,
                             (uint8_t)params->input_zero_point, y, x, (uint8_t *)bytes);
            tern_write_column(columns, i, bytes, words);
            if (++x == width) {
                x = 0;
                y++;
            }
        }
        block.output = output + first * channels;
        if (plain)
            tern_write_column_block(&block);
        else
            write_any_block(&block, params, positions);
    }
    return TERN_OK;
}
