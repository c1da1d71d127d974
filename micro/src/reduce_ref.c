#include "tern_internal.h"

static tern_status check(const tern_reduce_params *params, const int8_t *input, const int8_t *output) {
    if (params == NULL || input == NULL || output == NULL)
        return TERN_ERROR_NULL;
    const int32_t *shape = params->shape;
    return tern_size(tern_size(shape[0], shape[1], shape[2]), shape[3], 1) == 0 ? TERN_ERROR_SHAPE : TERN_OK;
}

/* The greatest of the elements, or with `sign` -1 the least. */
static int8_t extreme_of(const int8_t *input, const int32_t *shape, const int32_t *strides, int32_t sign) {
    int32_t extreme = INT8_MIN; /* no element is less, of either sign */
    for (int32_t a = 0; a < shape[0]; a++) {
        for (int32_t b = 0; b < shape[1]; b++) {
            for (int32_t c = 0; c < shape[2]; c++) {
                const int8_t *row = input + a * strides[0] + b * strides[1] + c * strides[2];
                for (int32_t d = 0; d < shape[3]; d++) {
                    const int32_t value = sign * row[d * strides[3]];
                    extreme = value > extreme ? value : extreme;
                }
            }
        }
    }
    return (int8_t)(sign * extreme);
}

static tern_status reduce(const tern_reduce_params *params, const int8_t *input, int8_t *output,
                          int32_t sign) {
    const tern_status status = check(params, input, output);
    if (status != TERN_OK)
        return status;
    int32_t kept[TERN_MAX_RANK], reduced[TERN_MAX_RANK], strides[TERN_MAX_RANK];
    int32_t size = 1;
    for (int32_t i = TERN_MAX_RANK - 1; i >= 0; i--) {
        kept[i] = params->reduced[i] ? 1 : params->shape[i];
        reduced[i] = params->reduced[i] ? params->shape[i] : 1;
        strides[i] = size;
        size *= params->shape[i];
    }
    for (int32_t a = 0; a < kept[0]; a++) {
        for (int32_t b = 0; b < kept[1]; b++) {
            for (int32_t c = 0; c < kept[2]; c++) {
                const int8_t *row = input + a * strides[0] + b * strides[1] + c * strides[2];
                for (int32_t d = 0; d < kept[3]; d++)
                    *output++ = extreme_of(row + d * strides[3], reduced, strides, sign);
            }
        }
    }
    return TERN_OK;
}

tern_status tern_reduce_max_ref(const tern_reduce_params *params, const int8_t *input, int8_t *output) {
    return reduce(params, input, output, 1);
}

tern_status tern_reduce_min_ref(const tern_reduce_params *params, const int8_t *input, int8_t *output) {
    return reduce(params, input, output, -1);
}
