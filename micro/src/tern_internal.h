/* What the kernels share: checks, a window's geometry, sums over packed weights, the way out to int8. */
#ifndef TERN_INTERNAL_H
#define TERN_INTERNAL_H

#include "tern.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* For what runs once a layer or once a block: its size counts more than its speed. Compilers take it for code that hardly
 * ever runs, make it small, and inline into it only what makes it smaller. They think the same of what only such functions
 * call, and of a function that always calls one: so it stands in definitions, whose callers are in other files. */
#define TERN_SMALL __attribute__((cold))

/* ---- checks ---- */

static inline bool tern_is_int8(int32_t x) {
    return x >= INT8_MIN && x <= INT8_MAX;
}

static inline bool tern_is_clamp(int32_t minimum, int32_t maximum) {
    return tern_is_int8(minimum) && tern_is_int8(maximum) && minimum <= maximum;
}

static inline bool tern_is_shift(int32_t shift) {
    return shift >= -31 && shift <= 30;
}

static inline bool tern_is_scale(int32_t multiplier, int32_t shift) {
    return multiplier >= 0 && tern_is_shift(shift);
}

/* a * b * c for a size of positive factors, or 0 where it is not one that an int32 holds. */
int32_t tern_size(int32_t a, int32_t b, int32_t c);

bool tern_is_shape(tern_shape shape);

/* Also bounds all that the geometry computes, so that nothing below overflows. */
tern_status tern_check_window(const tern_window *window, tern_shape input, tern_shape output);

tern_status tern_check_pool2d(const tern_pool2d_params *params, const int8_t *input, const int8_t *output);

/* ---- the geometry of a window, for one dimension ---- */

/* Those taps of a kernel, `begin` to before `end`, that fall on the input. */
typedef struct {
    int32_t begin, end;
} tern_taps;

/* `origin` is where tap 0 falls, tap t falls at origin + t * dilation; the input spans [0, size). */
static inline tern_taps tern_taps_inside(int32_t origin, int32_t dilation, int32_t kernel, int32_t size) {
    const int32_t begin = origin >= 0 ? 0 : (-origin + dilation - 1) / dilation;
    const int32_t beyond = origin >= size ? 0 : (size - origin + dilation - 1) / dilation;
    const int32_t end = beyond < kernel ? beyond : kernel;
    const tern_taps taps = {begin, end > begin ? end : begin};
    return taps;
}

/* ---- weights ---- */

/* Packed rows of `length` weights each; where a row starts is the format's affair. */
typedef struct {
    const uint8_t *data;
    int32_t length;
} tern_rows;

/* Sums of the inputs less their zero point: of those at the weight `plus` and of those at `minus`.
 * For int8 weights `plus` is the sum of the products and `minus` is 0. */
typedef struct {
    uint32_t plus, minus;
} tern_sums;

/* Adds a run: `count` weights of a row from the one numbered `first` on, and as many consecutive inputs. */
typedef void tern_dot(tern_rows rows, int32_t row, int32_t first, const int8_t *input, int32_t count,
                      int32_t zero_point, tern_sums *sums);

/* Adds a run across rows: the weight numbered `index` of each of `count` rows, and as many inputs,
 * `input_step` apart. */
typedef void tern_column(tern_rows rows, int32_t first_row, int32_t index, const int8_t *input,
                         int32_t input_step, int32_t count, int32_t zero_point, tern_sums *sums);

tern_dot tern_dot_int8, tern_dot_ternary, tern_dot_base3, tern_dot_binary;
tern_column tern_column_int8, tern_column_ternary, tern_column_base3, tern_column_binary;

/* Five trits a byte. */
enum { TERN_BASE3_DIGITS = 5 };

/* Whether a format has levels: all but int8, whose weights are numbers themselves. */
enum { TERN_NUMBERS = 0, TERN_LEVELS = 1 };

/* Bytes of a row in a format of 8 bits or of a power of two below that. */
static inline int32_t tern_row_bytes(int32_t weights, int32_t bits) {
    return (int32_t)(((int64_t)weights * bits + 7) / 8);
}

/* What the sums over one plane's runs add to a channel's accumulator. */
static inline uint32_t tern_join(const tern_weights *weights, int32_t levels, int32_t channel,
                                 tern_sums sums) {
    if (levels == TERN_NUMBERS)
        return sums.plus;
    return (uint32_t)weights->plus[channel] * sums.plus + (uint32_t)weights->minus[channel] * sums.minus;
}

/* `rows`: of one plane. */
tern_status tern_check_weights(const tern_weights *weights, int32_t levels, int32_t rows, int32_t length);

/* ---- from accumulators to int8 ---- */

tern_status tern_check_requantization(const tern_requantization *requantization, int32_t channels);
int8_t tern_requantize(const tern_requantization *requantization, int32_t channel, uint32_t sum);

tern_status tern_check_float64_requantization(const tern_float64_requantization *requantization,
                                              int32_t channels);
int8_t tern_float64_requantize(const tern_float64_requantization *requantization, int32_t channel,
                               uint32_t sum);

#endif
