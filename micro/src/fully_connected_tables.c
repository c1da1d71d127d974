#include "floor_scaling.h"
#include "tables.h"

/* Some inputs at a time: all sums of them that weights can ask for go to tables, and every output picks its own. So
 * outputs share the additions, and none of them multiplies. */

/* A sum of so many inputs fits 32 bits. */
enum { MAXIMUM_INPUTS = 1 << 22 };

typedef struct {
    int32_t inputs, bytes; /* of a table */
    int32_t planes;        /* sums of an output */
    tern_write_table *write;
} kind;

static const kind joint = {TERN_SIGNED_TABLE_INPUTS, TERN_SIGNED_TABLE_BYTES, 1, tern_write_signed_table};
static const kind split = {TERN_SUBSET_TABLE_INPUTS, TERN_SUBSET_TABLE_BYTES, 2, tern_write_subset_table};

/* Of a plane: they are added two at a time. */
static int32_t sums_of(const tern_fully_connected_tables_params *params) {
    return (params->outputs + 1) / 2 * 2;
}

/* Tables, and behind them the sums. */
static int32_t scratch_bytes(const tern_fully_connected_tables_params *params, const kind *of) {
    return TERN_TABLES * of->bytes + sums_of(params) * of->planes * 4;
}

int32_t tern_fully_connected_tables_scratch_bytes(const tern_fully_connected_tables_params *params) {
    return scratch_bytes(params, &joint);
}

int32_t tern_fully_connected_split_tables_scratch_bytes(const tern_fully_connected_tables_params *params) {
    return scratch_bytes(params, &split);
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

/* The tables of the next inputs, or of the rest of them and zeros. */
static void write_tables(tern_word *table, const int8_t *input, int32_t left, const kind *of) {
    for (int32_t i = 0; i < TERN_TABLES; i++) {
        int8_t rest[TERN_SUBSET_TABLE_INPUTS] = {0};
        if (left < of->inputs) {
            for (int32_t j = 0; j < left; j++)
                rest[j] = input[j];
            input = rest;
        }
        of->write(table, input);
        table += of->bytes / 4;
        input += of->inputs;
        left -= of->inputs;
    }
}

static void add_all(const tern_fully_connected_tables_params *params, const int8_t *input, tern_word *tables,
                    uint32_t *sums, const kind *of) {
    uint32_t *const end = sums + sums_of(params) * of->planes;
    const int32_t step = TERN_TABLES * of->inputs;
    const uint32_t excess = (uint32_t)((params->inputs + step - 1) / step) * TERN_TABLES * TERN_TABLE_EXCESS;
    for (uint32_t *sum = sums; sum != end; sum += 2)
        sum[0] = sum[1] = 0 - excess;
    const uint32_t *codes = params->weights;
    for (int32_t left = params->inputs; left > 0; left -= step) {
        write_tables(tables, input, left, of);
        codes = tern_add_table_rows(sums, codes, end, tables, of->bytes);
        input += left < step ? left : step;
    }
}

static inline tern_status connect(const tern_fully_connected_tables_params *params, const int8_t *input,
                                  int8_t *output, void *scratch, const kind *of) {
    const tern_status status = check(params, input, output, scratch);
    if (status != TERN_OK)
        return status;
    tern_word *const tables = scratch;
    uint32_t *const sums = (uint32_t *)scratch + TERN_TABLES * of->bytes / 4;
    for (int32_t row = 0; row < params->rows; row++) {
        add_all(params, input, tables, sums, of);
        tern_write_floor_outputs(&params->requantization, sums, of->planes == 2 ? sums_of(params) : 0, 0,
                                 params->outputs, output);
        input += params->inputs;
        output += params->outputs;
    }
    return TERN_OK;
}

tern_status tern_fully_connected_tables(const tern_fully_connected_tables_params *params, const int8_t *input,
                                        int8_t *output, void *scratch) {
    return connect(params, input, output, scratch, &joint);
}

tern_status tern_fully_connected_split_tables(const tern_fully_connected_tables_params *params,
                                              const int8_t *input, int8_t *output, void *scratch) {
    return connect(params, input, output, scratch, &split);
}
