/* Depthwise outputs, sixteen channels at a time. */
#ifndef TERN_DEPTHWISE_VECTORS_H
#define TERN_DEPTHWISE_VECTORS_H

#include "port.h"

enum { TERN_DEPTHWISE_GROUP = 16 };

/* What a line of outputs of a group of channels is made of. The assembly knows the order.
 *
 * Weights are two vectors a tap: `w` less the second one is 16 times the first. Sums of either fit 16 bits for as many
 * taps as TERN_DEPTHWISE_MAXIMUM_TAPS. Biases and scales of a group come in the order of the channels 0, 4, 8, 12, then 2, 6, ..
 * then 1, 5, .. and 3, 7, .. */
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
} tern_depthwise_block;

enum { TERN_DEPTHWISE_MAXIMUM_TAPS = 31 };

void tern_write_depthwise_line(const tern_depthwise_block *block);

#endif
