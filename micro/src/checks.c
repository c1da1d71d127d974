#include "scaling.h"

TERN_SMALL int32_t tern_size(int32_t a, int32_t b, int32_t c) {
    if (a < 1 || b < 1 || c < 1 || (int64_t)a * b > INT32_MAX)
        return 0;
    const int64_t size = (int64_t)a * b * c;
    return size > INT32_MAX ? 0 : (int32_t)size;
}

TERN_SMALL bool tern_is_shape(tern_shape shape) {
    return tern_size(shape.height, shape.width, shape.channels) > 0;
}

TERN_SMALL tern_status tern_check_weights(const tern_weights *weights, int32_t levels, int32_t rows,
                                          int32_t length) {
    if (weights->data == NULL || (levels == TERN_LEVELS && (weights->plus == NULL || weights->minus == NULL)))
        return TERN_ERROR_NULL;
    if (weights->residual_planes < 0 || weights->residual_planes == INT32_MAX ||
        (levels == TERN_NUMBERS && weights->residual_planes != 0))
        return TERN_ERROR_PARAMETER;
    return tern_size(rows, length, weights->residual_planes + 1) == 0 ? TERN_ERROR_SHAPE : TERN_OK;
}

TERN_SMALL bool tern_are_quantized(int32_t input_zero_point, int32_t zero_point, int32_t minimum,
                                   int32_t maximum) {
    return tern_is_int8(input_zero_point) && tern_is_int8(zero_point) && tern_is_clamp(minimum, maximum);
}

TERN_SMALL bool tern_are_fast_scales(const int32_t *multiplier, const int8_t *shift, int32_t channels) {
    for (int32_t i = 0; i < channels; i++) {
        if (!tern_is_fast_scale(multiplier[i], shift[i]))
            return false;
    }
    return true;
}
