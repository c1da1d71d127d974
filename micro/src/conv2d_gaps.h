/* The convolution over streams of gaps, for those that have them and those that make them. */
#ifndef TERN_CONV2D_GAPS_H
#define TERN_CONV2D_GAPS_H

#include "gap_rows.h"
#include "tern_internal.h"

/* With the steps over rows of zeros a stream's length still fits a uint16. */
enum { TERN_GAP_MOST_WEIGHTS = 30000 };

/* Some output channels, `channels` of those that `params` has, from the first on that its weights, bias and multiplier are
 * of; `output` is where that channel of the first position lies. Parameters are not checked. */
void tern_conv2d_gap_channels(const tern_conv2d_gaps_params *params, const int8_t *input, int8_t *output,
                              int32_t channels, void *scratch);

#endif
