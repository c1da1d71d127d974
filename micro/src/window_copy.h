/* What one output position sees, copied to bytes in the order of the weights. */
#ifndef TERN_WINDOW_COPY_H
#define TERN_WINDOW_COPY_H

#include "tern_internal.h"

/* What is written behind a copy, at most: it is done by words. */
enum { TERN_WINDOW_SLACK = 3 };

/* Of the output position at `y`, `x`; taps beside the input are `padding`. */
void tern_copy_window(const tern_window *window, const tern_shape *shape, const uint8_t *input,
                      uint8_t padding, int32_t y, int32_t x, uint8_t *to);

/* Of `count` positions from `x` on in the same line, `stride` bytes from one's copy to the next one's. */
void tern_copy_windows(const tern_window *window, const tern_shape *shape, const uint8_t *input,
                       uint8_t padding, int32_t y, int32_t x, int32_t count, uint8_t *to, int32_t stride);

#endif
