#include "counter.h"
#include "division.h"

/* volatile: so that the call is the same code for every function. */
static uint64_t __attribute__((noinline)) elapsed(int (*volatile function)(void), int *result) {
    const uint64_t start = counter_now();
    *result = function();
    return counter_now() - start;
}

/* What measuring adds is seen on a function that is known to have two instructions, when optimised. */
#define NOTHING_INSTRUCTIONS 2
static int nothing(void) {
    return 0;
}

uint64_t count_instructions(int (*function)(void), int *result) {
    counter_start();
    const uint64_t overhead = elapsed(nothing, result);
    uint64_t instructions = elapsed(function, result) - overhead;
    counter_stop();
    (void)divide(&instructions, counter_per_instruction);
    return instructions + NOTHING_INSTRUCTIONS;
}
