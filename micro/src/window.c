#include "tern_internal.h"

/* Whatever the furthest tap of the furthest output reaches must fit an int32, as a position and as a size. */
static bool is_bounded(int32_t size, int32_t output, int32_t kernel, int32_t stride, int32_t dilation,
                       int32_t pad) {
    const int64_t reach = (int64_t)(output - 1) * stride + (int64_t)kernel * dilation;
    return reach <= INT32_MAX - (int64_t)pad - size;
}

tern_status tern_check_window(const tern_window *window, tern_shape input, tern_shape output) {
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
