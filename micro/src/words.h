/* Four int8 at a time, as the bytes of a word: what pools and means do with them. */
#ifndef TERN_WORDS_H
#define TERN_WORDS_H

#include "port.h"

#include <stdbool.h>

enum { TERN_WORD = 4 };

/* Whether words may be loaded and stored from an address on, `step` bytes apart: anywhere on a core that takes any
 * address. */
static inline bool tern_are_words(const int8_t *address, int32_t step) {
    return TERN_PORT_UNALIGNED || (((uintptr_t)address | (uint32_t)step) & 3) == 0;
}

static inline uint32_t tern_load_word(const int8_t *from) {
#if TERN_PORT_UNALIGNED
    uint32_t word;
    __builtin_memcpy(&word, from, sizeof word);
    return word;
#else
    return *(const tern_word *)__builtin_assume_aligned(from, 4);
#endif
}

static inline void tern_store_word(int8_t *to, uint32_t word) {
#if TERN_PORT_UNALIGNED
    __builtin_memcpy(to, &word, sizeof word);
#else
    *(tern_word *)__builtin_assume_aligned(to, 4) = word;
#endif
}

/* From any address. */
static inline uint32_t tern_load_any_word(const int8_t *from) {
    if (tern_are_words(from, 0))
        return tern_load_word(from);
    const uint8_t *bytes = (const uint8_t *)from;
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* The `count` upper bytes of a word. */
static inline void tern_store_upper_bytes(int8_t *to, uint32_t word, int32_t count) {
    if (count == TERN_WORD && tern_are_words(to, 0)) {
        tern_store_word(to, word);
        return;
    }
    for (to += count; count > 0; count--) {
        *--to = (int8_t)(word >> 24);
        word <<= 8;
    }
}

/* Four times the same byte. */
static inline uint32_t tern_word_of(int32_t value) {
    return (uint32_t)(uint8_t)value * 0x01010101;
}

static inline uint32_t tern_minimum_of_bytes(uint32_t x, uint32_t y) {
    return ~tern_maximum_of_bytes(~x, ~y);
}

/* Sums of up to 256 words: of bytes 0 and 2, and of bytes 1 and 3, each in a half of its own. A half is the sum and
 * TERN_PORT_SUM_BIAS for every word. */
typedef struct {
    uint32_t even, odd;
} tern_byte_sums;

enum { TERN_BYTE_SUMS_WORDS = 256 };

static inline void tern_add_bytes(tern_byte_sums *sums, uint32_t word) {
    sums->even = tern_add_even_bytes(sums->even, word);
    sums->odd = tern_add_odd_bytes(sums->odd, word);
}

#endif
