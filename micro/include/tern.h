/* tern.h - int8 inference with ternary, binary and int8 weights on microcontrollers.
 *
 * C99, integers only (but for tern_quantize.h). No malloc, no stdio, no global that is written: every function is re-entrant.
 * Tensors are int8 in NHWC order with a batch of one, as TFLite has them: real = scale * (q - zero point).
 * Every function computes exactly what TFLite's reference kernel computes for the same int8 model.
 *
 * Weights come in three formats. A ternary channel holds the values {minus, 0, plus} and a binary channel
 * {minus, plus}; both levels are any int8, so a sum over a channel is
 *     plus * (sum of inputs coded +) + minus * (sum of inputs coded -)
 * which is the same int32 as the int8 kernel's. The levels are kept per channel, the codes packed.
 */
#ifndef TERN_H
#define TERN_H

#include "tern_activation.h"
#include "tern_conv.h"
#include "tern_copy.h"
#include "tern_elementwise.h"
#include "tern_fully_connected.h"
#include "tern_lstm.h"
#include "tern_pool.h"
#include "tern_quantize.h"
#include "tern_types.h"

#endif
