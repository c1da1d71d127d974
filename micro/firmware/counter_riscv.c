/* Instructions from the core's own counter of retired instructions. */
#include "counter.h"

const uint32_t counter_per_instruction = 1;

/* It runs from reset. */
void counter_start(void) {}
void counter_stop(void) {}

uint64_t counter_now(void) {
    uint32_t high, low, again;
    do {
        __asm volatile("csrr %0, minstreth\n"
                       "csrr %1, minstret\n"
                       "csrr %2, minstreth"
                       : "=&r"(high), "=&r"(low), "=r"(again)
                       :
                       : "memory");
    } while (high != again);
    return ((uint64_t)high << 32) + low;
}
