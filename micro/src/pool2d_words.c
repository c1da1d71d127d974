#include "tern_internal.h"
#include "words.h"

/* The part of a window that lies on the input: positions, and how far apart rows and columns are. */
typedef struct {
    int32_t height, width, row_step, channels;
} view;

/* For a window of so many positions an average is the top byte of sum * reciprocal + offset. */
typedef struct {
    uint32_t count, reciprocal, offset;
    bool clamped;
    uint32_t minimum, maximum; /* four times the same byte */
} finish;

/* How many channels are done at once: two words on addresses where words may be, else four. */
enum { TWO_WORDS = 8 };

/* Of `channels` channels from `values` on, to one word or two. */
typedef void reduction(uint32_t *words, const int8_t *values, const view *in, int32_t channels,
                       const finish *by);

static inline uint32_t load(const int8_t *from, int32_t channels) {
    return channels == TWO_WORDS ? tern_load_word(from) : tern_load_any_word(from);
}

static inline __attribute__((always_inline)) void
maximum_of(uint32_t *words, const int8_t *values, const view *in, int32_t channels, const finish *by) {
    (void)by;
    uint32_t first = tern_word_of(INT8_MIN), second = first;
    const int32_t step = in->channels, back = in->row_step - in->width * step;
    int32_t y = in->height;
    do {
        int32_t x = in->width;
        do {
            first = tern_maximum_of_bytes(first, load(values, channels));
            if (channels == TWO_WORDS)
                second = tern_maximum_of_bytes(second, tern_load_word(values + TERN_WORD));
            values += step;
        } while (--x > 0);
        values += back;
    } while (--y > 0);
    words[0] = first;
    words[1] = second;
}

static inline uint32_t divide(int32_t sum, const finish *by) {
    return (uint32_t)sum * by->reciprocal + by->offset;
}

static inline uint32_t average(tern_byte_sums sums, const finish *by) {
    return tern_top_bytes(divide(tern_low_sum(sums.even), by), divide(tern_low_sum(sums.odd), by),
                          divide(tern_high_sum(sums.even), by), divide(tern_high_sum(sums.odd), by));
}

static inline __attribute__((always_inline)) void
average_of(uint32_t *words, const int8_t *values, const view *in, int32_t channels, const finish *by) {
    tern_byte_sums first = {0, 0}, second = {0, 0};
    const int32_t step = in->channels, back = in->row_step - in->width * step;
    int32_t y = in->height;
    do {
        int32_t x = in->width;
        do {
            tern_add_bytes(&first, load(values, channels));
            if (channels == TWO_WORDS)
                tern_add_bytes(&second, tern_load_word(values + TERN_WORD));
            values += step;
        } while (--x > 0);
        values += back;
    } while (--y > 0);
    words[0] = average(first, by);
    if (channels == TWO_WORDS)
        words[1] = average(second, by);
}

/* Of taps that are not dilated, some of which fall on the input. */
static inline tern_taps overlap(int32_t origin, int32_t kernel, int32_t size) {
    const tern_taps taps = {origin < 0 ? -origin : 0, kernel < size - origin ? kernel : size - origin};
    return taps;
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
    if (window->height * window->width > TERN_BYTE_SUMS_WORDS || params->input.channels < TERN_WORD)
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
    int32_t top = -window->pad_top;
    for (int32_t y = params->output.height; y > 0; y--) {
        const tern_taps rows = overlap(top, window->height, params->input.height);
        const int8_t *row = input + (top + rows.begin) * row_step;
        int32_t left = -window->pad_left;
        for (int32_t x = params->output.width; x > 0; x--) {
            const tern_taps columns = overlap(left, window->width, params->input.width);
            const int8_t *values = row + (left + columns.begin) * channels;
            const view in = {rows.end - rows.begin, columns.end - columns.begin, row_step, channels};
            left += window->stride_width;
            set_count(&by, (uint32_t)(in.height * in.width));
            uint32_t words[2];
            int32_t rest = channels;
            for (; by_words && rest >= TWO_WORDS; rest -= TWO_WORDS) {
                reduce(words, values, &in, TWO_WORDS, &by);
                tern_store_word(output, clamp(words[0], &by));
                tern_store_word(output + TERN_WORD, clamp(words[1], &by));
                values += TWO_WORDS;
                output += TWO_WORDS;
            }
            while (rest > 0) {
                /* the last word begins with channels that are done, and perhaps overwritten: they are not stored */
                const int32_t bytes = rest < TERN_WORD ? rest : TERN_WORD;
                reduce(words, values + bytes - TERN_WORD, &in, TERN_WORD, &by);
                tern_store_upper_bytes(output, clamp(words[0], &by), bytes);
                values += bytes;
                output += bytes;
                rest -= bytes;
            }
        }
        top += window->stride_height;
    }
    return TERN_OK;
}

tern_status tern_max_pool2d_words(const tern_pool2d_params *params, const int8_t *input, int8_t *output) {
    return pool2d(params, input, output, maximum_of);
}

tern_status tern_average_pool2d_words(const tern_pool2d_params *params, const int8_t *input, int8_t *output) {
    return pool2d(params, input, output, average_of);
}
