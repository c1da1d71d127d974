/* Between floats and integers, at the edges of a model. These alone compute in float. */
#ifndef TERN_QUANTIZE_H
#define TERN_QUANTIZE_H

#include "tern_types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { TERN_INT8 = 0, TERN_UINT8 = 1, TERN_INT16 = 2 } tern_integer_type;

/* real = scale * (q - zero_point) */
typedef struct {
    int32_t size; /* in elements */
    int32_t type; /* of the integers: a tern_integer_type */
    int32_t zero_point;
    float scale;
} tern_quantize_params;

/* QUANTIZE: to the nearest, halves away from zero; what is out of range, and what is not a number, becomes the nearest
 * end of the range or its lower end. */
tern_status tern_quantize_ref(const tern_quantize_params *params, const float *input, void *output);

/* DEQUANTIZE. */
tern_status tern_dequantize_ref(const tern_quantize_params *params, const void *input, float *output);

#ifdef __cplusplus
}
#endif
#endif
