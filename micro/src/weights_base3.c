#include "tern_internal.h"

static const uint8_t powers[TERN_BASE3_DIGITS] = {1, 3, 9, 27, 81};

static inline void add_digit(tern_sums *sums, uint32_t digit, int32_t x) {
    sums->plus += (digit >> 1) * (uint32_t)x;
    sums->minus += (digit == 0 ? 1u : 0u) * (uint32_t)x;
}

/* A byte is read only where a weight of the run is in it. */
void tern_dot_base3(tern_rows rows, int32_t row, int32_t first, const int8_t *input, int32_t count,
                    int32_t zero_point, tern_sums *sums) {
    const int32_t at = row * rows.length + first;
    const uint8_t *byte = rows.data + at / TERN_BASE3_DIGITS;
    int32_t digit = at % TERN_BASE3_DIGITS;
    tern_sums run = {0, 0};
    while (count > 0) {
        uint32_t digits = (uint32_t)*byte++ / powers[digit];
        for (; digit < TERN_BASE3_DIGITS && count > 0; digit++, count--) {
            add_digit(&run, digits % 3, *input++ - zero_point);
            digits /= 3;
        }
        digit = 0;
    }
    sums->plus += run.plus;
    sums->minus += run.minus;
}

void tern_column_base3(tern_rows rows, int32_t first_row, int32_t index, const int8_t *input,
                       int32_t input_step, int32_t count, int32_t zero_point, tern_sums *sums) {
    for (int32_t i = 0; i < count; i++) {
        const int32_t at = (first_row + i) * rows.length + index;
        const uint32_t digits = (uint32_t)rows.data[at / TERN_BASE3_DIGITS] / powers[at % TERN_BASE3_DIGITS];
        add_digit(sums, digits % 3, input[i * input_step] - zero_point);
    }
}
