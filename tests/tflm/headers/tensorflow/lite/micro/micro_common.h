// As much of TFLM's interface as the custom operators use, declared for the tests: no package carries TFLM's headers.
// Members are in the order of TFLM's own structs, so that what is compiled against these runs in its interpreter.
#ifndef TESTS_TFLM_MICRO_COMMON_H_
#define TESTS_TFLM_MICRO_COMMON_H_

#include <cstddef>
#include <cstdint>

#ifdef TFLM_GLOBAL_NAMES // as TFLM had them before they moved
#define TFLM_BEGIN
#define TFLM_END
#else
#define TFLM_BEGIN                                                                                           \
    namespace tflite {                                                                                       \
    namespace micro {
#define TFLM_END                                                                                             \
    }                                                                                                        \
    }
#endif

TFLM_BEGIN

enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };

enum TfLiteType { kTfLiteInt32 = 2, kTfLiteUInt8 = 3, kTfLiteInt64 = 4, kTfLiteInt8 = 9 };

struct TfLiteIntArray {
    int size;
    int data[1];
};

struct TfLiteEvalTensor {
    union {
        void *data;
    } data;
    TfLiteIntArray *dims;
    TfLiteType type;
};

struct TfLiteNode {
    TfLiteIntArray *inputs, *outputs, *intermediates;
    void *user_data;
    void *builtin_data;
    const void *custom_initial_data;
    int custom_initial_data_size;
};

struct TfLiteContext {
#ifdef TFLM_GLOBAL_NAMES
    void *unused[3];
#endif
    void *impl_;
};

struct TFLMRegistration {
    void *(*init)(TfLiteContext *context, const char *buffer, size_t length);
    void (*free)(TfLiteContext *context, void *data);
    TfLiteStatus (*prepare)(TfLiteContext *context, TfLiteNode *node);
    TfLiteStatus (*invoke)(TfLiteContext *context, TfLiteNode *node);
    void (*reset)(TfLiteContext *context, void *data);
    int32_t builtin_code;
    const char *custom_name;
};

TFLM_END

#endif
