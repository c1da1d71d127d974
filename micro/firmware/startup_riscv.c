/* From reset to C on RV32. */
#include <stdint.h>

#include "semihosting.h"
#include "startup.h"

void _start(void);
void __attribute__((naked, section(".vectors"))) _start(void) {
    __asm volatile(".option push\n"
                   ".option norelax\n" /* gp cannot be relative to itself */
                   "la gp, __global_pointer$\n"
                   ".option pop\n"
                   "la sp, __stack_top__\n"
                   "la t0, report_trap\n"
                   "csrw mtvec, t0\n"
                   "j start_c");
}

/* mtvec's two lowest bits are its mode: hence aligned. */
void report_trap(void);
void __attribute__((aligned(4), noreturn)) report_trap(void) {
    uint32_t cause, pc;
    __asm volatile("csrr %0, mcause\n"
                   "csrr %1, mepc"
                   : "=&r"(cause), "=r"(pc));
    semihosting_print("fault: pc ");
    semihosting_print_hex(pc);
    semihosting_print(", mcause ");
    semihosting_print_hex(cause);
    semihosting_print("\n");
    semihosting_exit(1);
}
