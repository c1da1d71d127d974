/* Activation functions. */
#ifndef TERN_ACTIVATION_H
#define TERN_ACTIVATION_H

#include "tern_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* SOFTMAX over the last dimension, of at most 8191. The output's scale is 1/256 and its zero point -128.
 * The output may lie in the input's place. */
typedef struct {
    int32_t rows, depth;
    int32_t multiplier, shift;  /* beta * scale(input) * 2^26, a shift in [0, 31] */
    int32_t difference_minimum; /* inputs further than this below the row's maximum give 0 */
} tern_softmax_params;

tern_status tern_softmax_ref(const tern_softmax_params *params, const int8_t *input, int8_t *output);

/* Any function of one byte: RELU, LOGISTIC, TANH, QUANTIZE from int8 to uint8 and their like. The table holds the output
 * of each input, an int8 taken as the uint8 of the same bits. The output may be the input. */
typedef struct {
    int32_t size;
    const uint8_t *table; /* 256 bytes */
} tern_table_params;

tern_status tern_table_ref(const tern_table_params *params, const void *input, void *output);

#ifdef __cplusplus
}
#endif
#endif
