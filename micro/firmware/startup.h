#ifndef TERN_FIRMWARE_STARTUP_H
#define TERN_FIRMWARE_STARTUP_H

/* Gives C its static variables, runs main and exits with its result. Needs a stack. */
void start_c(void) __attribute__((noreturn));

#endif
