/* Operators that sum up a part of their input: pooling, means. */
#ifndef TERN_POOL_H
#define TERN_POOL_H

#include "tern_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* MAX_POOL_2D and AVERAGE_POOL_2D. Padded positions do not count, and no window may see nothing else.
 * The scales of input and output are the same. Without padding before the input (pad_top and pad_left are 0) the
 * output may start in the input's place: no window starts before the place of its output. */
typedef struct {
    tern_shape input, output;
    tern_window window; /* dilations are 1 */
    int32_t minimum, maximum;
} tern_pool2d_params;

tern_status tern_max_pool2d_ref(const tern_pool2d_params *params, const int8_t *input, int8_t *output);
tern_status tern_average_pool2d_ref(const tern_pool2d_params *params, const int8_t *input, int8_t *output);

/* The same for at least four channels, four at a time, and windows of up to 256 positions. */
tern_status tern_max_pool2d_words(const tern_pool2d_params *params, const int8_t *input, int8_t *output);
tern_status tern_average_pool2d_words(const tern_pool2d_params *params, const int8_t *input, int8_t *output);

/* MEAN over the dimensions marked in `reduced`; multiplier and shift hold scale(input) / scale(output)
 * divided by the number of values that each mean is of. The output may start in the input's place: no mean is
 * of values before its own place. */
typedef struct {
    int32_t shape[TERN_MAX_RANK];   /* of the input */
    uint8_t reduced[TERN_MAX_RANK]; /* 1 where a dimension is averaged over */
    int32_t input_zero_point, output_zero_point;
    int32_t multiplier, shift;
} tern_mean_params;

tern_status tern_mean_ref(const tern_mean_params *params, const int8_t *input, int8_t *output);

/* MEAN over dimensions that lie side by side, four of the values behind them at a time: each of `outer` blocks holds
 * `count` rows of `inner` values, which become one row. Parameters and places as of MEAN, for multipliers that make sums
 * smaller. */
typedef struct {
    int32_t outer, count, inner; /* inner >= 4 */
    int32_t input_zero_point, output_zero_point;
    int32_t multiplier, shift; /* shift in [-31, -1] */
} tern_mean_words_params;

tern_status tern_mean_words(const tern_mean_words_params *params, const int8_t *input, int8_t *output);

/* REDUCE_MAX and REDUCE_MIN over the dimensions marked in `reduced`. */
typedef struct {
    int32_t shape[TERN_MAX_RANK];   /* of the input */
    uint8_t reduced[TERN_MAX_RANK]; /* 1 where only the extreme of a dimension is kept */
} tern_reduce_params;

tern_status tern_reduce_max_ref(const tern_reduce_params *params, const int8_t *input, int8_t *output);
tern_status tern_reduce_min_ref(const tern_reduce_params *params, const int8_t *input, int8_t *output);

#ifdef __cplusplus
}
#endif
#endif
