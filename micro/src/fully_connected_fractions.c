#include "floor_scaling.h"
#include "port.h"

/* Some inputs at a time: all sums of four of them that weights can ask for go to a table, and every output picks its
 * own from five tables. Where they lie is one number of five digits, written as a fraction of 32 bits: times the number of
 * places in a table, what comes before the point is the next place, and what is behind it is the rest. */

enum { INPUTS = 4, TABLES = 5, WORD_INPUTS = INPUTS * TABLES };

/* A sum of so many inputs fits 32 bits. */
enum { MAXIMUM_INPUTS = 1 << 22 };

/* Every sum is so much too high: so it is never negative, and two of 16 bits are added as one word. */
enum { EXCESS = 1024 };

/* A table of sums of inputs at plus, less those at minus: 16 bits each. */
enum { JOINT_PLACES = 84, JOINT_WORDS = JOINT_PLACES / 2 };
/* A table of words of two sums: of inputs at plus, and above it of those at minus. */
enum { SPLIT_PLACES = 81, SPLIT_WORDS = SPLIT_PLACES };

static inline int32_t sums_bytes(const tern_fully_connected_tables_params *params, bool split) {
    return params->outputs * (split ? 8 : 4);
}

static inline int32_t table_words(bool split) {
    return split ? SPLIT_WORDS : JOINT_WORDS;
}

int32_t tern_fully_connected_fractions_scratch_bytes(const tern_fully_connected_tables_params *params) {
    return TABLES * JOINT_WORDS * 4 + sums_bytes(params, false);
}

int32_t tern_fully_connected_split_fractions_scratch_bytes(const tern_fully_connected_tables_params *params) {
    return TABLES * SPLIT_WORDS * 4 + sums_bytes(params, true);
}

static tern_status check(const tern_fully_connected_tables_params *params, const int8_t *input,
                         const int8_t *output, const void *scratch) {
    if (params == NULL || input == NULL || output == NULL || scratch == NULL || params->weights == NULL)
        return TERN_ERROR_NULL;
    if ((uintptr_t)scratch % sizeof(uint32_t) != 0)
        return TERN_ERROR_ALIGNMENT;
    if (tern_size(params->rows, params->inputs, 1) == 0 || tern_size(params->rows, params->outputs, 1) == 0 ||
        params->inputs > MAXIMUM_INPUTS || params->outputs > INT32_MAX / 16)
        return TERN_ERROR_SHAPE;
    return tern_check_floor_requantization(&params->requantization, params->outputs);
}

/* ---- tables ---- */

/* To `words` words of sums as many more with `plus` added, and as many with `minus` added. */
static inline void extend(uint32_t *table, int32_t words, uint32_t plus, uint32_t minus) {
    uint32_t *const end = table + words;
    for (uint32_t *to = end; table != end; to++) {
        const uint32_t word = *table++;
        to[0] = word + plus;
        to[words] = word + minus;
    }
}

/* The same of 14 words, two at a time. */
static inline void extend_fourteen(uint32_t *table, uint32_t input) {
    uint32_t *const end = table + 14;
    for (uint32_t *to = end; table != end; to += 2) {
        const uint32_t a = table[0], b = table[1];
        table += 2;
        to[0] = a + input;
        to[1] = b + input;
        to[14] = a - input;
        to[15] = b - input;
    }
}

static inline uint32_t both(int32_t x) {
    return (uint32_t)x * 0x00010001u;
}

/* Three inputs make 27 sums, and 14 words, the last half of which is of no use: nine words of sums without the first input
 * and with it; three of sums less it, without the third input and with it; two of what is left. */
static void write_joint_table(uint32_t *table, const int8_t *input) {
    const uint32_t first = both(input[0]), second = both(input[1]), third = both(input[2]);
    table[0] = both(EXCESS) + ((uint32_t)input[0] << 16);
    extend(table, 1, second, 0 - second);
    extend(table, 3, third, 0 - third);
    table[9] = both(EXCESS) - first + ((uint32_t)input[2] << 16);
    extend(table + 9, 1, second, 0 - second);
    const uint32_t rest = both(EXCESS) - first - third;
    table[12] = rest + ((uint32_t)input[1] << 16);
    table[13] = rest - second;
    extend_fourteen(table, both(input[3]));
}

static void write_split_table(uint32_t *table, const int8_t *input) {
    table[0] = both(EXCESS);
    for (int32_t words = 1; words < SPLIT_WORDS; words *= 3) {
        const uint32_t x = (uint32_t)*input++;
        extend(table, words, x, x << 16);
    }
}

/* Tables of the next inputs, or of the rest of them and zeros. */
static inline __attribute__((always_inline)) void write_tables(uint32_t *table, const int8_t *input,
                                                               int32_t left, bool split) {
    for (; left > 0; left -= INPUTS) {
        int8_t rest[INPUTS] = {0};
        if (left < INPUTS) {
            for (int32_t i = 0; i < left; i++)
                rest[i] = input[i];
            input = rest;
        }
        (split ? write_split_table : write_joint_table)(table, input);
        table += table_words(split);
        input += INPUTS;
    }
}

/* ---- sums ---- */

/* What comes before the point of a fraction times `by`; what is behind it is left. */
static inline uint32_t next_place(uint32_t *fraction, uint32_t by) {
#if defined(__ARM_ARCH_ISA_THUMB) && __ARM_ARCH_ISA_THUMB == 1 && !defined(TERN_PORTABLE)
    const uint32_t low = (*fraction & 0xffff) * by;
    const uint32_t place = ((*fraction >> 16) * by + (low >> 16)) >> 16;
    *fraction *= by;
    return place;
#else
    const uint64_t product = (uint64_t)*fraction * by;
    *fraction = (uint32_t)product;
    return (uint32_t)(product >> 32);
#endif
}

typedef uint16_t __attribute__((may_alias)) sum16;

/* A number that the compiler does not know: it would make shifts and sums of a long product with one that it knows. */
static inline uint32_t unknown(uint32_t number) {
    __asm__("" : "+r"(number));
    return number;
}

static inline uint32_t pick_joint(const uint32_t *table, uint32_t *fraction, uint32_t places) {
    return ((const sum16 *)table)[next_place(fraction, places)];
}

static inline uint32_t pick_split(const uint32_t *table, uint32_t *fraction, uint32_t places) {
    return table[next_place(fraction, places)];
}

/* Every output's from five tables. */
#if defined(__thumb2__) && !defined(TERN_PORTABLE)
/* Loads that follow each other take a cycle each but the first one; every register has its use. */
void tern_add_joint_fractions(uint32_t *sum, const uint32_t *end, const uint32_t *weights,
                              const uint32_t *tables);
__asm__(".syntax unified\n"
        ".thumb\n"
        "    .section .text.tern_add_joint_fractions, \"ax\", %progbits\n"
        "    .balign 4\n"
        "    .global tern_add_joint_fractions\n"
        "    .type tern_add_joint_fractions, %function\n"
        "    .thumb_func\n"
        "tern_add_joint_fractions:\n" /* r0 sums, r1 end, r2 weights, r3 tables */
        "    push {r4-r11, lr}\n"
        "    .equ tern_add_joint_fractions_frame, 36\n"
        "    add r7, r3, #168\n"
        "    add r8, r7, #168\n"
        "    add r9, r8, #168\n"
        "    add r10, r9, #168\n"
        "    mov r11, #84\n"
        "    .balign 4\n"
        "1:  ldr r5, [r2], #4\n"
        "    ldr r4, [r0]\n"
        "    umull r5, r6, r5, r11\n"
        "    umull r5, r12, r5, r11\n"
        "    umull r5, lr, r5, r11\n"
        "    ldrh r6, [r3, r6, lsl #1]\n"
        "    ldrh r12, [r7, r12, lsl #1]\n"
        "    ldrh lr, [r8, lr, lsl #1]\n"
        "    add r4, r6\n"
        "    add r12, lr\n"
        "    umull r5, r6, r5, r11\n"
        "    umull r5, lr, r5, r11\n"
        "    add r4, r12\n"
        "    ldrh r6, [r9, r6, lsl #1]\n"
        "    ldrh lr, [r10, lr, lsl #1]\n"
        "    add r4, r6\n"
        "    add r4, lr\n"
        "    str r4, [r0], #4\n"
        "    cmp r0, r1\n"
        "    bne 1b\n"
        "    pop {r4-r11, pc}\n"
        "    .size tern_add_joint_fractions, . - tern_add_joint_fractions\n"
        "    .text\n");

static void add_joint_words(uint32_t *sum, int32_t outputs, const uint32_t *weights, const uint32_t *tables) {
    tern_add_joint_fractions(sum, sum + outputs, weights, tables);
}
#else
static void add_joint_words(uint32_t *sum, int32_t outputs, const uint32_t *weights, const uint32_t *tables) {
    const uint32_t places = unknown(JOINT_PLACES);
    for (const uint32_t *const end = sum + outputs; sum != end; sum++) {
        uint32_t fraction = *weights++, picked = *sum;
        picked += pick_joint(tables, &fraction, places);
        picked += pick_joint(tables + JOINT_WORDS, &fraction, places);
        picked += pick_joint(tables + 2 * JOINT_WORDS, &fraction, places);
        picked += pick_joint(tables + 3 * JOINT_WORDS, &fraction, places);
        picked += pick_joint(tables + 4 * JOINT_WORDS, &fraction, places);
        *sum = picked;
    }
}
#endif

static void add_split_words(uint32_t *sum, int32_t outputs, const uint32_t *weights, const uint32_t *tables) {
    const uint32_t places = unknown(SPLIT_PLACES);
    for (const uint32_t *const end = sum + outputs; sum != end; sum++) {
        uint32_t fraction = *weights++;
        uint32_t picked = pick_split(tables, &fraction, places);
        picked += pick_split(tables + SPLIT_WORDS, &fraction, places);
        picked += pick_split(tables + 2 * SPLIT_WORDS, &fraction, places);
        picked += pick_split(tables + 3 * SPLIT_WORDS, &fraction, places);
        picked += pick_split(tables + 4 * SPLIT_WORDS, &fraction, places);
        *sum += picked & 0xffff;
        sum[outputs] += picked >> 16;
    }
}

/* Every output's from `count` tables, and from as many bytes. */
static inline __attribute__((always_inline)) void add_bytes(uint32_t *sum, int32_t outputs,
                                                            const uint8_t *weights, int32_t count,
                                                            const uint32_t *tables, bool split) {
    const uint32_t places = unknown(split ? SPLIT_PLACES : JOINT_PLACES);
    for (const uint32_t *const end = sum + outputs; sum != end; sum++) {
        uint32_t fraction = 0, picked = 0;
        for (int32_t i = 0; i < count; i++)
            fraction = fraction >> 8 | (uint32_t)*weights++ << 24;
        const uint32_t *table = tables;
        for (int32_t i = 0; i < count; i++) {
            picked += split ? pick_split(table, &fraction, places) : pick_joint(table, &fraction, places);
            table += table_words(split);
        }
        *sum += split ? picked & 0xffff : picked;
        if (split)
            sum[outputs] += picked >> 16;
    }
}

/* As many loops as there are counts: one for all of them takes three times as long. */
static void add_joint_bytes(uint32_t *sum, int32_t outputs, const uint8_t *weights, int32_t count,
                            const uint32_t *tables) {
    if (count == 1)
        add_bytes(sum, outputs, weights, 1, tables, false);
    else if (count == 2)
        add_bytes(sum, outputs, weights, 2, tables, false);
    else if (count == 3)
        add_bytes(sum, outputs, weights, 3, tables, false);
    else
        add_bytes(sum, outputs, weights, 4, tables, false);
}

static inline __attribute__((always_inline)) void add_all(const tern_fully_connected_tables_params *params,
                                                          const int8_t *input, uint32_t *tables,
                                                          uint32_t *sums, bool split) {
    const int32_t outputs = params->outputs;
    const uint32_t excess = (uint32_t)((params->inputs + INPUTS - 1) / INPUTS) * EXCESS;
    for (int32_t i = 0; i < (split ? 2 : 1) * outputs; i++)
        sums[i] = 0 - excess;
    const uint32_t *weights = params->weights;
    int32_t left = params->inputs;
    /* the last word of weights may be for fewer inputs */
    for (; left > WORD_INPUTS - INPUTS; left -= WORD_INPUTS) {
        write_tables(tables, input, left < WORD_INPUTS ? left : WORD_INPUTS, split);
        (split ? add_split_words : add_joint_words)(sums, outputs, weights, tables);
        weights += outputs;
        input += WORD_INPUTS;
    }
    if (left > 0) {
        write_tables(tables, input, left, split);
        const uint8_t *const bytes = (const uint8_t *)weights;
        const int32_t count = (left + INPUTS - 1) / INPUTS;
        if (split)
            add_bytes(sums, outputs, bytes, count, tables, true);
        else
            add_joint_bytes(sums, outputs, bytes, count, tables);
    }
}

static inline __attribute__((always_inline)) tern_status
connect(const tern_fully_connected_tables_params *params, const int8_t *input, int8_t *output, void *scratch,
        bool split) {
    const tern_status status = check(params, input, output, scratch);
    if (status != TERN_OK)
        return status;
    uint32_t *const tables = scratch, *const sums = tables + TABLES * table_words(split);
    for (int32_t row = 0; row < params->rows; row++) {
        add_all(params, input, tables, sums, split);
        tern_write_floor_outputs(&params->requantization, sums, split ? params->outputs : 0, 0,
                                 params->outputs, output);
        input += params->inputs;
        output += params->outputs;
    }
    return TERN_OK;
}

tern_status tern_fully_connected_fractions(const tern_fully_connected_tables_params *params,
                                           const int8_t *input, int8_t *output, void *scratch) {
    return connect(params, input, output, scratch, false);
}

tern_status tern_fully_connected_split_fractions(const tern_fully_connected_tables_params *params,
                                                 const int8_t *input, int8_t *output, void *scratch) {
    return connect(params, input, output, scratch, true);
}
