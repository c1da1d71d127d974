/* The activation functions of an LSTM's gates, in TFLite's 16-bit fixed-point arithmetic. */
#ifndef TERN_GATES_H
#define TERN_GATES_H

#include <stdint.h>

/* Most integer bits of an input of `tern_tanh_q15`. */
#define TERN_TANH_INTEGER_BITS 6

/* 1 / (1 + exp(-x)), Q0.15, for x in Q3.12. */
int16_t tern_logistic_q15(int16_t x);

/* tanh(x), Q0.15, for x with `integer_bits` before the binary point, in [0, TERN_TANH_INTEGER_BITS]. */
int16_t tern_tanh_q15(int16_t x, int32_t integer_bits);

#endif
