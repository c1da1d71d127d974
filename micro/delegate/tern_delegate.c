/* An external delegate for LiteRT and TensorFlow Lite that runs the custom operators of packed .tflite files.
 *
 * One library serves both: it calls nothing of the runtime but what the TfLiteContext brings along. */
#include "../custom_ops/tern_custom_op.h"
#include "tflite_abi.h"

#include <stdlib.h>
#include <string.h>

#if defined(_WIN32)
#define EXPORTED __declspec(dllexport)
#else
#define EXPORTED __attribute__((visibility("default")))
#endif

/* `count` is a size_t to some that load the library and an int to others: the lower bits are right for both. */
EXPORTED TfLiteDelegate *tflite_plugin_create_delegate(const char *const *keys, const char *const *values,
                                                       int count, void (*report_error)(const char *));
EXPORTED void tflite_plugin_destroy_delegate(TfLiteDelegate *delegate);

/* A node of the model that the delegate runs in place of the runtime. */
typedef struct {
    const tern_custom_type *type;
    const void *options;
    size_t options_bytes;
    int tensors[TERN_CUSTOM_TENSORS]; /* indices, kTfLiteOptionalTensor where one is left out */
    tern_custom_op op;
    void *scratch;
} node_state;

static const char *status_text(tern_status status) {
    switch (status) {
    case TERN_ERROR_NULL:
        return "a constant is missing";
    case TERN_ERROR_ALIGNMENT:
        return "a constant is not aligned in memory";
    case TERN_ERROR_SHAPE:
        return "a tensor has another size than the operator was packed for (inputs cannot be resized)";
    case TERN_ERROR_PARAMETER:
        return "its options are of another version of tern-keras, or damaged";
    default:
        return "ok";
    }
}

/* The operator's type, or null where it is none of ours. */
static const tern_custom_type *find_type(const TfLiteRegistration *registration) {
    static const tern_custom_type *const types[] = {&tern_custom_conv2d, &tern_custom_depthwise_conv2d,
                                                    &tern_custom_transpose_conv2d,
                                                    &tern_custom_fully_connected};
    for (size_t i = 0; registration->custom_name != NULL && i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(registration->custom_name, tern_custom_type_name(types[i])) == 0)
            return types[i];
    }
    return NULL;
}

/* A tensor's memory; none where it is left out, or is a constant where an activation is wanted, or no constant where
 * one is: its memory would come and go. */
static tern_bytes tensor_bytes(const TfLiteContext *context, const node_state *state, int which) {
    const tern_bytes none = {NULL, 0};
    const int index = state->tensors[which];
    if (index < 0 || (size_t)index >= context->tensors_size)
        return none;
    const TfLiteTensor *tensor = &context->tensors[index];
    const bool constant = tensor->allocation_type == kTfLiteMmapRo;
    if (which != TERN_CUSTOM_INPUT && constant == (which == TERN_CUSTOM_OUTPUT))
        return none;
    const tern_bytes found = {tensor->data, tensor->bytes};
    return found;
}

static TfLiteStatus fail(TfLiteContext *context, const node_state *state, const char *text) {
    context->ReportError(context, "%s: %s; pack the model again", tern_custom_type_name(state->type), text);
    return kTfLiteError;
}

static void free_node(TfLiteContext *context, void *data) {
    (void)context;
    node_state *state = data;
    if (state != NULL)
        free(state->scratch);
    free(state);
}

/* The runtime hands over which node it replaces. What is wrong with the node, prepare will say: init cannot fail. */
static void *init_node(TfLiteContext *context, const char *buffer, size_t length) {
    (void)length;
    const TfLiteDelegateParams *replaced = (const void *)buffer;
    node_state *state = calloc(1, sizeof(*state));
    TfLiteNode *node;
    TfLiteRegistration *registration;
    if (state == NULL || context->GetNodeAndRegistration(context, replaced->nodes_to_replace->data[0], &node,
                                                         &registration) != kTfLiteOk) {
        free(state);
        return NULL;
    }
    state->type = find_type(registration);
    state->options = node->custom_initial_data;
    state->options_bytes = node->custom_initial_data_size < 0 ? 0 : (size_t)node->custom_initial_data_size;
    for (int i = 0; i < TERN_CUSTOM_INPUTS; i++)
        state->tensors[i] = i < node->inputs->size ? node->inputs->data[i] : kTfLiteOptionalTensor;
    state->tensors[TERN_CUSTOM_OUTPUT] = node->outputs->data[0];
    return state;
}

/* Reads the operator again each time: resizing an input may have changed what fits. */
static TfLiteStatus prepare_node(TfLiteContext *context, TfLiteNode *node) {
    node_state *state = node->user_data;
    if (state == NULL) {
        context->ReportError(context, "tern: out of memory");
        return kTfLiteError;
    }
    tern_bytes tensors[TERN_CUSTOM_TENSORS];
    for (int i = 0; i < TERN_CUSTOM_TENSORS; i++)
        tensors[i] = tensor_bytes(context, state, i);
    const tern_status status =
        tern_custom_op_read(&state->op, state->type, state->options, state->options_bytes, tensors);
    if (status != TERN_OK)
        return fail(context, state, status_text(status));
    free(state->scratch);
    const int32_t scratch_bytes = tern_custom_op_scratch_bytes(&state->op);
    state->scratch = malloc(scratch_bytes > 0 ? (size_t)scratch_bytes : 1);
    return state->scratch != NULL ? kTfLiteOk : fail(context, state, "out of memory");
}

static TfLiteStatus invoke_node(TfLiteContext *context, TfLiteNode *node) {
    const node_state *state = node->user_data;
    const void *input = context->tensors[state->tensors[TERN_CUSTOM_INPUT]].data;
    void *output = context->tensors[state->tensors[TERN_CUSTOM_OUTPUT]].data;
    const tern_status status = tern_custom_op_run(&state->op, input, output, state->scratch);
    return status == TERN_OK ? kTfLiteOk : fail(context, state, status_text(status));
}

/* Claims every node on its own: between nodes that are claimed together the runtime keeps no tensors. */
static TfLiteStatus claim_nodes(TfLiteContext *context, TfLiteDelegate *delegate) {
    const TfLiteRegistration registration = {
        .init = init_node,
        .free = free_node,
        .prepare = prepare_node,
        .invoke = invoke_node,
        .custom_name = "TernDelegate",
        .version = 1,
    };
    TfLiteIntArray *plan;
    if (context->GetExecutionPlan(context, &plan) != kTfLiteOk)
        return kTfLiteError;
    /* claiming a node changes the plan: it is copied first */
    const int count = plan->size;
    int *nodes = malloc(((size_t)count + 1) * sizeof(int));
    TfLiteIntArray *claimed = malloc(sizeof(*claimed) + sizeof(int));
    TfLiteStatus status = nodes != NULL && claimed != NULL ? kTfLiteOk : kTfLiteError;
    if (status == kTfLiteOk)
        memcpy(nodes, plan->data, (size_t)count * sizeof(int));
    for (int i = 0; i < count && status == kTfLiteOk; i++) {
        TfLiteNode *node;
        TfLiteRegistration *found;
        status = context->GetNodeAndRegistration(context, nodes[i], &node, &found);
        if (status != kTfLiteOk || find_type(found) == NULL || node->outputs->size != 1)
            continue;
        claimed->size = 1;
        claimed->data[0] = nodes[i];
        status = context->ReplaceNodeSubsetsWithDelegateKernels(context, registration, claimed, delegate);
    }
    free(claimed);
    free(nodes);
    return status;
}

TfLiteDelegate *tflite_plugin_create_delegate(const char *const *keys, const char *const *values, int count,
                                              void (*report_error)(const char *)) {
    (void)keys;
    (void)values;
    if (count != 0) {
        if (report_error != NULL)
            report_error("the delegate of tern-keras takes no options");
        return NULL;
    }
    TfLiteDelegate *delegate = calloc(1, sizeof(*delegate));
    if (delegate == NULL)
        return NULL;
    delegate->Prepare = claim_nodes;
    delegate->flags = kTfLiteDelegateFlagsAllowDynamicTensors;
    return delegate;
}

void tflite_plugin_destroy_delegate(TfLiteDelegate *delegate) {
    free(delegate);
}
