#include "startup.h"

#include <stdint.h>

#include "semihosting.h"

/* From link.ld; all are multiples of a word. */
extern const uint32_t __data_load__[];
extern uint32_t __data_start__[], __data_end__[], __bss_start__[], __bss_end__[];

int main(void);

void start_c(void) {
    const uint32_t *from = __data_load__;
    for (uint32_t *to = __data_start__; to != __data_end__; ++to) {
        *to = *from++;
    }
    for (uint32_t *to = __bss_start__; to != __bss_end__; ++to) {
        *to = 0;
    }
    semihosting_exit(main());
}
