/* Fully connected layers. */
#ifndef TERN_FULLY_CONNECTED_H
#define TERN_FULLY_CONNECTED_H

#include "tern_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* FULLY_CONNECTED: `rows` times an input of `inputs` values to `outputs` values. */
typedef struct {
    int32_t rows, inputs, outputs;
    int32_t input_zero_point;
    tern_weights weights;
    tern_float64_requantization requantization;
} tern_fully_connected_params;

tern_status tern_fully_connected_int8_ref(const tern_fully_connected_params *params, const int8_t *input,
                                          int8_t *output);
tern_status tern_fully_connected_ternary_ref(const tern_fully_connected_params *params, const int8_t *input,
                                             int8_t *output);
tern_status tern_fully_connected_base3_ref(const tern_fully_connected_params *params, const int8_t *input,
                                           int8_t *output);
tern_status tern_fully_connected_binary_ref(const tern_fully_connected_params *params, const int8_t *input,
                                            int8_t *output);

/* FULLY_CONNECTED with weights in vectors of 16 inputs, for Helium: as tern_fully_connected_int8_ref or
 * tern_fully_connected_ternary_ref.
 *
 * Outputs lie in groups of four, and the last vector of inputs ends with any weights, but int8 ones with zeros.
 *     8 bits: of a group a vector of each of its outputs in turn, then the next inputs.
 *     2 bits: 16 bytes of a group have a vector of each of its outputs, input i in byte i, output 0 in the lowest bits. With
 *             `minus` 0 is zero, 1 is `plus` and 2 is `minus`. Without, `minus` is -`plus`, and 1 is zero, 2 `plus`, 0 `minus`.
 *
 * Scales have one rounding, and are to be known to give the same as float64 arithmetic for all sums:
 * floor((sum + bias) * multiplier * 2^(shift - 32) + 1/2) + zero point, clamped. */
typedef struct {
    int32_t rows, inputs, outputs; /* 65536 inputs at most */
    int32_t bits;                  /* of a weight: 2 or 8 */
    const uint8_t *weights;
    const int8_t *plus, *minus; /* one an output, in whole groups; not read with 8 bits */
    const int32_t
        *bias; /* in whole groups: bias - (input zero point + a) * sum of the weights; a is 128 with 2 bits,
                                 * else 0 */
    const int32_t *multiplier; /* in whole groups, in [0, 2^31) */
    const int8_t *shift;       /* in whole groups, in [-22, -1] */
    int32_t zero_point, minimum, maximum;
} tern_fully_connected_vectors_params;

tern_status tern_fully_connected_vectors(const tern_fully_connected_vectors_params *params,
                                         const int8_t *input, int8_t *output, void *scratch);
int32_t tern_fully_connected_vectors_scratch_bytes(const tern_fully_connected_vectors_params *params);

#ifdef __cplusplus
}
#endif
#endif
