/* The way from accumulators to int8 with a single rounding, halves up. */
#ifndef TERN_FLOOR_SCALING_H
#define TERN_FLOOR_SCALING_H

#include "port.h"
#include "tern_internal.h"

/* The largest shift leaves room for the zero point in 32 bits. */
enum { TERN_FLOOR_MAXIMUM_SHIFT = 22 };

tern_status tern_check_floor_requantization(const tern_floor_requantization *requantization, int32_t outputs);

/* `sum` with the bias. Two floors make one: what the first one drops is never as much as the second one's unit. */
static inline int8_t tern_floor_requantize(const tern_floor_requantization *requantization, int32_t output,
                                           uint32_t sum) {
    const int32_t shift = requantization->shift[output];
    const int32_t offset = (2 * requantization->zero_point + 1) * (1 << (shift - 1));
    const int32_t product = tern_high_product((int32_t)sum, requantization->multiplier[output]);
    const int32_t scaled = (product + offset) >> shift;
    return (int8_t)(scaled < requantization->minimum   ? requantization->minimum
                    : scaled > requantization->maximum ? requantization->maximum
                                                       : scaled);
}

#endif
