#include "tern_internal.h"

/* Bits of a position behind its point. */
#define FRACTION 10
#define ONE (INT32_C(1) << FRACTION)

static bool are_inside(const int32_t *positions, int32_t count, int32_t size) {
    for (int32_t i = 0; i < count; i++) {
        if (positions[i] < 0 || positions[i] > (int64_t)(size - 1) * ONE)
            return false;
    }
    return true;
}

static tern_status check(const tern_resize_bilinear_params *params, const int8_t *input,
                         const int8_t *output) {
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

/* Two neighbours of one dimension: their numbers, and how much of ONE the second counts. */
typedef struct {
    int32_t first, second, weight;
} neighbours;

static neighbours around(int32_t position) {
    const int32_t first = position >> FRACTION, weight = position & (ONE - 1);
    const neighbours pair = {first, weight > 0 ? first + 1 : first, weight};
    return pair;
}

static int32_t between(int32_t first, int32_t second, int32_t weight) {
    return first * (ONE - weight) + second * weight;
}

static int8_t rounded(int32_t sum) {
    const int32_t half = INT32_C(1) << (2 * FRACTION - 1);
    return (int8_t)((sum > 0 ? sum + half : sum - half) / (ONE * ONE));
}

tern_status tern_resize_bilinear_ref(const tern_resize_bilinear_params *params, const int8_t *input,
                                     int8_t *output) {
    const tern_status status = check(params, input, output);
    if (status != TERN_OK)
        return status;
    const int32_t channels = params->input.channels, row = params->input.width * channels;
    for (int32_t y = 0; y < params->output_height; y++) {
        const neighbours down = around(params->rows[y]);
        const int8_t *upper = input + down.first * row, *lower = input + down.second * row;
        for (int32_t x = 0; x < params->output_width; x++) {
            const neighbours along = around(params->columns[x]);
            const int32_t left = along.first * channels, right = along.second * channels;
            for (int32_t c = 0; c < channels; c++) {
                const int32_t above = between(upper[left + c], upper[right + c], along.weight);
                const int32_t below = between(lower[left + c], lower[right + c], along.weight);
                *output++ = rounded(between(above, below, down.weight));
            }
        }
    }
    return TERN_OK;
}
