/* Sums of rows of 16 pixels, the rows named by the gaps between them. */
#ifndef TERN_GAP_ROWS_H
#define TERN_GAP_ROWS_H

#include "port.h"

/* Pixels in a row: a byte each. */
enum { TERN_GAP_PIXELS = 16 };
/* After every so many rows lies one of zeros, which gaps longer than 15 step on. */
enum { TERN_GAP_GROUP = 12 };
/* What the 16-bit sums hold: 256 * -128 is an int16, and so is 256 * 127. */
enum { TERN_GAP_MAXIMUM_STEPS = 256 };

/* Rows are stored with this added to each byte, without carry: plain C sums unsigned bytes, two in a word. */
#ifdef TERN_PORT_DSP
#define TERN_ROW_BIAS 0u
#else
#define TERN_ROW_BIAS 0x80808080u
#endif

/* Adds up rows of int8.
 *
 * The first step goes from `row` on by the first gap, and adds the row that it lands on. A gap is 4 bits and counts
 * rows; words hold 8, the earliest lowest, and the first word only as many as make `steps` whole words, in its
 * highest bits.
 *
 * sums:  of pixels 4i and 4i + 2 in the halves of sums[2i], of 4i + 1 and 4i + 3 in those of sums[2i + 1].
 * steps: from 1 to TERN_GAP_MAXIMUM_STEPS.
 *
 * Returns the row that the last step landed on. */
const uint8_t *tern_add_gap_rows(uint32_t sums[8], const uint32_t *gaps, int32_t steps, const uint8_t *row);

#endif
