/* What the custom operators share: reading options, and the sizes that tensors are checked to have. */
#ifndef TERN_CUSTOM_INTERNAL_H
#define TERN_CUSTOM_INTERNAL_H

#include "tern_custom_op.h"

#include <stdbool.h>

enum { TERN_CUSTOM_TERNARY = 0, TERN_CUSTOM_BASE3 = 1, TERN_CUSTOM_BINARY = 2, TERN_CUSTOM_FORMATS = 3 };

/* Numbers that are still to be read. */
typedef struct {
    const uint8_t *next, *end;
    bool too_short;
} tern_options;

/* Sizes that a file implies; negative where a factor is not positive or a product is no int32. */
typedef struct {
    int64_t input, output;
    int64_t rows, length; /* of one plane of the weights */
    int64_t channels;     /* of the output */
    int64_t planes;
    size_t multiplier_bytes; /* of one */
} tern_custom_sizes;

struct tern_custom_type {
    const char *name;
    tern_custom_sizes (*read)(tern_custom_op *op, tern_options *options, const tern_bytes *tensors);
    int32_t (*scratch_bytes)(const tern_custom_op *op); /* null for none */
    tern_status (*run)(const tern_custom_op *op, const int8_t *input, int8_t *output, void *scratch);
};

int64_t tern_custom_product(int64_t a, int64_t b, int64_t c);

int32_t tern_custom_int32(tern_options *options);
tern_shape tern_custom_shape(tern_options *options);
tern_window tern_custom_window(tern_options *options);
tern_weights tern_custom_weights(tern_options *options, const tern_bytes *tensors, tern_custom_sizes *sizes);
tern_requantization tern_custom_requantization(tern_options *options, const tern_bytes *tensors);

#endif
