/* A depthwise convolution along lines, four channels after the other four. */
#ifndef TERN_DEPTHWISE_CONV2D_LINES_H
#define TERN_DEPTHWISE_CONV2D_LINES_H

#include "tern_internal.h"

/* The window's geometry across lines and along them, and what the input and output are then. */
typedef struct {
    int32_t size, output, kernel, stride, dilation, pad;
    int32_t step, output_step; /* bytes */
} tern_lines_axis;

/* How inputs lie in the scratch: for each of four channels the lines that a band of outputs takes, with padding before
 * them; what pads a line behind its inputs is what pads the next one before. */
typedef struct {
    const tern_depthwise_conv2d_lines_params *params;
    tern_lines_axis across, along;
    int32_t band;            /* lines of outputs */
    int32_t padding, inside; /* elements of a line */
    int32_t line, channel;   /* elements */
    int32_t lines;           /* of a channel */
    int32_t weight_words;
    uint32_t *weights;
    int16_t *inputs;
} tern_lines_layer;

/* Whether a scratch can hold it, which is of tern_lines_bytes(). */
bool tern_lay_out_lines(tern_lines_layer *layer, const tern_depthwise_conv2d_lines_params *params);
int32_t tern_lines_bytes(const tern_lines_layer *layer);

void tern_start_lines(tern_lines_layer *layer, uint32_t *scratch);

/* All outputs of `channels` channels, TERN_LINE_CHANNELS at most: the first ones of the layer's parameters, from the
 * first channel of `input` to that of `output`. */
void tern_write_line_channels(const tern_lines_layer *layer, const int8_t *input, int8_t *output,
                              int32_t channels);

#endif
