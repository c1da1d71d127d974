#include "spotter.h"

/* For who counts the instructions of every step. */
#ifndef TERN_AFTER_OP
#define TERN_AFTER_OP(step)
#endif

/* Of the training set; written with the network. */
extern const mfcc_normalisation normalisation;

const uint32_t spotter_arena_bytes = SPOTTER_ARENA_BYTES;

int spotter_invoke(const int16_t *audio, spotter_result *result, void *arena) {
    mfcc_features(audio, SPOTTER_FRAMES, &normalisation, result->features[0], arena);
    TERN_AFTER_OP(0);
    const int status = spoken_digits_invoke(result->features[0], result->scores, arena);
    result->word = 0;
    for (int8_t word = 1; word < SPOTTER_WORDS; word++) {
        if (result->scores[word] > result->scores[result->word]) {
            result->word = word;
        }
    }
    return status;
}
