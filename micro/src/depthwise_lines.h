/* Lines of a depthwise convolution: copied from a channel's inputs, and summed to lines of its outputs. */
#ifndef TERN_DEPTHWISE_LINES_H
#define TERN_DEPTHWISE_LINES_H

#include "port.h"

/* Channels whose lines are copied together, a word of the input, and outputs that are summed together. */
enum { TERN_LINE_CHANNELS = 4, TERN_LINE_OUTPUTS = 4 };

/* Lines of outputs of one channel. The inputs are int16. The assembly knows the order, and writes its own things into
 * some of the fields. */
typedef struct {
    const int16_t *inputs;
    int8_t *output;
    int32_t multiplier, shift, offset; /* as in tern_scaling */
    int32_t output_step;               /* bytes from an output to the next one */
    int32_t left;                      /* outputs of a line, again */
    const uint32_t *weights;           /* the first pairs of all lines, then the second ones, and so on */
    int32_t lines;                     /* of the kernel */
    int32_t bias;                      /* doubled, as accumulators are */
    int32_t pairs;                     /* of words of weights a line */
    int32_t line_bytes;                /* from a line of inputs to the next one */
    int32_t stride;                    /* 1 or 2 */
    int32_t output_lines;
    int32_t
        next_inputs; /* bytes from the inputs that would follow a line's last group of outputs to the next line's */
    int32_t next_output; /* bytes from the output that would follow a line to the next line's first */
    int32_t outputs;     /* of a line */
} tern_depthwise_band;

/* What the sum of a product and an offset, shifted, has room for. */
enum { TERN_LINE_MAXIMUM_SHIFT = 20 };

/* Lines of a kernel that the assembly counts. */
enum { TERN_LINE_MAXIMUM_LINES = 255 };

/* Weights of one channel, doubled: pairs of words of two int16, for every line those at 0 and 1, at 1 and 2; then for two
 * more weights of every line another pair, with a zero in the place of the one that was there. */
void tern_expand_line_weights(uint32_t *to, const int8_t *weights, int32_t lines, int32_t count);

static inline int32_t tern_line_pairs(int32_t count) {
    return count <= 3 ? 1 : count / 2;
}

/* Clamped by int8's own range alone. */
void tern_write_depthwise_band(tern_depthwise_band *band);

/* `count` inputs, `from_step` bytes apart, of TERN_LINE_CHANNELS channels to as many lines, `to_step` elements apart. */
void tern_copy_four_lines(int16_t *to, int32_t to_step, const int8_t *from, int32_t from_step, int32_t count);

#endif
