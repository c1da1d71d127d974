#include "depthwise_lines.h"
#include "scaling.h"

static uint32_t pair_of(int32_t low, int32_t high) {
    return (uint16_t)(2 * low) | (uint32_t)(2 * high) << 16;
}

void tern_expand_line_weights(uint32_t *to, const int8_t *weights, int32_t count) {
    for (int32_t i = 0; i == 0 || i + 1 < count; i += 2) {
        const int32_t first = i == 0 ? weights[0] : 0;
        const int32_t second = i + 1 < count ? weights[i + 1] : 0;
        const int32_t third = i + 2 < count ? weights[i + 2] : 0;
        *to++ = pair_of(first, second);
        *to++ = pair_of(second, third);
    }
}

void tern_copy_four_lines(int16_t *to, int32_t to_step, const int8_t *from, int32_t from_step,
                          int32_t count) {
    int16_t *const second = to + to_step, *const third = second + to_step, *const fourth = third + to_step;
    for (int32_t i = 0; i < count; i++) {
        to[i] = from[0];
        second[i] = from[1];
        third[i] = from[2];
        fourth[i] = from[3];
        from += from_step;
    }
}

/* Of three taps of a line, onto the sums of four outputs. */
static inline void add_taps(int32_t sums[TERN_LINE_OUTPUTS], const int16_t *x, int32_t stride, uint32_t first,
                            uint32_t last) {
    const int32_t w0 = tern_low(first), w1 = tern_high(first), w2 = tern_high(last);
    for (int32_t i = 0; i < TERN_LINE_OUTPUTS; i++) {
        sums[i] += w0 * x[0] + w1 * x[1] + w2 * x[2];
        x += stride;
    }
}

void tern_write_depthwise_line(const tern_depthwise_line *line) {
    const tern_scaling by = {line->multiplier, line->shift, line->offset, INT8_MIN, INT8_MAX};
    const int16_t *from = line->inputs;
    int8_t *output = line->output;
    for (int32_t left = line->count; left > 0; left -= TERN_LINE_OUTPUTS) {
        int32_t sums[TERN_LINE_OUTPUTS] = {line->bias, line->bias, line->bias, line->bias};
        const uint32_t *weights = line->weights;
        const int16_t *x = from;
        for (int32_t i = 0; i < line->lines; i++) {
            for (int32_t j = 0; j < line->pairs; j++) {
                add_taps(sums, x + 2 * j, line->stride, weights[0], weights[1]);
                weights += 2;
            }
            x += line->line_bytes / (int32_t)sizeof *x;
        }
        for (int32_t i = 0; i < TERN_LINE_OUTPUTS && i < left; i++) {
            *output = tern_scale_doubled_unclamped(&by, sums[i]);
            output += line->output_step;
        }
        from += TERN_LINE_OUTPUTS * line->stride;
    }
}
