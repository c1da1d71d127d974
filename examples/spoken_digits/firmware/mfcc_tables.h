/* Constants that mfcc_tables.py computes. */
#ifndef MFCC_TABLES_H
#define MFCC_TABLES_H

#include <stdint.h>

#include "mfcc.h"
#include "real_fft.h"

/* Three quarters of a turn: 2^31 sin(2 pi i / 256), at most 2^31 - 1; the cosine is a quarter ahead. */
extern const int32_t mfcc_sine[3 * REAL_FFT_POINTS / 4 + 1];

/* 2^15 (1 - cos(2 pi (i + 1/2) / 256)) / 2, the first half of a Hann window; the other mirrors it. */
extern const uint16_t mfcc_window[MFCC_FRAME_SAMPLES / 2];

/* A frequency lies on the falling side of one triangle of the mel filterbank and on the rising side of the next:
 * `band`, which counts from 1, gets 1 - rising / 2^15 of its power, and band + 1 the rest. Bands 0 and
 * MFCC_BANDS + 1 are beside the filterbank. */
typedef struct {
    uint16_t band, rising;
} mfcc_frequency;
extern const mfcc_frequency mfcc_frequencies[MFCC_LAST_FREQUENCY - MFCC_FIRST_FREQUENCY + 1];

/* 2^15 log2(1 + i / 32) */
#define MFCC_LOG_STEPS 32
extern const uint16_t mfcc_log[MFCC_LOG_STEPS + 1];

/* The orthonormal cosine transform (DCT-II), 2^15 times as large: what a band adds to each coefficient. */
extern const int16_t mfcc_cosines[MFCC_BANDS][MFCC_COEFFICIENTS];

#endif
