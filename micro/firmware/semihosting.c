#include "semihosting.h"
#include "division.h"

enum {
    SYS_OPEN = 0x01,
    SYS_CLOSE = 0x02,
    SYS_WRITE0 = 0x04,
    SYS_WRITE = 0x05,
    SYS_READ = 0x06,
    SYS_EXIT = 0x18,
    SYS_EXIT_EXTENDED = 0x20
};

#define ADP_STOPPED_RUN_TIME_ERROR 0x20023u
#define ADP_STOPPED_APPLICATION_EXIT 0x20026u

/* The label is for emulators that have no semihosting: they stop there and serve the call themselves. Hence
 * only one copy of this function. */
static uint32_t __attribute__((noinline)) call(uint32_t operation, const volatile void *parameter) {
#if defined(__riscv)
    register uint32_t a0 __asm("a0") = operation;
    register const volatile void *a1 __asm("a1") = parameter;
    /* The host knows the call by these three instructions, uncompressed and on one page. */
    __asm volatile(".option push\n"
                   ".option norvc\n"
                   ".balign 16\n"
                   "slli x0, x0, 0x1f\n"
                   "semihosting_trap: ebreak\n"
                   "srai x0, x0, 7\n"
                   ".option pop"
                   : "+r"(a0)
                   : "r"(a1)
                   : "memory");
    return a0;
#else
    register uint32_t r0 __asm("r0") = operation;
    register const volatile void *r1 __asm("r1") = parameter;
    __asm volatile("semihosting_trap: bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
#endif
}

int32_t semihosting_open(const char *path, semihosting_mode mode) {
    uint32_t length = 0;
    while (path[length] != '\0') {
        ++length;
    }
    const uint32_t block[3] = {(uint32_t)(uintptr_t)path, (uint32_t)mode, length};
    return (int32_t)call(SYS_OPEN, block);
}

uint32_t semihosting_read(int32_t file, void *data, uint32_t bytes) {
    const uint32_t block[3] = {(uint32_t)file, (uint32_t)(uintptr_t)data, bytes};
    return call(SYS_READ, block);
}

uint32_t semihosting_write(int32_t file, const void *data, uint32_t bytes) {
    const uint32_t block[3] = {(uint32_t)file, (uint32_t)(uintptr_t)data, bytes};
    return call(SYS_WRITE, block);
}

void semihosting_close(int32_t file) {
    const uint32_t block[1] = {(uint32_t)file};
    (void)call(SYS_CLOSE, block);
}

void semihosting_print(const char *text) {
    (void)call(SYS_WRITE0, text);
}

void semihosting_print_decimal(uint64_t value) {
    char text[21];
    char *digit = &text[20];
    *digit = '\0';
    do {
        *--digit = (char)('0' + (char)divide(&value, 10));
    } while (value != 0);
    semihosting_print(digit);
}

void semihosting_print_hex(uint32_t value) {
    char text[11] = "0x00000000";
    for (int digit = 9; digit >= 2; --digit) {
        text[digit] = "0123456789abcdef"[value & 15u];
        value >>= 4;
    }
    semihosting_print(text);
}

void semihosting_exit(int status) {
    const uint32_t block[2] = {ADP_STOPPED_APPLICATION_EXIT, (uint32_t)status};
    (void)call(SYS_EXIT_EXTENDED, block);
    /* Older hosts return from it: tell them success or failure at least. */
    const uint32_t reason = status == 0 ? ADP_STOPPED_APPLICATION_EXIT : ADP_STOPPED_RUN_TIME_ERROR;
    (void)call(SYS_EXIT, (const void *)(uintptr_t)reason);
    for (;;) {
    }
}
