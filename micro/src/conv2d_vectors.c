#include "scaling.h"
#include "vectors.h"
#include "window_copy.h"

/* Blocks of output positions. Each position is a column: what it sees, in the order of the weights. Then a group of four
 * output channels at a time goes over all columns of the block, with weights that are unpacked once for all of them. */

enum { BYTES = TERN_VECTOR_BYTES, GROUP = TERN_VECTOR_CHANNELS, TRIPLE = TERN_VECTOR_POSITIONS };

static int32_t weights_in_row(const tern_conv2d_vectors_params *params) {
    return tern_size(params->window.height, params->window.width, params->input.channels);
}

static int32_t vectors_in_row(const tern_conv2d_vectors_params *params) {
    return (weights_in_row(params) + BYTES - 1) / BYTES;
}

static int32_t position_count(const tern_conv2d_vectors_params *params) {
    return params->output.height * params->output.width;
}

/* Whether the input is columns as it is. */
static bool is_in_place(const tern_conv2d_vectors_params *params) {
    const tern_window *window = &params->window;
    return window->height == 1 && window->width == 1 && window->stride_height == 1 &&
           window->stride_width == 1 && window->pad_top == 0 && window->pad_left == 0 &&
           params->input.channels % BYTES == 0 && params->input.height == params->output.height &&
           params->input.width == params->output.width;
}

static int32_t columns_in_scratch(const tern_conv2d_vectors_params *params) {
    const int32_t count = position_count(params);
    return is_in_place(params) ? 0 : count < params->block_positions ? count : params->block_positions;
}

static int32_t unpacked_rows(const tern_conv2d_vectors_params *params) {
    return params->bits == 8 ? 0 : GROUP;
}

/* Never none, so that it is a kernel with scratch for every layer. */
int32_t tern_conv2d_vectors_scratch_bytes(const tern_conv2d_vectors_params *params) {
    const int32_t rows = unpacked_rows(params) + columns_in_scratch(params);
    return rows == 0 ? BYTES : rows * vectors_in_row(params) * BYTES;
}

static tern_status check(const tern_conv2d_vectors_params *params, const int8_t *input, const int8_t *output,
                         const void *scratch) {
    if (params == NULL || input == NULL || output == NULL || scratch == NULL || params->weights == NULL ||
        params->bias == NULL || params->multiplier == NULL || params->shift == NULL)
        return TERN_ERROR_NULL;
    if (params->bits != 8 && (params->plus == NULL || params->minus == NULL))
        return TERN_ERROR_NULL;
    const tern_status status = tern_check_window(&params->window, params->input, params->output);
    if (status != TERN_OK)
        return status;
    if ((params->bits != 1 && params->bits != 2 && params->bits != 8) || params->block_positions < 1)
        return TERN_ERROR_PARAMETER;
    if (weights_in_row(params) == 0 || weights_in_row(params) > INT32_MAX / 64 ||
        (int64_t)(columns_in_scratch(params) + GROUP) * vectors_in_row(params) > INT32_MAX / BYTES)
        return TERN_ERROR_SHAPE;
    if (!tern_are_quantized(params->input_zero_point, params->zero_point, params->minimum, params->maximum))
        return TERN_ERROR_PARAMETER;
    if (!tern_are_fast_scales(params->multiplier, params->shift, params->output.channels))
        return TERN_ERROR_PARAMETER;
    return TERN_OK;
}

static void write_columns(const tern_conv2d_vectors_params *params, const int8_t *input, int32_t first,
                          int32_t count, uint8_t *columns) {
    const int32_t width = params->output.width, column = vectors_in_row(params) * BYTES;
    int32_t y = first / width, x = first - y * width;
    while (count > 0) {
        const int32_t in_line = width - x < count ? width - x : count;
        tern_copy_windows(&params->window, &params->input, (const uint8_t *)input,
                          (uint8_t)params->input_zero_point, y, x, in_line, columns, column);
        columns += in_line * column;
        count -= in_line;
        x = 0;
        y++;
    }
}

/* `count` columns; the last ones again where they are not whole triples. */
static void write_group(const tern_vector_block *group, int32_t count) {
    tern_vector_block block = *group;
    const int32_t input_stride = block.input_stride, output_stride = block.output_stride;
    if (count >= TRIPLE) {
        block.triples = count / TRIPLE;
        tern_write_vector_block(&block);
        block.input += (count - TRIPLE) * input_stride;
        block.output += (count - TRIPLE) * output_stride;
        count = count % TRIPLE == 0 ? 0 : 1;
    } else {
        block.input_stride = block.output_stride = 0; /* the same three times */
    }
    block.triples = 1;
    for (int32_t i = 0; i < count; i++) {
        tern_write_vector_block(&block);
        block.input += input_stride;
        block.output += output_stride;
    }
}

/* The weights of a group, unpacked; moves on to the next one's. */
static const int8_t *group_weights(const tern_conv2d_vectors_params *params, const uint8_t **weights,
                                   int32_t first, int32_t vectors, int8_t *unpacked) {
    const uint8_t *const packed = *weights;
    /* a vector of single bits has two vectors of weights */
    *weights += (params->bits == 1 ? (vectors + 1) / 2 : vectors * (params->bits / 2)) * BYTES;
    if (params->bits == 8)
        return (const int8_t *)packed;
    if (params->bits == 2)
        tern_unpack_vectors(unpacked, packed, params->plus + first, params->minus + first, vectors);
    else
        tern_unpack_binary_vectors(unpacked, packed, params->plus + first, params->minus + first, vectors);
    return unpacked;
}

/* All output channels of `count` columns. */
static void write_block(const tern_conv2d_vectors_params *params, tern_vector_block *block, int32_t count,
                        int8_t *unpacked) {
    const uint8_t *weights = params->weights;
    const int32_t channels = params->output.channels;
    for (int32_t first = 0; first < channels; first += GROUP) {
        block->weights = group_weights(params, &weights, first, block->vectors, unpacked);
        block->bias = params->bias + first;
        block->multiplier = params->multiplier + first;
        block->shift = params->shift + first;
        block->channels = channels - first < GROUP ? channels - first : GROUP;
        write_group(block, count);
        block->output += GROUP;
    }
}

/* What lies behind the columns' inputs in their last vectors, whose weights need not be 0. */
static void clear_rests(uint8_t *columns, int32_t count, int32_t column, int32_t used) {
    for (int32_t i = 0; i < count; i++) {
        for (int32_t k = used; k < column; k++)
            columns[i * column + k] = 0;
    }
}

tern_status tern_conv2d_vectors(const tern_conv2d_vectors_params *params, const int8_t *input, int8_t *output,
                                void *scratch) {
    const tern_status status = check(params, input, output, scratch);
    if (status != TERN_OK)
        return status;
    const int32_t vectors = vectors_in_row(params), count = position_count(params);
    int8_t *const unpacked = scratch, *const columns = unpacked + unpacked_rows(params) * vectors * BYTES;
    const bool in_place = is_in_place(params);
    tern_vector_block block = {unpacked,
                               NULL,
                               NULL,
                               NULL,
                               in_place ? input : columns,
                               vectors * BYTES,
                               output,
                               params->output.channels,
                               vectors,
                               0,
                               params->zero_point,
                               params->minimum,
                               params->maximum,
                               0};
    if (in_place) {
        write_block(params, &block, count, unpacked);
        return TERN_OK;
    }
    const int32_t most = columns_in_scratch(params);
    clear_rests((uint8_t *)columns, most, vectors * BYTES, weights_in_row(params));
    for (int32_t first = 0; first < count; first += most) {
        const int32_t positions = count - first < most ? count - first : most;
        write_columns(params, input, first, positions, (uint8_t *)columns);
        block.output = output + first * params->output.channels;
        write_block(params, &block, positions, unpacked);
    }
    return TERN_OK;
}
