#include "tern_internal.h"

static tern_status check(const tern_pad_params *params, const int8_t *input, const int8_t *output) {
    if (params == NULL || input == NULL || output == NULL)
        return TERN_ERROR_NULL;
    const int32_t *in = params->input, *out = params->output;
    if (tern_size(tern_size(in[0], in[1], in[2]), in[3], 1) == 0 ||
        tern_size(tern_size(out[0], out[1], out[2]), out[3], 1) == 0)
        return TERN_ERROR_SHAPE;
    for (int32_t i = 0; i < TERN_MAX_RANK; i++) {
        if (params->before[i] < 0 || params->before[i] > out[i] - in[i])
            return TERN_ERROR_SHAPE;
    }
    return tern_is_int8(params->value) ? TERN_OK : TERN_ERROR_PARAMETER;
}

static inline bool is_inside(const tern_pad_params *params, int32_t dimension, int32_t at) {
    return at >= params->before[dimension] && at - params->before[dimension] < params->input[dimension];
}

static int8_t *fill(int8_t *output, int32_t count, int32_t value) {
    for (int32_t i = 0; i < count; i++)
        output[i] = (int8_t)value;
    return output + count;
}

tern_status tern_pad_ref(const tern_pad_params *params, const int8_t *input, int8_t *output) {
    const tern_status status = check(params, input, output);
    if (status != TERN_OK)
        return status;
    const int32_t *out = params->output;
    const int32_t before = params->before[3], width = params->input[3], after = out[3] - before - width;
    for (int32_t a = 0; a < out[0]; a++) {
        for (int32_t b = 0; b < out[1]; b++) {
            for (int32_t c = 0; c < out[2]; c++) {
                if (!is_inside(params, 0, a) || !is_inside(params, 1, b) || !is_inside(params, 2, c)) {
                    output = fill(output, out[3], params->value);
                    continue;
                }
                output = fill(output, before, params->value);
                for (int32_t d = 0; d < width; d++)
                    *output++ = *input++;
                output = fill(output, after, params->value);
            }
        }
    }
    return TERN_OK;
}
