#include "custom_internal.h"

#include <string.h>

/* ---- options ---- */

int32_t tern_custom_int32(tern_options *options) {
    if (options->end - options->next < 4) {
        options->too_short = true;
        return 0;
    }
    uint32_t bits = 0;
    for (int byte = 3; byte >= 0; byte--)
        bits = bits << 8 | options->next[byte];
    options->next += 4;
    int32_t value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

tern_shape tern_custom_shape(tern_options *options) {
    tern_shape shape;
    shape.height = tern_custom_int32(options);
    shape.width = tern_custom_int32(options);
    shape.channels = tern_custom_int32(options);
    return shape;
}

tern_window tern_custom_window(tern_options *options) {
    tern_window window;
    window.height = tern_custom_int32(options);
    window.width = tern_custom_int32(options);
    window.stride_height = tern_custom_int32(options);
    window.stride_width = tern_custom_int32(options);
    window.dilation_height = tern_custom_int32(options);
    window.dilation_width = tern_custom_int32(options);
    window.pad_top = tern_custom_int32(options);
    window.pad_left = tern_custom_int32(options);
    return window;
}

tern_weights tern_custom_weights(tern_options *options, const tern_bytes *tensors, tern_custom_sizes *sizes) {
    const tern_bytes levels = tensors[TERN_CUSTOM_LEVELS];
    tern_weights weights;
    weights.data = tensors[TERN_CUSTOM_WEIGHTS].data;
    weights.residual_planes = tern_custom_int32(options);
    weights.plus = levels.data;
    /* the second half; whether it is the one that the channels imply is checked with the other sizes */
    weights.minus = levels.data == NULL ? NULL : weights.plus + levels.bytes / 2;
    sizes->planes = (int64_t)weights.residual_planes + 1;
    return weights;
}

tern_requantization tern_custom_requantization(tern_options *options, const tern_bytes *tensors) {
    tern_requantization requantization;
    requantization.bias = tensors[TERN_CUSTOM_BIAS].data;
    requantization.multiplier = tensors[TERN_CUSTOM_MULTIPLIER].data;
    requantization.shift = tensors[TERN_CUSTOM_SHIFT].data;
    requantization.zero_point = tern_custom_int32(options);
    requantization.minimum = tern_custom_int32(options);
    requantization.maximum = tern_custom_int32(options);
    return requantization;
}

/* ---- sizes ---- */

static int64_t product(int64_t a, int64_t b) {
    return a < 1 || b < 1 || a > INT32_MAX / b ? -1 : a * b;
}

int64_t tern_custom_product(int64_t a, int64_t b, int64_t c) {
    return product(product(a, b), c);
}

static int64_t weight_bytes(const tern_custom_sizes *sizes, int32_t format) {
    const int64_t weights = tern_custom_product(sizes->planes, sizes->rows, sizes->length);
    if (weights < 0)
        return -1;
    if (format == TERN_CUSTOM_BASE3)
        return (weights + 4) / 5;
    return sizes->planes * sizes->rows * ((sizes->length * (format == TERN_CUSTOM_TERNARY ? 2 : 1) + 7) / 8);
}

static bool holds(tern_bytes tensor, int64_t count, size_t bytes) {
    return count > 0 && (uint64_t)tensor.bytes == (uint64_t)count * bytes;
}

static bool is_aligned(tern_bytes tensor, size_t alignment) {
    return (uintptr_t)tensor.data % alignment == 0;
}

static tern_status check(const tern_bytes *tensors, const tern_custom_sizes *sizes, int32_t format) {
    const tern_bytes bias = tensors[TERN_CUSTOM_BIAS], multiplier = tensors[TERN_CUSTOM_MULTIPLIER];
    if (tensors[TERN_CUSTOM_WEIGHTS].data == NULL || tensors[TERN_CUSTOM_LEVELS].data == NULL ||
        multiplier.data == NULL || tensors[TERN_CUSTOM_SHIFT].data == NULL)
        return TERN_ERROR_NULL;
    if (!holds(tensors[TERN_CUSTOM_INPUT], sizes->input, 1) ||
        !holds(tensors[TERN_CUSTOM_OUTPUT], sizes->output, 1) ||
        !holds(tensors[TERN_CUSTOM_WEIGHTS], weight_bytes(sizes, format), 1) ||
        !holds(tensors[TERN_CUSTOM_LEVELS], product(sizes->planes, sizes->channels), 2) ||
        !holds(multiplier, sizes->channels, sizes->multiplier_bytes) ||
        !holds(tensors[TERN_CUSTOM_SHIFT], sizes->channels, 1) ||
        (bias.data != NULL && !holds(bias, sizes->channels, sizeof(int32_t))))
        return TERN_ERROR_SHAPE;
    if (!is_aligned(bias, sizeof(int32_t)) || !is_aligned(multiplier, sizes->multiplier_bytes))
        return TERN_ERROR_ALIGNMENT;
    return TERN_OK;
}

/* ---- operators ---- */

const char *tern_custom_type_name(const tern_custom_type *type) {
    return type->name;
}

tern_status tern_custom_op_read(tern_custom_op *op, const tern_custom_type *type, const void *options,
                                size_t options_bytes, const tern_bytes tensors[TERN_CUSTOM_TENSORS]) {
    if (options == NULL)
        return TERN_ERROR_NULL;
    tern_options left = {options, (const uint8_t *)options + options_bytes, false};
    const int32_t version = tern_custom_int32(&left);
    op->type = type;
    op->format = tern_custom_int32(&left);
    if (version != TERN_CUSTOM_OP_VERSION || op->format < 0 || op->format >= TERN_CUSTOM_FORMATS)
        return TERN_ERROR_PARAMETER;
    const tern_custom_sizes sizes = type->read(op, &left, tensors);
    return left.too_short || left.next != left.end ? TERN_ERROR_PARAMETER
                                                   : check(tensors, &sizes, op->format);
}

int32_t tern_custom_op_scratch_bytes(const tern_custom_op *op) {
    return op->type->scratch_bytes == NULL ? 0 : op->type->scratch_bytes(op);
}

tern_status tern_custom_op_run(const tern_custom_op *op, const int8_t *input, int8_t *output, void *scratch) {
    return op->type->run(op, input, output, scratch);
}
