/* Streams samples through a model: input.bin holds them one after another, output.bin gets the results.
 * The number of instructions of the first inference goes to the console. */
#include <stdint.h>

#include "counter.h"
#include "tern_model.h"
#include "semihosting.h"

static int fail(const char *message) {
    semihosting_print("error: ");
    semihosting_print(message);
    semihosting_print("\n");
    return 1;
}

static int invoke(uint32_t sample) {
    int status;
    if (sample != 0) {
        return tern_model_invoke();
    }
    const uint64_t instructions = count_instructions(tern_model_invoke, &status);
    semihosting_print("instructions: ");
    semihosting_print_decimal(instructions);
    semihosting_print("\n");
    return status;
}

int main(void) {
    const int32_t input = semihosting_open("input.bin", SEMIHOSTING_READ);
    const int32_t output = semihosting_open("output.bin", SEMIHOSTING_WRITE);
    if (input < 0 || output < 0) {
        return fail("cannot open input.bin and output.bin");
    }
    for (uint32_t sample = 0;; ++sample) {
        const uint32_t missing = semihosting_read(input, tern_model_input, tern_model_input_bytes);
        if (missing == tern_model_input_bytes) {
            break;
        }
        if (missing != 0) {
            return fail("input.bin ends within a sample");
        }
        const int status = invoke(sample);
        if (status != 0) {
            semihosting_print("model status: ");
            semihosting_print_decimal((uint32_t)status);
            semihosting_print("\n");
            return status;
        }
        if (semihosting_write(output, tern_model_output, tern_model_output_bytes) != 0) {
            return fail("cannot write output.bin");
        }
    }
    semihosting_close(input);
    semihosting_close(output);
    return 0;
}
