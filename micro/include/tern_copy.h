/* Operators that move elements and compute nothing. */
#ifndef TERN_COPY_H
#define TERN_COPY_H

#include "tern_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* RESHAPE where it cannot be done in place: copies `size` bytes. */
typedef struct {
    int32_t size;
} tern_reshape_params;

tern_status tern_reshape_ref(const tern_reshape_params *params, const int8_t *input, int8_t *output);

#ifdef __cplusplus
}
#endif
#endif
