#include "floor_scaling.h"

/* The words of an output. */
enum { BIAS, MULTIPLIER, BYTES, WORDS };

static inline int32_t shift_of(const uint32_t *of) {
    return (int8_t)of[BYTES];
}

TERN_SMALL tern_status tern_check_floor_requantization(const tern_floor_requantization *requantization,
                                                       int32_t outputs) {
    if (requantization->outputs == NULL)
        return TERN_ERROR_NULL;
    if (!tern_is_int8(requantization->zero_point) ||
        !tern_is_clamp(requantization->minimum, requantization->maximum))
        return TERN_ERROR_PARAMETER;
    const uint32_t *of = requantization->outputs;
    uint32_t out_of_range = 0; /* in the sign bit */
    for (; outputs > 0; outputs--) {
        const int32_t shift = shift_of(of);
        out_of_range |= of[MULTIPLIER] | (uint32_t)(shift - 1) | (uint32_t)(TERN_FLOOR_MAXIMUM_SHIFT - shift);
        of += WORDS;
    }
    return out_of_range >> 31 ? TERN_ERROR_PARAMETER : TERN_OK;
}

/* Two floors make one: what the first one drops is less than the second one's unit. */
void tern_write_floor_outputs(const tern_floor_requantization *requantization, const uint32_t *sums,
                              int32_t minus_at, int32_t first, int32_t count, int8_t *output) {
    const uint32_t *of = requantization->outputs + WORDS * first;
    const int32_t minimum = requantization->minimum, maximum = requantization->maximum;
    const int32_t twice_offset = 2 * requantization->zero_point + 1;
    output += first;
    for (const int8_t *const end = output + count; output != end; output++) {
        const uint32_t bytes = of[BYTES];
        uint32_t sum = of[BIAS] + (uint32_t)(int8_t)(bytes >> 8) * *sums;
        if (minus_at != 0)
            sum += (uint32_t)(int8_t)(bytes >> 16) * sums[minus_at];
        const int32_t shift = (int8_t)bytes, offset = twice_offset * (1 << (shift - 1));
        int32_t scaled = tern_high_product_plus((int32_t)sum, (int32_t)of[MULTIPLIER], offset) >> shift;
        scaled = scaled < minimum ? minimum : scaled;
        scaled = scaled > maximum ? maximum : scaled;
        *output = (int8_t)scaled;
        of += WORDS;
        sums++;
    }
}
