#include "tern_internal.h"

tern_status tern_table_ref(const tern_table_params *params, const void *input, void *output) {
    if (params == NULL || input == NULL || output == NULL || params->table == NULL)
        return TERN_ERROR_NULL;
    if (params->size < 1)
        return TERN_ERROR_SHAPE;
    const uint8_t *from = input;
    uint8_t *to = output;
    for (int32_t i = 0; i < params->size; i++)
        to[i] = params->table[from[i]];
    return TERN_OK;
}
