#ifndef TESTS_TFLM_KERNEL_UTIL_H_
#define TESTS_TFLM_KERNEL_UTIL_H_

#include "tensorflow/lite/micro/micro_context.h"

namespace tflite {
namespace micro {

inline const TfLiteEvalTensor *GetEvalInput(const TfLiteContext *context, const TfLiteNode *node, int index) {
    const int tensor = node->inputs->data[index];
    return tensor < 0 ? nullptr : GetMicroContext(context)->GetEvalTensor(tensor);
}

inline TfLiteEvalTensor *GetEvalOutput(const TfLiteContext *context, const TfLiteNode *node, int index) {
    return GetMicroContext(context)->GetEvalTensor(node->outputs->data[index]);
}

inline TFLMRegistration RegisterOp(void *(*init)(TfLiteContext *, const char *, size_t),
                                   TfLiteStatus (*prepare)(TfLiteContext *, TfLiteNode *),
                                   TfLiteStatus (*invoke)(TfLiteContext *, TfLiteNode *)) {
    return {init, nullptr, prepare, invoke, nullptr, 0, nullptr};
}

} // namespace micro
} // namespace tflite

#endif
