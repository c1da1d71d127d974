#include "tern_fixed_point.h"
#include "tern_internal.h"

TERN_SMALL tern_status tern_check_requantization(const tern_requantization *requantization,
                                                 int32_t channels) {
    if (requantization->multiplier == NULL || requantization->shift == NULL)
        return TERN_ERROR_NULL;
    if (!tern_is_int8(requantization->zero_point) ||
        !tern_is_clamp(requantization->minimum, requantization->maximum))
        return TERN_ERROR_PARAMETER;
    for (int32_t i = 0; i < channels; i++) {
        if (!tern_is_scale(requantization->multiplier[i], requantization->shift[i]))
            return TERN_ERROR_PARAMETER;
    }
    return TERN_OK;
}

int8_t tern_requantize(const tern_requantization *requantization, int32_t channel, uint32_t sum) {
    if (requantization->bias != NULL)
        sum += (uint32_t)requantization->bias[channel];
    const int32_t scaled =
        tern_scale((int32_t)sum, requantization->multiplier[channel], requantization->shift[channel]);
    const int32_t output = (int32_t)((uint32_t)scaled + (uint32_t)requantization->zero_point);
    return (int8_t)tern_clamp(output, requantization->minimum, requantization->maximum);
}
