#include "floor_scaling.h"

tern_status tern_check_floor_requantization(const tern_floor_requantization *requantization,
                                            int32_t outputs) {
    if (requantization->bias == NULL || requantization->multiplier == NULL || requantization->shift == NULL)
        return TERN_ERROR_NULL;
    if (!tern_is_int8(requantization->zero_point) ||
        !tern_is_clamp(requantization->minimum, requantization->maximum))
        return TERN_ERROR_PARAMETER;
    for (int32_t i = 0; i < outputs; i++) {
        const int32_t shift = requantization->shift[i];
        if (requantization->multiplier[i] < 0 || shift < 1 || shift > TERN_FLOOR_MAXIMUM_SHIFT)
            return TERN_ERROR_PARAMETER;
    }
    return TERN_OK;
}
