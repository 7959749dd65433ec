/* The kernels of the networks' layers, written in terms of one level's vectors (lanes_*.h) and its sums of products
   (tile_*.h), which are to be included before. Kernels in kernels.h says what each does with its arguments.

   Every kernel takes CHUNK positions at a time: it makes operands of their activations in a buffer, [CHUNK][padded
   inputs], and lets sums_of_tile, the hot loop, multiply them by weights for TILE positions and PAIR outputs at a time.
   A residual block is done in two passes, since its 3x3 convolution needs neighbours: mix writes operands of all
   positions to a buffer with a border of zeros, rest reads three rows of it and does the other layers of a chunk while
   that is in the cache.

   Sums of products are exact integers; what follows them is done in float32 by the operations of
   backends/numpy_layers.py in their order, one at a time, so that all levels, and numpy, have the same results. */

#include <stdlib.h>

#include "kernels.h"

#define CHUNK 96 /* positions that go through all layers of a kernel together, so that their values stay in the cache */
#define ONE_STEP 0.125f /* 1 / OPERAND_STEP: what activations are multiplied by to become operands of narrow layers */

/* The number of operands that a position with so many channels has in memory. */
static inline int64_t padded(int64_t channels) { return (channels + DEPTH - 1) / DEPTH * DEPTH; }

/* The first `count` numbers at p, at most LANES, then zeros. */
static inline vf load_some(const float *p, int64_t count) {
    float values[LANES] = {0};
    if (count >= LANES) return load(p);
    memcpy(values, p, count * sizeof *p);
    return load(values);
}

/* Writes the first `count` numbers of x, at most LANES, to p. */
static inline void store_some(float *p, vf x, int64_t count) {
    float values[LANES];
    if (count >= LANES) {
        store(p, x);
        return;
    }
    store(values, x);
    memcpy(p, values, count * sizeof *p);
}

/* A loop over the tiles of `count` positions and all outputs of a layer: a tile has positions top .. top + TILE - 1 and
   outputs first .. first + PAIR - 1. Outputs are outermost, so that their weights stay in the cache. */
#define FOR_TILES(layer, count)                                            \
    for (int64_t first = 0; first < (layer)->outputs; first += PAIR)       \
        for (int64_t top = 0; top < (count); top += TILE)

static inline int64_t least(int64_t x, int64_t y) { return x < y ? x : y; }

/* Adds a layer's outputs for operands u, [count][stride], to x, [count][outputs]. */
static void add_sums(const Layer *layer, const operand *u, int64_t stride, float *x, int64_t count) {
    FOR_TILES(layer, count) {
        vf sums[TILE][2];
        sums_of_tile(layer, u + top * stride, stride, first, sums);
        for (int64_t i = 0; i < least(TILE, count - top); i++)
            for (int half = 0; half < 2; half++) {
                int64_t output = first + half * LANES, some = layer->outputs - output;
                float *to = x + (top + i) * layer->outputs + output;
                if (some > 0) store_some(to, add(load_some(to, some), sums[i][half]), some);
            }
    }
}

/* Sums rounded to operands, 0 .. 255. Clamping at 0 is also the rectifier. */
static inline vi to_operands(vf x) { return rounded(clamp(x, set(0), set(255))); }

/* Numbers rounded to operands, for which 128 stands for 0. */
static inline vi to_signed_operands(vf x) {
    return add_whole(rounded(clamp(x, set(-128), set(127))), set_whole(128));
}

/* Writes the operands of a narrow layer to u, [channels]: activations x, [channels], times factor, around 128. */
static inline void narrow(const float *x, int64_t channels, float factor, operand *u) {
    for (int64_t c = 0; c < channels; c += LANES)
        put(u + c, to_signed_operands(mul(load_some(x + c, channels - c), set(factor))));
}

/* Writes the first `count` numbers of x, at most LANES, to p as bytes; they are 0 .. 255. */
static inline void store_bytes(uint8_t *p, vi x, int64_t count) {
    uint8_t values[LANES];
    if (count >= LANES) {
        to_bytes(p, x);
        return;
    }
    to_bytes(values, x);
    memcpy(p, values, count);
}

/* The first `count` bytes at p, at most LANES, as numbers, then zeros. */
static inline vi load_bytes(const uint8_t *p, int64_t count) {
    uint8_t values[LANES] = {0};
    if (count >= LANES) return from_bytes(p);
    memcpy(values, p, count);
    return from_bytes(values);
}

/* Memory for so many operands, or NULL; free_aligned frees it. */
static void *scratch(int64_t count) { return aligned_memory((count * sizeof(operand) + 63) / 64 * 64); }

/* The index of a position in a buffer that has a border of one position around each image. */
static inline int64_t bordered(const Shape *shape, int64_t position) {
    int64_t row = position / shape->width, column = position % shape->width;
    int64_t image = row / shape->height;
    return (row + 2 * image + 1) * (shape->width + 2) + column + 1;
}

static int64_t mix(const Block *block, const float *x, void *mixed, const Shape *shape, int64_t begin, int64_t end) {
    const Layer *layer = &block->mix;
    int64_t channels = layer->inputs, stride = padded(channels);
    operand *u = scratch(CHUNK * stride);
    if (!u) return 1;
    memset(u, 0, CHUNK * stride * sizeof *u);
    BEGIN_TILES
    for (int64_t start = begin; start < end; start += CHUNK) {
        int64_t count = least(CHUNK, end - start);
        for (int64_t i = 0; i < count; i++) narrow(x + (start + i) * channels, channels, ONE_STEP, u + i * stride);
        FOR_TILES(layer, count) {
            vf sums[TILE][2];
            sums_of_tile(layer, u + top * stride, stride, first, sums);
            for (int64_t i = 0; i < least(TILE, count - top); i++) {
                operand *to = (operand *)mixed + bordered(shape, start + top + i) * stride + first;
                put(to, to_operands(sums[i][0]));
                if (first + LANES < stride) put(to + LANES, to_operands(sums[i][1]));
            }
        }
    }
    END_TILES
    free_aligned(u);
    return 0;
}

/* Writes the operands that the depthwise 3x3 convolution gives at `count` neighbours in a row to out, [count][stride].
   at: the first of them in the buffer with borders. Nine operands stay in registers and move left with each step. */
static inline void spatial(const Block *block, const operand *at, int64_t stride, int64_t width, operand *out,
                           int64_t count) {
    for (int64_t c = 0; c < stride; c += LANES) {
        const float *weights = block->spatial_weights + c;
        const operand *above = at - (width + 2) * stride + c, *here = at + c, *below = at + (width + 2) * stride + c;
        vf bias = load(block->spatial_bias + c), multiplier = load(block->spatial_multiplier + c);
        vf w[3][3], u[3][3]; /* [row][column] */
        for (int row = 0; row < 3; row++)
            for (int column = 0; column < 3; column++) w[row][column] = load(weights + (3 * row + column) * stride);
        for (int column = 0; column < 2; column++) {
            u[0][column] = to_float(get(above + (column - 1) * stride));
            u[1][column] = to_float(get(here + (column - 1) * stride));
            u[2][column] = to_float(get(below + (column - 1) * stride));
        }
        for (int64_t i = 0; i < count; i++) {
            u[0][2] = to_float(get(above + (i + 1) * stride));
            u[1][2] = to_float(get(here + (i + 1) * stride));
            u[2][2] = to_float(get(below + (i + 1) * stride));
            vf sums[3];
            for (int row = 0; row < 3; row++) {
                sums[row] = row ? mul(u[row][0], w[row][0]) : fused(u[row][0], w[row][0], bias);
                sums[row] = fused(u[row][1], w[row][1], sums[row]);
                sums[row] = fused(u[row][2], w[row][2], sums[row]);
                u[row][0] = u[row][1];
                u[row][1] = u[row][2];
            }
            vf sum = add(add(sums[0], sums[1]), sums[2]);
            put(out + i * stride + c, to_operands(mul(sum, multiplier)));
        }
    }
}

static int64_t rest(const Block *block, float *x, const void *mixed, const Shape *shape, int64_t begin, int64_t end) {
    int64_t channels = block->mix.inputs, stride = padded(channels), wide = padded(block->contract.inputs);
    operand *u = scratch(CHUNK * stride), *v = scratch(CHUNK * wide);
    if (!u || !v) {
        free_aligned(u);
        free_aligned(v);
        return 1;
    }
    memset(u, 0, CHUNK * stride * sizeof *u);
    memset(v, 0, CHUNK * wide * sizeof *v);
    BEGIN_TILES
    for (int64_t start = begin; start < end; start += CHUNK) {
        int64_t count = least(CHUNK, end - start);
        float *here = x + start * channels;
        for (int64_t i = 0, some; i < count; i += some) {
            some = least(count - i, shape->width - (start + i) % shape->width);
            const operand *at = (const operand *)mixed + bordered(shape, start + i) * stride;
            spatial(block, at, stride, shape->width, u + i * stride, some);
        }
        add_sums(&block->project, u, stride, here, count);
        for (int64_t i = 0; i < count; i++) narrow(here + i * channels, channels, ONE_STEP, u + i * stride);
        FOR_TILES(&block->value, count) {
            vf values[TILE][2], gates[TILE][2];
            sums_of_tile(&block->value, u + top * stride, stride, first, values);
            sums_of_tile(&block->gate, u + top * stride, stride, first, gates);
            for (int64_t i = 0; i < least(TILE, count - top); i++)
                for (int half = 0; half < 2; half++) {
                    vf product = mul(values[i][half], clamp(gates[i][half], set(0), set(6)));
                    int64_t output = first + half * LANES;
                    if (output < wide) put(v + (top + i) * wide + output, to_signed_operands(product));
                }
        }
        add_sums(&block->contract, v, wide, here, count);
    }
    END_TILES
    free_aligned(u);
    free_aligned(v);
    return 0;
}

/* LANES numbers of an input at a position from channel c on, as float32 and times its scale; zeros beyond the last. */
static inline vf numbers(const Input *input, int64_t channels, int64_t position, int64_t c) {
    const float *from = (const float *)input->data + position * channels + c; /* int32 has as many bytes */
    vf x = load_some(from, channels - c);
    if (input->whole) x = to_float(bits(x));
    return input->scale ? mul(x, load_some(input->scale + c, channels - c)) : x;
}

/* Writes the operands that a layer takes at a position of its input to u, by the input's kind. */
static void take(const Input *input, int64_t channels, int64_t position, operand *u) {
    if (input->kind == BYTES) {
        const uint8_t *x = (const uint8_t *)input->data + position * channels;
        for (int64_t c = 0; c < channels; c += LANES) put(u + c, load_bytes(x + c, channels - c));
        return;
    }
    if (input->kind == NARROW) {
        narrow((const float *)input->data + position * channels, channels, 1.0f / (1 << input->shift), u);
        return;
    }
    vf least = set(input->least), most = set(input->most);
    vi left = set_whole((1 << input->shift) - 1), offset = set_whole(input->offset);
    for (int64_t c = 0; c < channels; c += LANES) {
        vf x = numbers(input, channels, position, c);
        vi whole = add_whole(rounded(clamp(x, least, most)), offset);
        if (input->kind == LOWER)
            whole = masked(whole, left);
        else
            whole = add_whole(shifted(whole, input->shift), set_whole(128));
        put(u + c, whole);
    }
    if (input->kind == BOTH) {
        Input lower = *input;
        lower.kind = LOWER;
        take(&lower, channels, position, u + channels);
    }
}

static int64_t product(const Term *terms, int64_t term_count, const float *gain, float *out, int64_t begin,
                       int64_t end) {
    operand *u[2] = {NULL, NULL};
    int64_t stride[2] = {0, 0}, outputs = terms[0].layer->outputs;
    for (int t = 0; t < term_count; t++) {
        stride[t] = padded(terms[t].layer->inputs);
        u[t] = scratch(CHUNK * stride[t] + LANES);
        if (!u[t]) {
            free_aligned(u[0]);
            return 1;
        }
        memset(u[t], 0, (CHUNK * stride[t] + LANES) * sizeof *u[t]);
    }
    BEGIN_TILES
    for (int64_t start = begin; start < end; start += CHUNK) {
        int64_t count = least(CHUNK, end - start);
        for (int t = 0; t < term_count; t++) {
            int64_t inputs = terms[t].layer->inputs, channels = terms[t].input.kind == BOTH ? inputs / 2 : inputs;
            for (int64_t i = 0; i < count; i++) take(&terms[t].input, channels, start + i, u[t] + i * stride[t]);
        }
        FOR_TILES(terms[0].layer, count) {
            vf sums[TILE][2], others[TILE][2];
            sums_of_tile(terms[0].layer, u[0] + top * stride[0], stride[0], first, sums);
            if (term_count > 1) sums_of_tile(terms[1].layer, u[1] + top * stride[1], stride[1], first, others);
            for (int64_t i = 0; i < least(TILE, count - top); i++)
                for (int half = 0; half < 2; half++) {
                    int64_t output = first + half * LANES, some = outputs - output;
                    if (some <= 0) continue;
                    vf sum = sums[i][half];
                    if (term_count > 1) sum = add(sum, others[i][half]);
                    if (gain) sum = mul(sum, load_some(gain + output, some));
                    store_some(out + (start + top + i) * outputs + output, sum, some);
                }
        }
    }
    END_TILES
    free_aligned(u[0]);
    free_aligned(u[1]);
    return 0;
}

static int64_t parameters(const Parameters *given, const float *x, float *means, uint8_t *scale_indices,
                          const Shape *shape, int64_t begin, int64_t end) {
    int64_t inputs = given->means.inputs, outputs = given->means.outputs, stride = padded(inputs);
    int64_t half_width = shape->width / 2;
    operand *u = scratch(CHUNK * stride);
    if (!u) return 1;
    memset(u, 0, CHUNK * stride * sizeof *u);
    BEGIN_TILES
    for (int64_t start = begin; start < end; start += CHUNK) {
        int64_t count = least(CHUNK, end - start);
        for (int64_t i = 0; i < count; i++) {
            int64_t row = 2 * ((start + i) / half_width) + given->down;
            int64_t column = 2 * ((start + i) % half_width) + given->right;
            narrow(x + (row * shape->width + column) * inputs, inputs, ONE_STEP, u + i * stride);
        }
        FOR_TILES(&given->means, count) {
            vf sums[TILE][2], logs[TILE][2];
            sums_of_tile(&given->means, u + top * stride, stride, first, sums);
            sums_of_tile(&given->scales, u + top * stride, stride, first, logs);
            for (int64_t i = 0; i < least(TILE, count - top); i++)
                for (int half = 0; half < 2; half++) {
                    int64_t output = first + half * LANES, some = outputs - output;
                    if (some <= 0) continue;
                    int64_t to = (start + top + i) * outputs + output;
                    vf mean = mul(sums[i][half], load(given->sigma_in_steps + output));
                    mean = clamp(mean, set(-given->mean_limit), set(given->mean_limit));
                    store_some(means + to, to_float(rounded(mean)), some);
                    vf index = add(load(given->log_sigma + output), mul(logs[i][half], set(given->scale_step)));
                    store_bytes(scale_indices + to, rounded(clamp(index, set(0), set(given->last_scale_index))), some);
                }
        }
    }
    END_TILES
    free_aligned(u);
    return 0;
}

static int64_t samples(const float *patches, const float *corrections, uint8_t *out, const Shape *shape, int64_t begin,
                    int64_t end) {
    int64_t width = shape->width;
    for (int64_t line = 16 * begin; line < 16 * end; line++)
        for (int64_t column = 0; column < 2 * width; column++) {
            /* A row of eight pixels, half a row of a patch and one of a correction: 24 samples. */
            const float *patch = patches + (line / 16 * width + column / 2) * 768 + (line % 16 * 2 + column % 2) * 24;
            const float *correction = corrections + (line / 8 * 2 * width + column) * 192 + line % 8 * 24;
            uint8_t *to = out + (line * 2 * width + column) * 24;
            for (int64_t c = 0; c < 24; c += LANES) {
                vf sum = add(load_some(patch + c, 24 - c), load_some(correction + c, 24 - c));
                store_bytes(to + c, to_operands(sum), 24 - c);
            }
        }
    return 0;
}
