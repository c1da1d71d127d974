#include "profile.h"

#include <stdint.h>

#include "counter.h"
#include "semihosting.h"

/* Before the first step there are two readings: what lies between them is what a reading takes. */
#define READINGS (TERN_PROFILE_STEPS + 2)

static uint64_t readings[READINGS];
static uint32_t count;

/* The first inference fills the array. */
void profile_step(void) {
    const uint64_t now = counter_now();
    if (count < READINGS) {
        readings[count++] = now;
    }
}

void profile_print(void) {
    for (uint32_t i = 0; i < count; ++i) {
        semihosting_print("reading: ");
        semihosting_print_decimal(readings[i] / counter_per_instruction);
        semihosting_print("\n");
    }
}
