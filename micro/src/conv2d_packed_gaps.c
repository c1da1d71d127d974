#include "conv2d_gaps.h"
#include "conv2d_patch.h"
#include "scaling.h"

/* Weights of 1.6 bits or 1 bit in flash, gaps in RAM: as many output channels as find room have their streams written to
 * scratch, then the kernel for gaps does them. A row of weights becomes two masks first, a bit a weight, of those that are
 * `minus` and of those that are `plus`. Streams are written from their end to their start, into memory from its end to its
 * start, so that nothing needs to be counted before. */

/* Masks of a row of weights, of either stream, 32 a word. */
typedef struct {
    uint32_t *words[2];
    int32_t count;
} row_masks;

typedef void unpack(row_masks masks, tern_rows rows, int32_t row);

/* ---- from base 3 ---- */

/* Which digits of a byte are 0: bit i for digit i. Turned round, v to 242 - v, it says which are 2. */
#define DIGIT(v, power) (((v) / (power) % 3 == 0) ? 1 : 0)
#define MASK(v) (DIGIT(v, 1) | DIGIT(v, 3) << 1 | DIGIT(v, 9) << 2 | DIGIT(v, 27) << 3 | DIGIT(v, 81) << 4)
#define MASKS_3(v) MASK(v), MASK(v + 1), MASK(v + 2)
#define MASKS_9(v) MASKS_3(v), MASKS_3(v + 3), MASKS_3(v + 6)
#define MASKS_27(v) MASKS_9(v), MASKS_9(v + 9), MASKS_9(v + 18)
#define MASKS_81(v) MASKS_27(v), MASKS_27(v + 27), MASKS_27(v + 54)
/* bytes that no five digits make have none */
static const uint8_t zero_digits[256] = {MASKS_81(0), MASKS_81(81), MASKS_81(162)};

static void unpack_base3(row_masks masks, tern_rows rows, int32_t row) {
    const int32_t first = row * rows.length, end = first + rows.length;
    const uint8_t *byte = rows.data + first / TERN_BASE3_DIGITS;
    const int32_t before = first % TERN_BASE3_DIGITS;
    uint32_t minus = (uint32_t)zero_digits[*byte] >> before;
    uint32_t plus = (uint32_t)zero_digits[(uint8_t)(242 - *byte)] >> before;
    int32_t bits = TERN_BASE3_DIGITS - before;
    for (int32_t i = 0; i < masks.count; i++) {
        const uint8_t *const last = rows.data + (end - 1) / TERN_BASE3_DIGITS;
        uint32_t next_minus = 0, next_plus = 0;
        while (bits < 32 && byte < last) {
            byte++;
            next_minus = zero_digits[*byte];
            next_plus = zero_digits[(uint8_t)(242 - *byte)];
            minus |= next_minus << bits;
            plus |= next_plus << bits;
            bits += TERN_BASE3_DIGITS;
        }
        masks.words[0][i] = minus;
        masks.words[1][i] = plus;
        bits -= 32; /* those of the last byte that had no room */
        minus = bits > 0 ? next_minus >> (TERN_BASE3_DIGITS - bits) : 0;
        plus = bits > 0 ? next_plus >> (TERN_BASE3_DIGITS - bits) : 0;
    }
}

/* ---- from bits ---- */

static void unpack_binary(row_masks masks, tern_rows rows, int32_t row) {
    const int32_t bytes = tern_row_bytes(rows.length, 1);
    const uint8_t *const data = rows.data + row * bytes;
    for (int32_t i = 0; i < masks.count; i++) {
        uint32_t plus = 0;
        for (int32_t j = 0; j < 4 && 4 * i + j < bytes; j++)
            plus |= (uint32_t)data[4 * i + j] << 8 * j;
        masks.words[0][i] = ~plus;
        masks.words[1][i] = plus;
    }
}

/* ---- a stream, from its end to its start ---- */

typedef struct {
    uint32_t *to;              /* behind what is free */
    uint32_t word;             /* the gaps that are not written yet, the earliest lowest */
    int32_t steps, over_zeros; /* all, and those to rows of zeros */
    int32_t next;              /* the row that the step behind goes to */
} stream_writer;

static inline void write_gap(stream_writer *stream, int32_t gap) {
    stream->word = stream->word << 4 | (uint32_t)gap;
    if ((++stream->steps & 7) == 0)
        *--stream->to = stream->word;
}

/* The gap from a row to the one that comes next. */
static inline void write_step(stream_writer *stream, int32_t row) {
    while (stream->next - row > TERN_GAP_LONGEST) {
        /* over the first row of zeros that is near enough */
        const int32_t furthest = stream->next - TERN_GAP_LONGEST;
        const int32_t zeros = furthest + TERN_GAP_GROUP - furthest % (TERN_GAP_GROUP + 1);
        write_gap(stream, stream->next - zeros);
        stream->next = zeros;
        stream->over_zeros++;
    }
    write_gap(stream, stream->next - row);
    stream->next = row;
}

/* Over the rows of zeros before a weight: the product is index / TERN_GAP_GROUP, up to TERN_GAP_MOST_WEIGHTS and beyond,
 * without a division. */
static inline int32_t row_of(int32_t index) {
    return index + (int32_t)((uint32_t)index * 43691 >> 19);
}

static stream_writer write_stream(uint32_t *end, const uint32_t *masks, int32_t weights) {
    stream_writer stream = {end, 0, 0, 0, -1};
    int32_t i = (weights - 1) / 32;
    uint32_t mask = masks[i] & ((2u << (weights - 1) % 32) - 1);
    for (;;) {
        while (mask != 0) {
            const int32_t bit = tern_highest_bit(mask), row = row_of(32 * i + bit);
            mask ^= 1u << bit;
            if (stream.next >= 0)
                write_step(&stream, row);
            stream.next = row;
        }
        if (--i < 0)
            break;
        mask = masks[i];
    }
    if (stream.next >= 0)
        write_step(&stream, 0);
    if ((stream.steps & 7) != 0)
        *--stream.to = stream.word << (-stream.steps & 7) * 4;
    return stream;
}

/* ---- a channel ---- */

/* What a channel takes at most: steps to its weights and, in either stream, over rows of zeros. */
static int32_t most_words(int32_t weights) {
    return (weights + 2 * (weights / TERN_GAP_GROUP) + 7) / 8 + 2;
}

enum { CHANNEL_WORDS = 3 }; /* two that describe it, and its bias */

/* Memory for gaps is a quarter of that of the rows: a few channels at least. */
typedef struct {
    int32_t rows_bytes, gap_words, channels;
} layout;

static layout layout_of(const tern_conv2d_params *params) {
    const tern_conv2d_gaps_params rows = {.input = params->input, .window = params->window};
    const int32_t weights = tern_size(params->window.height, params->window.width, params->kernel_channels);
    layout found;
    found.rows_bytes = tern_conv2d_gaps_scratch_bytes(&rows);
    found.gap_words = found.rows_bytes / 16 + most_words(weights);
    found.channels = params->output.channels < 64 ? params->output.channels : 64;
    return found;
}

static int32_t scratch_bytes(const tern_conv2d_params *params) {
    const layout at = layout_of(params);
    return at.rows_bytes + 4 * (at.gap_words + CHANNEL_WORDS * at.channels);
}

int32_t tern_conv2d_base3_gaps_scratch_bytes(const tern_conv2d_params *params) {
    return scratch_bytes(params);
}

int32_t tern_conv2d_binary_gaps_scratch_bytes(const tern_conv2d_params *params) {
    return scratch_bytes(params);
}

/* The streams of a channel before `end`; returns where they start. */
static uint32_t *write_channel(uint32_t *end, row_masks masks, uint32_t words[2], int32_t *bias,
                               const tern_conv2d_params *params, unpack *unpack_row, int32_t channel) {
    const int32_t weights = params->window.height * params->window.width * params->kernel_channels;
    const tern_rows rows = {params->weights.data, weights};
    const int32_t minus = params->weights.minus[channel], plus = params->weights.plus[channel];
    const tern_requantization *by = &params->requantization;
    unpack_row(masks, rows, channel);
    const stream_writer second = write_stream(end, masks.words[1], weights);
    const stream_writer first = write_stream(second.to, masks.words[0], weights);
    const bool joint = minus == -plus && first.steps + second.steps < TERN_GAP_MAXIMUM_STEPS;
    words[0] = (uint32_t)(first.steps | second.steps << 16);
    words[1] = (uint8_t)minus | (uint32_t)tern_scaling_shift(by->shift[channel]) << 8 |
               (uint32_t)(uint8_t)plus << 16 | (uint32_t)joint << 24;
    const uint32_t sum_of_weights =
        (uint32_t)(minus * (first.steps - first.over_zeros) + plus * (second.steps - second.over_zeros));
    const uint32_t given = by->bias == NULL ? 0 : (uint32_t)by->bias[channel];
    *bias = (int32_t)(2 * (given - (uint32_t)params->input_zero_point * sum_of_weights));
    return first.to;
}

static tern_status check(const tern_conv2d_params *params, const int8_t *input, const int8_t *output,
                         const void *scratch) {
    const tern_status status = tern_conv2d_check(params, input, output, TERN_LEVELS);
    if (status != TERN_OK)
        return status;
    if (scratch == NULL)
        return TERN_ERROR_NULL;
    if ((uintptr_t)scratch % sizeof(uint32_t) != 0)
        return TERN_ERROR_ALIGNMENT;
    const int32_t weights = tern_size(params->window.height, params->window.width, params->kernel_channels);
    if (params->kernel_channels != params->input.channels || weights > TERN_GAP_MOST_WEIGHTS)
        return TERN_ERROR_SHAPE;
    if (!tern_are_fast_scales(params->requantization.multiplier, params->requantization.shift,
                              params->output.channels))
        return TERN_ERROR_PARAMETER;
    return params->weights.residual_planes == 0 ? TERN_OK : TERN_ERROR_PARAMETER;
}

static tern_status convolve(const tern_conv2d_params *params, unpack *unpack_row, const int8_t *input,
                            int8_t *output, void *scratch) {
    const tern_status status = check(params, input, output, scratch);
    if (status != TERN_OK)
        return status;
    const layout at = layout_of(params);
    const int32_t weights = params->window.height * params->window.width * params->kernel_channels;
    const int32_t most = most_words(weights), mask_words = (weights + 31) / 32;
    uint32_t *const words = scratch, *const gaps = words + 2 * at.channels;
    uint32_t *const gaps_end = gaps + at.gap_words;
    int32_t *const biases = (int32_t *)(void *)gaps_end;
    uint32_t *const rows = gaps_end + at.channels; /* of masks, before they are of pixels */
    const row_masks masks = {{rows, rows + mask_words}, mask_words};
    tern_conv2d_gaps_params some = {params->input,
                                    params->output,
                                    params->window,
                                    params->input_zero_point,
                                    {NULL, NULL},
                                    NULL,
                                    NULL,
                                    params->requantization.zero_point,
                                    params->requantization.minimum,
                                    params->requantization.maximum};
    for (int32_t channel = params->output.channels; channel > 0;) {
        uint32_t *to = gaps_end;
        int32_t free = at.channels;
        for (; free > 0 && channel > 0 && to - gaps >= most; free--) {
            channel--;
            to = write_channel(to, masks, words + 2 * (free - 1), biases + (free - 1), params, unpack_row,
                               channel);
        }
        some.weights.gaps = to;
        some.weights.channels = words + 2 * free;
        some.bias = biases + free;
        some.multiplier = params->requantization.multiplier + channel;
        tern_conv2d_gap_channels(&some, input, output + channel, at.channels - free, rows);
    }
    return TERN_OK;
}

tern_status tern_conv2d_base3_gaps(const tern_conv2d_params *params, const int8_t *input, int8_t *output,
                                   void *scratch) {
    return convolve(params, unpack_base3, input, output, scratch);
}

tern_status tern_conv2d_binary_gaps(const tern_conv2d_params *params, const int8_t *input, int8_t *output,
                                    void *scratch) {
    return convolve(params, unpack_binary, input, output, scratch);
}
