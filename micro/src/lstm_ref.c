#include "tern_fixed_point.h"
#include "tern_gates.h"
#include "tern_internal.h"

#define GATE_INTEGER_BITS 3 /* gates are Q3.12 before their activation function */

/* ---- checks ---- */

static tern_status check_matrix(const tern_lstm_matrix *matrix, int32_t units, int32_t length) {
    if (matrix->format < TERN_FORMAT_INT8 || matrix->format > TERN_FORMAT_BINARY ||
        !tern_is_scale(matrix->multiplier, matrix->shift))
        return TERN_ERROR_PARAMETER;
    const int32_t levels = matrix->format == TERN_FORMAT_INT8 ? TERN_NUMBERS : TERN_LEVELS;
    return tern_check_weights(&matrix->weights, levels, units, length);
}

static tern_status check_gate(const tern_lstm_params *params, const tern_lstm_gate *gate) {
    if (gate->bias == NULL)
        return TERN_ERROR_NULL;
    const tern_status status = check_matrix(&gate->input, params->units, params->inputs);
    return status != TERN_OK ? status : check_matrix(&gate->recurrent, params->units, params->units);
}

static tern_status check(const tern_lstm_params *params) {
    if (tern_size(params->steps, params->inputs, 1) == 0 || tern_size(params->steps, params->units, 1) == 0 ||
        tern_size(params->units, sizeof(int16_t), 1) == 0)
        return TERN_ERROR_SHAPE;
    if (!tern_is_int8(params->input_zero_point) || !tern_is_int8(params->state_zero_point) ||
        !tern_is_int8(params->hidden_zero_point) || params->cell_fraction < 15 - TERN_TANH_INTEGER_BITS ||
        params->cell_fraction > 15 || params->cell_clip < 0 || params->cell_clip > INT16_MAX ||
        !tern_is_scale(params->hidden_multiplier, params->hidden_shift))
        return TERN_ERROR_PARAMETER;
    const tern_lstm_gate *const gates[] = {&params->input_gate, &params->forget_gate, &params->cell_gate,
                                           &params->output_gate};
    for (int32_t i = 0; i < 4; i++) {
        const tern_status status = check_gate(params, gates[i]);
        if (status != TERN_OK)
            return status;
    }
    return TERN_OK;
}

/* ---- a step ---- */

/* A step's input, and the hidden state behind the step before it: null for the first one, where all state is zero. */
typedef struct {
    const int8_t *input, *hidden;
} step_inputs;

static uint32_t dot_row(const tern_lstm_matrix *matrix, int32_t units, int32_t unit, const int8_t *input,
                        int32_t length, int32_t zero_point) {
    static tern_dot *const dots[] = {tern_dot_int8, tern_dot_ternary, tern_dot_base3, tern_dot_binary};
    const tern_rows rows = {matrix->weights.data, length};
    const int32_t levels = matrix->format == TERN_FORMAT_INT8 ? TERN_NUMBERS : TERN_LEVELS;
    uint32_t sum = 0;
    for (int32_t plane = 0; plane <= matrix->weights.residual_planes; plane++) {
        const int32_t row = plane * units + unit;
        tern_sums sums = {0, 0};
        dots[matrix->format](rows, row, 0, input, length, zero_point, &sums);
        sum += tern_join(&matrix->weights, levels, row, sums);
    }
    return sum;
}

/* Adds what a matrix contributes to a gate, Q3.12. */
static int16_t accumulate(int16_t gate, const tern_lstm_matrix *matrix, uint32_t sum) {
    const int32_t scaled = tern_scale((int32_t)sum, matrix->multiplier, matrix->shift);
    return (int16_t)tern_clamp((int32_t)((uint32_t)scaled + (uint32_t)gate), INT16_MIN, INT16_MAX);
}

/* A gate before its activation function. */
static int16_t gate_of(const tern_lstm_params *params, const tern_lstm_gate *gate, int32_t unit,
                       step_inputs from) {
    const uint32_t sum =
        dot_row(&gate->input, params->units, unit, from.input, params->inputs, params->input_zero_point);
    const int16_t of_input = accumulate(0, &gate->input, sum + (uint32_t)gate->bias[unit]);
    if (from.hidden == NULL)
        return of_input;
    return accumulate(
        of_input, &gate->recurrent,
        dot_row(&gate->recurrent, params->units, unit, from.hidden, params->units, params->state_zero_point));
}

/* The unit's next cell state, and its hidden state from that. */
static int8_t update_unit(const tern_lstm_params *params, int32_t unit, step_inputs from, int16_t *cell) {
    const int32_t input = tern_logistic_q15(gate_of(params, &params->input_gate, unit, from));
    const int32_t forget = tern_logistic_q15(gate_of(params, &params->forget_gate, unit, from));
    const int32_t update = tern_tanh_q15(gate_of(params, &params->cell_gate, unit, from), GATE_INTEGER_BITS);
    const int32_t output = tern_logistic_q15(gate_of(params, &params->output_gate, unit, from));

    const int32_t bound = params->cell_clip > 0 ? params->cell_clip : INT16_MAX;
    const int32_t before = from.hidden == NULL ? 0 : *cell;
    const int32_t kept = tern_round_shift(forget * before, 15);
    const int32_t added = tern_round_shift(input * update, 30 - params->cell_fraction);
    *cell = (int16_t)tern_clamp(kept + added, params->cell_clip > 0 ? -bound : INT16_MIN, bound);

    const int32_t hidden = output * tern_tanh_q15(*cell, 15 - params->cell_fraction);
    const int32_t scaled = tern_scale(hidden, params->hidden_multiplier, params->hidden_shift);
    const int32_t shifted = (int32_t)((uint32_t)scaled + (uint32_t)params->hidden_zero_point);
    return (int8_t)tern_clamp(shifted, INT8_MIN, INT8_MAX);
}

int32_t tern_lstm_ref_scratch_bytes(const tern_lstm_params *params) {
    return params == NULL || params->units < 1 || params->units > INT32_MAX / 2
               ? 0
               : params->units * (int32_t)sizeof(int16_t);
}

/* A unit's hidden state depends on the whole hidden state of the step before, which is that step's output, and on
 * its own cell state alone: gates need no buffers. */
tern_status tern_lstm_ref(const tern_lstm_params *params, const int8_t *input, int8_t *output,
                          void *scratch) {
    if (params == NULL || input == NULL || output == NULL || scratch == NULL)
        return TERN_ERROR_NULL;
    const tern_status status = check(params);
    if (status != TERN_OK)
        return status;
    int16_t *cells = scratch;
    step_inputs from = {input, NULL};
    for (int32_t step = 0; step < params->steps; step++) {
        for (int32_t unit = 0; unit < params->units; unit++)
            output[unit] = update_unit(params, unit, from, &cells[unit]);
        from.input += params->inputs;
        from.hidden = output;
        output += params->units;
    }
    return TERN_OK;
}
