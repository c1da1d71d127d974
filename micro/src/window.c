#include "tern_internal.h"

/* Whatever the furthest tap of the furthest output reaches must fit an int32, as a position and as a size. */
static bool is_bounded(int32_t size, int32_t output, int32_t kernel, int32_t stride, int32_t dilation,
                       int32_t pad) {
    const int64_t reach = (int64_t)(output - 1) * stride + (int64_t)kernel * dilation;
    return reach <= INT32_MAX - (int64_t)pad - size;
}

TERN_SMALL tern_status tern_check_window(const tern_window *window, tern_shape input, tern_shape output) {
    if (!tern_is_shape(input) || !tern_is_shape(output) || window->height < 1 || window->width < 1)
        return TERN_ERROR_SHAPE;
    if (window->stride_height < 1 || window->stride_width < 1 || window->dilation_height < 1 ||
        window->dilation_width < 1 || window->pad_top < 0 || window->pad_left < 0)
        return TERN_ERROR_PARAMETER;
    if (!is_bounded(input.height, output.height, window->height, window->stride_height,
                    window->dilation_height, window->pad_top) ||
        !is_bounded(input.width, output.width, window->width, window->stride_width, window->dilation_width,
                    window->pad_left))
        return TERN_ERROR_SHAPE;
    return TERN_OK;
}

/* Origins ascend, so all windows overlap the input when the first and the last do. */
static bool all_overlap(int32_t size, int32_t output, int32_t kernel, int32_t stride, int32_t pad) {
    return pad < kernel && (output - 1) * stride - pad < size;
}

TERN_SMALL tern_status tern_check_pool2d(const tern_pool2d_params *params, const int8_t *input,
                                         const int8_t *output) {
    if (params == NULL || input == NULL || output == NULL)
        return TERN_ERROR_NULL;
    const tern_window *window = &params->window;
    const tern_status status = tern_check_window(window, params->input, params->output);
    if (status != TERN_OK)
        return status;
    if (params->input.channels != params->output.channels ||
        !all_overlap(params->input.height, params->output.height, window->height, window->stride_height,
                     window->pad_top) ||
        !all_overlap(params->input.width, params->output.width, window->width, window->stride_width,
                     window->pad_left) ||
        tern_size(window->height, window->width, -INT8_MIN) == 0) /* the sum of a window fits */
        return TERN_ERROR_SHAPE;
    if (window->dilation_height != 1 || window->dilation_width != 1 ||
        !tern_is_clamp(params->minimum, params->maximum))
        return TERN_ERROR_PARAMETER;
    return TERN_OK;
}
