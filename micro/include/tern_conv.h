/* Convolutions. */
#ifndef TERN_CONV_H
#define TERN_CONV_H

#include "tern_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* CONV_2D. `input.channels` is a multiple of the kernel's `kernel_channels`; more than one such group makes
 * it a grouped convolution. Padded positions count as the input's zero point. */
typedef struct {
    tern_shape input, output;
    tern_window window;
    int32_t kernel_channels;
    int32_t input_zero_point;
    tern_weights weights;
    tern_requantization requantization;
} tern_conv2d_params;

tern_status tern_conv2d_int8_ref(const tern_conv2d_params *params, const int8_t *input, int8_t *output);
tern_status tern_conv2d_ternary_ref(const tern_conv2d_params *params, const int8_t *input, int8_t *output);
tern_status tern_conv2d_base3_ref(const tern_conv2d_params *params, const int8_t *input, int8_t *output);
tern_status tern_conv2d_binary_ref(const tern_conv2d_params *params, const int8_t *input, int8_t *output);

/* The same as tern_conv2d_base3_ref, faster: a channel's row is expanded to 2-bit codes once, in `scratch`. */
tern_status tern_conv2d_base3_expanded(const tern_conv2d_params *params, const int8_t *input, int8_t *output,
                                       void *scratch);
int32_t tern_conv2d_base3_expanded_scratch_bytes(const tern_conv2d_params *params);

/* The same as tern_conv2d_base3_ref and tern_conv2d_binary_ref, many times as fast, for convolutions without groups and
 * weights of one plane: gaps (below) are written to `scratch`, for some channels at a time. Shifts are in [-31, -1], and
 * the accumulators, doubled, must be less than 2^31. */
tern_status tern_conv2d_base3_gaps(const tern_conv2d_params *params, const int8_t *input, int8_t *output,
                                   void *scratch);
int32_t tern_conv2d_base3_gaps_scratch_bytes(const tern_conv2d_params *params);
tern_status tern_conv2d_binary_gaps(const tern_conv2d_params *params, const int8_t *input, int8_t *output,
                                    void *scratch);
int32_t tern_conv2d_binary_gaps_scratch_bytes(const tern_conv2d_params *params);

/* Ternary weights as the gaps between those that are not zero.
 *
 * An output channel has two streams of steps, first over its weights that are `minus`, then over those that are `plus`.
 * A stream starts at row 0, and a step goes on by a gap of 0 to 15 rows to the row that it counts. Rows are the weights
 * in the order of `tern_weights`, but after every 12 of them lies a row that counts as 0, which longer gaps step on.
 * Gaps are 4 bits, eight a word, the earliest lowest; the first word of a stream holds only as many as make the others
 * whole, in its highest bits. No stream leaves the rows.
 *
 * An output channel has two words in `channels`. The halves of the first are the lengths of its streams, of `minus` below
 * that of `plus`; the bytes of the second are `minus`, the exponent of the channel's scale, `plus`, and 1 where the streams may be summed
 * together (`plus` is -`minus`, and both have 255 steps at most), else 0. A scale is multiplier * 2^(-32 - exponent) for
 * an exponent from 0 to 30. */
typedef struct {
    const uint32_t *gaps, *channels;
} tern_gap_weights;

/* CONV_2D without groups, with ternary weights: as tern_conv2d_ternary_ref, many times as fast. The accumulators are
 * doubled and must be less than 2^31 then. */
typedef struct {
    tern_shape input, output;
    tern_window window;
    int32_t input_zero_point;
    tern_gap_weights weights;
    const int32_t *bias;       /* one an output channel: 2 * (bias - input zero point * sum of the weights) */
    const int32_t *multiplier; /* one an output channel, in [0, 2^31) */
    int32_t zero_point, minimum, maximum;
} tern_conv2d_gaps_params;

tern_status tern_conv2d_gaps(const tern_conv2d_gaps_params *params, const int8_t *input, int8_t *output,
                             void *scratch);
int32_t tern_conv2d_gaps_scratch_bytes(const tern_conv2d_gaps_params *params);

/* CONV_2D without groups, with int8 weights: as tern_conv2d_int8_ref, faster. The accumulators are doubled and must be
 * less than 2^31 then. */
typedef struct {
    tern_shape input, output;
    tern_window window;
    int32_t input_zero_point;
    const uint32_t
        *weights; /* a row an output channel: four weights a word, the first lowest, zeros in the rest */
    const int32_t *bias;       /* one an output channel: 2 * (bias - input zero point * sum of the weights) */
    const int32_t *multiplier; /* one an output channel, in [0, 2^31) */
    const int8_t *shift;       /* one an output channel, in [-31, -1] */
    int32_t zero_point, minimum, maximum;
} tern_conv2d_columns_params;

tern_status tern_conv2d_columns(const tern_conv2d_columns_params *params, const int8_t *input, int8_t *output,
                                void *scratch);
int32_t tern_conv2d_columns_scratch_bytes(const tern_conv2d_columns_params *params);

/* CONV_2D without groups, with rows of weights in vectors of 16, for Helium: as the `_ref` kernels of int8, ternary and
 * binary weights. No weight is skipped.
 *
 * A row has the weights of an output channel in the order of `tern_weights`, and zeros to the end of its last vector.
 * Channels lie in groups of four, and those that the last group lacks have zeros too.
 *     8 bits: of a group, first the vectors of its channels 0 and 2 in turn, then those of 1 and 3.
 *     2 bits: 16 bytes of a group have a vector of each of its channels, weight i in byte i, channel 0 in the lowest bits:
 *             0 is zero, 1 is `plus`, 3 is `minus`.
 *     1 bit:  16 bytes have two vectors of each, the first in the lower bits; 1 is `plus`, 0 is `minus`.
 *
 * Of the positions of a block the windows are copied to scratch, and with 1 or 2 bits the weights of a group are unpacked there
 * once: the more positions, the more scratch and the fewer cycles. A convolution 1x1 whose positions are whole vectors
 * reads its input in place, and `block_positions` counts for nothing. */
typedef struct {
    tern_shape input, output;
    tern_window window;
    int32_t input_zero_point;
    int32_t bits; /* of a weight: 1, 2 or 8 */
    const uint8_t *weights;
    const int8_t *plus, *minus; /* one an output channel, in whole groups; not read with 8 bits */
    const int32_t *bias;        /* in whole groups: bias - input zero point * sum of the weights */
    const int32_t *multiplier;  /* in whole groups, in [0, 2^31) */
    const int8_t *shift;        /* in whole groups, in [-31, -1] */
    int32_t zero_point, minimum, maximum;
    int32_t block_positions; /* best a multiple of 3 */
} tern_conv2d_vectors_params;

tern_status tern_conv2d_vectors(const tern_conv2d_vectors_params *params, const int8_t *input, int8_t *output,
                                void *scratch);
int32_t tern_conv2d_vectors_scratch_bytes(const tern_conv2d_vectors_params *params);

/* DEPTHWISE_CONV_2D. `output.channels` is a multiple of `input.channels`; output channel c reads input
 * channel c / (output.channels / input.channels). With as many channels in as out, without padding before
 * the input (pad_top and pad_left are 0) and with an output that is no wider, it may start in the input's place:
 * no window starts before the place of its output. */
typedef struct {
    tern_shape input, output;
    tern_window window;
    int32_t input_zero_point;
    tern_weights weights;
    tern_requantization requantization;
} tern_depthwise_conv2d_params;

tern_status tern_depthwise_conv2d_int8_ref(const tern_depthwise_conv2d_params *params, const int8_t *input,
                                           int8_t *output);
tern_status tern_depthwise_conv2d_ternary_ref(const tern_depthwise_conv2d_params *params, const int8_t *input,
                                              int8_t *output);
tern_status tern_depthwise_conv2d_base3_ref(const tern_depthwise_conv2d_params *params, const int8_t *input,
                                            int8_t *output);
tern_status tern_depthwise_conv2d_binary_ref(const tern_depthwise_conv2d_params *params, const int8_t *input,
                                             int8_t *output);

/* DEPTHWISE_CONV_2D with as many channels out as in, with int8 weights: as tern_depthwise_conv2d_int8_ref, many times as
 * fast. It goes over lines of a channel, which are rows or, `along_height`, columns, and sums a line of outputs from the
 * lines that a window spans. Lines of the input are copied before outputs overwrite them, so that the output may start in
 * the input's place where no output comes to lie on a line's input that is still to be copied. The accumulators are
 * doubled and must be less than 2^31 then. */
typedef struct {
    tern_shape input, output;
    tern_window window;
    int32_t input_zero_point;
    int32_t along_height;
    int32_t band; /* lines of outputs between copies: the more, the faster, and the more scratch */
    const int8_t
        *weights;        /* of a channel behind those of the one before, taps of a line next to each other */
    const int32_t *bias; /* one a channel: 2 * (bias - input zero point * sum of the weights) */
    const int32_t *multiplier; /* one a channel, in [0, 2^31) */
    const int8_t *shift;       /* one a channel, in [-31, -1] */
    int32_t zero_point, minimum, maximum;
} tern_depthwise_conv2d_lines_params;

tern_status tern_depthwise_conv2d_lines(const tern_depthwise_conv2d_lines_params *params, const int8_t *input,
                                        int8_t *output, void *scratch);
int32_t tern_depthwise_conv2d_lines_scratch_bytes(const tern_depthwise_conv2d_lines_params *params);

/* The same as tern_depthwise_conv2d_base3_ref and tern_depthwise_conv2d_binary_ref, for as many channels out as in and
 * weights of one plane: those of four channels become int8 in `scratch`, and tern_depthwise_conv2d_lines does the rest.
 * Lines are what computes fewer outputs in vain (whole groups of four, rows where both are the same), and a band is as many
 * as 2048 bytes of scratch hold, one at least. Shifts are in [-31, -1], and the accumulators, doubled, must be less than
 * 2^31. */
tern_status tern_depthwise_conv2d_base3_lines(const tern_depthwise_conv2d_params *params, const int8_t *input,
                                              int8_t *output, void *scratch);
int32_t tern_depthwise_conv2d_base3_lines_scratch_bytes(const tern_depthwise_conv2d_params *params);
tern_status tern_depthwise_conv2d_binary_lines(const tern_depthwise_conv2d_params *params,
                                               const int8_t *input, int8_t *output, void *scratch);
int32_t tern_depthwise_conv2d_binary_lines_scratch_bytes(const tern_depthwise_conv2d_params *params);

/* DEPTHWISE_CONV_2D with as many channels out as in and up to 31 taps, for Helium: as the `_ref` kernels.
 *
 * Channels lie in groups of 16, the last one filled up with any weights. With levels a group has a vector of weights a tap; a
 * weight counts its channel's level times, and those of a channel are such that the sum of their magnitudes is 255 at most. Without
 * each tap has a vector of (w + 8) / 16, rounded down, and then one of w less 16 times that.
 *
 * Biases and scales of a group come in the order of its channels 0, 4, 8, 12, then 2, 6, 10, 14, then 1, 5, 9, 13 and
 * 3, 7, 11, 15, and levels in that of 0, 2, 4, .. 14, 1, 3, 5, .. 15.
 *
 * Without dilation of its height each line of the input is copied once, before the first line of outputs that sees it. So the output
 * may start in the input's place, where no output comes to lie on a line that is still to be copied. */
typedef struct {
    tern_shape input, output;
    tern_window window;
    int32_t input_zero_point;
    const int8_t *weights;
    const int8_t *levels;      /* in whole groups, or null */
    const int32_t *bias;       /* in whole groups: bias - input zero point * sum of the weights */
    const int32_t *multiplier; /* in whole groups, in [0, 2^31) */
    const int8_t *shift;       /* in whole groups, in [-31, -1] */
    int32_t zero_point, minimum, maximum;
} tern_depthwise_conv2d_vectors_params;

tern_status tern_depthwise_conv2d_vectors(const tern_depthwise_conv2d_vectors_params *params,
                                          const int8_t *input, int8_t *output, void *scratch);
int32_t tern_depthwise_conv2d_vectors_scratch_bytes(const tern_depthwise_conv2d_vectors_params *params);

/* TRANSPOSE_CONV. The window slides over the output: tap k of input position i adds to output position
 * i * stride - pad + k. Dilations are 1. The weights are those of CONV_2D, a row an output channel. */
typedef struct {
    tern_shape input, output;
    tern_window window;
    int32_t input_zero_point;
    tern_weights weights;
    tern_requantization requantization;
} tern_transpose_conv2d_params;

tern_status tern_transpose_conv2d_int8_ref(const tern_transpose_conv2d_params *params, const int8_t *input,
                                           int8_t *output);
tern_status tern_transpose_conv2d_ternary_ref(const tern_transpose_conv2d_params *params, const int8_t *input,
                                              int8_t *output);
tern_status tern_transpose_conv2d_base3_ref(const tern_transpose_conv2d_params *params, const int8_t *input,
                                            int8_t *output);
tern_status tern_transpose_conv2d_binary_ref(const tern_transpose_conv2d_params *params, const int8_t *input,
                                             int8_t *output);

#ifdef __cplusplus
}
#endif
#endif
