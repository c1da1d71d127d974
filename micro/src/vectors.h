/* Dot products of rows of int8 weights with positions, sixteen weights at a time: what Helium multiplies in an instruction. */
#ifndef TERN_VECTORS_H
#define TERN_VECTORS_H

#include "port.h"

enum { TERN_VECTOR_BYTES = 16, TERN_VECTOR_CHANNELS = 4, TERN_VECTOR_POSITIONS = 3 };

/* What the outputs of four channels at `triples` times three positions are made of. The assembly knows the order.
 *
 * The weights are those of channels 0 and 2, then those of channels 1 and 3, of either pair a vector of each in turn. */
typedef struct {
    const int8_t *weights;
    const int32_t *bias, *multiplier; /* four each, and so are the shifts, from -31 to -1 */
    const int8_t *shift;
    const int8_t *input;
    int32_t input_stride; /* bytes from a position to the next one */
    int8_t *output;
    int32_t output_stride;
    int32_t vectors; /* of a row of weights */
    int32_t triples;
    int32_t zero_point, minimum, maximum;
    int32_t channels; /* those to be written, from 1 to 4 */
} tern_vector_block;

void tern_write_vector_block(const tern_vector_block *block);

/* Four rows of weights, in the order of a block, from 2-bit codes: 0 is zero, 1 `plus` and 3 `minus`. A vector of codes
 * has a vector of each row, of row 0 in the lowest bits. */
void tern_unpack_vectors(int8_t *weights, const uint8_t *codes, const int8_t plus[TERN_VECTOR_CHANNELS],
                         const int8_t minus[TERN_VECTOR_CHANNELS], int32_t vectors);

/* The same from single bits: 1 is `plus`, 0 `minus`. A vector of codes has two of each row, the first in the lower bits. */
void tern_unpack_binary_vectors(int8_t *weights, const uint8_t *codes,
                                const int8_t plus[TERN_VECTOR_CHANNELS],
                                const int8_t minus[TERN_VECTOR_CHANNELS], int32_t vectors);

#endif
