#include "scaling.h"
#include "words.h"

static tern_status check(const tern_mean_words_params *params, const int8_t *input, const int8_t *output) {
    if (params == NULL || input == NULL || output == NULL)
        return TERN_ERROR_NULL;
    if (tern_size(params->outer, params->count, params->inner) == 0 || params->inner < TERN_WORD ||
        params->count > INT32_MAX / 512) /* twice a sum of differences to the zero point fits */
        return TERN_ERROR_SHAPE;
    if (!tern_is_int8(params->input_zero_point) || !tern_is_int8(params->output_zero_point) ||
        !tern_is_fast_scale(params->multiplier, params->shift))
        return TERN_ERROR_PARAMETER;
    return TERN_OK;
}

/* Of four columns. */
static void sum_rows(int32_t *sums, const int8_t *row, int32_t count, int32_t inner) {
    while (count > 0) {
        const int32_t rows = count < TERN_BYTE_SUMS_WORDS ? count : TERN_BYTE_SUMS_WORDS;
        tern_byte_sums bytes = {0, 0};
        for (int32_t i = rows; i > 0; i--) {
            tern_add_bytes(&bytes, tern_load_any_word(row));
            row += inner;
        }
        sums[0] += tern_low_sum(bytes.even);
        sums[1] += tern_low_sum(bytes.odd);
        sums[2] += tern_high_sum(bytes.even);
        sums[3] += tern_high_sum(bytes.odd);
        count -= rows;
    }
}

tern_status tern_mean_words(const tern_mean_words_params *params, const int8_t *input, int8_t *output) {
    const tern_status status = check(params, input, output);
    if (status != TERN_OK)
        return status;
    const tern_scaling by =
        tern_scaling_of(params->multiplier, params->shift, params->output_zero_point, INT8_MIN, INT8_MAX);
    const int32_t inner = params->inner, count = params->count;
    const int32_t start = -(params->input_zero_point + TERN_PORT_SUM_BIAS) * count;
    for (int32_t outer = 0; outer < params->outer; outer++) {
        for (int32_t rest = inner; rest > 0; rest -= TERN_WORD) {
            /* the last word begins with columns that are done, and perhaps overwritten: they are not stored */
            const int32_t skipped = rest < TERN_WORD ? TERN_WORD - rest : 0;
            int32_t sums[TERN_WORD] = {start, start, start, start};
            sum_rows(sums, input - skipped, count, inner);
            for (int32_t i = skipped; i < TERN_WORD; i++)
                *output++ = tern_scale_doubled_unclamped(&by, 2 * sums[i]);
            input += TERN_WORD - skipped;
        }
        input += (count - 1) * inner;
    }
    return TERN_OK;
}
