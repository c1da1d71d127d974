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
    const uint32_t *weights;           /* expanded */
    int32_t lines;                     /* of the kernel */
    uint32_t bias;                     /* doubled, as accumulators are */
    int32_t groups;                    /* of taps of a line */
    int32_t line_bytes;                /* from a line of inputs to the next one */
    int32_t stride;                    /* 1 or 2 */
    int32_t output_lines;
    int32_t next_inputs; /* bytes from behind the inputs of a line's last four outputs to the next line's */
    int32_t next_output; /* bytes from behind a line's outputs to the next line's */
    int32_t outputs;     /* of a line */
} tern_depthwise_band;

/* What the sum of a product and an offset, shifted, has room for. */
enum { TERN_LINE_MAXIMUM_SHIFT = 20 };

/* Lines of a kernel that the assembly counts. */
enum { TERN_LINE_MAXIMUM_LINES = 255 };

/* What is added to inputs where they are copied: Thumb-1 loads no signed halves as it loads unsigned ones. */
#if defined(__ARM_ARCH_ISA_THUMB) && __ARM_ARCH_ISA_THUMB == 1 && !defined(TERN_PORTABLE)
enum { TERN_LINE_INPUT_OFFSET = 128 };
#else
enum { TERN_LINE_INPUT_OFFSET = 0 };
#endif

static inline int16_t tern_line_input(int8_t x) {
    return (int16_t)(TERN_LINE_INPUT_OFFSET == 0 ? x : (uint8_t)x ^ TERN_LINE_INPUT_OFFSET);
}

/* Words of weights for a line of a kernel: as many on every core. */
static inline int32_t tern_line_words(int32_t taps) {
    return (taps + 2) / 3 * 3;
}

/* How many groups of taps a line of a kernel has: with the DSP extension one of three and then of two, else of three. */
int32_t tern_line_groups(int32_t taps);

/* The weights of one channel, doubled, as tern_write_depthwise_band wants them; returns what the inputs' offset adds to
 * the sums. A group of taps of every line follows the other.
 *
 * With the DSP extension a group is two words of two int16, of the taps at 0 and 1, and at 1 and 2; in all but the first
 * group the tap at 0, which is the last one of the group before, is a zero. Without it is a word for each of three taps.
 * What a line lacks is zeros. */
uint32_t tern_expand_line_weights(uint32_t *to, const int8_t *weights, int32_t lines, int32_t taps);

/* Clamped by int8's own range alone. */
void tern_write_depthwise_band(tern_depthwise_band *band);

/* `count` inputs, `from_step` bytes apart, of TERN_LINE_CHANNELS channels to as many lines, `to_step` elements apart. */
void tern_copy_four_lines(int16_t *to, int32_t to_step, const int8_t *from, int32_t from_step, int32_t count);

#endif
