/* The way from accumulators to int8 with a single rounding, halves up. */
#ifndef TERN_FLOOR_SCALING_H
#define TERN_FLOOR_SCALING_H

#include "port.h"
#include "tern_internal.h"

/* The largest shift leaves room for the zero point in 32 bits. */
enum { TERN_FLOOR_MAXIMUM_SHIFT = 22 };

tern_status tern_check_floor_requantization(const tern_floor_requantization *requantization, int32_t outputs);

/* `count` outputs from the one numbered `first` on, to output[first] and so on, whose sums count `plus` each; unless
 * `minus_at` is 0, as many sums that count `minus` lie so far behind these. */
void tern_write_floor_outputs(const tern_floor_requantization *requantization, const uint32_t *sums,
                              int32_t minus_at, int32_t first, int32_t count, int8_t *output);

#endif
