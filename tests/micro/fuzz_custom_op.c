/* Custom operators of random files, most of them damaged: whatever is read without an error runs within its tensors.
 *
 * Every tensor has memory of exactly its own size, for the address sanitizer to watch. Arguments: seed, count. Prints
 * how many ran. */
#include "../../micro/custom_ops/tern_custom_op.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TYPES = 4, LONGEST_OPTIONS = 32, MOST_BYTES = 1 << 20 };

static uint32_t state;

static int32_t below(int32_t end) {
    state = state * 1664525u + 1013904223u;
    return (int32_t)((state >> 8) % (uint32_t)end);
}

static int32_t any_number(void) {
    static const int32_t extremes[] = {0, -1, 1, 127, -128, 128, 65536, INT32_MAX, INT32_MIN, 46341, 1 << 30};
    return below(2) ? extremes[below((int32_t)(sizeof(extremes) / sizeof(extremes[0])))] : below(9);
}

typedef struct {
    int32_t numbers[LONGEST_OPTIONS];
    int32_t count;
    size_t bytes[TERN_CUSTOM_TENSORS];
} file;

static void put(file *made, int32_t number) {
    made->numbers[made->count++] = number;
}

static size_t packed_bytes(int32_t format, int32_t rows, int32_t length) {
    const int32_t bits = format == 0 ? 2 : 1;
    return (size_t)(format == 1 ? (rows * length + 4) / 5 : rows * ((length * bits + 7) / 8));
}

/* An operator as the exporter writes it, with `which` of the types. */
static file make_file(int which) {
    file made = {.count = 0};
    const int32_t format = below(3), planes = format == 2 ? 1 : 1 + below(3);
    const int32_t in = 1 + below(5), height = 1 + below(6), width = 1 + below(6);
    int32_t out = 1 + below(6), rows = out, length = in;
    put(&made, TERN_CUSTOM_OP_VERSION);
    put(&made, format);
    size_t input = (size_t)in, output = 0;
    if (which == 3) {
        put(&made, height);
        put(&made, in);
        put(&made, out);
        input *= (size_t)height;
        output = (size_t)height * (size_t)out;
    } else {
        const int32_t kernel_height = 1 + below(3), kernel_width = 1 + below(3);
        if (which == 1)
            out = in * (1 + below(2));
        const int32_t shapes[] = {height, width, in, height, width, out};
        const int32_t window[] = {kernel_height, kernel_width, 1, 1, 1 + below(2), 1, below(2), below(2)};
        for (int i = 0; i < 6; i++)
            put(&made, shapes[i]);
        for (int i = 0; i < 8; i++)
            put(&made, window[i]);
        if (which == 0)
            put(&made, in);
        rows = which == 1 ? kernel_height * kernel_width : out;
        length = which == 1 ? out : kernel_height * kernel_width * in;
        input *= (size_t)(height * width);
        output = (size_t)(height * width * out);
    }
    put(&made, below(256) - 128);
    put(&made, planes - 1);
    put(&made, below(256) - 128);
    put(&made, -128);
    put(&made, 127);
    const size_t sizes[TERN_CUSTOM_TENSORS] = {
        input,           packed_bytes(format, planes * rows, length), (size_t)(2 * planes * out),
        (size_t)out * 4, (size_t)out * (which == 3 ? 8 : 4),          (size_t)out,
        output};
    memcpy(made.bytes, sizes, sizeof(sizes));
    return made;
}

static bool run_file(const file *made, const tern_custom_type *type) {
    uint8_t *options = malloc((size_t)made->count * 4 + 1);
    for (int32_t i = 0; i < made->count * 4; i++)
        options[i] = (uint8_t)((uint32_t)made->numbers[i / 4] >> (i % 4 * 8));
    uint8_t *memory[TERN_CUSTOM_TENSORS];
    tern_bytes tensors[TERN_CUSTOM_TENSORS];
    for (int t = 0; t < TERN_CUSTOM_TENSORS; t++) {
        const bool left_out = t == TERN_CUSTOM_BIAS ? below(4) == 0 : below(200) == 0;
        memory[t] = malloc(made->bytes[t] > 0 ? made->bytes[t] : 1);
        /* shifts in their range, and multipliers of 0, which is in theirs */
        const int32_t end = t == TERN_CUSTOM_SHIFT ? 30 : t == TERN_CUSTOM_MULTIPLIER ? 1 : 256;
        for (size_t i = 0; i < made->bytes[t]; i++)
            memory[t][i] = (uint8_t)below(end);
        tensors[t].data = left_out ? NULL : memory[t];
        tensors[t].bytes = made->bytes[t];
    }
    tern_custom_op op;
    bool ran = false;
    if (tern_custom_op_read(&op, type, options, (size_t)made->count * 4, tensors) == TERN_OK) {
        void *scratch = malloc((size_t)tern_custom_op_scratch_bytes(&op) + 1);
        const int8_t *input = tensors[TERN_CUSTOM_INPUT].data;
        int8_t *output =
            tensors[TERN_CUSTOM_OUTPUT].data == NULL ? NULL : (int8_t *)memory[TERN_CUSTOM_OUTPUT];
        ran = tern_custom_op_run(&op, input, output, scratch) == TERN_OK;
        free(scratch);
    }
    for (int t = 0; t < TERN_CUSTOM_TENSORS; t++)
        free(memory[t]);
    free(options);
    return ran;
}

int main(int argc, char **argv) {
    const tern_custom_type *types[] = {&tern_custom_conv2d, &tern_custom_depthwise_conv2d,
                                       &tern_custom_transpose_conv2d, &tern_custom_fully_connected};
    state = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1;
    const int count = argc > 2 ? atoi(argv[2]) : 1000;
    int runs = 0;
    for (int i = 0; i < count; i++) {
        const int which = below(TYPES);
        file made = make_file(which);
        for (int damage = below(4); damage > 0; damage--) {
            switch (below(3)) {
            case 0:
                made.numbers[below(made.count + 1)] = any_number();
                break;
            case 1:
                made.bytes[below(TERN_CUSTOM_TENSORS)] = (size_t)below(below(8) ? 64 : MOST_BYTES);
                break;
            default:
                made.count = below(LONGEST_OPTIONS - 1);
            }
        }
        runs += run_file(&made, types[which]);
    }
    printf("%d\n", runs);
    return 0;
}
