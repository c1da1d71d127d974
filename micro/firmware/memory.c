/* The four functions that a C compiler calls by itself, for images without a C library. */
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *restrict destination, const void *restrict source, size_t bytes);
void *memmove(void *destination, const void *source, size_t bytes);
void *memset(void *destination, int value, size_t bytes);
int memcmp(const void *left, const void *right, size_t bytes);

/* GCC would turn these loops into calls of the functions that they implement (Clang has -ffreestanding for
 * it). */
#if defined(__GNUC__) && !defined(__clang__)
#define KEEP_LOOPS __attribute__((optimize("no-tree-loop-distribute-patterns")))
#else
#define KEEP_LOOPS
#endif

/* Word by word where both sides allow it: tensors are aligned and copied often. */
typedef uint32_t __attribute__((may_alias)) word;

KEEP_LOOPS void *memcpy(void *restrict destination, const void *restrict source, size_t bytes) {
    uint8_t *to = destination;
    const uint8_t *from = source;
    if ((((uintptr_t)to | (uintptr_t)from) & (sizeof(word) - 1)) == 0) {
        for (; bytes >= sizeof(word); bytes -= sizeof(word)) {
            *(word *)(void *)to = *(const word *)(const void *)from;
            to += sizeof(word);
            from += sizeof(word);
        }
    }
    for (; bytes != 0; --bytes) {
        *to++ = *from++;
    }
    return destination;
}

KEEP_LOOPS void *memmove(void *destination, const void *source, size_t bytes) {
    uint8_t *to = destination;
    const uint8_t *from = source;
    if ((uintptr_t)to - (uintptr_t)from >= bytes) {
        for (size_t i = 0; i < bytes; ++i) {
            to[i] = from[i];
        }
    } else {
        while (bytes != 0) {
            --bytes;
            to[bytes] = from[bytes];
        }
    }
    return destination;
}

KEEP_LOOPS void *memset(void *destination, int value, size_t bytes) {
    uint8_t *to = destination;
    for (size_t i = 0; i < bytes; ++i) {
        to[i] = (uint8_t)value;
    }
    return destination;
}

KEEP_LOOPS int memcmp(const void *left, const void *right, size_t bytes) {
    const uint8_t *a = left;
    const uint8_t *b = right;
    for (size_t i = 0; i < bytes; ++i) {
        if (a[i] != b[i]) {
            return a[i] - b[i];
        }
    }
    return 0;
}
