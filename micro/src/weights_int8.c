#include "tern_internal.h"

void tern_dot_int8(const uint8_t *row, int32_t first, const int8_t *input, int32_t count, int32_t zero_point,
                   tern_sums *sums) {
    const int8_t *weights = (const int8_t *)row + first;
    uint32_t sum = 0;
    for (int32_t i = 0; i < count; i++)
        sum += (uint32_t)(weights[i] * (input[i] - zero_point));
    sums->plus += sum;
}

void tern_column_int8(const uint8_t *rows, int32_t row_bytes, int32_t index, const int8_t *input,
                      int32_t input_step, int32_t count, int32_t zero_point, tern_sums *sums) {
    const int8_t *weights = (const int8_t *)rows + index;
    uint32_t sum = 0;
    for (int32_t i = 0; i < count; i++)
        sum += (uint32_t)(weights[i * row_bytes] * (input[i * input_step] - zero_point));
    sums->plus += sum;
}
