/* The sizes and field offsets of the structures in kernels.h, as this compiler has laid them out. instructions.py
   compares them with its own before it calls a kernel. */

#include "kernels.h"

#include <stddef.h>

#define SIZE(type) {#type, sizeof(type)}
#define OFFSET(type, field) {#type "." #field, offsetof(type, field)}

static const Place layout[] = {
    SIZE(Layer),
    OFFSET(Layer, weights),
    OFFSET(Layer, bias),
    OFFSET(Layer, multiplier),
    OFFSET(Layer, order),
    OFFSET(Layer, steps),
    OFFSET(Layer, inputs),
    OFFSET(Layer, outputs),
    SIZE(Block),
    OFFSET(Block, mix),
    OFFSET(Block, spatial_weights),
    OFFSET(Block, spatial_bias),
    OFFSET(Block, spatial_multiplier),
    OFFSET(Block, project),
    OFFSET(Block, value),
    OFFSET(Block, gate),
    OFFSET(Block, contract),
    SIZE(Shape),
    OFFSET(Shape, images),
    OFFSET(Shape, height),
    OFFSET(Shape, width),
    SIZE(Input),
    OFFSET(Input, data),
    OFFSET(Input, scale),
    OFFSET(Input, kind),
    OFFSET(Input, shift),
    OFFSET(Input, whole),
    OFFSET(Input, least),
    OFFSET(Input, most),
    OFFSET(Input, offset),
    SIZE(Term),
    OFFSET(Term, layer),
    OFFSET(Term, input),
    SIZE(Parameters),
    OFFSET(Parameters, means),
    OFFSET(Parameters, scales),
    OFFSET(Parameters, sigma_in_steps),
    OFFSET(Parameters, log_sigma),
    OFFSET(Parameters, mean_limit),
    OFFSET(Parameters, scale_step),
    OFFSET(Parameters, last_scale_index),
    OFFSET(Parameters, down),
    OFFSET(Parameters, right),
    SIZE(Cells),
    OFFSET(Cells, size),
    OFFSET(Cells, channels),
    OFFSET(Cells, first),
    OFFSET(Cells, down),
    OFFSET(Cells, right),
    SIZE(Rounding),
    OFFSET(Rounding, sigma_in_steps),
    OFFSET(Rounding, rd_weight),
    OFFSET(Rounding, half_extra),
    OFFSET(Rounding, coded),
    OFFSET(Rounding, depth),
    OFFSET(Rounding, most),
    SIZE(Kernels),
    OFFSET(Kernels, name),
    OFFSET(Kernels, lanes),
    OFFSET(Kernels, group),
    OFFSET(Kernels, depth),
    OFFSET(Kernels, offset),
    OFFSET(Kernels, order),
    OFFSET(Kernels, product),
    OFFSET(Kernels, mix),
    OFFSET(Kernels, rest),
    OFFSET(Kernels, parameters),
    OFFSET(Kernels, samples),
    OFFSET(Kernels, with_logs),
    OFFSET(Kernels, round),
    OFFSET(Kernels, place),
    OFFSET(Kernels, compare),
};

EXPORT const Place *cae_layout(int64_t *count) {
    *count = sizeof layout / sizeof *layout;
    return layout;
}
