/* Operators that compute every element of the output from the elements at its place. */
#ifndef TERN_ELEMENTWISE_H
#define TERN_ELEMENTWISE_H

#include "tern_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ADD of two tensors, either of which may be broadcast: a dimension of 1 is repeated. The output may lie in the
 * place of an input that is not broadcast. */
typedef struct {
    int32_t shape[TERN_MAX_RANK];                   /* of the output */
    int32_t strides[2][TERN_MAX_RANK];              /* of each input, in elements; 0 where it is broadcast */
    int32_t zero_point[2], multiplier[2], shift[2]; /* multipliers below 1: shifts in [-31, 0] */
    int32_t left_shift;                             /* of both inputs, before they are scaled, in [0, 22] */
    int32_t output_zero_point, output_multiplier, output_shift, minimum, maximum;
} tern_add_params;

tern_status tern_add_ref(const tern_add_params *params, const int8_t *input0, const int8_t *input1,
                         int8_t *output);

/* SUB: input 0 less input 1. Parameters as of ADD. */
tern_status tern_sub_ref(const tern_add_params *params, const int8_t *input0, const int8_t *input1,
                         int8_t *output);

/* SQUARED_DIFFERENCE: the square of what SUB computes before it is scaled. Parameters as of ADD; up to a left
 * shift of 7, of multipliers up to 1/2, the square fits an int32. */
tern_status tern_squared_difference_ref(const tern_add_params *params, const int8_t *input0,
                                        const int8_t *input1, int8_t *output);

/* ADD or SUB of two tensors of one shape, for quantisations whose arithmetic is, for all int8 a and b,
 * clamp((a * multiplier[0] + b * multiplier[1] + offset) >> shift). */
typedef struct {
    int32_t size;                  /* elements of each tensor */
    int32_t multiplier[2], offset; /* |multiplier| < 2^23; the sum fits an int32 */
    int32_t shift;                 /* in [16, 31] */
    int32_t minimum, maximum;
} tern_add_linear_params;

tern_status tern_add_linear(const tern_add_linear_params *params, const int8_t *input0, const int8_t *input1,
                            int8_t *output);

/* MUL, broadcast as ADD is. */
typedef struct {
    int32_t shape[TERN_MAX_RANK];      /* of the output */
    int32_t strides[2][TERN_MAX_RANK]; /* of each input, in elements; 0 where it is broadcast */
    int32_t zero_point[2];
    int32_t output_zero_point, multiplier, shift, minimum, maximum;
} tern_mul_params;

tern_status tern_mul_ref(const tern_mul_params *params, const int8_t *input0, const int8_t *input1,
                         int8_t *output);

/* PRELU: input 1 holds the slopes of negative inputs, broadcast as ADD does. */
typedef struct {
    int32_t shape[TERN_MAX_RANK];      /* of the output */
    int32_t strides[2][TERN_MAX_RANK]; /* of each input, in elements; 0 where it is broadcast */
    int32_t zero_point[2];
    int32_t output_zero_point;
    int32_t multiplier[2], shift[2]; /* of positive inputs, and of the products of negative ones */
} tern_prelu_params;

tern_status tern_prelu_ref(const tern_prelu_params *params, const int8_t *input, const int8_t *slopes,
                           int8_t *output);

/* MAXIMUM and MINIMUM of two tensors of one quantisation, broadcast as ADD does. */
typedef struct {
    int32_t shape[TERN_MAX_RANK];      /* of the output */
    int32_t strides[2][TERN_MAX_RANK]; /* of each input, in elements; 0 where it is broadcast */
} tern_choice_params;

tern_status tern_maximum_ref(const tern_choice_params *params, const int8_t *input0, const int8_t *input1,
                             int8_t *output);
tern_status tern_minimum_ref(const tern_choice_params *params, const int8_t *input0, const int8_t *input1,
                             int8_t *output);

/* In all of these the output may be an input that is not broadcast. */

#ifdef __cplusplus
}
#endif
#endif
