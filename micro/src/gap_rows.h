/* Sums of rows of pixels, the rows named by the gaps between them. */
#ifndef TERN_GAP_ROWS_H
#define TERN_GAP_ROWS_H

#include "port.h"

/* With the DSP extension a row has a byte a pixel, and one instruction adds two bytes to two sums of 16 bits: bytes 0 and
 * 2 of a word are its pixels 0 and 1, bytes 1 and 3 its pixels 2 and 3. Otherwise it has 16 bits a pixel, for a plain
 * addition to add two of them: they are unsigned then, with a bias, so that nothing is borrowed between them. */
#ifdef TERN_PORT_DSP
enum { TERN_GAP_PIXELS_IN_WORD = 4 };
#define TERN_GAP_BIAS 0u
#else
enum { TERN_GAP_PIXELS_IN_WORD = 2 };
#define TERN_GAP_BIAS 128u
#endif

enum { TERN_GAP_ROW_WORDS = 4, TERN_GAP_ROW_BYTES = 16 };
enum { TERN_GAP_PIXELS = TERN_GAP_ROW_WORDS * TERN_GAP_PIXELS_IN_WORD };
/* After every so many rows lies one of zeros, which gaps longer than 15 step on. */
enum { TERN_GAP_GROUP = 12, TERN_GAP_LONGEST = 15 };
/* What the 16-bit sums hold: 256 * -128 is an int16, and 256 * 255 a uint16. */
enum { TERN_GAP_MAXIMUM_STEPS = 256 };

/* Where rows are written, a word of each: one after the other, but over those of zeros. */
typedef struct {
    tern_word *to;
    int32_t left_in_group; /* rows */
} tern_row_writer;

static inline void tern_skip_zeros(tern_row_writer *rows) {
    if (rows->left_in_group == 0) {
        rows->to += TERN_GAP_ROW_WORDS;
        rows->left_in_group = TERN_GAP_GROUP;
    }
}

/* Bytes of the pixels in a word, a byte each, to the rows that follow. */
void tern_write_row_bytes(tern_row_writer *rows, const uint8_t *const from[TERN_GAP_PIXELS_IN_WORD],
                          int32_t bytes);

/* The same for `words` times 4 bytes from addresses that are multiples of 4; groups of rows are taken in fours. */
void tern_write_row_words(tern_row_writer *rows, const uint8_t *const from[TERN_GAP_PIXELS_IN_WORD],
                          int32_t words);

/* Adds up rows of int8.
 *
 * The first step goes from `row` on by the first gap, and adds the row that it lands on. A gap is 4 bits and counts
 * rows; words hold 8, the earliest lowest, and the first word only as many as make `steps` whole words, in its
 * highest bits.
 *
 * sums:  of pixels 2i and 2i + 1 in the halves of sums[i].
 * steps: from 1 to TERN_GAP_MAXIMUM_STEPS.
 *
 * Returns the row that the last step landed on. */
const uint8_t *tern_add_gap_rows(uint32_t sums[TERN_GAP_PIXELS / 2], const uint32_t *gaps, int32_t steps,
                                 const uint8_t *row);

static inline int32_t tern_gap_words(int32_t steps) {
    return (steps + 7) / 8;
}

/* The words of a channel, as tern_gap_weights has them; levels come doubled, in the halves of a word. */
static inline int32_t tern_gap_steps(const uint32_t channel[2], int32_t stream) {
    return (int32_t)(stream == 0 ? channel[0] & 0xffff : channel[0] >> 16);
}

static inline int32_t tern_gap_level(const uint32_t channel[2], int32_t stream) {
    return 2 * (int8_t)(channel[1] >> 16 * stream);
}

static inline int32_t tern_gap_exponent(const uint32_t channel[2]) {
    return (int32_t)(channel[1] >> 8 & 0xff);
}

/* What the outputs of a row's pixels are made of. The assembly knows the order. */
typedef struct {
    const uint8_t *rows;
    const uint32_t *channels;
    const int32_t *bias, *multiplier; /* accumulators are doubled, and so are biases */
    int32_t offset;                   /* as in tern_scaling */
    int32_t stride;                   /* bytes from a pixel's outputs to the next one's */
    int8_t *output;
    int32_t count; /* channels */
    const uint32_t *gaps;
} tern_gap_block;

/* What the sum of a product and an offset, shifted by the exponent, has room for. */
enum { TERN_GAP_MAXIMUM_EXPONENT = 20 };

/* All outputs, clamped by int8's own range alone; no stream is longer than TERN_GAP_MAXIMUM_STEPS and no exponent larger
 * than TERN_GAP_MAXIMUM_EXPONENT. */
void tern_write_gap_block(const tern_gap_block *block);

#endif
