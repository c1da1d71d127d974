// Registers the custom operators with the interpreter of the Python package tflite_micro.
//
// Its resolver's AddCustom is inlined wherever it is called, and so it is not in the package: here it is again, for the
// resolver's layout.
#include "tern_tflm_ops.h"

using namespace tern;

namespace {

constexpr unsigned kOperators = 200;
constexpr int kCustom = 32;

struct PythonOpsResolver {
    const void *virtual_functions;
    TFLMRegistration registrations[kOperators];
    unsigned registrations_length;
};

bool AddCustom(PythonOpsResolver *resolver, const char *name, const TFLMRegistration *registration) {
    if (resolver->registrations_length >= kOperators)
        return false;
    TFLMRegistration &added = resolver->registrations[resolver->registrations_length++];
    added = *registration;
    added.builtin_code = kCustom;
    added.custom_name = name;
    return true;
}

} // namespace

extern "C" __attribute__((visibility("default"))) bool register_tern_ops(PythonOpsResolver *resolver) {
    return AddCustom(resolver, "TernConv2D", Register_TERN_CONV_2D()) &&
           AddCustom(resolver, "TernDepthwiseConv2D", Register_TERN_DEPTHWISE_CONV_2D()) &&
           AddCustom(resolver, "TernTransposeConv", Register_TERN_TRANSPOSE_CONV()) &&
           AddCustom(resolver, "TernFullyConnected", Register_TERN_FULLY_CONNECTED());
}
