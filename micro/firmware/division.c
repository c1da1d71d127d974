#include "division.h"

uint32_t divide(uint64_t *value, uint32_t divisor) {
    uint64_t quotient = *value;
    uint32_t remainder = 0;
    for (int bit = 0; bit < 64; bit++) {
        remainder = remainder << 1 | (uint32_t)(quotient >> 63);
        quotient <<= 1;
        if (remainder >= divisor) {
            remainder -= divisor;
            quotient |= 1;
        }
    }
    *value = quotient;
    return remainder;
}
