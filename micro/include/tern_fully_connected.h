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

#ifdef __cplusplus
}
#endif
#endif
