/* Files and messages of the machine that the debugger or emulator runs on.
 *
 * Arm: "Semihosting for AArch32 and AArch64", 2.0. RISC-V: "RISC-V Semihosting", 0.4, the same calls.
 */
#ifndef TERN_FIRMWARE_SEMIHOSTING_H
#define TERN_FIRMWARE_SEMIHOSTING_H

#include <stdint.h>

typedef enum { SEMIHOSTING_READ = 1, SEMIHOSTING_WRITE = 5 } semihosting_mode; /* fopen's "rb" and "wb" */

/* A handle, or a negative number where the file cannot be opened. */
int32_t semihosting_open(const char *path, semihosting_mode mode);
/* The number of bytes that could NOT be read or written: 0 is success. */
uint32_t semihosting_read(int32_t file, void *data, uint32_t bytes);
uint32_t semihosting_write(int32_t file, const void *data, uint32_t bytes);
void semihosting_close(int32_t file);

void semihosting_print(const char *text);
void semihosting_print_decimal(uint64_t value);
void semihosting_print_hex(uint32_t value);

/* Ends the emulation with this exit status. */
void semihosting_exit(int status) __attribute__((noreturn));

#endif
