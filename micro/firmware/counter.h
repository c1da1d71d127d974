/* How many instructions a function takes, in an emulator that gives each of them the same time.
 *
 * On silicon the same code measures what the core offers: clock cycles of SysTick on Cortex-M, retired
 * instructions on RISC-V. */
#ifndef TERN_FIRMWARE_COUNTER_H
#define TERN_FIRMWARE_COUNTER_H

#include <stdint.h>

/* Calls the function and returns the number of instructions from its first to its return. */
uint64_t count_instructions(int (*function)(void), int *result);

/* What an architecture provides: a clock that moves by counter_per_instruction with every instruction. */
extern const uint32_t counter_per_instruction;
void counter_start(void);
void counter_stop(void);
uint64_t counter_now(void);

#endif
