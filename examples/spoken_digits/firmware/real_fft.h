/* The discrete Fourier transform of real numbers, in 32-bit integers. */
#ifndef REAL_FFT_H
#define REAL_FFT_H

#include <stdint.h>

#define REAL_FFT_POINTS 256
/* Inputs of up to 2^22: then no sum of 256 of them leaves an int32, and no stage needs to scale. */
#define REAL_FFT_INPUT_BITS 22

/* X[k] = sum over n of x[n] exp(-2 pi i k n / 256), in place, for k from 0 to 128.
 *
 * data: x on entry. Then real and imaginary parts of X[1] to X[127] from data[2] on; before them X[0] and
 * X[128], which are real. */
void real_fft(int32_t *data);

#endif
