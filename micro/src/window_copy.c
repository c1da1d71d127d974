#include "window_copy.h"
#include "byte_runs.h"

/* `lines` runs, `step` bytes from one to the next one; `room` is what the last one may be read of. */
static void copy_lines(uint8_t *to, const uint8_t *from, int32_t lines, int32_t step, int32_t run,
                       ptrdiff_t room) {
#if TERN_PORT_UNALIGNED && !defined(TERN_PORT_MVE)
    if (run + TERN_WINDOW_SLACK <= room) {
        for (; lines > 0; lines--) {
            const uint8_t *run_from = from;
            uint8_t *run_to = to;
            for (int32_t left = run; left > 0; left -= 4) {
                __builtin_memcpy(run_to, run_from, 4);
                run_to += 4;
                run_from += 4;
            }
            from += step;
            to += run;
        }
        return;
    }
#endif
    for (; lines > 0; lines--) {
        to = tern_copy_bytes(to, from, run);
        from += step;
    }
    (void)room;
}

/* Beside the input, which few positions are. */
static TERN_SMALL uint8_t *pad(uint8_t *to, uint8_t padding, int32_t count) {
    return tern_fill_bytes(to, padding, count);
}

/* Those taps of a line that fall on the input; without a division where they lie side by side. */
static tern_taps taps_inside(int32_t left, int32_t dilation, int32_t kernel, int32_t size) {
    tern_taps taps = {left < 0 ? -left : 0, size - left};
    if (dilation != 1)
        taps = tern_taps_inside(left, dilation, kernel, size);
    taps.begin = taps.begin < kernel ? taps.begin : kernel;
    taps.end = taps.end < kernel ? taps.end : kernel;
    if (taps.end < taps.begin)
        taps.end = taps.begin;
    return taps;
}

void tern_copy_window(const tern_window *window, const tern_shape *shape, const uint8_t *input,
                      uint8_t padding, int32_t y, int32_t x, uint8_t *to) {
    const int32_t channels = shape->channels, line = shape->width * channels;
    const int32_t top = y * window->stride_height - window->pad_top;
    const int32_t left = x * window->stride_width - window->pad_left;
    const int32_t reach_y = (window->height - 1) * window->dilation_height;
    const int32_t reach_x = (window->width - 1) * window->dilation_width;
    if (top >= 0 && top + reach_y < shape->height && left >= 0 && left + reach_x < shape->width &&
        window->dilation_width == 1) {
        const uint8_t *const from = input + (top * line + left * channels);
        const int32_t step = window->height > 1 ? window->dilation_height * line : 0;
        copy_lines(to, from, window->height, step, window->width * channels,
                   input + shape->height * line - from - (window->height - 1) * step);
        return;
    }
    const tern_taps taps = taps_inside(left, window->dilation_width, window->width, shape->width);
    /* taps side by side are one run */
    const int32_t runs = window->dilation_width == 1 ? taps.begin + 1 : taps.end;
    const int32_t run = (window->dilation_width == 1 ? taps.end - taps.begin : 1) * channels;
    for (int32_t ky = 0; ky < window->height; ky++) {
        const int32_t at = top + ky * window->dilation_height;
        if (at < 0 || at >= shape->height || taps.begin == taps.end) {
            to = pad(to, padding, window->width * channels);
            continue;
        }
        to = pad(to, padding, taps.begin * channels);
        for (int32_t kx = taps.begin; kx < runs; kx++)
            to = tern_copy_bytes(to, input + (at * line + (left + kx * window->dilation_width) * channels),
                                 run);
        to = pad(to, padding, (window->width - taps.end) * channels);
    }
}

/* Where no tap is beside a line: of every row of taps a run for each position. */
static void copy_runs(const tern_window *window, const tern_shape *shape, const uint8_t *input,
                      uint8_t padding, int32_t y, int32_t x, int32_t count, uint8_t *to, int32_t stride) {
    const int32_t run = window->width * shape->channels;
    /* a stride that no second position takes may be any number */
    const int32_t step = count > 1 ? window->stride_width * shape->channels : 0;
    const int32_t left = (x * window->stride_width - window->pad_left) * shape->channels;
    for (int32_t ky = 0; ky < window->height; ky++) {
        const int32_t at = y * window->stride_height - window->pad_top + ky * window->dilation_height;
        uint8_t *run_to = to + ky * run;
        if (at < 0 || at >= shape->height) {
            for (int32_t i = 0; i < count; i++)
                (void)tern_fill_bytes(run_to + i * stride, padding, run);
            continue;
        }
        const uint8_t *from = input + (at * shape->width * shape->channels + left);
        for (int32_t i = 0; i < count; i++)
            (void)tern_copy_bytes(run_to + i * stride, from + i * step, run);
    }
}

void tern_copy_windows(const tern_window *window, const tern_shape *shape, const uint8_t *input,
                       uint8_t padding, int32_t y, int32_t x, int32_t count, uint8_t *to, int32_t stride) {
    while (count > 0) {
        const int32_t left = x * window->stride_width - window->pad_left;
        /* how far the first position's window, and so many after it, may go on to the right */
        const int32_t room = shape->width - window->width - left;
        int32_t done = 1;
        if (window->dilation_width == 1 && left >= 0 && room >= 0) {
            const int32_t within = room / window->stride_width + 1;
            done = within < count ? within : count;
            copy_runs(window, shape, input, padding, y, x, done, to, stride);
        } else {
            tern_copy_window(window, shape, input, padding, y, x, to);
        }
        x += done;
        count -= done;
        to += done * stride;
    }
}
