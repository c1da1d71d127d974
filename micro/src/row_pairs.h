/* Dot products of ternary rows with a vector, two sums in every multiplication. */
#ifndef TERN_ROW_PAIRS_H
#define TERN_ROW_PAIRS_H

#include "port.h"

#include <stdbool.h>

/* Eight sums at a time, two in an accumulator: the lower one in 14 bits, the higher one above. */
enum { TERN_PAIR_SUMS = 8, TERN_PAIR_LOW_BITS = 14 };

/* Inputs lie in blocks of as many words, aligned to as many bytes as that is. Word 0 is what comes off the lower sums of
 * the block; the last words are the inputs, two of 16 bits each; those in between are not read. */
enum { TERN_PAIR_BLOCK_WORDS = 32, TERN_PAIR_BLOCK_BYTES = 128 };

/* What a block has of inputs at most. So many times -128 fits 14 bits. */
enum { TERN_JOINT_BLOCK_INPUTS = 56, TERN_SPLIT_BLOCK_INPUTS = 48 };

/* How many inputs may follow each other in one call: so many times -128 fits the 18 bits of the higher sum. */
enum { TERN_PAIR_RUN_INPUTS = 1008 };

/* Adds to eight sums: the four lower ones, then the four higher ones. Inputs are what lies between `inputs`, in a block, and
 * `end`, where a block ends. `joint`: every sum is of one row, and eight inputs take four words of the weights. `split`: a
 * pair of sums is of the inputs where a row is plus and where it is minus, and 16 inputs take four words. Returns where the weights end. */
const uint32_t *tern_add_joint_rows(int32_t sums[TERN_PAIR_SUMS], const tern_word *inputs,
                                    const uint32_t *weights, const tern_word *end);
const uint32_t *tern_add_split_rows(int32_t sums[TERN_PAIR_SUMS], const tern_word *inputs,
                                    const uint32_t *weights, const tern_word *end);

#endif
