/* Operators of two tensors, either of which may be broadcast. */
#ifndef TERN_BROADCAST_H
#define TERN_BROADCAST_H

#include "tern_internal.h"

/* Whether no element of an input lies further than an int32 reaches. */
static inline bool tern_is_view(const int32_t *shape, const int32_t *strides) {
    int64_t last = 0;
    for (int32_t i = 0; i < TERN_MAX_RANK; i++) {
        if (strides[i] < 0)
            return false;
        last += (int64_t)(shape[i] - 1) * strides[i];
        if (last > INT32_MAX)
            return false;
    }
    return true;
}

static inline bool tern_is_broadcast(const int32_t *shape, const int32_t strides[2][TERN_MAX_RANK]) {
    return tern_size(tern_size(shape[0], shape[1], shape[2]), shape[3], 1) != 0 &&
           tern_is_view(shape, strides[0]) && tern_is_view(shape, strides[1]);
}

typedef int8_t tern_pair_function(const void *params, int8_t value0, int8_t value1);

/* Inlined, so that the function is as well. */
static inline __attribute__((always_inline)) void
tern_for_each_pair(const int32_t *shape, const int32_t strides[2][TERN_MAX_RANK], const int8_t *input0,
                   const int8_t *input1, int8_t *output, tern_pair_function *function, const void *params) {
    const int32_t *strides0 = strides[0], *strides1 = strides[1];
    for (int32_t a = 0; a < shape[0]; a++) {
        for (int32_t b = 0; b < shape[1]; b++) {
            for (int32_t c = 0; c < shape[2]; c++) {
                const int8_t *row0 = input0 + a * strides0[0] + b * strides0[1] + c * strides0[2];
                const int8_t *row1 = input1 + a * strides1[0] + b * strides1[1] + c * strides1[2];
                for (int32_t d = 0; d < shape[3]; d++)
                    *output++ = function(params, row0[d * strides0[3]], row1[d * strides1[3]]);
            }
        }
    }
}

#endif
