/* From reset to C on Armv6-M, Armv7-M and Armv8-M. */
#include <stdint.h>

#include "semihosting.h"
#include "startup.h"

#define CPACR (*(volatile uint32_t *)0xE000ED88u)
#define CPACR_CP10_CP11_FULL (0xFu << 20)
#define CFSR (*(volatile uint32_t *)0xE000ED28u)

extern uint32_t __stack_top__[];

void SysTick_Handler(void);

void _start(void);
void _start(void) {
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    /* Off after reset; the compiler may use its registers even where no number is a float. */
    CPACR |= CPACR_CP10_CP11_FULL;
    __asm volatile("dsb\n isb" : : : "memory");
#endif
    start_c();
}

/* What the core pushes before it enters a handler. */
typedef struct {
    uint32_t r0, r1, r2, r3, r12, lr, pc, xpsr;
} exception_frame;

void report_fault(const exception_frame *frame) __attribute__((noreturn));
void report_fault(const exception_frame *frame) {
    semihosting_print("fault: pc ");
    semihosting_print_hex(frame->pc);
    semihosting_print(", lr ");
    semihosting_print_hex(frame->lr);
    semihosting_print(", cfsr "); /* zero on Armv6-M, which has none */
    semihosting_print_hex(CFSR);
    semihosting_print("\n");
    semihosting_exit(1);
}

/* Naked: a prologue would move the stack pointer away from the frame. */
static void __attribute__((naked)) fault(void) {
    __asm volatile("mrs r0, msp\n"
                   "bl  report_fault");
}

typedef union {
    uint32_t *stack;
    void (*handler)(void);
} vector;

/* The first stack pointer, then the exceptions by number (Armv7-M B1.5.2). No peripheral interrupts. */
/* clang-format off */
__attribute__((section(".vectors"), used)) static const vector vectors[16] = {
    {.stack = __stack_top__},
    {.handler = _start},
    {.handler = fault},  /* 2: NMI */
    {.handler = fault},  /* 3: HardFault */
    {.handler = fault},  /* 4: MemManage */
    {.handler = fault},  /* 5: BusFault */
    {.handler = fault},  /* 6: UsageFault */
    {.handler = fault},  /* 7: SecureFault */
    {.handler = fault},
    {.handler = fault},
    {.handler = fault},
    {.handler = fault},  /* 11: SVCall */
    {.handler = fault},  /* 12: DebugMonitor */
    {.handler = fault},
    {.handler = fault},  /* 14: PendSV */
    {.handler = SysTick_Handler},
};
