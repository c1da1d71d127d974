/* The custom operators of .tflite files with packed weights: from a file's bytes to calls of the kernels.
 *
 * Knows no runtime. The delegate (../delegate) and the TFLM operators (../tflm) hand it the bytes of an operator and of
 * its tensors. Nothing in them is trusted: sizes are checked against the parameters before a kernel reads them.
 *
 * TernConv2D, TernDepthwiseConv2D, TernTransposeConv and TernFullyConnected have one int8 output and the inputs
 *     0  the activation, int8
 *     1  the packed weights, uint8, as tern_weights documents them
 *     2  the levels, int8: `plus` of every output channel and plane, then as many `minus`
 *     3  the bias, int32, one an output channel; may be left out
 *     4  the multipliers, one an output channel: int32, for TernFullyConnected int64
 *     5  the shifts, int8, one an output channel
 * and as custom options int32 numbers, little end first, in this order:
 *     version                         1
 *     format of the weights           0 ternary, 1 base3, 2 binary
 *     geometry                        the integers of the kernel's parameters in front of the weights, in their order
 *     residual_planes                 of tern_weights
 *     zero point, minimum, maximum    of the output
 */
#ifndef TERN_CUSTOM_OP_H
#define TERN_CUSTOM_OP_H

#include "tern.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TERN_CUSTOM_OP_VERSION 1

/* The tensors of an operator: its inputs in their order, and its output behind them. */
enum {
    TERN_CUSTOM_INPUT = 0,
    TERN_CUSTOM_WEIGHTS = 1,
    TERN_CUSTOM_LEVELS = 2,
    TERN_CUSTOM_BIAS = 3,
    TERN_CUSTOM_MULTIPLIER = 4,
    TERN_CUSTOM_SHIFT = 5,
    TERN_CUSTOM_INPUTS = 6,
    TERN_CUSTOM_OUTPUT = 6,
    TERN_CUSTOM_TENSORS = 7
};

/* Memory of a tensor; null where it is left out. While an operator is read, the activations' may be null as well. */
typedef struct {
    const void *data;
    size_t bytes;
} tern_bytes;

/* What files call it, and how it is read and run. */
typedef struct tern_custom_type tern_custom_type;

extern const tern_custom_type tern_custom_conv2d;
extern const tern_custom_type tern_custom_depthwise_conv2d;
extern const tern_custom_type tern_custom_transpose_conv2d;
extern const tern_custom_type tern_custom_fully_connected;

const char *tern_custom_type_name(const tern_custom_type *type);

/* An operator that was read. */
typedef struct {
    const tern_custom_type *type;
    int32_t format;
    union {
        tern_conv2d_params conv2d;
        tern_depthwise_conv2d_params depthwise_conv2d;
        tern_transpose_conv2d_params transpose_conv2d;
        tern_fully_connected_params fully_connected;
    } params;
} tern_custom_op;

/* Reads an operator. The constants (weights, levels, bias, multipliers, shifts) have to stay where they are for as long
 * as it runs; the options and `tensors` need not.
 *
 * TERN_ERROR_PARAMETER: another version, an unknown format, or options of another length.
 * TERN_ERROR_SHAPE: a tensor has another size than the options say.
 * TERN_ERROR_NULL: a constant that is needed is left out.
 * TERN_ERROR_ALIGNMENT: the bias or the multipliers lie where their type cannot be read from. */
tern_status tern_custom_op_read(tern_custom_op *op, const tern_custom_type *type, const void *options,
                                size_t options_bytes, const tern_bytes tensors[TERN_CUSTOM_TENSORS]);

/* Working memory that running takes. */
int32_t tern_custom_op_scratch_bytes(const tern_custom_op *op);

/* Runs an operator. Input and output are of the sizes that it was read with. */
tern_status tern_custom_op_run(const tern_custom_op *op, const int8_t *input, int8_t *output, void *scratch);

#ifdef __cplusplus
}
#endif
#endif
