/* Dot products of four rows of int8 weights with a vector. */
#ifndef TERN_ROW_QUADS_H
#define TERN_ROW_QUADS_H

#include "port.h"

enum { TERN_QUAD_ROWS = 4, TERN_QUAD_INPUTS = 8 };

/* How many words four inputs take: two pairs of 16 bits where pairs are multiplied, else their bytes. */
#ifdef TERN_PORT_DSP
enum { TERN_QUAD_WORDS = 2 };
#else
enum { TERN_QUAD_WORDS = 1 };
#endif

/* The four sums. Of the weights come a word of four of each row, then the next ones; returns where they end. `inputs` is before
 * `end` by a multiple of TERN_QUAD_INPUTS. */
const uint32_t *tern_dot_quads(int32_t sums[TERN_QUAD_ROWS], const tern_word *inputs, const uint32_t *weights,
                               const tern_word *end);

#endif
