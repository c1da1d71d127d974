/* What the convolutions share: checks, and the sums over what one output position sees. */
#ifndef CONV2D_PATCH_H
#define CONV2D_PATCH_H

#include "tern_internal.h"

/* The part of the input that one output position sees. */
typedef struct {
    tern_taps rows, columns;
    int32_t top, left; /* where the first tap of each falls */
} tern_patch;

tern_status tern_conv2d_check(const tern_conv2d_params *params, const int8_t *input, const int8_t *output,
                              int32_t levels);

tern_patch tern_conv2d_patch(const tern_conv2d_params *params, int32_t y, int32_t x);

/* All runs of one output position over one row of weights; `input` is at the row's group of channels. */
tern_sums tern_conv2d_sum_patch(const tern_conv2d_params *params, tern_dot *dot, const tern_patch *at,
                                tern_rows rows, int32_t row, const int8_t *input);

/* Where an output channel's group of input channels begins. */
static inline int32_t tern_conv2d_group_offset(const tern_conv2d_params *params, int32_t channel) {
    const int32_t groups = params->input.channels / params->kernel_channels;
    return channel / (params->output.channels / groups) * params->kernel_channels;
}

#endif
