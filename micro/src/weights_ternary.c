#include "tern_internal.h"

/* Bit 0 of a code says that the weight is not zero, bit 1 that it is `minus`: two sums without a branch. */
typedef struct {
    uint32_t nonzero, minus;
} bit_sums;

static inline void add_code(bit_sums *sums, uint32_t code, int32_t x) {
    sums->nonzero += (code & 1) * (uint32_t)x;
    sums->minus += (code >> 1 & 1) * (uint32_t)x;
}

static inline void join(tern_sums *sums, bit_sums bits) {
    sums->plus += bits.nonzero - bits.minus;
    sums->minus += bits.minus;
}

void tern_dot_ternary(tern_rows rows, int32_t row, int32_t first, const int8_t *input, int32_t count,
                      int32_t zero_point, tern_sums *sums) {
    const uint8_t *codes_of_row = rows.data + row * tern_row_bytes(rows.length, 2);
    bit_sums bits = {0, 0};
    int32_t at = first;
    const int32_t end = first + count;
    while (at < end && (at & 3) != 0) {
        add_code(&bits, (uint32_t)codes_of_row[at >> 2] >> ((at & 3) * 2), *input++ - zero_point);
        at++;
    }
    for (; end - at >= 4; at += 4, input += 4) {
        const uint32_t codes = codes_of_row[at >> 2];
        add_code(&bits, codes, input[0] - zero_point);
        add_code(&bits, codes >> 2, input[1] - zero_point);
        add_code(&bits, codes >> 4, input[2] - zero_point);
        add_code(&bits, codes >> 6, input[3] - zero_point);
    }
    for (; at < end; at++)
        add_code(&bits, (uint32_t)codes_of_row[at >> 2] >> ((at & 3) * 2), *input++ - zero_point);
    join(sums, bits);
}

void tern_column_ternary(tern_rows rows, int32_t first_row, int32_t index, const int8_t *input,
                         int32_t input_step, int32_t count, int32_t zero_point, tern_sums *sums) {
    const int32_t row_bytes = tern_row_bytes(rows.length, 2);
    const uint8_t *codes = rows.data + first_row * row_bytes + (index >> 2);
    const int32_t shift = (index & 3) * 2;
    bit_sums bits = {0, 0};
    for (int32_t i = 0; i < count; i++)
        add_code(&bits, (uint32_t)codes[i * row_bytes] >> shift, input[i * input_step] - zero_point);
    join(sums, bits);
}
