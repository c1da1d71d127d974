#include "tern_internal.h"

void tern_dot_int8(tern_rows rows, int32_t row, int32_t first, const int8_t *input, int32_t count,
                   int32_t zero_point, tern_sums *sums) {
    const int8_t *weights = (const int8_t *)rows.data + row * rows.length + first;
    uint32_t sum = 0;
    for (int32_t i = 0; i < count; i++)
        sum += (uint32_t)(weights[i] * (input[i] - zero_point));
    sums->plus += sum;
}

void tern_column_int8(tern_rows rows, int32_t first_row, int32_t index, const int8_t *input,
                      int32_t input_step, int32_t count, int32_t zero_point, tern_sums *sums) {
    const int8_t *weights = (const int8_t *)rows.data + first_row * rows.length + index;
    uint32_t sum = 0;
    for (int32_t i = 0; i < count; i++)
        sum += (uint32_t)(weights[i * rows.length] * (input[i * input_step] - zero_point));
    sums->plus += sum;
}
