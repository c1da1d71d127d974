/* The fast way from accumulators to int8: TFLite's two roundings, for outputs that are smaller than accumulators. */
#ifndef TERN_SCALING_H
#define TERN_SCALING_H

#include "port.h"
#include "tern_internal.h"

/* Accumulators come doubled, so that the upper half of their product with the multiplier is TFLite's first rounding;
 * the second one, halves away from zero, is that to the nearest of a number that was lowered by one where it is
 * negative. */
typedef struct {
    int32_t multiplier, shift, offset, minimum, maximum;
} tern_scaling;

/* Of multipliers in [0, 2^31) and shifts in [-31, -1], as the fast kernels' lowering promises. */
static inline bool tern_is_fast_scale(int32_t multiplier, int32_t shift) {
    return multiplier >= 0 && shift >= -31 && shift <= -1;
}

bool tern_are_fast_scales(const int32_t *multiplier, const int8_t *shift, int32_t channels);

/* Whether these are of int8 inputs and outputs. */
bool tern_are_quantized(int32_t input_zero_point, int32_t zero_point, int32_t minimum, int32_t maximum);

static inline int32_t tern_scaling_shift(int32_t shift) {
    return -shift - 1;
}

static inline int32_t tern_scaling_offset(int32_t zero_point) {
    return 2 * zero_point + 1;
}

static inline tern_scaling tern_scaling_of(int32_t multiplier, int32_t shift, int32_t zero_point,
                                           int32_t minimum, int32_t maximum) {
    const tern_scaling by = {multiplier, tern_scaling_shift(shift), tern_scaling_offset(zero_point), minimum,
                             maximum};
    return by;
}

/* For a minimum and maximum that are int8's own. */
static inline int8_t tern_scale_doubled_unclamped(const tern_scaling *by, int32_t doubled) {
    const int32_t product = tern_upper_half(doubled, by->multiplier);
    const int32_t twice = (product + (product >> 31)) >> by->shift;
    return (int8_t)tern_saturated_half(twice + by->offset);
}

static inline int8_t tern_scale_doubled(const tern_scaling *by, int32_t doubled) {
    const int32_t output = tern_scale_doubled_unclamped(by, doubled);
    return (int8_t)(output < by->minimum ? by->minimum : output > by->maximum ? by->maximum : output);
}

#endif
