#include "floor_scaling.h"
#include "row_pairs.h"

/* A vector of inputs is written to blocks of pairs once; then eight sums at a time run over it: of eight outputs, or of
 * the two levels of four. */

enum { WORDS = TERN_PAIR_BLOCK_WORDS, BYTES = TERN_PAIR_BLOCK_BYTES };

/* A sum of so many inputs fits 32 bits, whatever the weights' bits. */
enum { MAXIMUM_INPUTS = 1 << 22 };

/* Inputs are in groups of 16, which take eight words. */
enum { GROUP = 16, GROUP_WORDS = 8 };

typedef struct {
    int32_t in_block; /* groups in a block */
    int32_t blocks;
    int32_t first; /* groups in the first block; so all end at their ends */
} layout;

static layout layout_of(const tern_fully_connected_pairs_params *params) {
    const int32_t groups = (params->inputs + GROUP - 1) / GROUP;
    layout of = {params->block_inputs / GROUP, 0, 0};
    of.blocks = (groups + of.in_block - 1) / of.in_block;
    of.first = groups - (of.blocks - 1) * of.in_block;
    return of;
}

/* The blocks' alignment takes the rest. */
int32_t tern_fully_connected_pairs_scratch_bytes(const tern_fully_connected_pairs_params *params) {
    return layout_of(params).blocks * BYTES + BYTES - 4;
}

int32_t tern_fully_connected_split_scratch_bytes(const tern_fully_connected_pairs_params *params) {
    return tern_fully_connected_pairs_scratch_bytes(params);
}

static tern_status check(const tern_fully_connected_pairs_params *params, const int8_t *input,
                         const int8_t *output, const void *scratch) {
    if (params == NULL || input == NULL || output == NULL || scratch == NULL || params->weights == NULL)
        return TERN_ERROR_NULL;
    if ((uintptr_t)scratch % sizeof(uint32_t) != 0)
        return TERN_ERROR_ALIGNMENT;
    if (tern_size(params->rows, params->inputs, 1) == 0 || tern_size(params->rows, params->outputs, 1) == 0 ||
        params->inputs > MAXIMUM_INPUTS)
        return TERN_ERROR_SHAPE;
    if (params->block_inputs < GROUP || params->block_inputs > TERN_PAIR_BLOCK_INPUTS ||
        params->block_inputs % GROUP != 0)
        return TERN_ERROR_PARAMETER;
    return tern_check_floor_requantization(&params->requantization, params->outputs);
}

/* A group of inputs to eight words. Returns `sum` and theirs. */
static inline int32_t write_group(tern_word *to, const int8_t *input, int32_t sum) {
    for (int32_t i = 0; i < GROUP; i += 4) {
        uint32_t bytes;
        __builtin_memcpy(&bytes, input + i, 4);
        const uint32_t even = tern_even_signed_bytes(bytes), odd = tern_odd_signed_bytes(bytes);
        *to++ = even;
        *to++ = odd;
        sum = tern_halves_times_halves(even, 0x00010001, sum);
        sum = tern_halves_times_halves(odd, 0x00010001, sum);
    }
    return sum;
}

static void write_blocks(tern_word *block, const int8_t *input, int32_t inputs, const layout *of,
                         bool split) {
    int32_t groups = of->first, left = inputs;
    for (int32_t i = 0; i < of->blocks; i++) {
        tern_word *const end = block + WORDS;
        int32_t sum = 0;
        for (tern_word *to = end - GROUP_WORDS * groups; to != end; to += GROUP_WORDS) {
            int8_t rest[GROUP] = {0};
            if (left < GROUP) {
                for (int32_t j = 0; j < left; j++)
                    rest[j] = input[j];
                input = rest;
            }
            sum = write_group(to, input, sum);
            input += GROUP;
            left -= GROUP;
        }
        block[TERN_PAIR_EXCESS] =
            split ? 0 : (uint32_t)sum; /* joint weights of lower sums are one too high */
        block = end;
        groups = of->in_block;
    }
}

/* All sums of some outputs; returns where their weights end. */
static const uint32_t *add_blocks(int32_t sums[TERN_PAIR_SUMS], const tern_word *blocks,
                                  const uint32_t *weights, const layout *of, tern_add_rows *add) {
    const int32_t in_run = TERN_PAIR_RUN_INPUTS / GROUP / of->in_block;
    const tern_word *inputs = blocks + WORDS - GROUP_WORDS * of->first;
    tern_pair_run run;
    run.skipped = 4 * (WORDS - GROUP_WORDS * of->in_block);
    sums[0] = sums[1] = sums[2] = sums[3] = 0;
    sums[4] = sums[5] = sums[6] = sums[7] = 0;
    for (int32_t left = of->blocks; left > 0; left -= in_run) {
        blocks += WORDS * (left < in_run ? left : in_run);
        run.end = blocks;
        weights = add(sums, inputs, weights, &run);
        inputs = blocks + run.skipped / 4;
    }
    return weights;
}

static inline tern_status connect(const tern_fully_connected_pairs_params *params, const int8_t *input,
                                  int8_t *output, void *scratch, tern_add_rows *add, bool split) {
    const tern_status status = check(params, input, output, scratch);
    if (status != TERN_OK)
        return status;
    const layout of = layout_of(params);
    tern_word *const blocks = (tern_word *)((uint8_t *)scratch + (-(uintptr_t)scratch & (BYTES - 1)));
    const int32_t step = split ? TERN_PAIR_SUMS / 2 : TERN_PAIR_SUMS, outputs = params->outputs;
    for (int32_t row = 0; row < params->rows; row++) {
        write_blocks(blocks, input, params->inputs, &of, split);
        const uint32_t *weights = params->weights;
        for (int32_t first = 0; first < outputs; first += step) {
            int32_t sums[TERN_PAIR_SUMS];
            weights = add_blocks(sums, blocks, weights, &of, add);
            tern_write_floor_outputs(&params->requantization, (const uint32_t *)sums, split ? step : 0, first,
                                     outputs - first < step ? outputs - first : step, output);
        }
        input += params->inputs;
        output += params->outputs;
    }
    return TERN_OK;
}

tern_status tern_fully_connected_pairs(const tern_fully_connected_pairs_params *params, const int8_t *input,
                                       int8_t *output, void *scratch) {
    return connect(params, input, output, scratch, tern_add_joint_rows, false);
}

tern_status tern_fully_connected_split(const tern_fully_connected_pairs_params *params, const int8_t *input,
                                       int8_t *output, void *scratch) {
    return connect(params, input, output, scratch, tern_add_split_rows, true);
}
