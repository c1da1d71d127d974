/* Recurrent layers. */
#ifndef TERN_LSTM_H
#define TERN_LSTM_H

#include "tern_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One of a gate's two matrices, a row a unit, and from its sums to Q3.12: each matrix has a scale of its own. */
typedef struct {
    int32_t format; /* a tern_weight_format */
    tern_weights weights;
    int32_t multiplier, shift; /* multiplier * 2^(shift - 31), a shift in [-31, 30] */
} tern_lstm_matrix;

typedef struct {
    tern_lstm_matrix input, recurrent;
    const int32_t *bias; /* one a unit, in the scale of the input matrix's sums */
} tern_lstm_gate;

/* UNIDIRECTIONAL_SEQUENCE_LSTM: `steps` times an input of `inputs` values to `units` values.
 *
 * The output of a step is its hidden state, and what the next step reads. Every call starts from a state of zero.
 * The cell state is int16 with `cell_fraction` bits behind the binary point, in [9, 15]. */
typedef struct {
    int32_t steps, inputs, units;
    int32_t input_zero_point;
    int32_t state_zero_point; /* of the hidden state as the recurrent matrices read it */
    tern_lstm_gate input_gate, forget_gate, cell_gate, output_gate;
    int32_t cell_fraction, cell_clip; /* the cell state stays in [-cell_clip, cell_clip]; 0 clips nothing */
    int32_t hidden_multiplier, hidden_shift, hidden_zero_point; /* from Q0.30 to the hidden state */
} tern_lstm_params;

int32_t tern_lstm_ref_scratch_bytes(const tern_lstm_params *params);
tern_status tern_lstm_ref(const tern_lstm_params *params, const int8_t *input, int8_t *output, void *scratch);

#ifdef __cplusplus
}
#endif
#endif
