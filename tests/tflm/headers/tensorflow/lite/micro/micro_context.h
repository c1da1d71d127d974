#ifndef TESTS_TFLM_MICRO_CONTEXT_H_
#define TESTS_TFLM_MICRO_CONTEXT_H_

#include "tensorflow/lite/micro/micro_common.h"

TFLM_BEGIN

class MicroContext {
  public:
    virtual ~MicroContext() = default;
    virtual void *AllocatePersistentBuffer(size_t bytes) = 0;
    virtual TfLiteStatus RequestScratchBufferInArena(size_t bytes, int *index) = 0;
    virtual void *GetScratchBuffer(int index) = 0;
    virtual void *unused0() = 0;
    virtual void *unused1() = 0;
    virtual void *unused2() = 0;
    virtual void *unused3() = 0;
    virtual TfLiteEvalTensor *GetEvalTensor(int index) = 0;
};

inline MicroContext *GetMicroContext(const TfLiteContext *context) {
    return static_cast<MicroContext *>(context->impl_);
}

TFLM_END

#endif
