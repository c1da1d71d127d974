#include "tern_internal.h"

static bool are_inside(const int32_t *numbers, int32_t count, int32_t size) {
    for (int32_t i = 0; i < count; i++) {
        if (numbers[i] < 0 || numbers[i] >= size)
            return false;
    }
    return true;
}

static tern_status check(const tern_pick_params *params, const int8_t *input, const int8_t *output) {
    if (params == NULL || input == NULL || output == NULL || params->rows == NULL || params->columns == NULL)
        return TERN_ERROR_NULL;
    if (!tern_is_shape(params->input) ||
        tern_size(params->output_height, params->output_width, params->input.channels) == 0)
        return TERN_ERROR_SHAPE;
    if (!are_inside(params->rows, params->output_height, params->input.height) ||
        !are_inside(params->columns, params->output_width, params->input.width))
        return TERN_ERROR_PARAMETER;
    return TERN_OK;
}

tern_status tern_pick_ref(const tern_pick_params *params, const int8_t *input, int8_t *output) {
    const tern_status status = check(params, input, output);
    if (status != TERN_OK)
        return status;
    const int32_t channels = params->input.channels;
    for (int32_t y = 0; y < params->output_height; y++) {
        const int8_t *row = input + params->rows[y] * params->input.width * channels;
        for (int32_t x = 0; x < params->output_width; x++) {
            const int8_t *pixel = row + params->columns[x] * channels;
            for (int32_t channel = 0; channel < channels; channel++)
                *output++ = pixel[channel];
        }
    }
    return TERN_OK;
}
