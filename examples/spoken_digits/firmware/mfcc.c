#include "mfcc.h"
#include "mfcc_tables.h"
#include "real_fft.h"

enum {
    POWER_BITS = 15, /* of the spectrum, so that the sum of two squares fits 32 bits */
    LOG_BITS = 8,    /* binary places of logarithms */
    /* What counts as silence, a band's power of 2^6 in samples squared: 8 of 32768, or -72 dB. The window's squares
     * add up to 2^36.6, the filterbank's weights have 15 bits. */
    LOG_FLOOR = 6 + 36 + 15
};

/* How many bits x needs: 0 for 0. */
static int32_t bit_length(uint32_t x) {
    int32_t length = 0;
    for (int32_t step = 16; step > 0; step /= 2) {
        if (x >> step) {
            x >>= step;
            length += step;
        }
    }
    return length + (int32_t)x;
}

/* As many bits as |x| has; one less for powers of two below zero. */
static uint32_t magnitude(int32_t x) {
    return (uint32_t)(x ^ x >> 31);
}

/* x / 2^bits, rounded to the nearest. */
static inline int32_t scaled_down(int32_t x, int32_t bits) {
    return (x + (1 << bits >> 1)) >> bits;
}

/* Windows a frame and makes the most of the transform's range. Returns log2 of the factor. */
static int32_t window_frame(const int16_t *samples, int32_t *data) {
    uint32_t magnitudes = 0;
    for (int32_t i = 0, j = MFCC_FRAME_SAMPLES - 1; i < j; i++, j--) {
        data[i] = samples[i] * (int32_t)mfcc_window[i];
        data[j] = samples[j] * (int32_t)mfcc_window[i];
        magnitudes |= magnitude(data[i]) | magnitude(data[j]);
    }
    const int32_t bits = REAL_FFT_INPUT_BITS - bit_length(magnitudes);
    if (bits < 0) {
        for (int32_t i = 0; i < MFCC_FRAME_SAMPLES; i++) {
            data[i] = scaled_down(data[i], -bits);
        }
    } else {
        for (int32_t i = 0; i < MFCC_FRAME_SAMPLES; i++) {
            data[i] *= 1 << bits;
        }
    }
    return bits;
}

/* The power in every mel band from the packed spectrum. Returns log2 of what the spectrum was divided by. */
static int32_t sum_bands(const int32_t *spectrum, uint64_t *bands) {
    uint32_t magnitudes = 0;
    for (int32_t i = 2 * MFCC_FIRST_FREQUENCY; i < 2 * (MFCC_LAST_FREQUENCY + 1); i++) {
        magnitudes |= magnitude(spectrum[i]);
    }
    const int32_t surplus = bit_length(magnitudes) - POWER_BITS, bits = surplus > 0 ? surplus : 0;
    for (int32_t band = 0; band < MFCC_BANDS + 2; band++) {
        bands[band] = 0;
    }
    for (int32_t k = MFCC_FIRST_FREQUENCY; k <= MFCC_LAST_FREQUENCY; k++) {
        const mfcc_frequency *frequency = &mfcc_frequencies[k - MFCC_FIRST_FREQUENCY];
        const int32_t real = scaled_down(spectrum[2 * k], bits);
        const int32_t imaginary = scaled_down(spectrum[2 * k + 1], bits);
        const uint64_t power = (uint32_t)(real * real) + (uint32_t)(imaginary * imaginary);
        bands[frequency->band] += power * (0x8000u - frequency->rising);
        bands[frequency->band + 1] += power * frequency->rising;
    }
    return bits;
}

/* log2(x) with LOG_BITS binary places, for x > 0. */
static int32_t log2_of(uint64_t x) {
    const uint32_t high = (uint32_t)(x >> 32);
    const int32_t length = high ? 32 + bit_length(high) : bit_length((uint32_t)x);
    /* 31 bits behind the leading one */
    const uint32_t mantissa = (uint32_t)(length > 32 ? x >> (length - 32) : x << (32 - length)) & 0x7FFFFFFFu;
    const uint32_t step = mantissa >> 26, within = mantissa >> 11 & 0x7FFFu;
    const uint32_t left = mfcc_log[step], right = mfcc_log[step + 1];
    const uint32_t fraction = (left << 15) + (right - left) * within; /* 30 binary places */
    return (length - 1) * (1 << LOG_BITS) +
           (int32_t)((fraction + (1u << (29 - LOG_BITS))) >> (30 - LOG_BITS));
}

void mfcc_cepstrum(const int16_t *samples, int32_t *cepstrum, mfcc_scratch *scratch) {
    int32_t bits = window_frame(samples, scratch->spectrum);
    real_fft(scratch->spectrum);
    bits -= sum_bands(scratch->spectrum, scratch->bands);

    const int32_t silence = (LOG_FLOOR + 2 * bits) * (1 << LOG_BITS);
    for (int32_t i = 0; i < MFCC_COEFFICIENTS; i++) {
        cepstrum[i] = 0;
    }
    for (int32_t band = 0; band < MFCC_BANDS; band++) {
        const uint64_t power = scratch->bands[band + 1];
        const int32_t level = power == 0 ? 0 : log2_of(power) - silence;
        if (level > 0) {
            for (int32_t i = 0; i < MFCC_COEFFICIENTS; i++) {
                cepstrum[i] += level * mfcc_cosines[band][i];
            }
        }
    }
}

static int8_t normalised(int32_t x, int32_t mean, int32_t gain) {
    const int64_t feature = (((int64_t)x - mean) * gain + ((int64_t)1 << 31)) >> 32;
    return (int8_t)(feature < INT8_MIN ? INT8_MIN : feature > INT8_MAX ? INT8_MAX : feature);
}

void mfcc_features(const int16_t *samples, int32_t frames, const mfcc_normalisation *normalisation,
                   int8_t *features, mfcc_scratch *scratch) {
    for (int32_t frame = 0; frame < frames; frame++) {
        int32_t cepstrum[MFCC_COEFFICIENTS];
        mfcc_cepstrum(samples + frame * MFCC_HOP_SAMPLES, cepstrum, scratch);
        for (int32_t i = 0; i < MFCC_COEFFICIENTS; i++) {
            *features++ = normalised(cepstrum[i], normalisation->mean[i], normalisation->gain[i]);
        }
    }
}
