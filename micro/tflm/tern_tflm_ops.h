// TFLM's side of the custom operators of packed .tflite files.
//
//     resolver.AddCustom("TernConv2D", tern::Register_TERN_CONV_2D());
//     resolver.AddCustom("TernDepthwiseConv2D", tern::Register_TERN_DEPTHWISE_CONV_2D());
//     resolver.AddCustom("TernTransposeConv", tern::Register_TERN_TRANSPOSE_CONV());
//     resolver.AddCustom("TernFullyConnected", tern::Register_TERN_FULLY_CONNECTED());
#ifndef TERN_TFLM_OPS_H_
#define TERN_TFLM_OPS_H_

#include "tensorflow/lite/micro/micro_common.h"

// TFLM's names were global or in tflite before they moved to tflite::micro.
namespace tflite {
namespace micro {}
} // namespace tflite

namespace tern {

using namespace tflite;
using namespace tflite::micro;

const TFLMRegistration *Register_TERN_CONV_2D();
const TFLMRegistration *Register_TERN_DEPTHWISE_CONV_2D();
const TFLMRegistration *Register_TERN_TRANSPOSE_CONV();
const TFLMRegistration *Register_TERN_FULLY_CONNECTED();

} // namespace tern

#endif // TERN_TFLM_OPS_H_
