/* Operators that move elements and compute nothing. */
#ifndef TERN_COPY_H
#define TERN_COPY_H

#include "tern_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Dimensions of a copy; missing leading ones are 1. */
#define TERN_COPY_RANK 6

/* A part of one tensor to a part of another: RESHAPE, TRANSPOSE, STRIDED_SLICE, SPLIT, CONCATENATION, TILE and their
 * like. The elements at
 *     input_offset + i0 * input_strides[0] + ... + i5 * input_strides[5]
 * go to likewise numbered places of the output, for every i within `shape`. Strides may be negative, those of the input
 * 0 where elements are repeated. */
typedef struct {
    int32_t element_bytes;
    int32_t shape[TERN_COPY_RANK];
    int32_t input_strides[TERN_COPY_RANK], output_strides[TERN_COPY_RANK]; /* in elements */
    int32_t input_offset, output_offset;                                   /* in elements */
} tern_copy_params;

tern_status tern_copy_ref(const tern_copy_params *params, const void *input, void *output);

/* PAD: the input amid an output that is `value` elsewhere. */
typedef struct {
    int32_t input[TERN_MAX_RANK], output[TERN_MAX_RANK]; /* shapes */
    int32_t before[TERN_MAX_RANK];                       /* elements of the output that precede the input's */
    int32_t value;
} tern_pad_params;

tern_status tern_pad_ref(const tern_pad_params *params, const int8_t *input, int8_t *output);

/* Rows and columns of an image picked by number: RESIZE_NEAREST_NEIGHBOR by factors that are not whole, GATHER, MIRROR_PAD.
 * Output position (y, x) is input position (rows[y], columns[x]). */
typedef struct {
    tern_shape input;
    int32_t output_height, output_width;
    const int32_t *rows, *columns; /* output_height and output_width of them, inside of the input */
} tern_pick_params;

tern_status tern_pick_ref(const tern_pick_params *params, const int8_t *input, int8_t *output);

/* An image between whose pixels is interpolated: RESIZE_BILINEAR.
 * Output position (y, x) lies at (rows[y], columns[x]) / 1024 of the input. Rounded to nearest, halves away from 0. */
typedef struct {
    tern_shape input;
    int32_t output_height, output_width;
    const int32_t *rows,
        *columns; /* output_height and output_width of them, from 0 to 1024 times the last position */
} tern_resize_bilinear_params;

tern_status tern_resize_bilinear_ref(const tern_resize_bilinear_params *params, const int8_t *input,
                                     int8_t *output);

#ifdef __cplusplus
}
#endif
#endif
