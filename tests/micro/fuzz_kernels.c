/* Calls every kernel with random parameters, good and hostile, on heap blocks of exactly the sizes needed.
 * Run under the address and undefined behaviour sanitizers: a kernel that accepts parameters must stay within
 * the blocks, and good parameters it must accept.
 *
 * Usage: fuzz_kernels SEED ROUNDS
 * With LIBFUZZER defined it is a target for Clang's -fsanitize=fuzzer instead, which draws the parameters from its input.
 */
#include "tern.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state;

static uint32_t noise(void) { /* xorshift64* */
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)((state * UINT64_C(2685821657736338717)) >> 32);
}

/* The fuzzer's input, which parameters are drawn from while it lasts. */
static const uint8_t *drawn;
static size_t drawn_left;

static uint32_t next(void) {
    uint32_t value = 0;
    if (drawn_left < sizeof value)
        return noise();
    memcpy(&value, drawn, sizeof value);
    drawn += sizeof value;
    drawn_left -= sizeof value;
    return value;
}

static int32_t between(int32_t low, int32_t high) {
    return (int32_t)(low + (int64_t)(next() % (uint32_t)((int64_t)high - low + 1)));
}

static bool one_in(int32_t n) {
    return between(1, n) == 1;
}

/* ---- blocks ---- */

#define MAXIMUM_BLOCKS 32
static void *blocks[MAXIMUM_BLOCKS];
static int block_count;

static void *block(int64_t bytes) {
    unsigned char *data = malloc(bytes > 0 ? (size_t)bytes : 1);
    if (data == NULL || block_count == MAXIMUM_BLOCKS)
        abort();
    for (int64_t i = 0; i < bytes; i++)
        data[i] = (unsigned char)noise();
    return blocks[block_count++] = data;
}

static void free_blocks(void) {
    while (block_count > 0)
        free(blocks[--block_count]);
}

static int64_t volume(tern_shape shape) {
    return (int64_t)shape.height * shape.width * shape.channels;
}

/* ---- parameters that are good ---- */

static tern_shape random_shape(void) {
    const tern_shape shape = {between(1, 7), between(1, 7), between(1, 9)};
    return shape;
}

static tern_window random_window(void) {
    const tern_window window = {between(1, 5), between(1, 5), between(1, 3), between(1, 3),
                                between(1, 3), between(1, 3), between(0, 4), between(0, 4)};
    return window;
}

static void random_clamp(int32_t *minimum, int32_t *maximum) {
    *minimum = between(-128, 127);
    *maximum = between(*minimum, 127);
}

static tern_requantization random_requantization(int32_t channels) {
    int32_t *multiplier = block(channels * (int64_t)sizeof *multiplier);
    int8_t *shift = block(channels);
    for (int32_t i = 0; i < channels; i++) {
        multiplier[i] = between(0, INT32_MAX);
        shift[i] = (int8_t)between(-31, 30);
    }
    tern_requantization result = {one_in(5) ? NULL : block(channels * (int64_t)sizeof(int32_t)),
                                  multiplier,
                                  shift,
                                  between(-128, 127),
                                  0,
                                  0};
    random_clamp(&result.minimum, &result.maximum);
    return result;
}

static tern_float64_requantization random_float64_requantization(int32_t channels) {
    uint64_t *multiplier = block(channels * (int64_t)sizeof *multiplier);
    int8_t *shift = block(channels);
    for (int32_t i = 0; i < channels; i++) {
        multiplier[i] = one_in(9) ? 0 : (uint64_t)1 << 52 | (uint64_t)(next() & 0xfffff) << 32 | next();
        shift[i] = (int8_t)between(-31, 30);
    }
    tern_float64_requantization result = {one_in(5) ? NULL : block(channels * (int64_t)sizeof(int32_t)),
                                          multiplier,
                                          shift,
                                          between(-128, 127),
                                          0,
                                          0};
    random_clamp(&result.minimum, &result.maximum);
    return result;
}

enum { INT8, TERNARY, BASE3, BINARY };

static tern_weights random_weights(int32_t format, int32_t rows, int64_t weights_in_row, int32_t channels) {
    static const int32_t bits[] = {[INT8] = 8, [TERNARY] = 2, [BINARY] = 1};
    tern_weights weights = {NULL, NULL, NULL, format == INT8 ? 0 : between(0, 2)};
    const int32_t planes = weights.residual_planes + 1;
    if (format == BASE3)
        weights.data = block((planes * rows * weights_in_row + 4) / 5);
    else
        weights.data = block(planes * rows * ((weights_in_row * bits[format] + 7) / 8));
    if (format != INT8) {
        weights.plus = block(planes * channels);
        weights.minus = block(planes * channels);
    }
    return weights;
}

/* ---- hostile ones ---- */

static const int32_t not_sizes[] = {INT32_MIN, INT32_MIN + 1, -65536, -129, -1, 0};
static const int32_t extremes[] = {INT32_MIN, INT32_MIN + 1, -65536, -129,    -1,       0,
                                   1,         128,           65536,  1 << 30, INT32_MAX};

/* Overwrites one of a row of int32 fields that a block's size depends on: must be refused. */
static void spoil_size(int32_t *fields, int32_t count) {
    fields[between(0, count - 1)] = not_sizes[between(0, 5)];
}

/* Overwrites one of a row of other int32 fields: may be accepted, but then the blocks must do. */
static void spoil_value(int32_t *fields, int32_t count) {
    fields[between(0, count - 1)] = extremes[between(0, 10)];
}

/* Of parameters that begin with two shapes and a window: the sizes are 8 fields, the steps and paddings 6. */
static void spoil_window(int32_t *sizes, int32_t *steps) {
    if (one_in(2))
        spoil_size(sizes, 8);
    else
        spoil_value(steps, 6);
}

/* ---- one call of each kernel; the status that it returned ---- */

typedef tern_status conv2d(const tern_conv2d_params *, const int8_t *, int8_t *);
static conv2d *const conv2ds[] = {tern_conv2d_int8_ref, tern_conv2d_ternary_ref, tern_conv2d_base3_ref,
                                  tern_conv2d_binary_ref};

static tern_status call_conv2d(bool hostile) {
    const int32_t format = between(INT8, BINARY), groups = between(1, 3);
    tern_conv2d_params p = {random_shape(),
                            random_shape(),
                            random_window(),
                            between(1, 5),
                            between(-128, 127),
                            {NULL, NULL, NULL, 0},
                            {NULL, NULL, NULL, 0, 0, 0}};
    p.input.channels = groups * p.kernel_channels;
    p.output.channels = groups * between(1, 4);
    p.weights =
        random_weights(format, p.output.channels,
                       (int64_t)p.window.height * p.window.width * p.kernel_channels, p.output.channels);
    p.requantization = random_requantization(p.output.channels);
    const int8_t *input = block(volume(p.input));
    int8_t *output = block(volume(p.output));
    void *scratch = format == BASE3 ? block(tern_conv2d_base3_expanded_scratch_bytes(&p)) : NULL;
    if (hostile)
        spoil_window(&p.input.height, &p.window.stride_height);
    if (scratch != NULL && one_in(2))
        return tern_conv2d_base3_expanded(&p, input, output, scratch);
    return conv2ds[format](&p, input, output);
}

static tern_status call_conv2d_packed_gaps(bool hostile) {
    const int32_t format = between(BASE3, BINARY);
    tern_conv2d_params p = {random_shape(),
                            random_shape(),
                            random_window(),
                            0,
                            between(-128, 127),
                            {NULL, NULL, NULL, 0},
                            {NULL, NULL, NULL, 0, 0, 0}};
    const int32_t channels = p.output.channels;
    p.kernel_channels = p.input.channels;
    p.weights = random_weights(format, channels,
                               (int64_t)p.window.height * p.window.width * p.kernel_channels, channels);
    p.weights.residual_planes = 0;
    p.requantization = random_requantization(channels);
    int8_t *shift = block(channels);
    for (int32_t i = 0; i < channels; i++)
        shift[i] = (int8_t)between(-31, -1);
    p.requantization.shift = shift;
    const int8_t *input = block(volume(p.input));
    int8_t *output = block(volume(p.output));
    void *scratch = block(tern_conv2d_base3_gaps_scratch_bytes(&p));
    if (hostile)
        spoil_window(&p.input.height, &p.window.stride_height);
    return (format == BASE3 ? tern_conv2d_base3_gaps : tern_conv2d_binary_gaps)(&p, input, output, scratch);
}

/* Streams of steps that stay within the rows, those of zeros included. */
static tern_gap_weights random_gaps(int32_t rows, int32_t channels) {
    uint32_t *channel = block(channels * 2 * (int64_t)sizeof *channel);
    int32_t words = 0;
    for (int32_t i = 0; i < 2 * channels; i += 2) {
        const int32_t minus = one_in(4) ? 0 : between(1, one_in(9) ? 600 : 60);
        const int32_t plus = one_in(4) ? 0 : between(1, one_in(9) ? 600 : 60);
        const int32_t level = between(-127, 127), other = one_in(2) ? -level : between(-128, 127);
        const uint32_t joint = other == -level && minus + plus <= 255;
        channel[i] = (uint32_t)minus | (uint32_t)plus << 16;
        channel[i + 1] =
            (uint8_t)other | (uint32_t)between(0, 30) << 8 | (uint32_t)(uint8_t)level << 16 | joint << 24;
        words += (minus + 7) / 8 + (plus + 7) / 8;
    }
    uint32_t *gaps = block(words * (int64_t)sizeof *gaps);
    for (int32_t i = 0, word = 0; i < 2 * channels; i++) {
        const int32_t steps = (int32_t)(channel[i / 2 * 2] >> (i % 2 * 16) & 0xffff);
        int32_t row = 0;
        for (int32_t n = -steps & 7; n < (steps + 7) / 8 * 8; n++) {
            const int32_t furthest = rows - 1 - row < 15 ? rows - 1 - row : 15, gap = between(0, furthest);
            row += gap;
            gaps[word + n / 8] &= ~(UINT32_C(15) << n % 8 * 4);
            gaps[word + n / 8] |= (uint32_t)gap << n % 8 * 4;
        }
        word += (steps + 7) / 8;
    }
    const tern_gap_weights weights = {gaps, channel};
    return weights;
}

static tern_status call_conv2d_gaps(bool hostile) {
    tern_conv2d_gaps_params p = {random_shape(),
                                 random_shape(),
                                 random_window(),
                                 between(-128, 127),
                                 {NULL, NULL},
                                 NULL,
                                 NULL,
                                 between(-128, 127),
                                 0,
                                 0};
    const int32_t channels = p.output.channels;
    p.weights = random_gaps((p.window.height * p.window.width * p.input.channels + 11) / 12 * 13, channels);
    int32_t *bias = block(channels * (int64_t)sizeof *bias);
    int32_t *multiplier = block(channels * (int64_t)sizeof *multiplier);
    for (int32_t i = 0; i < channels; i++) {
        bias[i] = between(-100000, 100000);
        multiplier[i] = between(0, INT32_MAX);
    }
    p.bias = bias;
    p.multiplier = multiplier;
    random_clamp(&p.minimum, &p.maximum);
    const int8_t *input = block(volume(p.input));
    int8_t *output = block(volume(p.output));
    void *scratch = block(tern_conv2d_gaps_scratch_bytes(&p));
    if (hostile && one_in(2))
        spoil_window(&p.input.height, &p.window.stride_height);
    else if (hostile)
        spoil_value(one_in(2) ? &p.input_zero_point : &p.zero_point, 1);
    return tern_conv2d_gaps(&p, input, output, scratch);
}

static tern_status call_conv2d_columns(bool hostile) {
    tern_conv2d_columns_params p = {random_shape(),
                                    random_shape(),
                                    random_window(),
                                    between(-128, 127),
                                    NULL,
                                    NULL,
                                    NULL,
                                    NULL,
                                    between(-128, 127),
                                    0,
                                    0};
    const int32_t channels = p.output.channels;
    const int32_t words = (p.window.height * p.window.width * p.input.channels + 3) / 4;
    int32_t *bias = block(channels * (int64_t)sizeof *bias);
    int32_t *multiplier = block(channels * (int64_t)sizeof *multiplier);
    int8_t *shift = block(channels);
    for (int32_t i = 0; i < channels; i++) {
        bias[i] = between(-100000, 100000);
        multiplier[i] = between(0, INT32_MAX);
        shift[i] = (int8_t)between(-31, -1);
    }
    p.weights = block(words * channels * (int64_t)sizeof *p.weights);
    p.bias = bias;
    p.multiplier = multiplier;
    p.shift = shift;
    random_clamp(&p.minimum, &p.maximum);
    const int8_t *input = block(volume(p.input));
    int8_t *output = block(volume(p.output));
    void *scratch = block(tern_conv2d_columns_scratch_bytes(&p));
    if (hostile && one_in(2))
        spoil_window(&p.input.height, &p.window.stride_height);
    else if (hostile)
        spoil_value(one_in(2) ? &p.input_zero_point : &p.zero_point, 1);
    return tern_conv2d_columns(&p, input, output, scratch);
}

static tern_status call_conv2d_vectors(bool hostile) {
    tern_conv2d_vectors_params p = {random_shape(),
                                    random_shape(),
                                    random_window(),
                                    between(-128, 127),
                                    1 << between(0, 1),
                                    NULL,
                                    NULL,
                                    NULL,
                                    NULL,
                                    NULL,
                                    NULL,
                                    between(-128, 127),
                                    0,
                                    0,
                                    between(1, 20)};
    const bool in_place = one_in(3);
    if (in_place) {
        const tern_window window = {1, 1, 1, 1, between(1, 3), between(1, 3), 0, 0};
        p.window = window;
        p.input.channels = 16 * between(1, 2);
        p.output.height = p.input.height;
        p.output.width = p.input.width;
    }
    const int32_t channels = (p.output.channels + 3) / 4 * 4;
    const int32_t vectors = (p.window.height * p.window.width * p.input.channels + 15) / 16;
    int32_t *bias = block(channels * (int64_t)sizeof *bias);
    int32_t *multiplier = block(channels * (int64_t)sizeof *multiplier);
    int8_t *shift = block(channels);
    for (int32_t i = 0; i < channels; i++) {
        bias[i] = between(-100000, 100000);
        multiplier[i] = between(0, INT32_MAX);
        shift[i] = (int8_t)between(-31, -1);
    }
    if (one_in(3))
        p.bits = 8;
    p.weights = block(channels * 4 * (p.bits == 1 ? (vectors + 1) / 2 : vectors * (p.bits / 2)));
    if (p.bits != 8) {
        p.plus = block(channels);
        p.minus = block(channels);
    }
    p.bias = bias;
    p.multiplier = multiplier;
    p.shift = shift;
    random_clamp(&p.minimum, &p.maximum);
    const int8_t *input = block(volume(p.input));
    int8_t *output = block(volume(p.output));
    void *scratch = block(tern_conv2d_vectors_scratch_bytes(&p));
    if (hostile && in_place) /* with other steps it would take more scratch */
        spoil_size(&p.input.height, 8);
    else if (hostile && one_in(2))
        spoil_window(&p.input.height, &p.window.stride_height);
    else if (hostile)
        spoil_value(one_in(2) ? &p.input_zero_point : &p.zero_point, 1);
    return tern_conv2d_vectors(&p, input, output, scratch);
}

static tern_status call_depthwise_lines(bool hostile) {
    tern_depthwise_conv2d_lines_params p = {random_shape(),
                                            random_shape(),
                                            random_window(),
                                            between(-128, 127),
                                            between(0, 1),
                                            between(1, 8),
                                            NULL,
                                            NULL,
                                            NULL,
                                            NULL,
                                            between(-128, 127),
                                            0,
                                            0};
    const int32_t channels = p.output.channels = p.input.channels;
    int32_t *bias = block(channels * (int64_t)sizeof *bias);
    int32_t *multiplier = block(channels * (int64_t)sizeof *multiplier);
    int8_t *shift = block(channels);
    for (int32_t i = 0; i < channels; i++) {
        bias[i] = between(-100000, 100000);
        multiplier[i] = between(0, INT32_MAX);
        shift[i] = (int8_t)between(-31, -1);
    }
    p.weights = block((int64_t)p.window.height * p.window.width * channels);
    p.bias = bias;
    p.multiplier = multiplier;
    p.shift = shift;
    if (one_in(2)) {
        p.minimum = INT8_MIN;
        p.maximum = INT8_MAX;
    } else {
        random_clamp(&p.minimum, &p.maximum);
    }
    const int8_t *input = block(volume(p.input));
    int8_t *output = block(volume(p.output));
    const bool stepped = hostile && one_in(3);
    if (stepped)
        spoil_value(&p.window.stride_height, 6);
    /* steps that are positive may be long, and so are lines then; others are refused */
    const tern_window *w = &p.window;
    const bool counted = !stepped || (w->stride_height > 0 && w->stride_width > 0 && w->dilation_height > 0 &&
                                      w->dilation_width > 0 && w->pad_top >= 0 && w->pad_left >= 0);
    const int32_t bytes = counted ? tern_depthwise_conv2d_lines_scratch_bytes(&p) : 0;
    if (bytes > 1 << 20)
        return TERN_OK;
    void *scratch = block(bytes);
    if (hostile && !stepped && one_in(2))
        spoil_size(&p.input.height, 8);
    else if (hostile && !stepped)
        spoil_value(one_in(2) ? &p.input_zero_point : &p.zero_point, 1);
    return tern_depthwise_conv2d_lines(&p, input, output, scratch);
}

typedef tern_status depthwise(const tern_depthwise_conv2d_params *, const int8_t *, int8_t *);
static depthwise *const depthwises[] = {tern_depthwise_conv2d_int8_ref, tern_depthwise_conv2d_ternary_ref,
                                        tern_depthwise_conv2d_base3_ref, tern_depthwise_conv2d_binary_ref};

static tern_status call_depthwise(bool hostile) {
    const int32_t format = between(INT8, BINARY);
    tern_depthwise_conv2d_params p = {random_shape(),     random_shape(),        random_window(),
                                      between(-128, 127), {NULL, NULL, NULL, 0}, {NULL, NULL, NULL, 0, 0, 0}};
    p.output.channels = p.input.channels * between(1, 3);
    p.weights =
        random_weights(format, p.window.height * p.window.width, p.output.channels, p.output.channels);
    p.requantization = random_requantization(p.output.channels);
    const int8_t *input = block(volume(p.input));
    int8_t *output = block(volume(p.output));
    if (hostile)
        spoil_window(&p.input.height, &p.window.stride_height);
    return depthwises[format](&p, input, output);
}

static tern_status call_depthwise_packed_lines(bool hostile) {
    const int32_t format = between(BASE3, BINARY);
    tern_depthwise_conv2d_params p = {random_shape(),     random_shape(),        random_window(),
                                      between(-128, 127), {NULL, NULL, NULL, 0}, {NULL, NULL, NULL, 0, 0, 0}};
    const int32_t channels = p.output.channels = p.input.channels;
    p.weights = random_weights(format, p.window.height * p.window.width, channels, channels);
    p.weights.residual_planes = 0;
    p.requantization = random_requantization(channels);
    int32_t *bias = block(channels * (int64_t)sizeof *bias);
    int8_t *shift = block(channels);
    for (int32_t i = 0; i < channels; i++) {
        bias[i] = between(-100000, 100000);
        shift[i] = (int8_t)between(-31, -1);
    }
    p.requantization.bias = one_in(4) ? NULL : bias;
    p.requantization.shift = shift;
    const int8_t *input = block(volume(p.input));
    int8_t *output = block(volume(p.output));
    const bool stepped = hostile && one_in(3);
    if (stepped)
        spoil_value(&p.window.stride_height, 6);
    /* steps that are positive may be long, and so are lines then; others are refused */
    const tern_window *w = &p.window;
    const bool counted = !stepped || (w->stride_height > 0 && w->stride_width > 0 && w->dilation_height > 0 &&
                                      w->dilation_width > 0 && w->pad_top >= 0 && w->pad_left >= 0);
    const int32_t bytes = counted ? tern_depthwise_conv2d_base3_lines_scratch_bytes(&p) : 0;
    if (bytes > 1 << 20)
        return TERN_OK;
    void *scratch = block(bytes);
    if (hostile && !stepped && one_in(2))
        spoil_size(&p.input.height, 8);
    else if (hostile && !stepped)
        spoil_value(one_in(2) ? &p.input_zero_point : &p.requantization.zero_point, 1);
    return (format == BASE3 ? tern_depthwise_conv2d_base3_lines
                            : tern_depthwise_conv2d_binary_lines)(&p, input, output, scratch);
}

static tern_status call_depthwise_vectors(bool hostile) {
    tern_depthwise_conv2d_vectors_params p = {random_shape(),
                                              random_shape(),
                                              random_window(),
                                              between(-128, 127),
                                              NULL,
                                              NULL,
                                              NULL,
                                              NULL,
                                              NULL,
                                              between(-128, 127),
                                              0,
                                              0};
    p.input.channels = p.output.channels = between(1, 40);
    const int32_t channels = (p.output.channels + 15) / 16 * 16;
    int32_t *bias = block(channels * (int64_t)sizeof *bias);
    int32_t *multiplier = block(channels * (int64_t)sizeof *multiplier);
    int8_t *shift = block(channels);
    for (int32_t i = 0; i < channels; i++) {
        bias[i] = between(-100000, 100000);
        multiplier[i] = between(0, INT32_MAX);
        shift[i] = (int8_t)between(-31, -1);
    }
    if (one_in(2))
        p.levels = block(channels);
    p.weights = block(p.window.height * p.window.width * channels * (p.levels == NULL ? 2 : 1));
    p.bias = bias;
    p.multiplier = multiplier;
    p.shift = shift;
    random_clamp(&p.minimum, &p.maximum);
    const int8_t *input = block(volume(p.input));
    int8_t *output = block(volume(p.output));
    void *scratch = block(tern_depthwise_conv2d_vectors_scratch_bytes(&p));
    if (hostile && one_in(2))
        spoil_size(&p.input.height, 8);
    else if (hostile && one_in(2))
        spoil_value(&p.window.pad_top, 2);
    else if (hostile)
        spoil_value(one_in(2) ? &p.input_zero_point : &p.zero_point, 1);
    return tern_depthwise_conv2d_vectors(&p, input, output, scratch);
}

typedef tern_status connected(const tern_fully_connected_params *, const int8_t *, int8_t *);
static connected *const connecteds[] = {tern_fully_connected_int8_ref, tern_fully_connected_ternary_ref,
                                        tern_fully_connected_base3_ref, tern_fully_connected_binary_ref};

static tern_status call_fully_connected(bool hostile) {
    const int32_t format = between(INT8, BINARY);
    tern_fully_connected_params p = {between(1, 3),      between(1, 40),        between(1, 20),
                                     between(-128, 127), {NULL, NULL, NULL, 0}, {NULL, NULL, NULL, 0, 0, 0}};
    p.weights = random_weights(format, p.outputs, p.inputs, p.outputs);
    p.requantization = random_float64_requantization(p.outputs);
    const int8_t *input = block((int64_t)p.rows * p.inputs);
    int8_t *output = block((int64_t)p.rows * p.outputs);
    if (hostile && one_in(2))
        spoil_size(&p.rows, 3);
    else if (hostile)
        spoil_value(&p.input_zero_point, 1);
    return connecteds[format](&p, input, output);
}

static tern_status call_fully_connected_vectors(bool hostile) {
    tern_fully_connected_vectors_params p = {
        between(1, 3), between(1, 70), between(1, 20), one_in(2) ? 2 : 8,  NULL, NULL, NULL,
        NULL,          NULL,           NULL,           between(-128, 127), 0,    0};
    const int32_t outputs = (p.outputs + 3) / 4 * 4;
    int32_t *bias = block(outputs * (int64_t)sizeof *bias);
    int32_t *multiplier = block(outputs * (int64_t)sizeof *multiplier);
    int8_t *shift = block(outputs);
    for (int32_t i = 0; i < outputs; i++) {
        bias[i] = between(-100000, 100000);
        multiplier[i] = between(0, INT32_MAX);
        shift[i] = (int8_t)between(-22, -1);
    }
    p.weights = block((p.inputs + 15) / 16 * outputs * 2 * p.bits);
    if (p.bits == 2) {
        p.plus = block(outputs);
        p.minus = one_in(2) ? NULL : block(outputs);
    }
    p.bias = bias;
    p.multiplier = multiplier;
    p.shift = shift;
    random_clamp(&p.minimum, &p.maximum);
    const int8_t *input = block((int64_t)p.rows * p.inputs);
    int8_t *output = block((int64_t)p.rows * p.outputs);
    void *scratch = block(tern_fully_connected_vectors_scratch_bytes(&p));
    if (hostile && one_in(2))
        spoil_size(&p.rows, 3);
    else if (hostile)
        spoil_value(&p.zero_point, 1);
    return tern_fully_connected_vectors(&p, input, output, scratch);
}

static tern_floor_requantization random_floor_requantization(int32_t outputs) {
    uint32_t *words = block(outputs * 3 * (int64_t)sizeof *words);
    for (int32_t i = 0; i < 3 * outputs; i += 3) {
        words[i + 1] >>= 1;
        words[i + 2] = (words[i + 2] & 0xffffff00) | (uint32_t)between(1, 22);
    }
    tern_floor_requantization result = {words, between(-128, 127), 0, 0};
    random_clamp(&result.minimum, &result.maximum);
    return result;
}

static tern_status call_fully_connected_pairs(bool hostile) {
    const bool split = one_in(2);
    tern_fully_connected_pairs_params p = {between(1, 3),  one_in(9) ? between(1000, 1200) : between(1, 300),
                                           between(1, 20), 16 * between(1, 7),
                                           NULL,           {NULL, 0, 0, 0}};
    const int32_t groups = (p.inputs + 15) / 16,
                  words = split ? (p.outputs + 3) / 4 : (p.outputs + 7) / 8 * 2;
    p.weights = block((int64_t)groups * words * 16);
    p.requantization = random_floor_requantization(p.outputs);
    const int8_t *input = block((int64_t)p.rows * p.inputs);
    int8_t *output = block((int64_t)p.rows * p.outputs);
    void *scratch = block(tern_fully_connected_pairs_scratch_bytes(&p));
    if (hostile && one_in(2))
        spoil_size(&p.rows, 3);
    else if (hostile)
        p.block_inputs = not_sizes[between(0, 5)] + between(0, 8);
    return (split ? tern_fully_connected_split : tern_fully_connected_pairs)(&p, input, output, scratch);
}

/* Codes that stay within the tables. */
static const uint32_t *random_table_codes(int64_t words, bool split) {
    uint32_t *codes = block(words * (int64_t)sizeof *codes);
    for (int64_t i = 0; i < words; i++) {
        codes[i] = 0;
        for (int32_t j = 0; j < 32; j += 8)
            codes[i] |= 2 * (uint32_t)between(0, split ? 127 : 107) << j;
    }
    return codes;
}

static tern_status call_fully_connected_tables(bool hostile) {
    const bool split = one_in(2);
    tern_fully_connected_tables_params p = {
        between(1, 3), between(1, 99), between(1, 20), NULL, {NULL, 0, 0, 0}};
    const int32_t sums = (p.outputs + 1) / 2 * (split ? 4 : 2);
    p.weights = random_table_codes((p.inputs + (split ? 27 : 15)) / (split ? 28 : 16) * (int64_t)sums, split);
    p.requantization = random_floor_requantization(p.outputs);
    const int8_t *input = block((int64_t)p.rows * p.inputs);
    int8_t *output = block((int64_t)p.rows * p.outputs);
    void *scratch = block(split ? tern_fully_connected_split_tables_scratch_bytes(&p)
                                : tern_fully_connected_tables_scratch_bytes(&p));
    if (hostile && one_in(2))
        spoil_size(&p.rows, 3);
    else if (hostile)
        spoil_value(&p.requantization.zero_point, 3);
    return (split ? tern_fully_connected_split_tables : tern_fully_connected_tables)(&p, input, output,
                                                                                     scratch);
}

static tern_status call_fully_connected_fractions(bool hostile) {
    const bool split = one_in(2);
    tern_fully_connected_tables_params p = {
        between(1, 3), between(1, 99), between(1, 20), NULL, {NULL, 0, 0, 0}};
    const int32_t places = (p.inputs + 3) / 4, bytes = places / 5 * 4 + places % 5;
    p.weights = block(((int64_t)bytes * p.outputs + 3) / 4 * 4);
    p.requantization = random_floor_requantization(p.outputs);
    const int8_t *input = block((int64_t)p.rows * p.inputs);
    int8_t *output = block((int64_t)p.rows * p.outputs);
    void *scratch = block(split ? tern_fully_connected_split_fractions_scratch_bytes(&p)
                                : tern_fully_connected_fractions_scratch_bytes(&p));
    if (hostile && one_in(2))
        spoil_size(&p.rows, 3);
    else if (hostile)
        spoil_value(&p.requantization.zero_point, 3);
    return (split ? tern_fully_connected_split_fractions : tern_fully_connected_fractions)(&p, input, output,
                                                                                           scratch);
}

static tern_status call_fully_connected_int8(bool hostile) {
    tern_fully_connected_int8_params p = {
        between(1, 3), between(1, 99), between(1, 20), NULL, {NULL, 0, 0, 0}};
    p.weights = block((int64_t)((p.inputs + 7) / 8) * ((p.outputs + 3) / 4) * 32);
    p.requantization = random_floor_requantization(p.outputs);
    const int8_t *input = block((int64_t)p.rows * p.inputs);
    int8_t *output = block((int64_t)p.rows * p.outputs);
    void *scratch = block(tern_fully_connected_int8_scratch_bytes(&p));
    if (hostile && one_in(2))
        spoil_size(&p.rows, 3);
    else if (hostile)
        spoil_value(&p.requantization.zero_point, 3);
    return tern_fully_connected_int8(&p, input, output, scratch);
}
typedef tern_status pool(const tern_pool2d_params *, const int8_t *, int8_t *);

static tern_status call_pool(bool hostile) {
    tern_pool2d_params p = {random_shape(), random_shape(), random_window(), 0, 0};
    p.window.dilation_height = p.window.dilation_width = 1;
    p.window.pad_top = between(0, p.window.height - 1);
    p.window.pad_left = between(0, p.window.width - 1);
    p.output.height = between(1, (p.input.height - 1 + p.window.pad_top) / p.window.stride_height + 1);
    p.output.width = between(1, (p.input.width - 1 + p.window.pad_left) / p.window.stride_width + 1);
    p.output.channels = p.input.channels;
    random_clamp(&p.minimum, &p.maximum);
    const int8_t *input = block(volume(p.input));
    int8_t *output = block(volume(p.output));
    if (hostile)
        spoil_window(&p.input.height, &p.window.stride_height);
    static pool *const pools[] = {tern_max_pool2d_ref, tern_average_pool2d_ref, tern_max_pool2d_words,
                                  tern_average_pool2d_words};
    return pools[between(0, p.input.channels >= 4 ? 3 : 1)](&p, input, output);
}

static tern_status call_mean_words(bool hostile) {
    tern_mean_words_params p = {between(1, 4),      between(1, 300),    between(4, 13),
                                between(-128, 127), between(-128, 127), between(0, INT32_MAX),
                                between(-31, -1)};
    const int8_t *input = block((int64_t)p.outer * p.count * p.inner);
    int8_t *output = block((int64_t)p.outer * p.inner);
    if (hostile && one_in(2))
        spoil_size(&p.outer, 3);
    else if (hostile)
        spoil_value(&p.input_zero_point, 4);
    return tern_mean_words(&p, input, output);
}

static tern_status call_mean(bool hostile) {
    tern_mean_params p = {{between(1, 4), between(1, 4), between(1, 4), between(1, 9)},
                          {0, 0, 0, 0},
                          between(-128, 127),
                          between(-128, 127),
                          between(0, INT32_MAX),
                          between(-31, 30)};
    int64_t size = 1, kept = 1;
    for (int i = 0; i < TERN_MAX_RANK; i++) {
        p.reduced[i] = (uint8_t)between(0, 1);
        size *= p.shape[i];
        kept *= p.reduced[i] ? 1 : p.shape[i];
    }
    const int8_t *input = block(size);
    int8_t *output = block(kept);
    if (hostile && one_in(2))
        spoil_size(p.shape, TERN_MAX_RANK);
    else if (hostile)
        spoil_value(&p.input_zero_point, 4);
    return tern_mean_ref(&p, input, output);
}

/* Two inputs, dimensions of either broadcast by chance, in blocks of their own size. */
static void random_pair(const int32_t *shape, int32_t strides[2][TERN_MAX_RANK], int8_t *inputs[2]) {
    for (int i = 0; i < 2; i++) {
        int32_t size = 1;
        for (int d = TERN_MAX_RANK - 1; d >= 0; d--) {
            const bool broadcast = one_in(3);
            strides[i][d] = broadcast ? 0 : size;
            size *= broadcast ? 1 : shape[d];
        }
        inputs[i] = block(size);
    }
}

static int64_t product(const int32_t *shape) {
    return (int64_t)shape[0] * shape[1] * shape[2] * shape[3];
}

static tern_status call_add(bool hostile) {
    tern_add_params p = {{between(1, 4), between(1, 4), between(1, 4), between(1, 9)},
                         {{0, 0, 0, 0}, {0, 0, 0, 0}},
                         {between(-128, 127), between(-128, 127)},
                         {between(0, INT32_MAX), between(0, INT32_MAX)},
                         {between(-31, 0), between(-31, 0)},
                         between(0, 22),
                         between(-128, 127),
                         between(0, INT32_MAX),
                         between(-31, 0),
                         0,
                         0};
    random_clamp(&p.minimum, &p.maximum);
    int8_t *inputs[2];
    random_pair(p.shape, p.strides, inputs);
    int8_t *output = block(product(p.shape));
    if (hostile)
        spoil_value(p.zero_point, 2), spoil_value(&p.left_shift, 6);
    if (one_in(3))
        return tern_squared_difference_ref(&p, inputs[0], inputs[1], output);
    return (one_in(2) ? tern_add_ref : tern_sub_ref)(&p, inputs[0], inputs[1], output);
}

static tern_status call_add_linear(bool hostile) {
    tern_add_linear_params p = {
        between(1, 40),
        {between(1 - (1 << 23), (1 << 23) - 1), between(1 - (1 << 23), (1 << 23) - 1)},
        between(-INT32_MAX, INT32_MAX),
        between(16, 31),
        0,
        0};
    random_clamp(&p.minimum, &p.maximum);
    const int8_t *inputs[2] = {block(p.size), block(p.size)};
    int8_t *output = block(p.size);
    if (hostile)
        spoil_value(p.multiplier, 6);
    return tern_add_linear(&p, inputs[0], inputs[1], output);
}

static tern_status call_mul(bool hostile) {
    tern_mul_params p = {{between(1, 4), between(1, 4), between(1, 4), between(1, 9)},
                         {{0, 0, 0, 0}, {0, 0, 0, 0}},
                         {between(-128, 127), between(-128, 127)},
                         between(-128, 127),
                         between(0, INT32_MAX),
                         between(-31, 30),
                         0,
                         0};
    random_clamp(&p.minimum, &p.maximum);
    int8_t *inputs[2];
    random_pair(p.shape, p.strides, inputs);
    int8_t *output = block(product(p.shape));
    if (hostile)
        spoil_value(p.zero_point, 2), spoil_value(&p.output_zero_point, 5);
    return tern_mul_ref(&p, inputs[0], inputs[1], output);
}

static tern_status call_prelu(bool hostile) {
    tern_prelu_params p = {{between(1, 4), between(1, 4), between(1, 4), between(1, 9)},
                           {{0, 0, 0, 0}, {0, 0, 0, 0}},
                           {between(-128, 127), between(-128, 127)},
                           between(-128, 127),
                           {between(0, INT32_MAX), between(0, INT32_MAX)},
                           {between(-31, 30), between(-31, 30)}};
    int8_t *inputs[2];
    random_pair(p.shape, p.strides, inputs);
    int8_t *output = block(product(p.shape));
    if (hostile)
        spoil_value(p.zero_point, 2), spoil_value(p.shift, 2);
    return tern_prelu_ref(&p, inputs[0], inputs[1], output);
}

static tern_status call_choice(bool hostile) {
    tern_choice_params p = {{between(1, 4), between(1, 4), between(1, 4), between(1, 9)},
                            {{0, 0, 0, 0}, {0, 0, 0, 0}}};
    int8_t *inputs[2];
    random_pair(p.shape, p.strides, inputs);
    int8_t *output = block(product(p.shape));
    if (hostile)
        spoil_size(p.shape, TERN_MAX_RANK);
    return (one_in(2) ? tern_maximum_ref : tern_minimum_ref)(&p, inputs[0], inputs[1], output);
}

static tern_status call_reduce(bool hostile) {
    tern_reduce_params p = {{between(1, 4), between(1, 4), between(1, 4), between(1, 9)}, {0, 0, 0, 0}};
    int64_t kept = 1;
    for (int i = 0; i < TERN_MAX_RANK; i++) {
        p.reduced[i] = (uint8_t)between(0, 1);
        kept *= p.reduced[i] ? 1 : p.shape[i];
    }
    const int8_t *input = block(product(p.shape));
    int8_t *output = block(kept);
    if (hostile)
        spoil_size(p.shape, TERN_MAX_RANK);
    return (one_in(2) ? tern_reduce_max_ref : tern_reduce_min_ref)(&p, input, output);
}

static tern_status call_table(bool hostile) {
    const tern_table_params p = {hostile ? not_sizes[between(0, 5)] : between(1, 99), block(256)};
    const void *input = block(p.size);
    void *output = block(p.size);
    return tern_table_ref(&p, input, output);
}

static tern_status call_quantize(bool hostile) {
    static const int32_t lowest[] = {-128, 0, -32768}, highest[] = {127, 255, 32767};
    tern_quantize_params p = {between(1, 40), between(TERN_INT8, TERN_INT16), 0,
                              (float)next() / 65536.0f + 1e-6f};
    p.zero_point = between(lowest[p.type], highest[p.type]);
    float *floats = block(p.size * (int64_t)sizeof *floats);
    void *integers = block(p.size * (p.type == TERN_INT16 ? 2 : 1));
    if (hostile)
        spoil_value(&p.zero_point, 1);
    return one_in(2) ? tern_quantize_ref(&p, floats, integers) : tern_dequantize_ref(&p, integers, floats);
}

static tern_status call_softmax(bool hostile) {
    tern_softmax_params p = {between(1, 3), between(1, 50), between(0, INT32_MAX), between(0, 31), 0};
    p.difference_minimum = -((31 << 26) >> p.shift);
    const int8_t *input = block((int64_t)p.rows * p.depth);
    int8_t *output = block((int64_t)p.rows * p.depth);
    if (hostile)
        spoil_value(&p.multiplier, 3);
    return tern_softmax_ref(&p, input, output);
}

/* A copy between blocks that hold just what the strides reach. */
static tern_status call_copy(bool hostile) {
    tern_copy_params p = {between(1, 8), {1, 1, 1, 1, 1, 1}, {0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0}, 0, 0};
    int32_t sizes[2] = {1, 1};
    for (int i = TERN_COPY_RANK - 1; i >= 0; i--) {
        p.shape[i] = between(1, 3);
        const int32_t from = between(-1, 1) * sizes[0], to = one_in(3) ? -sizes[1] : sizes[1];
        p.input_strides[i] = from;
        p.output_strides[i] = to;
        p.input_offset += from < 0 ? -from * (p.shape[i] - 1) : 0;
        p.output_offset += to < 0 ? -to * (p.shape[i] - 1) : 0;
        sizes[0] *= p.shape[i];
        sizes[1] *= p.shape[i];
    }
    const void *input = block((int64_t)sizes[0] * p.element_bytes);
    void *output = block((int64_t)sizes[1] * p.element_bytes);
    if (hostile && one_in(2))
        spoil_size(p.shape, TERN_COPY_RANK);
    else if (hostile)
        p.output_offset = between(INT32_MIN, -1);
    return tern_copy_ref(&p, input, output);
}

static tern_status call_pad(bool hostile) {
    tern_pad_params p = {{1, 1, 1, 1}, {1, 1, 1, 1}, {0, 0, 0, 0}, between(-128, 127)};
    int64_t sizes[2] = {1, 1};
    for (int i = 0; i < TERN_MAX_RANK; i++) {
        p.input[i] = between(1, 5);
        p.before[i] = between(0, 2);
        p.output[i] = p.input[i] + p.before[i] + between(0, 2);
        sizes[0] *= p.input[i];
        sizes[1] *= p.output[i];
    }
    const int8_t *input = block(sizes[0]);
    int8_t *output = block(sizes[1]);
    if (hostile && one_in(2))
        spoil_size(one_in(2) ? p.input : p.output, TERN_MAX_RANK);
    else if (hostile)
        p.before[between(0, 3)] = one_in(2) ? -between(1, INT32_MAX) : between(5, INT32_MAX);
    return tern_pad_ref(&p, input, output);
}

static tern_status call_pick(bool hostile) {
    tern_pick_params p = {random_shape(), between(1, 9), between(1, 9), NULL, NULL};
    int32_t *rows = block(p.output_height * (int64_t)sizeof *rows);
    int32_t *columns = block(p.output_width * (int64_t)sizeof *columns);
    for (int32_t i = 0; i < p.output_height; i++)
        rows[i] = between(0, p.input.height - 1);
    for (int32_t i = 0; i < p.output_width; i++)
        columns[i] = between(0, p.input.width - 1);
    p.rows = rows;
    p.columns = columns;
    const int8_t *input = block(volume(p.input));
    int8_t *output = block((int64_t)p.output_height * p.output_width * p.input.channels);
    if (hostile && one_in(2))
        spoil_size(&p.input.height, 5);
    else if (hostile)
        spoil_value(one_in(2) ? rows : columns, 1);
    return tern_pick_ref(&p, input, output);
}

static tern_status call_resize_bilinear(bool hostile) {
    tern_resize_bilinear_params p = {random_shape(), between(1, 9), between(1, 9), NULL, NULL};
    int32_t *rows = block(p.output_height * (int64_t)sizeof *rows);
    int32_t *columns = block(p.output_width * (int64_t)sizeof *columns);
    for (int32_t i = 0; i < p.output_height; i++)
        rows[i] = between(0, 1024 * (p.input.height - 1));
    for (int32_t i = 0; i < p.output_width; i++)
        columns[i] = between(0, 1024 * (p.input.width - 1));
    p.rows = rows;
    p.columns = columns;
    const int8_t *input = block(volume(p.input));
    int8_t *output = block((int64_t)p.output_height * p.output_width * p.input.channels);
    if (hostile && one_in(2))
        spoil_size(&p.input.height, 5);
    else if (hostile)
        spoil_value(one_in(2) ? rows : columns, 1);
    return tern_resize_bilinear_ref(&p, input, output);
}

typedef tern_status transposed(const tern_transpose_conv2d_params *, const int8_t *, int8_t *);
static transposed *const transposeds[] = {tern_transpose_conv2d_int8_ref, tern_transpose_conv2d_ternary_ref,
                                          tern_transpose_conv2d_base3_ref, tern_transpose_conv2d_binary_ref};

static tern_status call_transpose_conv2d(bool hostile) {
    const int32_t format = between(INT8, BINARY);
    tern_transpose_conv2d_params p = {random_shape(),     random_shape(),        random_window(),
                                      between(-128, 127), {NULL, NULL, NULL, 0}, {NULL, NULL, NULL, 0, 0, 0}};
    p.window.dilation_height = p.window.dilation_width = 1;
    p.weights =
        random_weights(format, p.output.channels,
                       (int64_t)p.window.height * p.window.width * p.input.channels, p.output.channels);
    p.requantization = random_requantization(p.output.channels);
    const int8_t *input = block(volume(p.input));
    int8_t *output = block(volume(p.output));
    if (hostile)
        spoil_window(&p.input.height, &p.window.stride_height);
    return transposeds[format](&p, input, output);
}

static tern_lstm_matrix random_lstm_matrix(int32_t units, int32_t length) {
    const int32_t format = between(INT8, BINARY);
    const tern_lstm_matrix matrix = {format, random_weights(format, units, length, units),
                                     between(0, INT32_MAX), between(-31, 30)};
    return matrix;
}

static tern_status call_lstm(bool hostile) {
    tern_lstm_params p;
    memset(&p, 0, sizeof p);
    p.steps = between(1, 5), p.inputs = between(1, 20), p.units = between(1, 12);
    p.input_zero_point = between(-128, 127), p.state_zero_point = between(-128, 127);
    p.cell_fraction = between(9, 15), p.cell_clip = one_in(2) ? 0 : between(0, INT16_MAX);
    p.hidden_multiplier = between(0, INT32_MAX), p.hidden_shift = between(-31, 30);
    p.hidden_zero_point = between(-128, 127);
    tern_lstm_gate *const gates[] = {&p.input_gate, &p.forget_gate, &p.cell_gate, &p.output_gate};
    for (int i = 0; i < 4; i++) {
        gates[i]->input = random_lstm_matrix(p.units, p.inputs);
        gates[i]->recurrent = random_lstm_matrix(p.units, p.units);
        gates[i]->bias = block(p.units * (int64_t)sizeof(int32_t));
    }
    const int8_t *input = block((int64_t)p.steps * p.inputs);
    int8_t *output = block((int64_t)p.steps * p.units);
    void *scratch = block(tern_lstm_ref_scratch_bytes(&p));
    if (hostile && one_in(2))
        spoil_size(&p.steps, 3);
    else if (hostile && one_in(2))
        spoil_value(&p.cell_fraction, 5);
    else if (hostile)
        gates[between(0, 3)]->input.format = not_sizes[between(0, 4)];
    return tern_lstm_ref(&p, input, output, scratch);
}

typedef tern_status call(bool hostile);
static call *const calls[] = {call_conv2d,
                              call_conv2d_gaps,
                              call_conv2d_columns,
                              call_conv2d_packed_gaps,
                              call_conv2d_vectors,
                              call_depthwise_lines,
                              call_depthwise_packed_lines,
                              call_depthwise,
                              call_depthwise_vectors,
                              call_fully_connected,
                              call_fully_connected_pairs,
                              call_fully_connected_tables,
                              call_fully_connected_fractions,
                              call_fully_connected_int8,
                              call_fully_connected_vectors,
                              call_pool,
                              call_mean,
                              call_mean_words,
                              call_add,
                              call_add_linear,
                              call_softmax,
                              call_copy,
                              call_pad,
                              call_pick,
                              call_transpose_conv2d,
                              call_mul,
                              call_prelu,
                              call_choice,
                              call_reduce,
                              call_table,
                              call_quantize,
                              call_lstm,
                              call_resize_bilinear};

#ifdef LIBFUZZER

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    state = 1;
    drawn = data;
    drawn_left = size;
    call *const chosen = calls[next() % (sizeof calls / sizeof calls[0])];
    const bool hostile = next() % 2 == 1;
    const tern_status status = chosen(hostile);
    free_blocks();
    if (!hostile && status != TERN_OK)
        abort();
    return 0;
}

#else

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    state = strtoull(argv[1], NULL, 10) * 2 + 1;
    const long rounds = strtol(argv[2], NULL, 10);
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        for (long round = 0; round < rounds; round++) {
            const tern_status status = calls[i](false);
            free_blocks();
            if (status != TERN_OK) {
                fprintf(stderr, "kernel %zu, round %ld: good parameters refused with %d\n", i, round,
                        (int)status);
                return 1;
            }
            (void)calls[i](true);
            free_blocks();
        }
    }
    return 0;
}

#endif
