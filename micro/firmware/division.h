/* 64-bit division as on paper: the compilers' own, for any divisor, takes more flash than all else here. */
#ifndef TERN_FIRMWARE_DIVISION_H
#define TERN_FIRMWARE_DIVISION_H

#include <stdint.h>

/* Divides, and returns the remainder; divisors are below 2^31. */
uint32_t divide(uint64_t *value, uint32_t divisor);

#endif
