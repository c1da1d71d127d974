#include "tern_tflm_ops.h"

#include "../custom_ops/tern_custom_op.h"

#include "tensorflow/lite/micro/kernels/kernel_util.h"
#include "tensorflow/lite/micro/micro_context.h"
#include "tensorflow/lite/micro/micro_log.h"

#include <cstddef>
#include <cstdint>

namespace tern {
namespace {

// An operator of the model, in the arena for as long as the interpreter lives.
struct State {
    const char *options;
    size_t options_bytes;
    tern_custom_op op;
    int scratch_index; // -1 for none
};

size_t ElementBytes(TfLiteType type) {
    switch (type) {
    case kTfLiteInt8:
    case kTfLiteUInt8:
        return 1;
    case kTfLiteInt32:
        return 4;
    case kTfLiteInt64:
        return 8;
    default:
        return 0; // fits no size: the operator is refused
    }
}

tern_bytes BytesOf(const TfLiteEvalTensor *tensor) {
    if (tensor == nullptr)
        return {nullptr, 0};
    size_t bytes = ElementBytes(tensor->type);
    for (int i = 0; i < tensor->dims->size; i++)
        bytes *= static_cast<size_t>(tensor->dims->data[i]);
    return {tensor->data.data, bytes};
}

void *Init(TfLiteContext *context, const char *buffer, size_t length) {
    auto *state = static_cast<State *>(GetMicroContext(context)->AllocatePersistentBuffer(sizeof(State)));
    if (state != nullptr) {
        state->options = buffer;
        state->options_bytes = length;
        state->scratch_index = -1;
    }
    return state;
}

TfLiteStatus Prepare(TfLiteContext *context, TfLiteNode *node, const tern_custom_type *type) {
    auto *state = static_cast<State *>(node->user_data);
    if (state == nullptr || node->outputs->size != 1) {
        MicroPrintf("%s: the arena is too small, or the operator has no output", tern_custom_type_name(type));
        return kTfLiteError;
    }
    tern_bytes tensors[TERN_CUSTOM_TENSORS];
    for (int i = 0; i < TERN_CUSTOM_INPUTS; i++)
        tensors[i] = BytesOf(i < node->inputs->size ? GetEvalInput(context, node, i) : nullptr);
    tensors[TERN_CUSTOM_OUTPUT] = BytesOf(GetEvalOutput(context, node, 0));
    const tern_status status =
        tern_custom_op_read(&state->op, type, state->options, state->options_bytes, tensors);
    if (status != TERN_OK) {
        MicroPrintf("%s: tern_status %d; pack the model again", tern_custom_type_name(type),
                    static_cast<int>(status));
        return kTfLiteError;
    }
    const int32_t scratch_bytes = tern_custom_op_scratch_bytes(&state->op);
    return scratch_bytes == 0 ? kTfLiteOk
                              : GetMicroContext(context)->RequestScratchBufferInArena(
                                    static_cast<size_t>(scratch_bytes), &state->scratch_index);
}

TfLiteStatus Invoke(TfLiteContext *context, TfLiteNode *node) {
    const auto *state = static_cast<const State *>(node->user_data);
    const TfLiteEvalTensor *input = GetEvalInput(context, node, TERN_CUSTOM_INPUT);
    TfLiteEvalTensor *output = GetEvalOutput(context, node, 0);
    void *scratch =
        state->scratch_index < 0 ? nullptr : GetMicroContext(context)->GetScratchBuffer(state->scratch_index);
    const tern_status status = tern_custom_op_run(&state->op, static_cast<const int8_t *>(input->data.data),
                                                  static_cast<int8_t *>(output->data.data), scratch);
    if (status == TERN_OK)
        return kTfLiteOk;
    MicroPrintf("%s: tern_status %d; pack the model again", tern_custom_type_name(state->op.type),
                static_cast<int>(status));
    return kTfLiteError;
}

// One instance a type: an image carries only the kernels of those operators that it registers.
template <const tern_custom_type *type> TfLiteStatus PrepareAs(TfLiteContext *context, TfLiteNode *node) {
    return Prepare(context, node, type);
}

template <const tern_custom_type *type> const TFLMRegistration *Register() {
    static const TFLMRegistration registration = RegisterOp(Init, PrepareAs<type>, Invoke);
    return &registration;
}

} // namespace

const TFLMRegistration *Register_TERN_CONV_2D() {
    return Register<&tern_custom_conv2d>();
}

const TFLMRegistration *Register_TERN_DEPTHWISE_CONV_2D() {
    return Register<&tern_custom_depthwise_conv2d>();
}

const TFLMRegistration *Register_TERN_TRANSPOSE_CONV() {
    return Register<&tern_custom_transpose_conv2d>();
}

const TFLMRegistration *Register_TERN_FULLY_CONNECTED() {
    return Register<&tern_custom_fully_connected>();
}

} // namespace tern
