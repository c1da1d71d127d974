/* What one output position sees, copied to bytes in the order of the weights. */
#ifndef TERN_WINDOW_COPY_H
#define TERN_WINDOW_COPY_H

#include "tern_internal.h"

/* Of the output position at `y`, `x`; taps beside the input are `padding`. Returns the end of what was written. */
uint8_t *tern_copy_window(const tern_window *window, tern_shape shape, const uint8_t *input, uint8_t padding,
                          int32_t y, int32_t x, uint8_t *to);

#endif
