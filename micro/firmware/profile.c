#include "profile.h"

void profile_step(void) {
    __asm__ volatile("");
}
