#include "tern_fixed_point.h"
#include "tern_internal.h"

#define SIGNIFICAND_BITS 53 /* of a float64 */

TERN_SMALL tern_status tern_check_float64_requantization(const tern_float64_requantization *requantization,
                                                         int32_t channels) {
    if (requantization->multiplier == NULL || requantization->shift == NULL)
        return TERN_ERROR_NULL;
    if (!tern_is_int8(requantization->zero_point) ||
        !tern_is_clamp(requantization->minimum, requantization->maximum))
        return TERN_ERROR_PARAMETER;
    for (int32_t i = 0; i < channels; i++) {
        const uint64_t multiplier = requantization->multiplier[i];
        const bool is_significand = multiplier == 0 || multiplier >> (SIGNIFICAND_BITS - 1) == 1;
        if (!is_significand || !tern_is_shift(requantization->shift[i]))
            return TERN_ERROR_PARAMETER;
    }
    return TERN_OK;
}

/* round(x * multiplier * 2^(shift - 53)) as float64 arithmetic has it: the product of up to 85 bits is
 * rounded to 53, halves to even, and that to an integer, halves away from zero. From 2^30 up it is INT32_MAX,
 * which is all the same to an int8. */
static int32_t scale_magnitude(uint32_t x, uint64_t multiplier, int32_t shift) {
    if (x == 0 || multiplier == 0)
        return 0;
    const uint64_t low_product = (multiplier & UINT32_MAX) * x;
    const uint64_t high = (multiplier >> 32) * x + (low_product >> 32);
    const uint64_t low = low_product & UINT32_MAX;

    /* the product has as many bits more than 53 as x has, or one less */
    int32_t dropped = tern_bit_length(x) - 1;
    if ((high << (32 - dropped) | low >> dropped) >> SIGNIFICAND_BITS)
        dropped++;
    const uint64_t significand = high << (32 - dropped) | low >> dropped;
    const uint64_t remainder = low & (((uint64_t)1 << dropped) - 1);
    /* above a half, or at it and odd */
    const bool round_up = 2 * remainder + (significand & 1) > (uint64_t)1 << dropped;
    const uint64_t rounded = significand + (round_up ? 1 : 0);

    const int32_t right_shift = SIGNIFICAND_BITS - shift - dropped;
    if (right_shift > SIGNIFICAND_BITS + 1)
        return 0;
    if (right_shift < SIGNIFICAND_BITS + 1 - 31)
        return INT32_MAX;
    return (int32_t)((rounded + ((uint64_t)1 << (right_shift - 1))) >> right_shift);
}

int8_t tern_float64_requantize(const tern_float64_requantization *requantization, int32_t channel,
                               uint32_t sum) {
    if (requantization->bias != NULL)
        sum += (uint32_t)requantization->bias[channel];
    const bool negative = sum >> 31;
    const int32_t magnitude = scale_magnitude(negative ? 0 - sum : sum, requantization->multiplier[channel],
                                              requantization->shift[channel]);
    const int32_t scaled = negative ? -magnitude : magnitude;
    /* clamped before the zero point is added, which a saturated magnitude has no room for */
    const int32_t offset = requantization->zero_point;
    return (int8_t)(tern_clamp(scaled, requantization->minimum - offset, requantization->maximum - offset) +
                    offset);
}
