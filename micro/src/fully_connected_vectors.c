#include "connected_vectors.h"
#include "tern_internal.h"

/* A row of inputs at a time, copied to whole vectors. Of weights each is read once, so nothing is unpacked. */

enum { VECTOR = TERN_CONNECTED_VECTOR, MOST_INPUTS = 65536, LEAST_SHIFT = -22 };

static int32_t vectors_in_row(const tern_fully_connected_vectors_params *params) {
    return params->inputs / VECTOR + (params->inputs % VECTOR != 0);
}

int32_t tern_fully_connected_vectors_scratch_bytes(const tern_fully_connected_vectors_params *params) {
    return vectors_in_row(params) * VECTOR;
}

static tern_status check(const tern_fully_connected_vectors_params *params, const int8_t *input,
                         const int8_t *output, const void *scratch) {
    if (params == NULL || input == NULL || output == NULL || scratch == NULL || params->weights == NULL ||
        params->bias == NULL || params->multiplier == NULL || params->shift == NULL)
        return TERN_ERROR_NULL;
    if (params->bits != 8 && params->plus == NULL)
        return TERN_ERROR_NULL;
    if (tern_size(params->rows, params->inputs, 1) == 0 || tern_size(params->rows, params->outputs, 1) == 0 ||
        params->inputs > MOST_INPUTS)
        return TERN_ERROR_SHAPE;
    if ((params->bits != 2 && params->bits != 8) || !tern_is_int8(params->zero_point) ||
        !tern_is_clamp(params->minimum, params->maximum))
        return TERN_ERROR_PARAMETER;
    int32_t signs = 0; /* of what must not be negative; one test of all is quicker than a test of each */
    for (int32_t i = 0; i < params->outputs; i++) {
        const int32_t shift = params->shift[i];
        signs |= params->multiplier[i] | (shift - LEAST_SHIFT) | (-1 - shift);
    }
    return signs < 0 ? TERN_ERROR_PARAMETER : TERN_OK;
}

tern_status tern_fully_connected_vectors(const tern_fully_connected_vectors_params *params,
                                         const int8_t *input, int8_t *output, void *scratch) {
    const tern_status status = check(params, input, output, scratch);
    if (status != TERN_OK)
        return status;
    tern_connected_block block = {scratch,
                                  params->weights,
                                  params->bias,
                                  params->multiplier,
                                  params->shift,
                                  params->plus,
                                  params->minus,
                                  output,
                                  vectors_in_row(params),
                                  params->outputs,
                                  2 * params->zero_point + 1,
                                  params->minimum,
                                  params->maximum,
                                  0};
    for (int32_t i = 0; i < params->rows; i++) {
        block.input_sum =
            tern_write_vector_inputs(scratch, input, params->inputs, params->bits == 8 ? 0 : 0x80);
        if (params->bits == 8)
            tern_write_connected_int8(&block);
        else if (params->minus == NULL)
            tern_write_connected_ternary(&block);
        else
            tern_write_connected_levels(&block);
        input += params->inputs;
        block.output += params->outputs;
    }
    return TERN_OK;
}
