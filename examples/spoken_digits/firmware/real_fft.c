#include "real_fft.h"
#include "mfcc_tables.h"

/* 256 real numbers are transformed as 128 complex ones, the even samples the real parts. The spectra of even and
 * odd samples are then told apart by symmetry, and joined by one more stage. */

enum { COMPLEX_POINTS = REAL_FFT_POINTS / 2, QUARTER_TURN = REAL_FFT_POINTS / 4 };

/* exp(-2 pi i turn / 256), 2^31 times as large */
typedef struct {
    int32_t cosine, sine, minus_sine;
} rotation;

static inline rotation rotation_by(int32_t turn) {
    const int32_t sine = mfcc_sine[turn];
    return (rotation){mfcc_sine[turn + QUARTER_TURN], sine, -sine};
}

/* Half of a rotated number, rounded down: the upper words of 64-bit sums, which cost no shift. Shifts of negative
 * numbers are arithmetic on every compiler for these machines. */
static inline int32_t half_real(const rotation *by, int32_t real, int32_t imaginary) {
    return (int32_t)(((int64_t)real * by->cosine + (int64_t)imaginary * by->sine) >> 32);
}

static inline int32_t half_imaginary(const rotation *by, int32_t real, int32_t imaginary) {
    return (int32_t)(((int64_t)imaginary * by->cosine + (int64_t)real * by->minus_sine) >> 32);
}

/* a, b = a + (real + i imaginary), a - (real + i imaginary) */
static inline void combine(int32_t *a, int32_t *b, int32_t real, int32_t imaginary) {
    const int32_t a_real = a[0], a_imaginary = a[1];
    a[0] = a_real + real;
    a[1] = a_imaginary + imaginary;
    b[0] = a_real - real;
    b[1] = a_imaginary - imaginary;
}

static void reverse_bits_of_positions(int32_t *data) {
    for (int32_t from = 1, to = 0; from < COMPLEX_POINTS; from++) {
        /* to + 1 with the highest bit as the first: a carry moves down */
        int32_t bit = COMPLEX_POINTS / 2;
        for (; to & bit; bit /= 2) {
            to -= bit;
        }
        to += bit;
        if (from < to) {
            for (int32_t part = 0; part < 2; part++) {
                const int32_t kept = data[2 * from + part];
                data[2 * from + part] = data[2 * to + part];
                data[2 * to + part] = kept;
            }
        }
    }
}

static void complex_fft(int32_t *data) {
    int32_t *const end = data + REAL_FFT_POINTS;
    reverse_bits_of_positions(data);
    for (int32_t half = 1; half < COMPLEX_POINTS; half *= 2) {
        for (int32_t *a = data; a < end; a += 4 * half) {
            int32_t *const b = a + 2 * half;
            combine(a, b, b[0], b[1]);
        }
        for (int32_t i = 1; i < half; i++) {
            const rotation by = rotation_by(i * (COMPLEX_POINTS / half));
            for (int32_t *a = data + 2 * i; a < end; a += 4 * half) {
                int32_t *const b = a + 2 * half;
                combine(a, b, 2 * half_real(&by, b[0], b[1]), 2 * half_imaginary(&by, b[0], b[1]));
            }
        }
    }
}

void real_fft(int32_t *data) {
    complex_fft(data);
    const int32_t even = data[0], odd = data[1];
    data[0] = even + odd;
    data[1] = even - odd;
    for (int32_t k = 1; k <= COMPLEX_POINTS / 2; k++) {
        int32_t *const low = data + 2 * k, *const high = data + 2 * (COMPLEX_POINTS - k);
        const rotation by = rotation_by(k);
        /* each twice what it should be */
        const int32_t even_real = low[0] + high[0], even_imaginary = low[1] - high[1];
        const int32_t odd_real = low[1] + high[1], odd_imaginary = high[0] - low[0];
        const int32_t real = half_real(&by, odd_real, odd_imaginary);
        const int32_t imaginary = half_imaginary(&by, odd_real, odd_imaginary);
        low[0] = (even_real >> 1) + real;
        low[1] = (even_imaginary >> 1) + imaginary;
        high[0] = (even_real >> 1) - real;
        high[1] = imaginary - (even_imaginary >> 1);
    }
}
