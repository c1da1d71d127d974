/* Lines of a depthwise convolution: copied from a channel's inputs, and summed to a line of its outputs. */
#ifndef TERN_DEPTHWISE_LINES_H
#define TERN_DEPTHWISE_LINES_H

#include "port.h"

/* Channels whose lines are copied together, a word of the input, and outputs that are summed together. */
enum { TERN_LINE_CHANNELS = 4, TERN_LINE_OUTPUTS = 4 };

/* A line of outputs of one channel. The lines of inputs, int16, lie in a ring: the weights start where their first line
 * meets the ring's first. The assembly knows the order. */
typedef struct {
    const int16_t *inputs;
    int32_t line_bytes; /* from a line of inputs to the next one */
    const uint32_t *weights;
    int32_t lines;                           /* of the kernel */
    int32_t bias, multiplier, shift, offset; /* as in tern_scaling; accumulators are doubled */
    int8_t *output;
    int32_t output_step; /* bytes from an output to the next one */
    int32_t count;       /* outputs */
    int32_t pairs;       /* words of weights a line, halved */
    int32_t stride;      /* 1 or 2 */
} tern_depthwise_line;

/* Weights of a line, doubled, in words of two int16: those at 0 and 1, at 1 and 2; then for every two more a pair with a
 * zero in the place of the one that was there. */
void tern_expand_line_weights(uint32_t *to, const int8_t *weights, int32_t count);

static inline int32_t tern_line_pairs(int32_t count) {
    return count <= 3 ? 1 : count / 2;
}

/* Clamped by int8's own range alone. */
void tern_write_depthwise_line(const tern_depthwise_line *line);

/* `count` inputs, `from_step` bytes apart, of TERN_LINE_CHANNELS channels to as many lines, `to_step` elements apart. */
void tern_copy_four_lines(int16_t *to, int32_t to_step, const int8_t *from, int32_t from_step, int32_t count);

#endif
