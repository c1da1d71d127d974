/* Fully connected layers. */
#ifndef TERN_FULLY_CONNECTED_H
#define TERN_FULLY_CONNECTED_H

#include "tern_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* FULLY_CONNECTED: `rows` times an input of `inputs` values to `outputs` values. */
typedef struct {
    int32_t rows, inputs, outputs;
    int32_t input_zero_point;
    tern_weights weights;
    tern_float64_requantization requantization;
} tern_fully_connected_params;

tern_status tern_fully_connected_int8_ref(const tern_fully_connected_params *params, const int8_t *input,
                                          int8_t *output);
tern_status tern_fully_connected_ternary_ref(const tern_fully_connected_params *params, const int8_t *input,
                                             int8_t *output);
tern_status tern_fully_connected_base3_ref(const tern_fully_connected_params *params, const int8_t *input,
                                           int8_t *output);
tern_status tern_fully_connected_binary_ref(const tern_fully_connected_params *params, const int8_t *input,
                                            int8_t *output);

/* FULLY_CONNECTED with weights in vectors of 16 inputs, for Helium: as tern_fully_connected_int8_ref or
 * tern_fully_connected_ternary_ref.
 *
 * Outputs lie in groups of four, and the last vector of inputs ends with any weights, but int8 ones with zeros.
 *     8 bits: of a group a vector of each of its outputs in turn, then the next inputs.
 *     2 bits: 16 bytes of a group have a vector of each of its outputs, input i in byte i, output 0 in the lowest bits. With
 *             `minus` 0 is zero, 1 is `plus` and 2 is `minus`. Without, `minus` is -`plus`, and 1 is zero, 2 `plus`, 0 `minus`.
 *
 * Scales have one rounding, and are to be known to give the same as float64 arithmetic for all sums:
 * floor((sum + bias) * multiplier * 2^(shift - 32) + 1/2) + zero point, clamped. */
typedef struct {
    int32_t rows, inputs, outputs; /* 65536 inputs at most */
    int32_t bits;                  /* of a weight: 2 or 8 */
    const uint8_t *weights;
    const int8_t *plus, *minus; /* one an output, in whole groups; not read with 8 bits */
    const int32_t
        *bias; /* in whole groups: bias - (input zero point + a) * sum of the weights; a is 128 with 2 bits,
                                 * else 0 */
    const int32_t *multiplier; /* in whole groups, in [0, 2^31) */
    const int8_t *shift;       /* in whole groups, in [-22, -1] */
    int32_t zero_point, minimum, maximum;
} tern_fully_connected_vectors_params;

tern_status tern_fully_connected_vectors(const tern_fully_connected_vectors_params *params,
                                         const int8_t *input, int8_t *output, void *scratch);
int32_t tern_fully_connected_vectors_scratch_bytes(const tern_fully_connected_vectors_params *params);

/* From sums to int8 with one rounding, for sums of which it is known that the float64 arithmetic gives the same:
 * floor((sum + bias) * multiplier / 2^(32 + shift) + 1/2) + zero point, clamped.
 *
 * An output has three words. The first one is bias - input zero point * sum of the weights, the second one the multiplier, in
 * [0, 2^31), and the bytes of the third one are, the lowest first, shift, in [1, 22], and the levels `plus` and `minus`. */
typedef struct {
    const uint32_t *outputs;
    int32_t zero_point, minimum, maximum;
} tern_floor_requantization;

/* FULLY_CONNECTED with ternary weights: as tern_fully_connected_ternary_ref, faster, most of all on cores that multiply
 * pairs of 16 bits. `pairs` is for layers where `minus` is -`plus` in every output, and does not read it; `split` is for any.
 *
 * Inputs come in blocks of `block_inputs`, filled up to 16; the block that need not be full is the first one. In no block are
 * more than 63 weights other than zero in an output whose number has bit 2 clear (`pairs`), or plus in any output (`split`).
 *
 * The weights of `pairs` come eight outputs at a time, four words for every eight inputs; word i is of outputs i and i + 4. Rotated
 * right by 4 * k bits, bits 0 and 1 are the weight of output i, plus 1, at input a; bits 14 and 15 that of output i + 4, in
 * two's complement; and bits 16, 17, 30 and 31 likewise at input a + 2. For k from 0 to 3 input a is number 0, 1, 4 and 5.
 *
 * The weights of `split` come four outputs at a time, four words for every 16 inputs, word i of output i. Rotated right by
 * 4 * k bits, bit 0 is 1 where input a is at plus and bit 14 where it is at minus, and bits 16 and 30 likewise for input a + 2;
 * rotated by one bit more, the same of inputs a + 8 and a + 10.
 *
 * What there is no input or no output for has the weight 0. */
typedef struct {
    int32_t rows, inputs, outputs;
    int32_t block_inputs; /* a multiple of 16, up to 112 */
    const uint32_t *weights;
    tern_floor_requantization requantization;
} tern_fully_connected_pairs_params;

tern_status tern_fully_connected_pairs(const tern_fully_connected_pairs_params *params, const int8_t *input,
                                       int8_t *output, void *scratch);
int32_t tern_fully_connected_pairs_scratch_bytes(const tern_fully_connected_pairs_params *params);
tern_status tern_fully_connected_split(const tern_fully_connected_pairs_params *params, const int8_t *input,
                                       int8_t *output, void *scratch);
int32_t tern_fully_connected_split_scratch_bytes(const tern_fully_connected_pairs_params *params);

/* The same for cores that do not multiply pairs: outputs pick sums of a few inputs from tables. `tables` is for layers where
 * `minus` is -`plus` in every output, and does not read it; `split_tables` is for any.
 *
 * Weights are words of four codes, the first lowest, a word an output; then come the next inputs. For `tables` a word is of 16 inputs
 * and a code of four, the sum of w0 * 2 + w1 * 8 + w2 * 24 + w3 * 72, where w is 1 for plus, 2 for minus, else 0. For
 * `split_tables` a word is of 28 inputs and a code of seven: bit i + 1 is 1 where input i is at plus. Behind the words of all
 * outputs come as many for minus, and then the next inputs. What there is no input for has the weight 0. */
typedef struct {
    int32_t rows, inputs, outputs;
    const uint32_t *weights;
    tern_floor_requantization requantization;
} tern_fully_connected_tables_params;

tern_status tern_fully_connected_tables(const tern_fully_connected_tables_params *params, const int8_t *input,
                                        int8_t *output, void *scratch);
int32_t tern_fully_connected_tables_scratch_bytes(const tern_fully_connected_tables_params *params);
tern_status tern_fully_connected_split_tables(const tern_fully_connected_tables_params *params,
                                              const int8_t *input, int8_t *output, void *scratch);
int32_t tern_fully_connected_split_tables_scratch_bytes(const tern_fully_connected_tables_params *params);

/* The same with 1.6 bits a weight, for any core: outputs pick sums of four inputs from tables. `fractions` is for layers where
 * `minus` is -`plus` in every output, and does not read it; `split_fractions` is for any.
 *
 * Four weights are a place in a table. In `split_fractions` it is w0 + 3 * w1 + 9 * w2 + 27 * w3, of 81, where w is 1 for plus,
 * 2 for minus, else 0. In `fractions` it is 28 * w3, of 84, and
 *     6 * w2 + 2 * w1 + w0  where w0 is not 2,
 *     18 + 2 * w1 + w2      where w0 is 2 and w2 is not,
 *     24 + w1               else.
 * An output's places p0 to p4 of 20 inputs are a word, the fraction p0 / n + p1 / n^2 + .. + p4 / n^5 of 2^32, rounded up, where n
 * is 81 or 84. Words of all outputs come behind each other, then those of the next inputs. What is left, up to 16 inputs, are 1 to 4
 * places and as many bytes an output, the lowest first: likewise a fraction, of 2^8, 2^16, .. What there is no input for has the weight
 * 0, and what is no whole word ends with any bytes. */
tern_status tern_fully_connected_fractions(const tern_fully_connected_tables_params *params,
                                           const int8_t *input, int8_t *output, void *scratch);
int32_t tern_fully_connected_fractions_scratch_bytes(const tern_fully_connected_tables_params *params);
tern_status tern_fully_connected_split_fractions(const tern_fully_connected_tables_params *params,
                                                 const int8_t *input, int8_t *output, void *scratch);
int32_t tern_fully_connected_split_fractions_scratch_bytes(const tern_fully_connected_tables_params *params);

/* FULLY_CONNECTED with int8 weights: as tern_fully_connected_int8_ref, faster. Weights come four outputs at a time: a word
 * of four weights of each, the first lowest, then the next four inputs. What there is no input, to a multiple of eight, or
 * no output for has the weight 0. */
typedef struct {
    int32_t rows, inputs, outputs; /* inputs up to 65536 */
    const uint32_t *weights;
    tern_floor_requantization requantization;
} tern_fully_connected_int8_params;

tern_status tern_fully_connected_int8(const tern_fully_connected_int8_params *params, const int8_t *input,
                                      int8_t *output, void *scratch);
int32_t tern_fully_connected_int8_scratch_bytes(const tern_fully_connected_int8_params *params);

#ifdef __cplusplus
}
#endif
#endif
