#include "tern_internal.h"
#include "words.h"

/* What the channels of one window hold: `values` points at the first, rows are `row_step` apart. */
typedef struct {
    const int8_t *values;
    int32_t height, width, row_step, channels;
} view;

/* For a window of so many positions an average is the top byte of sum * reciprocal + offset. */
typedef struct {
    uint32_t count, reciprocal, offset;
    bool clamped;
    uint32_t minimum, maximum; /* four times the same byte */
} finish;

/* Of the channels from `values` on: four, or as many as `channels` says. */
typedef uint32_t reduction(const int8_t *values, const view *in, int32_t channels, const finish *by);

static inline uint32_t load(const int8_t *from, int32_t channels) {
    return channels == TERN_WORD ? tern_load_word(from) : tern_load_bytes(from, channels);
}

static inline __attribute__((always_inline)) uint32_t maximum_of(const int8_t *values, const view *in,
                                                                 int32_t channels, const finish *by) {
    (void)by;
    uint32_t maximum = tern_word_of(INT8_MIN);
    const int32_t step = in->channels, back = in->row_step - in->width * step;
    for (int32_t y = in->height; y > 0; y--) {
        for (int32_t x = in->width; x > 0; x--) {
            maximum = tern_maximum_of_bytes(maximum, load(values, channels));
            values += step;
        }
        values += back;
    }
    return maximum;
}

static inline uint32_t divide(int32_t sum, const finish *by) {
    return (uint32_t)sum * by->reciprocal + by->offset;
}

static inline __attribute__((always_inline)) uint32_t average_of(const int8_t *values, const view *in,
                                                                 int32_t channels, const finish *by) {
    tern_byte_sums sums = {0, 0};
    const int32_t step = in->channels, back = in->row_step - in->width * step;
    for (int32_t y = in->height; y > 0; y--) {
        for (int32_t x = in->width; x > 0; x--) {
            tern_add_bytes(&sums, load(values, channels));
            values += step;
        }
        values += back;
    }
    return tern_top_bytes(divide(tern_low_sum(sums.even), by), divide(tern_low_sum(sums.odd), by),
                          divide(tern_high_sum(sums.even), by), divide(tern_high_sum(sums.odd), by));
}

/* The reciprocal is 2^24 / count and up to 1 more, never equal: halves go away from zero, as they shall, and of up to
 * 256 positions all that is less than a half off its integer stays so. */
static void set_count(finish *by, uint32_t count) {
    if (by->count == count)
        return;
    by->count = count;
    by->reciprocal = (1u << 24) / count + 1;
    by->offset = (1u << 23) - TERN_PORT_SUM_BIAS * count * by->reciprocal;
}

static inline uint32_t clamp(uint32_t word, const finish *by) {
    if (!by->clamped)
        return word;
    return tern_minimum_of_bytes(tern_maximum_of_bytes(word, by->minimum), by->maximum);
}

static inline __attribute__((always_inline)) tern_status pool2d(const tern_pool2d_params *params,
                                                                const int8_t *input, int8_t *output,
                                                                reduction *reduce) {
    const tern_status status = tern_check_pool2d(params, input, output);
    if (status != TERN_OK)
        return status;
    const tern_window *window = &params->window;
    if (window->height * window->width > TERN_BYTE_SUMS_WORDS)
        return TERN_ERROR_SHAPE;
    const int32_t channels = params->input.channels;
    const int32_t row_step = params->input.width * channels;
    const bool by_words = tern_are_words(input, channels) && tern_are_words(output, channels);
    finish by = {0,
                 0,
                 0,
                 params->minimum > INT8_MIN || params->maximum < INT8_MAX,
                 tern_word_of(params->minimum),
                 tern_word_of(params->maximum)};
    for (int32_t y = 0; y < params->output.height; y++) {
        const int32_t top = y * window->stride_height - window->pad_top;
        const tern_taps rows = tern_taps_inside(top, 1, window->height, params->input.height);
        for (int32_t x = 0; x < params->output.width; x++) {
            const int32_t left = x * window->stride_width - window->pad_left;
            const tern_taps columns = tern_taps_inside(left, 1, window->width, params->input.width);
            const int8_t *values =
                input + ((top + rows.begin) * row_step + (left + columns.begin) * channels);
            const view in = {values, rows.end - rows.begin, columns.end - columns.begin, row_step, channels};
            set_count(&by, (uint32_t)(in.height * in.width));
            int32_t rest = channels;
            for (; by_words && rest >= TERN_WORD; rest -= TERN_WORD) {
                tern_store_word(output, clamp(reduce(values, &in, TERN_WORD, &by), &by));
                values += TERN_WORD;
                output += TERN_WORD;
            }
            while (rest > 0) {
                const int32_t bytes = rest < TERN_WORD ? rest : TERN_WORD - 1;
                tern_store_bytes(output, clamp(reduce(values, &in, bytes, &by), &by), bytes);
                values += bytes;
                output += bytes;
                rest -= bytes;
            }
        }
    }
    return TERN_OK;
}

tern_status tern_max_pool2d_words(const tern_pool2d_params *params, const int8_t *input, int8_t *output) {
    return pool2d(params, input, output, maximum_of);
}

tern_status tern_average_pool2d_words(const tern_pool2d_params *params, const int8_t *input, int8_t *output) {
    return pool2d(params, input, output, average_of);
}
