#include "tern_broadcast.h"

static tern_status check(const tern_choice_params *params, const int8_t *input0, const int8_t *input1,
                         const int8_t *output) {
    if (params == NULL || input0 == NULL || input1 == NULL || output == NULL)
        return TERN_ERROR_NULL;
    return tern_is_broadcast(params->shape, params->strides) ? TERN_OK : TERN_ERROR_SHAPE;
}

static int8_t greater_of(const void *params, int8_t value0, int8_t value1) {
    (void)params;
    return value0 > value1 ? value0 : value1;
}

static int8_t lesser_of(const void *params, int8_t value0, int8_t value1) {
    (void)params;
    return value0 < value1 ? value0 : value1;
}

tern_status tern_maximum_ref(const tern_choice_params *params, const int8_t *input0, const int8_t *input1,
                             int8_t *output) {
    const tern_status status = check(params, input0, input1, output);
    if (status == TERN_OK)
        tern_for_each_pair(params->shape, params->strides, input0, input1, output, greater_of, NULL);
    return status;
}

tern_status tern_minimum_ref(const tern_choice_params *params, const int8_t *input0, const int8_t *input1,
                             int8_t *output) {
    const tern_status status = check(params, input0, input1, output);
    if (status == TERN_OK)
        tern_for_each_pair(params->shape, params->strides, input0, input1, output, lesser_of, NULL);
    return status;
}
