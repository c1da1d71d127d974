#include "tern_internal.h"

/* Whether all elements of a view lie at numbers from 0 to what an int32 of bytes reaches. */
static bool is_bounded(const tern_copy_params *params, const int32_t *strides, int32_t offset) {
    int64_t lowest = offset, highest = offset;
    for (int32_t i = 0; i < TERN_COPY_RANK; i++) {
        const int64_t reach = (int64_t)(params->shape[i] - 1) * strides[i];
        if (reach < -(int64_t)INT32_MAX || reach > INT32_MAX)
            return false;
        *(reach < 0 ? &lowest : &highest) += reach;
    }
    return lowest >= 0 && highest < INT32_MAX / params->element_bytes;
}

static tern_status check(const tern_copy_params *params, const void *input, const void *output) {
    if (params == NULL || input == NULL || output == NULL)
        return TERN_ERROR_NULL;
    if (params->element_bytes < 1 || params->element_bytes > 8)
        return TERN_ERROR_PARAMETER;
    int32_t size = 1;
    for (int32_t i = 0; i < TERN_COPY_RANK; i++)
        size = tern_size(size, params->shape[i], 1);
    if (size == 0 || !is_bounded(params, params->input_strides, params->input_offset) ||
        !is_bounded(params, params->output_strides, params->output_offset))
        return TERN_ERROR_SHAPE;
    return TERN_OK;
}

static void copy_bytes(const uint8_t *from, uint8_t *to, int32_t count) {
    for (int32_t i = 0; i < count; i++)
        to[i] = from[i];
}

static void copy_row(const tern_copy_params *params, const uint8_t *from, uint8_t *to) {
    const int32_t bytes = params->element_bytes, count = params->shape[TERN_COPY_RANK - 1];
    /* where there is nothing to step to, a stride may be anything */
    const int32_t from_step = count > 1 ? params->input_strides[TERN_COPY_RANK - 1] * bytes : bytes;
    const int32_t to_step = count > 1 ? params->output_strides[TERN_COPY_RANK - 1] * bytes : bytes;
    if (from_step == bytes && to_step == bytes) {
        copy_bytes(from, to, count * bytes);
        return;
    }
    for (int32_t i = 0; i < count; i++)
        copy_bytes(from + i * from_step, to + i * to_step, bytes);
}

tern_status tern_copy_ref(const tern_copy_params *params, const void *input, void *output) {
    const tern_status status = check(params, input, output);
    if (status != TERN_OK)
        return status;
    const uint32_t bytes = (uint32_t)params->element_bytes;
    int32_t index[TERN_COPY_RANK] = {0};
    /* unsigned: a stride that is never gone may lead anywhere and back */
    uint32_t from = (uint32_t)params->input_offset, to = (uint32_t)params->output_offset;
    for (;;) {
        copy_row(params, (const uint8_t *)input + from * bytes, (uint8_t *)output + to * bytes);
        /* to the next row, as an odometer counts */
        int32_t i = TERN_COPY_RANK - 2;
        for (; i >= 0; i--) {
            from += (uint32_t)params->input_strides[i];
            to += (uint32_t)params->output_strides[i];
            if (++index[i] < params->shape[i])
                break;
            from -= (uint32_t)params->input_strides[i] * (uint32_t)params->shape[i];
            to -= (uint32_t)params->output_strides[i] * (uint32_t)params->shape[i];
            index[i] = 0;
        }
        if (i < 0)
            return TERN_OK;
    }
}
