/* Depthwise outputs, sixteen channels at a time. */
#ifndef TERN_DEPTHWISE_VECTORS_H
#define TERN_DEPTHWISE_VECTORS_H

#include "port.h"

enum { TERN_DEPTHWISE_GROUP = 16 };

/* What a line of outputs of a group of channels is made of. The assembly knows the order.
 *
 * Biases and scales of a group come in the order of the channels 0, 4, 8, 12, then 2, 6, .. then 1, 5, .. and 3, 7, .., and levels
 * in that of 0, 2, 4, .. and 1, 3, 5, .. */
typedef struct {
    const int8_t *input;    /* the group's first channel at the first column of line 0 */
    const int32_t *offsets; /* from there to the lines that a window's rows are on */
    const int8_t *weights;
    const int32_t *bias, *multiplier;
    const int8_t *shift; /* from -31 to -1 */
    int8_t *output;
    int32_t tap_step, position_step, output_step; /* bytes */
    int32_t height, width;                        /* of the window */
    int32_t count;                                /* positions */
    int32_t zero_point, minimum, maximum;
    int32_t channels; /* those to be written, from 1 to 16 */
    const int8_t *levels;
} tern_depthwise_block;

/* Whose sums of weights of 4 bits fit 16 bits: 31 * 8 * 128 < 2^15. */
enum { TERN_DEPTHWISE_MAXIMUM_TAPS = 31 };

/* Of weights as two vectors a tap, the first of which counts 16 times; no levels. Both are within [-8, 8]. */
void tern_write_depthwise_halves(const tern_depthwise_block *block);

/* Of weights as one vector a tap, times levels. Their sums with inputs fit 16 bits. */
void tern_write_depthwise_levels(const tern_depthwise_block *block);

#endif
