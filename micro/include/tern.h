/* tern.h - int8 inference with ternary, binary and int8 weights on microcontrollers.
 *
 * C99, integers only. No malloc, no stdio, no global that is written: every function is re-entrant.
 * Tensors are int8 in NHWC order with a batch of one, as TFLite has them: real = scale * (q - zero point).
 * Every function computes exactly what TFLite's reference kernel computes for the same int8 model.
 *
 * Weights come in three formats. A ternary channel holds the values {minus, 0, plus} and a binary channel
 * {minus, plus}; both levels are any int8, so a sum over a channel is
 *     plus * (sum of inputs coded +) + minus * (sum of inputs coded -)
 * which is the same int32 as the int8 kernel's. The levels are kept per channel, the codes packed.
 */
#ifndef TERN_H
#define TERN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What an arena must be aligned to, in bytes. */
#define TERN_ALIGNMENT 16

typedef enum {
    TERN_OK = 0,
    TERN_ERROR_NULL = 1,      /* a pointer that is needed is null */
    TERN_ERROR_ALIGNMENT = 2, /* the arena is not aligned to TERN_ALIGNMENT bytes */
    TERN_ERROR_SHAPE = 3,     /* shapes do not fit together, or a dimension is not positive */
    TERN_ERROR_PARAMETER = 4  /* a stride, dilation, shift, zero point or clamp is out of its range */
} tern_status;

/* Height, width and channels of an NHWC tensor with a batch of one. */
typedef struct {
    int32_t height, width, channels;
} tern_shape;

/* Weights and their levels.
 *
 * int8:    one byte a weight; `plus` and `minus` are not read.
 * ternary: 2 bits a weight, the first in the lowest bits: 0 is zero, 1 is `plus`, 3 is `minus`, 2 is unused.
 * binary:  1 bit a weight, the first in the lowest bit: 1 is `plus`, 0 is `minus`.
 *
 * The weights lie in rows, and every row starts on a byte:
 *     convolution      a row an output channel, in the order (kernel height, kernel width, input channel)
 *     fully connected  a row an output
 *     depthwise        a row a kernel position (kernel height, kernel width), of all output channels
 */
typedef struct {
    const void *data;
    const int8_t *plus, *minus; /* one an output channel */
} tern_weights;

/* From an int32 sum to an int8 output: add the bias, multiply by multiplier * 2^(shift - 31) with TFLite's
 * two roundings, add the zero point, clamp. */
typedef struct {
    const int32_t *bias;       /* one an output channel, or null for none */
    const int32_t *multiplier; /* one an output channel, in [0, 2^31) */
    const int8_t *shift;       /* one an output channel, in [-31, 30] */
    int32_t zero_point, minimum, maximum;
} tern_requantization;

/* The same for FULLY_CONNECTED, where TFLite multiplies by a float64 and rounds once, halves away from zero.
 * The float64 is multiplier * 2^(shift - 53), bit for bit; its arithmetic is done in integers. */
typedef struct {
    const int32_t *bias;        /* one an output, or null for none */
    const uint64_t *multiplier; /* one an output, in [2^52, 2^53), or 0 */
    const int8_t *shift;        /* one an output, in [-31, 30] */
    int32_t zero_point, minimum, maximum;
} tern_float64_requantization;

/* A sliding window. The padding is what precedes the input; what follows it the output's size implies. */
typedef struct {
    int32_t height, width; /* of the kernel */
    int32_t stride_height, stride_width;
    int32_t dilation_height, dilation_width;
    int32_t pad_top, pad_left;
} tern_window;

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
tern_status tern_conv2d_binary_ref(const tern_conv2d_params *params, const int8_t *input, int8_t *output);

/* DEPTHWISE_CONV_2D. `output.channels` is a multiple of `input.channels`; output channel c reads input
 * channel c / (output.channels / input.channels). */
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
tern_status tern_depthwise_conv2d_binary_ref(const tern_depthwise_conv2d_params *params, const int8_t *input,
                                             int8_t *output);

/* FULLY_CONNECTED: `rows` times an input of `inputs` values to `outputs` values. */
typedef struct {
    int32_t rows, inputs, outputs;
    int32_t input_zero_point;
    tern_weights weights;
    tern_float64_requantization requantization;
} tern_fully_connected_params;

tern_status tern_fully_connected_int8_ref(const tern_fully_connected_params *params, const int8_t *input,
                                          int8_t *output);
tern_status tern_fully_connected_ternary_ref(const tern_fully_connected_params *params, const int8_t *input,
                                             int8_t *output);
tern_status tern_fully_connected_binary_ref(const tern_fully_connected_params *params, const int8_t *input,
                                            int8_t *output);

/* MAX_POOL_2D and AVERAGE_POOL_2D. Padded positions do not count, and no window may see nothing else.
 * The scales of input and output are the same. */
typedef struct {
    tern_shape input, output;
    tern_window window; /* dilations are 1 */
    int32_t minimum, maximum;
} tern_pool2d_params;

tern_status tern_max_pool2d_ref(const tern_pool2d_params *params, const int8_t *input, int8_t *output);
tern_status tern_average_pool2d_ref(const tern_pool2d_params *params, const int8_t *input, int8_t *output);

/* Tensors of up to this many dimensions; missing leading ones are 1. */
#define TERN_MAX_RANK 4

/* MEAN over the dimensions marked in `reduced`; multiplier and shift hold scale(input) / scale(output)
 * divided by the number of values that each mean is of. */
typedef struct {
    int32_t shape[TERN_MAX_RANK];   /* of the input */
    uint8_t reduced[TERN_MAX_RANK]; /* 1 where a dimension is averaged over */
    int32_t input_zero_point, output_zero_point;
    int32_t multiplier, shift;
} tern_mean_params;

tern_status tern_mean_ref(const tern_mean_params *params, const int8_t *input, int8_t *output);

/* ADD of two tensors, either of which may be broadcast: a dimension of 1 is repeated. */
typedef struct {
    int32_t shape[TERN_MAX_RANK];                   /* of the output */
    int32_t strides[2][TERN_MAX_RANK];              /* of each input, in elements; 0 where it is broadcast */
    int32_t zero_point[2], multiplier[2], shift[2]; /* multipliers below 1: shifts in [-31, 0] */
    int32_t left_shift;                             /* of both inputs, before they are scaled, in [0, 22] */
    int32_t output_zero_point, output_multiplier, output_shift, minimum, maximum;
} tern_add_params;

tern_status tern_add_ref(const tern_add_params *params, const int8_t *input0, const int8_t *input1,
                         int8_t *output);

/* RESHAPE where it cannot be done in place: copies `size` bytes. */
typedef struct {
    int32_t size;
} tern_reshape_params;

tern_status tern_reshape_ref(const tern_reshape_params *params, const int8_t *input, int8_t *output);

/* SOFTMAX over the last dimension, of at most 8191. The output's scale is 1/256 and its zero point -128. */
typedef struct {
    int32_t rows, depth;
    int32_t multiplier, shift;  /* beta * scale(input) * 2^26, a shift in [0, 31] */
    int32_t difference_minimum; /* inputs further than this below the row's maximum give 0 */
} tern_softmax_params;

tern_status tern_softmax_ref(const tern_softmax_params *params, const int8_t *input, int8_t *output);

#ifdef __cplusplus
}
#endif
#endif
