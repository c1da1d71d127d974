/* Dot products of rows of int8 weights with columns of int8 inputs, for four pixels at a time. */
#ifndef TERN_COLUMNS_H
#define TERN_COLUMNS_H

#include "port.h"

enum { TERN_COLUMN_PIXELS = 4 };

/* How many words of the columns what a pixel sees of four weights takes. With the DSP extension it is two pairs of 16 bits,
 * bytes 0 and 2 and bytes 1 and 3, for products of pairs. Otherwise a word has what the four pixels see of one weight. */
#ifdef TERN_PORT_DSP
enum { TERN_COLUMN_WORDS = 2 };
#else
enum { TERN_COLUMN_WORDS = 1 };
#endif

/* The bytes of one pixel, `words` times 4 of them, to its places in the columns. */
void tern_write_column(tern_word *columns, int32_t pixel, const uint32_t *bytes, int32_t words);

/* The four sums of `words` times 4 products. */
void tern_dot_columns(int32_t sums[TERN_COLUMN_PIXELS], const tern_word *columns, const uint32_t *weights,
                      int32_t words);

/* What the outputs of four pixels are made of. The assembly knows the order. */
typedef struct {
    const tern_word *columns;
    const uint32_t *weights;
    const int32_t *bias, *multiplier; /* accumulators are doubled, and so are biases */
    const int8_t *shift;
    int32_t offset; /* as in tern_scaling */
    int32_t stride; /* bytes from a pixel's outputs to the next one's */
    int8_t *output;
    int32_t count; /* channels */
    int32_t words; /* of a row of weights */
} tern_column_block;

/* What the sum of a product and an offset, shifted, has room for. */
enum { TERN_COLUMN_MINIMUM_SHIFT = -21 };

/* All outputs, clamped by int8's own range alone; no shift is less than TERN_COLUMN_MINIMUM_SHIFT. */
void tern_write_column_block(const tern_column_block *block);

#endif
