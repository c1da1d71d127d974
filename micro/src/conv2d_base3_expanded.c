#include "conv2d_patch.h"

static int32_t row_length(const tern_conv2d_params *params) {
    return params->window.height * params->window.width * params->kernel_channels;
}

int32_t tern_conv2d_base3_expanded_scratch_bytes(const tern_conv2d_params *params) {
    return (params->weights.residual_planes + 1) * tern_row_bytes(row_length(params), 2);
}

/* One row of base-3 digits as 2-bit codes. */
static void expand(tern_rows rows, int32_t row, uint8_t *codes) {
    static const uint8_t code_of_digit[] = {3, 0, 1};
    const int32_t first = row * rows.length;
    const uint8_t *byte = rows.data + first / TERN_BASE3_DIGITS;
    uint32_t digits = *byte;
    for (int32_t i = first % TERN_BASE3_DIGITS; i > 0; i--)
        digits /= 3;
    int32_t left = TERN_BASE3_DIGITS - first % TERN_BASE3_DIGITS;
    for (int32_t i = 0; i < rows.length; i++) {
        if (left == 0) {
            digits = *++byte;
            left = TERN_BASE3_DIGITS;
        }
        const uint32_t shifted = (uint32_t)code_of_digit[digits % 3] << ((i & 3) * 2);
        codes[i >> 2] = (uint8_t)((i & 3) == 0 ? shifted : codes[i >> 2] | shifted);
        digits /= 3;
        left--;
    }
}

tern_status tern_conv2d_base3_expanded(const tern_conv2d_params *params, const int8_t *input, int8_t *output,
                                       void *scratch) {
    const tern_status status = tern_conv2d_check(params, input, output, TERN_LEVELS);
    if (status != TERN_OK)
        return status;
    if (scratch == NULL)
        return TERN_ERROR_NULL;
    const tern_weights *weights = &params->weights;
    const int32_t channels = params->output.channels, planes = weights->residual_planes + 1;
    const tern_rows rows = {weights->data, row_length(params)};
    const tern_rows expanded = {scratch, rows.length};
    uint8_t *const codes = scratch;

    for (int32_t channel = 0; channel < channels; channel++) {
        const int8_t *group = input + tern_conv2d_group_offset(params, channel);
        for (int32_t plane = 0; plane < planes; plane++)
            expand(rows, plane * channels + channel, codes + plane * tern_row_bytes(rows.length, 2));
        int8_t *at_output = output + channel;
        for (int32_t y = 0; y < params->output.height; y++) {
            for (int32_t x = 0; x < params->output.width; x++) {
                const tern_patch at = tern_conv2d_patch(params, y, x);
                uint32_t sum = 0;
                for (int32_t plane = 0; plane < planes; plane++) {
                    const tern_sums sums =
                        tern_conv2d_sum_patch(params, tern_dot_ternary, &at, expanded, plane, group);
                    sum += tern_join(weights, TERN_LEVELS, plane * channels + channel, sums);
                }
                *at_output = tern_requantize(&params->requantization, channel, sum);
                at_output += channels;
            }
        }
    }
    return TERN_OK;
}
