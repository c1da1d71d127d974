#include "tern_internal.h"

tern_status tern_reshape_ref(const tern_reshape_params *params, const int8_t *input, int8_t *output) {
    if (params == NULL || input == NULL || output == NULL)
        return TERN_ERROR_NULL;
    if (params->size < 1)
        return TERN_ERROR_SHAPE;
    for (int32_t i = 0; i < params->size; i++)
        output[i] = input[i];
    return TERN_OK;
}
