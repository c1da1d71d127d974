#include "tern_fixed_point.h"
#include "tern_internal.h"

/* What one channel of one window holds: `values` points at the first, rows are `row_step` apart. */
typedef struct {
    const int8_t *values;
    int32_t height, width, row_step, column_step;
} view;

typedef int32_t reduction(view in);

static int32_t maximum_of(view in) {
    int32_t maximum = INT8_MIN;
    for (int32_t y = 0; y < in.height; y++) {
        for (int32_t x = 0; x < in.width; x++) {
            const int32_t value = in.values[y * in.row_step + x * in.column_step];
            maximum = value > maximum ? value : maximum;
        }
    }
    return maximum;
}

static int32_t average_of(view in) {
    int32_t sum = 0;
    for (int32_t y = 0; y < in.height; y++) {
        for (int32_t x = 0; x < in.width; x++)
            sum += in.values[y * in.row_step + x * in.column_step];
    }
    const int32_t count = in.height * in.width;
    return (sum > 0 ? sum + count / 2 : sum - count / 2) / count; /* halves away from zero */
}

static tern_status pool2d(const tern_pool2d_params *params, const int8_t *input, int8_t *output,
                          reduction *reduce) {
    const tern_status status = tern_check_pool2d(params, input, output);
    if (status != TERN_OK)
        return status;
    const tern_window *window = &params->window;
    const int32_t channels = params->input.channels;
    const int32_t row_step = params->input.width * channels;

    for (int32_t y = 0; y < params->output.height; y++) {
        const int32_t top = y * window->stride_height - window->pad_top;
        const tern_taps rows = tern_taps_inside(top, 1, window->height, params->input.height);
        for (int32_t x = 0; x < params->output.width; x++) {
            const int32_t left = x * window->stride_width - window->pad_left;
            const tern_taps columns = tern_taps_inside(left, 1, window->width, params->input.width);
            const int8_t *first = input + (top + rows.begin) * row_step + (left + columns.begin) * channels;
            for (int32_t channel = 0; channel < channels; channel++) {
                const view in = {first + channel, rows.end - rows.begin, columns.end - columns.begin,
                                 row_step, channels};
                *output++ = (int8_t)tern_clamp(reduce(in), params->minimum, params->maximum);
            }
        }
    }
    return TERN_OK;
}

tern_status tern_max_pool2d_ref(const tern_pool2d_params *params, const int8_t *input, int8_t *output) {
    return pool2d(params, input, output, maximum_of);
}

tern_status tern_average_pool2d_ref(const tern_pool2d_params *params, const int8_t *input, int8_t *output) {
    return pool2d(params, input, output, average_of);
}
