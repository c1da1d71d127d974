#include "floor_scaling.h"
#include "row_quads.h"

/* The inputs are written once in the form that the core multiplies; then four outputs at a time run over them. */

/* A sum of so many products fits 32 bits. */
enum { MAXIMUM_INPUTS = 1 << 16 };

static int32_t padded_inputs(const tern_fully_connected_int8_params *params) {
    return (params->inputs + TERN_QUAD_INPUTS - 1) / TERN_QUAD_INPUTS * TERN_QUAD_INPUTS;
}

/* As many on every core. */
int32_t tern_fully_connected_int8_scratch_bytes(const tern_fully_connected_int8_params *params) {
    return 2 * padded_inputs(params);
}

static tern_status check(const tern_fully_connected_int8_params *params, const int8_t *input,
                         const int8_t *output, const void *scratch) {
    if (params == NULL || input == NULL || output == NULL || scratch == NULL || params->weights == NULL)
        return TERN_ERROR_NULL;
    if ((uintptr_t)scratch % sizeof(uint32_t) != 0)
        return TERN_ERROR_ALIGNMENT;
    if (tern_size(params->rows, params->inputs, 1) == 0 || tern_size(params->rows, params->outputs, 1) == 0 ||
        params->inputs > MAXIMUM_INPUTS)
        return TERN_ERROR_SHAPE;
    return tern_check_floor_requantization(&params->requantization, params->outputs);
}

/* The inputs, and zeros behind them. */
static void write_inputs(tern_word *to, const tern_word *end, const int8_t *input, int32_t left) {
    for (; to != end; to += TERN_QUAD_WORDS) {
        uint32_t bytes = 0;
        if (left >= 4)
            __builtin_memcpy(&bytes, input, 4);
        else
            for (int32_t i = 0; i < left; i++)
                bytes |= (uint32_t)(uint8_t)input[i] << 8 * i;
#ifdef TERN_PORT_DSP
        to[0] = tern_even_signed_bytes(bytes);
        to[1] = tern_odd_signed_bytes(bytes);
#else
        to[0] = bytes;
#endif
        input += left < 4 ? 0 : 4;
        left -= left < 4 ? left : 4;
    }
}

static void write_outputs(const tern_fully_connected_int8_params *params, const tern_word *inputs,
                          const tern_word *end, int8_t *output) {
    const uint32_t *weights = params->weights;
    for (int32_t first = 0; first < params->outputs; first += TERN_QUAD_ROWS) {
        int32_t sums[TERN_QUAD_ROWS];
        const int32_t left = params->outputs - first;
        weights = tern_dot_quads(sums, inputs, weights, end);
        tern_write_floor_outputs(&params->requantization, (const uint32_t *)sums, 0, first,
                                 left < TERN_QUAD_ROWS ? left : TERN_QUAD_ROWS, output);
    }
}

tern_status tern_fully_connected_int8(const tern_fully_connected_int8_params *params, const int8_t *input,
                                      int8_t *output, void *scratch) {
    const tern_status status = check(params, input, output, scratch);
    if (status != TERN_OK)
        return status;
    tern_word *const inputs = scratch;
    const tern_word *const end = inputs + padded_inputs(params) / 4 * TERN_QUAD_WORDS;
    for (int32_t row = 0; row < params->rows; row++) {
        write_inputs(inputs, end, input, params->inputs);
        write_outputs(params, inputs, end, output);
        input += params->inputs;
        output += params->outputs;
    }
    return TERN_OK;
}
