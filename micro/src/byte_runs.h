/* Copies and fills of a few bytes to a few lines, each the end of what it wrote. */
#ifndef TERN_BYTE_RUNS_H
#define TERN_BYTE_RUNS_H

#include "port.h"

#ifdef TERN_PORT_MVE

/* Sixteen bytes at a time, and the rest masked: no address is special. */
static inline uint8_t *tern_copy_bytes(uint8_t *to, const uint8_t *from, int32_t count) {
    uint8_t *end = to + count;
    __asm__ volatile("wlstp.8 lr, %2, 2f\n"
                     "1: vldrb.8 q0, [%1], #16\n"
                     "vstrb.8 q0, [%0], #16\n"
                     "letp lr, 1b\n"
                     "2:"
                     : "+l"(to), "+l"(from)
                     : "r"(count)
                     : "d0", "d1", "lr", "memory");
    return end;
}

static inline uint8_t *tern_fill_bytes(uint8_t *to, uint8_t value, int32_t count) {
    uint8_t *end = to + count;
    __asm__ volatile("vdup.8 q0, %1\n"
                     "wlstp.8 lr, %2, 2f\n"
                     "1: vstrb.8 q0, [%0], #16\n"
                     "letp lr, 1b\n"
                     "2:"
                     : "+l"(to)
                     : "r"(value), "r"(count)
                     : "d0", "d1", "lr", "memory");
    return end;
}

#else

/* By words first, which cores that take them from any address load so; others load their bytes. */
static inline uint8_t *tern_copy_bytes(uint8_t *to, const uint8_t *from, int32_t count) {
    for (; count >= 4; count -= 4) {
        __builtin_memcpy(to, from, 4);
        to += 4;
        from += 4;
    }
    for (; count > 0; count--)
        *to++ = *from++;
    return to;
}

static inline uint8_t *tern_fill_bytes(uint8_t *to, uint8_t value, int32_t count) {
    for (; count > 0; count--)
        *to++ = value;
    return to;
}

#endif

#endif
