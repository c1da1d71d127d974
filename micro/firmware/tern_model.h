/* What an image runs. One small source file, written for each model, defines these. */
#ifndef TERN_MODEL_H
#define TERN_MODEL_H

#include <stdint.h>

/* A sample: all inputs of the model, one after another. A result: all outputs likewise. */
extern int8_t tern_model_input[];
extern int8_t tern_model_output[];
extern const uint32_t tern_model_input_bytes;
extern const uint32_t tern_model_output_bytes;

/* From tern_model_input to tern_model_output; 0 is success. */
int tern_model_invoke(void);

#endif
