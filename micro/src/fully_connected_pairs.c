#include "floor_scaling.h"
#include "row_pairs.h"

/* A vector of inputs is written to blocks of pairs once; then eight sums at a time run over it, the sums of eight outputs
 * or, where an output has two levels, of four. */

/* A sum of so many inputs fits 32 bits, whatever the weights' bits. */
enum { MAXIMUM_INPUTS = 1 << 22 };

enum { WORDS = TERN_PAIR_BLOCK_WORDS, BYTES = TERN_PAIR_BLOCK_BYTES };

typedef struct {
    int32_t groups;   /* of eight inputs */
    int32_t in_block; /* of them at most */
    int32_t blocks;
    bool split;
} layout;

static layout layout_of(const tern_fully_connected_pairs_params *params) {
    layout of;
    of.split = params->minus != NULL;
    of.groups = of.split ? (params->inputs + 15) / 16 * 2 : (params->inputs + 7) / 8;
    of.in_block = (of.split ? TERN_SPLIT_BLOCK_INPUTS : TERN_JOINT_BLOCK_INPUTS) / 8;
    of.blocks = (of.groups + of.in_block - 1) / of.in_block;
    return of;
}

/* The blocks' alignment takes the rest. */
int32_t tern_fully_connected_pairs_scratch_bytes(const tern_fully_connected_pairs_params *params) {
    return layout_of(params).blocks * BYTES + BYTES - 4;
}

static tern_status check(const tern_fully_connected_pairs_params *params, const int8_t *input,
                         const int8_t *output, const void *scratch) {
    if (params == NULL || input == NULL || output == NULL || scratch == NULL || params->weights == NULL ||
        params->plus == NULL)
        return TERN_ERROR_NULL;
    if ((uintptr_t)scratch % sizeof(uint32_t) != 0)
        return TERN_ERROR_ALIGNMENT;
    if (tern_size(params->rows, params->inputs, 1) == 0 || tern_size(params->rows, params->outputs, 1) == 0 ||
        params->inputs > MAXIMUM_INPUTS)
        return TERN_ERROR_SHAPE;
    return tern_check_floor_requantization(&params->requantization, params->outputs);
}

/* Eight inputs, or the rest of them and zeros, to four words. Returns their sum. */
static int32_t write_group(tern_word *to, const int8_t *input, int32_t left) {
    uint32_t bytes[2] = {0, 0};
    if (left >= 8)
        __builtin_memcpy(bytes, input, 8);
    else
        for (int32_t i = 0; i < left; i++)
            bytes[i / 4] |= (uint32_t)(uint8_t)input[i] << i % 4 * 8;
    to[0] = tern_even_signed_bytes(bytes[0]);
    to[1] = tern_odd_signed_bytes(bytes[0]);
    to[2] = tern_even_signed_bytes(bytes[1]);
    to[3] = tern_odd_signed_bytes(bytes[1]);
    int32_t sum = 0;
    for (int32_t i = 0; i < 4; i++)
        sum = tern_halves_times_halves(to[i], 0x00010001, sum);
    return sum;
}

/* The first block is the one that need not be full, so that all end at its end. Returns where the inputs start. */
static const tern_word *write_blocks(tern_word *block, const int8_t *input, int32_t inputs,
                                     const layout *of) {
    const int32_t first = of->groups - (of->blocks - 1) * of->in_block;
    int32_t count = first, at = 0;
    for (int32_t i = 0; i < of->blocks; i++) {
        tern_word *to = block + WORDS - 4 * count;
        int32_t sum = 0;
        for (; count > 0; count--) {
            sum += write_group(to, input + (at < inputs ? at : inputs), inputs - at);
            at += 8;
            to += 4;
        }
        block[0] = of->split ? 0 : (uint32_t)sum; /* the weights of lower sums are one too high */
        block += WORDS;
        count = of->in_block;
    }
    return block - of->blocks * WORDS + WORDS - 4 * first;
}

/* All sums of one block of outputs; returns where its weights end. */
static const uint32_t *add_blocks(int32_t sums[TERN_PAIR_SUMS], const tern_word *inputs,
                                  const uint32_t *weights, const tern_word *blocks, const layout *of) {
    const int32_t in_run = TERN_PAIR_RUN_INPUTS / 8 / of->in_block;
    for (int32_t i = 0; i < TERN_PAIR_SUMS; i++)
        sums[i] = 0;
    for (int32_t done = 0; done < of->blocks; done += in_run) {
        const int32_t until = of->blocks - done < in_run ? of->blocks : done + in_run;
        const tern_word *end = blocks + until * WORDS;
        weights = of->split ? tern_add_split_rows(sums, inputs, weights, end)
                            : tern_add_joint_rows(sums, inputs, weights, end);
        inputs = end + WORDS - 4 * of->in_block;
    }
    return weights;
}

static void write_outputs(const tern_fully_connected_pairs_params *params, const int32_t *sums, int32_t first,
                          int8_t *output) {
    const tern_floor_requantization *requantization = &params->requantization;
    const int32_t most = params->minus == NULL ? TERN_PAIR_SUMS : TERN_PAIR_SUMS / 2;
    const int32_t end = params->outputs - first < most ? params->outputs : first + most;
    for (int32_t i = first; i < end; i++) {
        uint32_t sum = (uint32_t)requantization->bias[i] + (uint32_t)params->plus[i] * (uint32_t)sums[0];
        if (params->minus != NULL)
            sum += (uint32_t)params->minus[i] * (uint32_t)sums[TERN_PAIR_SUMS / 2];
        output[i] = tern_floor_requantize(requantization, i, sum);
        sums++;
    }
}

tern_status tern_fully_connected_pairs(const tern_fully_connected_pairs_params *params, const int8_t *input,
                                       int8_t *output, void *scratch) {
    const tern_status status = check(params, input, output, scratch);
    if (status != TERN_OK)
        return status;
    const layout of = layout_of(params);
    tern_word *const blocks = (tern_word *)((uint8_t *)scratch + (-(uintptr_t)scratch & (BYTES - 1)));
    for (int32_t row = 0; row < params->rows; row++) {
        const tern_word *inputs = write_blocks(blocks, input, params->inputs, &of);
        const uint32_t *weights = params->weights;
        for (int32_t first = 0; first < params->outputs; first += of.split ? 4 : 8) {
            int32_t sums[TERN_PAIR_SUMS];
            weights = add_blocks(sums, inputs, weights, blocks, &of);
            write_outputs(params, sums, first, output);
        }
        input += params->inputs;
        output += params->outputs;
    }
    return TERN_OK;
}
