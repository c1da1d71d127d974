/* Sums of a few inputs, all that there can be, looked up by codes of weights. */
#ifndef TERN_TABLES_H
#define TERN_TABLES_H

#include "port.h"

/* A word has the codes of four tables, the first lowest. A code is how many bytes into its table the sum lies. */
enum { TERN_TABLES = 4 };

/* A table of four inputs, each added, subtracted or left out: 108 sums, of which 81 are used. Input 0 is added at
 * 2 bytes and subtracted at 4; the others at 4 * 2 * 3^(i - 1) and at twice that. A table of seven inputs, each added or
 * left out: 128 sums, input i added at 2 * 2^i. */
enum { TERN_SIGNED_TABLE_INPUTS = 4, TERN_SIGNED_TABLE_BYTES = 216 };
enum { TERN_SUBSET_TABLE_INPUTS = 7, TERN_SUBSET_TABLE_BYTES = 256 };

/* Every sum is so much too high: so it is never negative, and two sums of 16 bits are added as one word. */
enum { TERN_TABLE_EXCESS = 1024 };

typedef void tern_write_table(tern_word *table, const int8_t *inputs);
tern_write_table tern_write_signed_table, tern_write_subset_table;

/* Adds to the sums before `end`, an even number, what the word of codes of each says; tables are `bytes` apart. Returns
 * where the codes end. */
const uint32_t *tern_add_table_rows(uint32_t *sums, const uint32_t *codes, const uint32_t *end,
                                    const tern_word *tables, int32_t bytes);

#endif
