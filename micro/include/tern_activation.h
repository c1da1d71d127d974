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

#ifdef __cplusplus
}
#endif
#endif
