/* What the operators share: status codes, shapes, weights, requantisation, windows. */
#ifndef TERN_TYPES_H
#define TERN_TYPES_H

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
 * base3:   five weights a byte, 1.6 bits each, the first in the lowest digit to the base 3: 0 is `minus`, 1 is zero,
 *          2 is `plus`.
 * binary:  1 bit a weight, the first in the lowest bit: 1 is `plus`, 0 is `minus`.
 *
 * The weights lie in rows. Every row starts on a byte, but in base3, where one follows the other without a gap:
 *     convolution      a row an output channel, in the order (kernel height, kernel width, input channel)
 *     fully connected  a row an output
 *     depthwise        a row a kernel position (kernel height, kernel width), of all output channels
 *
 * Ternary and base3 weights may be sums of several such weights, as those of a residual expansion are: behind the
 * rows of the first plane lie as many of each residual plane, and behind its levels those of the residual planes. */
typedef struct {
    const void *data;
    const int8_t *plus, *minus; /* one an output channel */
    int32_t residual_planes;    /* 0 where one plane holds the whole weights */
} tern_weights;

/* The format of weights, for operators whose weights are in several. */
typedef enum {
    TERN_FORMAT_INT8 = 0,
    TERN_FORMAT_TERNARY = 1,
    TERN_FORMAT_BASE3 = 2,
    TERN_FORMAT_BINARY = 3
} tern_weight_format;

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

/* Tensors of up to this many dimensions; missing leading ones are 1. */
#define TERN_MAX_RANK 4

#ifdef __cplusplus
}
#endif
#endif
