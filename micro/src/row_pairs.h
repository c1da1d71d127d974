/* Dot products of ternary rows with a vector, two sums in every multiplication. */
#ifndef TERN_ROW_PAIRS_H
#define TERN_ROW_PAIRS_H

#include "port.h"

#include <stdbool.h>

/* Eight sums at a time, two in an accumulator: the lower one in 14 bits, the higher one above. */
enum { TERN_PAIR_SUMS = 8, TERN_PAIR_LOW_BITS = 14 };

/* Inputs lie in blocks of as many words, aligned to as many bytes as that is. Word 1 is what comes off the lower sums of
 * the block; the last words are the inputs, two of 16 bits each; those in between are not read. */
enum { TERN_PAIR_BLOCK_WORDS = 64, TERN_PAIR_BLOCK_BYTES = 256, TERN_PAIR_EXCESS = 1 };

/* What a block may have of inputs, and what may follow each other in a run: so many times -128 fits the 18 bits of the higher
 * sum. The lower sum of a block has room for 63 times -128. */
enum { TERN_PAIR_BLOCK_INPUTS = 112, TERN_PAIR_RUN_INPUTS = 1023 };

/* A run of blocks. The assembly knows the order. */
typedef struct {
    const tern_word *end; /* where its last block ends */
    int32_t skipped;      /* bytes that blocks start with before their inputs */
} tern_pair_run;

/* Adds to eight sums: the four lower ones, then the four higher ones. `inputs`: the first ones of the run, anywhere in a block, a
 * multiple of 16 before its end. `joint`: every sum is of one row, and eight inputs take four words of the weights.
 * `split`: a pair of sums is of the inputs where a row is plus and where it is minus, and 16 inputs take four words. Returns
 * where the weights end. */
typedef const uint32_t *tern_add_rows(int32_t sums[TERN_PAIR_SUMS], const tern_word *inputs,
                                      const uint32_t *weights, const tern_pair_run *run);
tern_add_rows tern_add_joint_rows, tern_add_split_rows;

#endif
