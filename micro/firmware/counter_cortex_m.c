/* Instructions from SysTick, exactly.
 *
 * An emulated instruction takes 1 ns (QEMU: -icount shift=0), but SysTick ticks only t times in n of them:
 * once in 40 at 25 MHz. So an instant x is read as a vernier is: n readings, 7 instructions apart. With n and
 * 7 coprime the readings meet every phase of the tick once, and
 *
 *     sum over k < n of floor(t * (x + 7 * k) / n)  =  t * x + a constant
 *
 * (Hermite's identity): the sum moves by t with every single instruction.
 */
#include "counter.h"

#if !defined(TERN_SYSTICK_TICKS) || !defined(TERN_SYSTICK_INSTRUCTIONS)
#error "define TERN_SYSTICK_TICKS / TERN_SYSTICK_INSTRUCTIONS as SysTick's clock / 1 GHz in lowest terms"
#endif
#if TERN_SYSTICK_INSTRUCTIONS % 7 == 0
#error "the vernier's loop must be longer or shorter than 7 instructions for this clock"
#endif

#define SYST_CSR (*(volatile uint32_t *)0xE000E010u)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014u)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018u)
#define SYST_CSR_ENABLE 1u
#define SYST_CSR_TICKINT 2u
#define SYST_CSR_CLKSOURCE 4u
#define SYST_BITS 24

static volatile uint32_t wraps;

/* A wrap adds its own five or so instructions to the count: at 25 MHz every 671 million. */
void SysTick_Handler(void);
void SysTick_Handler(void) {
    ++wraps;
}

const uint32_t counter_per_instruction = TERN_SYSTICK_TICKS;

void counter_start(void) {
    wraps = 0;
    SYST_RVR = (1u << SYST_BITS) - 1;
    SYST_CVR = 0;
    SYST_CSR = SYST_CSR_CLKSOURCE | SYST_CSR_TICKINT | SYST_CSR_ENABLE;
}

void counter_stop(void) {
    SYST_CSR = 0;
}

/* The sum over the readings of (ticks since the last wrap). The loop is 7 instructions long. */
static uint32_t vernier(void) {
    uint32_t sum = 0, ticks, left = TERN_SYSTICK_INSTRUCTIONS;
    __asm volatile(".syntax unified\n"
                   "1:\n"
                   "ldr  %[ticks], [%[counter]]\n"
                   "rsbs %[ticks], %[ticks], #0\n" /* it counts down, through 24 bits */
                   "lsls %[ticks], %[ticks], #8\n"
                   "lsrs %[ticks], %[ticks], #8\n"
                   "adds %[sum], %[sum], %[ticks]\n"
                   "subs %[left], %[left], #1\n"
                   "bne  1b"
                   : [sum] "+l"(sum), [left] "+l"(left), [ticks] "=&l"(ticks)
                   : [counter] "l"(&SYST_CVR)
                   : "cc", "memory");
    return sum;
}

uint64_t counter_now(void) {
    uint32_t before, sum;
    do {
        before = wraps;
        sum = vernier();
    } while (before != wraps);
    return ((uint64_t)before * TERN_SYSTICK_INSTRUCTIONS << SYST_BITS) + sum;
}
