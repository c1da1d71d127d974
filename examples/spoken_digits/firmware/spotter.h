/* From a second of sound to a word. */
#ifndef SPOTTER_H
#define SPOTTER_H

#include <stdint.h>

#include "mfcc.h"
#include "spoken_digits.h"

#define SPOTTER_SAMPLES MFCC_SAMPLE_RATE
#define SPOTTER_FRAMES ((SPOTTER_SAMPLES - MFCC_FRAME_SAMPLES) / MFCC_HOP_SAMPLES + 1)
#define SPOTTER_WORDS SPOKEN_DIGITS_OUTPUT_BYTES

/* The features' working memory is the network's: one is done before the other begins. */
#define SPOTTER_ARENA_BYTES                                                                                  \
    (sizeof(mfcc_scratch) > SPOKEN_DIGITS_ARENA_BYTES ? sizeof(mfcc_scratch) : SPOKEN_DIGITS_ARENA_BYTES)

typedef struct {
    int8_t features[SPOTTER_FRAMES][MFCC_COEFFICIENTS];
    int8_t scores[SPOTTER_WORDS]; /* of each word, the network's output */
    int8_t word;                  /* that of the highest score */
} spotter_result;

extern const uint32_t spotter_arena_bytes;

/* arena: SPOTTER_ARENA_BYTES, aligned to TERN_ALIGNMENT. Returns a tern_status. */
int spotter_invoke(const int16_t *audio, spotter_result *result, void *arena);

#endif
