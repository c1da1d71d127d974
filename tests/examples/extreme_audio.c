/* Features of the hardest sounds, and transforms of the largest numbers, for the sanitizers. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mfcc.h"
#include "real_fft.h"

enum { FRAMES = 5, SAMPLES = MFCC_FRAME_SAMPLES + (FRAMES - 1) * MFCC_HOP_SAMPLES };

static uint32_t state = 1;

static uint32_t random_bits(void) {
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

static int16_t sample(int kind, int i) {
    const int16_t square = (int16_t)(i % (2 << kind / 10) < (1 << kind / 10) ? INT16_MIN : INT16_MAX);
    switch (kind % 10) {
    case 0:
        return 0;
    case 1:
        return INT16_MIN;
    case 2:
        return INT16_MAX;
    case 3:
        return square;
    case 4:
        return (int16_t)(i % 97 == kind ? INT16_MIN : 0);
    case 5:
        return (int16_t)(i % 97 == kind ? 1 : 0);
    case 6:
        return (int16_t)((random_bits() & 1) != 0 ? INT16_MIN : INT16_MAX);
    case 7:
        return (int16_t)((random_bits() & 1) != 0 ? -1 : 1);
    case 8:
        return (int16_t)(random_bits() & 0xFFFF);
    default:
        return (int16_t)(i < SAMPLES / 2 ? 0 : square);
    }
}

static int features(int kind) {
    /* each in memory of its own, so that no byte beside it can be touched */
    int16_t *audio = malloc(SAMPLES * sizeof *audio);
    int8_t *output = malloc(FRAMES * MFCC_COEFFICIENTS);
    mfcc_scratch *scratch = malloc(sizeof *scratch);
    mfcc_normalisation normalisation;
    int32_t limits[] = {INT32_MIN, INT32_MAX, 0, -1, 1 << 14};
    if (audio == NULL || output == NULL || scratch == NULL) {
        return 1;
    }
    memset(scratch, kind, sizeof *scratch);
    for (int i = 0; i < SAMPLES; i++) {
        audio[i] = sample(kind, i);
    }
    for (int i = 0; i < MFCC_COEFFICIENTS; i++) {
        normalisation.mean[i] = limits[(i + kind) % 5];
        normalisation.gain[i] = limits[(i / 2 + kind) % 5];
    }
    mfcc_features(audio, FRAMES, &normalisation, output, scratch);
    free(audio);
    free(output);
    free(scratch);
    return 0;
}

static void transform(int kind) {
    const int32_t most = 1 << REAL_FFT_INPUT_BITS;
    int32_t data[REAL_FFT_POINTS];
    for (int i = 0; i < REAL_FFT_POINTS; i++) {
        const int negative = kind == 0   ? 0
                             : kind == 1 ? 1
                             : kind < 9  ? i >> (kind - 2) & 1
                                         : (int)(random_bits() & 1);
        data[i] = negative ? -most : most;
    }
    real_fft(data);
}

int main(void) {
    for (int kind = 0; kind < 80; kind++) {
        if (features(kind) != 0) {
            return 1;
        }
    }
    for (int kind = 0; kind < 1000; kind++) {
        transform(kind);
    }
    puts("done");
    return 0;
}
