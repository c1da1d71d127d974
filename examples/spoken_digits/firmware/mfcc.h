/* Mel-frequency cepstral coefficients of speech at 8 kHz, in integers alone: 10 of every 32 ms, each 20 ms.
 *
 *     int16 samples -> Hann window -> scaled to 22 bits -> FFT -> scaled to 15 bits -> power
 *                   -> mel bands -> log2 -> cosine transform -> normalised to int8
 *
 * Two exponents a frame, one before the transform and one behind it, keep quiet speech as exact as loud. */
#ifndef MFCC_H
#define MFCC_H

#include <stdint.h>

#define MFCC_SAMPLE_RATE 8000
#define MFCC_FRAME_SAMPLES 256
#define MFCC_HOP_SAMPLES 160
#define MFCC_BANDS 32
#define MFCC_COEFFICIENTS 10
/* Those of the transform that lie in the mel bands, 60 Hz to 3.9 kHz, in steps of 31.25 Hz. */
#define MFCC_FIRST_FREQUENCY 2
#define MFCC_LAST_FREQUENCY 124

/* Of a cepstrum's values: 2^23 is a factor of two in the power of a band, over sqrt(MFCC_BANDS). */
#define MFCC_FRACTION_BITS 23

/* How cepstra become int8: (cepstrum - mean) * gain / 2^32. */
typedef struct {
    int32_t mean[MFCC_COEFFICIENTS], gain[MFCC_COEFFICIENTS];
} mfcc_normalisation;

/* Working memory, of any content. */
typedef struct {
    uint64_t bands[MFCC_BANDS + 2];
    int32_t spectrum[MFCC_FRAME_SAMPLES];
} mfcc_scratch;

/* The cepstrum of a frame, with MFCC_FRACTION_BITS binary places.
 *
 * samples: MFCC_FRAME_SAMPLES, of any values.
 * cepstrum: MFCC_COEFFICIENTS. */
void mfcc_cepstrum(const int16_t *samples, int32_t *cepstrum, mfcc_scratch *scratch);

/* The features of frames, each MFCC_HOP_SAMPLES behind the one before: MFCC_COEFFICIENTS a frame, saturated. */
void mfcc_features(const int16_t *samples, int32_t frames, const mfcc_normalisation *normalisation,
                   int8_t *features, mfcc_scratch *scratch);

#endif
