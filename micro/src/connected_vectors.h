/* Fully connected outputs, four at a time, sixteen inputs an instruction. */
#ifndef TERN_CONNECTED_VECTORS_H
#define TERN_CONNECTED_VECTORS_H

#include "port.h"

enum { TERN_CONNECTED_VECTOR = 16, TERN_CONNECTED_GROUP = 4 };

/* What the outputs of one row of inputs are made of. The assembly knows the order. */
typedef struct {
    const uint8_t *inputs; /* whole vectors */
    const uint8_t *weights;
    const int32_t *bias, *multiplier; /* arrays have whole groups */
    const int8_t *shift;
    const int8_t *plus, *minus;
    int8_t *output;
    int32_t vectors; /* of inputs */
    int32_t outputs;
    int32_t offset; /* 2 * zero point + 1 */
    int32_t minimum, maximum;
    int32_t input_sum;
} tern_connected_block;

/* Of int8 inputs, zeros in the rest, and int8 weights; a vector of each output in turn. No levels, no sum. */
void tern_write_connected_int8(const tern_connected_block *block);

/* Of inputs plus 128, zeros in the rest, and weights plus 1 in 2 bits: a byte has a weight of each output of a group, the
 * first in the lowest bits. `plus` is a level times which the weights are -1, 0 or 1. */
void tern_write_connected_ternary(const tern_connected_block *block);

/* Likewise, but of two levels: 1 is `plus` and 2 is `minus`. */
void tern_write_connected_levels(const tern_connected_block *block);

/* Inputs, their bits `flipped` turned over, and zeros to the end of the last vector. Returns the sum of all bytes. */
int32_t tern_write_vector_inputs(uint8_t *to, const int8_t *inputs, int32_t count, uint8_t flipped);

#endif
