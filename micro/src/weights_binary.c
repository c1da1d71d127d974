#include "tern_internal.h"

static inline void add_code(tern_sums *sums, uint32_t code, int32_t x) {
    const uint32_t plus = (code & 1) * (uint32_t)x;
    sums->plus += plus;
    sums->minus += (uint32_t)x - plus;
}

void tern_dot_binary(tern_rows rows, int32_t row, int32_t first, const int8_t *input, int32_t count,
                     int32_t zero_point, tern_sums *sums) {
    const uint8_t *codes = rows.data + row * tern_row_bytes(rows.length, 1);
    tern_sums run = {0, 0};
    for (int32_t i = 0; i < count; i++) {
        const int32_t at = first + i;
        add_code(&run, (uint32_t)codes[at >> 3] >> (at & 7), input[i] - zero_point);
    }
    sums->plus += run.plus;
    sums->minus += run.minus;
}

void tern_column_binary(tern_rows rows, int32_t first_row, int32_t index, const int8_t *input,
                        int32_t input_step, int32_t count, int32_t zero_point, tern_sums *sums) {
    const int32_t row_bytes = tern_row_bytes(rows.length, 1);
    const uint8_t *codes = rows.data + first_row * row_bytes + (index >> 3);
    for (int32_t i = 0; i < count; i++)
        add_code(sums, (uint32_t)codes[i * row_bytes] >> (index & 7), input[i * input_step] - zero_point);
}
