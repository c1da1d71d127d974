#include "tern_internal.h"

typedef struct {
    int32_t minimum, maximum;
} integer_range;

static const integer_range ranges[] = {{INT8_MIN, INT8_MAX}, {0, UINT8_MAX}, {INT16_MIN, INT16_MAX}};

static tern_status check(const tern_quantize_params *params, const void *input, const void *output) {
    if (params == NULL || input == NULL || output == NULL)
        return TERN_ERROR_NULL;
    if (params->size < 1)
        return TERN_ERROR_SHAPE;
    if (params->type < TERN_INT8 || params->type > TERN_INT16 ||
        params->zero_point < ranges[params->type].minimum ||
        params->zero_point > ranges[params->type].maximum || !(params->scale > 0.0f))
        return TERN_ERROR_PARAMETER;
    return TERN_OK;
}

/* To the nearest, halves away from zero, within +-65536: beyond it every integer saturates. */
static int32_t round_away(float x) {
    const float bound = 65536.0f;
    if (!(x > -bound))
        return -65536;
    if (x > bound)
        return 65536;
    const int32_t whole = (int32_t)x;
    const float rest = x - (float)whole;
    return whole + (rest >= 0.5f ? 1 : rest <= -0.5f ? -1 : 0);
}

tern_status tern_quantize_ref(const tern_quantize_params *params, const float *input, void *output) {
    const tern_status status = check(params, input, output);
    if (status != TERN_OK)
        return status;
    const integer_range range = ranges[params->type];
    for (int32_t i = 0; i < params->size; i++) {
        int32_t q = round_away(input[i] / params->scale) + params->zero_point;
        q = q < range.minimum ? range.minimum : q > range.maximum ? range.maximum : q;
        if (params->type == TERN_INT16)
            ((int16_t *)output)[i] = (int16_t)q;
        else
            ((uint8_t *)output)[i] = (uint8_t)q;
    }
    return TERN_OK;
}

static int32_t element(const void *input, int32_t type, int32_t i) {
    if (type == TERN_INT16)
        return ((const int16_t *)input)[i];
    return type == TERN_INT8 ? ((const int8_t *)input)[i] : ((const uint8_t *)input)[i];
}

/* TFLite multiplies as float64 and rounds to float32: the product of a float32 and 17 bits is exact in float64, so that
 * a product of float32 is rounded to the same. */
tern_status tern_dequantize_ref(const tern_quantize_params *params, const void *input, float *output) {
    const tern_status status = check(params, input, output);
    if (status != TERN_OK)
        return status;
    for (int32_t i = 0; i < params->size; i++)
        output[i] = params->scale * (float)(element(input, params->type, i) - params->zero_point);
    return TERN_OK;
}
