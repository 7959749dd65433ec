/* Whether a library of kernels gives the same numbers with every level of instructions, where there is no Python to try
   it in: under another system, or an emulator of one.

       elsewhere LIBRARY

   prints the levels and a digest of what each kernel made of the same random numbers, and ends with 1 where two levels
   differ. tests/test_wheels.py compares the digests with those of another system's library. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../codec/backends/kernels/kernels.h"

typedef const Kernels *(*Find)(int64_t version, int64_t index, int64_t *count);

#if defined(_WIN32)
#include <windows.h>
static Find find(const char *path) {
    HMODULE library = LoadLibraryA(path);
    return library ? (Find)(void *)GetProcAddress(library, "cae_kernels") : NULL;
}
#else
#include <dlfcn.h>
static Find find(const char *path) {
    void *library = dlopen(path, RTLD_NOW);
    return library ? (Find)dlsym(library, "cae_kernels") : NULL;
}
#endif

enum { CHANNELS = 72, WIDE = 150, HEIGHT = 14, WIDTH = 18, POSITIONS = 2 * HEIGHT * WIDTH };

static const Shape SHAPE = {2, HEIGHT, WIDTH};

/* What is random, and the same for every level: Marsaglia's xorshift of 64 bits. */
static uint64_t state;

static int64_t random_up_to(int64_t most) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % (most + 1);
}

/* Memory with room for vectors at its ends, of zeros; it is never given back. */
static void *room(int64_t bytes) { return (char *)calloc(bytes + 512, 1) + 256; }

static float *random_floats(int64_t count, int64_t most) {
    float *x = room(4 * count);
    for (int64_t i = 0; i < count; i++) x[i] = (random_up_to(16 * most) - 8 * most) / 8.0f;
    return x;
}

static uint8_t *random_bytes(int64_t count) {
    uint8_t *x = room(count);
    for (int64_t i = 0; i < count; i++) x[i] = random_up_to(255);
    return x;
}

/* FNV-1a of 64 bits. */
static uint64_t digest(const void *data, int64_t bytes) {
    uint64_t found = 0xcbf29ce484222325;
    for (int64_t i = 0; i < bytes; i++) found = (found ^ ((const uint8_t *)data)[i]) * 0x100000001b3;
    return found;
}

static int64_t up_to_multiple(int64_t count, int64_t of) { return (count + of - 1) / of * of; }

/* A layer of random weights as a level needs them (backends/native_layers.py does the same). */
static Layer layer(const Kernels *kernels, int64_t inputs, int64_t outputs) {
    int64_t group = kernels->group, tile = kernels->order ? kernels->lanes : 2 * kernels->lanes;
    int64_t depth = up_to_multiple(inputs, kernels->depth), padded = up_to_multiple(outputs, 2 * kernels->lanes);
    int64_t words = depth / group;
    int8_t *bytes = room(depth * padded);
    float *floats = room(4 * depth * padded), *float_bias = room(4 * padded), *multiplier = room(4 * padded);
    int32_t *bias = room(4 * padded);
    for (int64_t output = 0; output < outputs; output++) {
        for (int64_t input = 0; input < inputs; input++) {
            int8_t weight = random_up_to(254) - 127;
            int64_t to = ((output / tile * words + input / group) * tile + output % tile) * group + input % group;
            bytes[to] = weight;
            floats[to] = weight;
            bias[output] += weight * kernels->offset;
        }
        bias[output] += random_up_to(10000) - 5000;
        float_bias[output] = bias[output];
        multiplier[output] = 1.0f / (16 << random_up_to(8));
    }
    Layer made = {group == 1 ? (void *)floats : bytes, group == 1 ? (void *)float_bias : bias, multiplier,
                  NULL, words, inputs, outputs};
    if (kernels->order) {
        int64_t vectors = padded / tile, most = 2 * words;
        int32_t *order = room(4 * vectors * (LONGEST_RUN + most)), *own_order = room(4 * vectors * (LONGEST_RUN + most));
        int8_t *ordered = room(4 * vectors * most * tile), *own = room(4 * vectors * most * tile);
        made.steps = kernels->order(bytes, vectors, words, tile, order, ordered);
        for (int64_t v = 0; v < vectors; v++) {
            memcpy(own + v * made.steps * 4 * tile, ordered + v * most * 4 * tile, made.steps * 4 * tile);
            memcpy(own_order + v * (LONGEST_RUN + made.steps), order + v * (LONGEST_RUN + most),
                   4 * (LONGEST_RUN + made.steps));
        }
        made.weights = own;
        made.order = own_order;
    }
    return made;
}

static uint64_t products(const Kernels *kernels, int64_t begin, int64_t end) {
    Layer first = layer(kernels, CHANNELS, WIDE), second = layer(kernels, CHANNELS, WIDE);
    float *x = random_floats(POSITIONS * CHANNELS, 40000), *gain = random_floats(WIDE, 4);
    float *scale = random_floats(CHANNELS, 2), *out = room(4 * POSITIONS * WIDE);
    Term terms[] = {{&first, {x, scale, UPPER, 8, 0, -32767, 32767, 0}}, {&second, {x, scale, LOWER, 8, 0, -32767, 32767, 0}}};
    kernels->product(terms, 2, gain, out, begin, end);
    uint64_t found = digest(out, 4 * POSITIONS * WIDE);
    Term one = {&first, {x, NULL, NARROW, 3, 0, 0, 0, 0}};
    kernels->product(&one, 1, NULL, out, begin, end);
    found ^= digest(out, 4 * POSITIONS * WIDE);
    Term pixels = {&second, {random_bytes(POSITIONS * CHANNELS), NULL, BYTES, 0, 0, 0, 0, 0}};
    kernels->product(&pixels, 1, NULL, out, begin, end);
    found ^= digest(out, 4 * POSITIONS * WIDE);
    Layer both = layer(kernels, 2 * CHANNELS, WIDE);
    int32_t *whole = room(4 * POSITIONS * CHANNELS);
    for (int64_t i = 0; i < POSITIONS * CHANNELS; i++) whole[i] = random_up_to(60000) - 30000;
    Term halves = {&both, {whole, scale, BOTH, 8, 1, -32896, 32639, 128}};
    kernels->product(&halves, 1, NULL, out, begin, end);
    return found ^ digest(out, 4 * POSITIONS * WIDE);
}

static uint64_t block(const Kernels *kernels, int64_t begin, int64_t end) {
    int64_t depth = up_to_multiple(CHANNELS, kernels->depth), bordered = 2 * (HEIGHT + 2) * (WIDTH + 2) * depth;
    Block made = {.mix = layer(kernels, CHANNELS, CHANNELS)};
    float *spatial[3] = {room(4 * 9 * depth), room(4 * depth), room(4 * depth)};
    for (int64_t c = 0; c < CHANNELS; c++) {
        for (int64_t tap = 0; tap < 9; tap++) spatial[0][tap * depth + c] = random_up_to(254) - 127;
        spatial[1][c] = random_up_to(10000) - 5000;
        spatial[2][c] = 1.0f / 512;
    }
    made.spatial_weights = spatial[0];
    made.spatial_bias = spatial[1];
    made.spatial_multiplier = spatial[2];
    made.project = layer(kernels, CHANNELS, CHANNELS);
    made.value = layer(kernels, CHANNELS, 2 * CHANNELS);
    made.gate = layer(kernels, CHANNELS, 2 * CHANNELS);
    made.contract = layer(kernels, 2 * CHANNELS, CHANNELS);
    float *x = random_floats(POSITIONS * CHANNELS, 1000);
    void *mixed = room(kernels->group == 1 ? 4 * bordered : bordered);
    if (kernels->group == 4) memset(mixed, -kernels->offset, bordered);
    if (kernels->group == 1)
        for (int64_t i = 0; i < bordered; i++) ((float *)mixed)[i] = -kernels->offset;
    kernels->mix(&made, x, mixed, &SHAPE, 0, POSITIONS);
    kernels->rest(&made, x, mixed, &SHAPE, begin, end);
    return digest(x, 4 * POSITIONS * CHANNELS);
}

static uint64_t parameters(const Kernels *kernels, int64_t begin, int64_t end) {
    Layer for_means = layer(kernels, CHANNELS, 50), for_scales = layer(kernels, CHANNELS, 50);
    float *unit = random_floats(128, 2), *log_unit = random_floats(128, 60);
    Parameters given = {for_means, for_scales, unit, log_unit, 1 << 20, 1.0f / 256, 63, 1, 0};
    float *x = random_floats(POSITIONS * CHANNELS, 1000), *means = room(4 * POSITIONS / 4 * 50);
    uint8_t *rows = room(POSITIONS / 4 * 50);
    kernels->parameters(&given, x, means, rows, &SHAPE, begin / 4, end / 4);
    return digest(means, 4 * POSITIONS / 4 * 50) ^ digest(rows, POSITIONS / 4 * 50);
}

static uint64_t samples(const Kernels *kernels, int64_t begin, int64_t end) {
    int64_t count = POSITIONS * 768;
    float *patches = random_floats(count, 300), *corrections = random_floats(count, 20);
    uint8_t *out = room(count);
    kernels->samples(patches, corrections, out, &SHAPE, begin / WIDTH, end / WIDTH);
    return digest(out, count);
}

static uint64_t with_logs(const Kernels *kernels, int64_t begin, int64_t end) {
    int16_t *logs = room(2 * 32768);
    for (int64_t i = 0; i < 32768; i++) logs[i] = random_up_to(32767);
    float *y = random_floats(POSITIONS * CHANNELS, 10), *out = room(8 * POSITIONS * CHANNELS);
    for (int64_t i = 0; i < POSITIONS * CHANNELS; i++) y[i] *= 0.123f;
    kernels->with_logs(y, logs, out, CHANNELS, 4096, 32767, begin, end);
    return digest(out, 8 * POSITIONS * CHANNELS);
}

static uint64_t coding(const Kernels *kernels, int64_t begin, int64_t end) {
    int64_t size = CHANNELS / 4, count = POSITIONS * size; /* all four classes */
    Cells cells = {size, CHANNELS, {0, size, 2 * size, 3 * size}, {0, 1, 0, 1}, {0, 1, 1, 0}};
    float *unit = random_floats(CHANNELS, 50), *worth = room(4 * CHANNELS), *extra = random_floats(64 * 17, 2);
    uint8_t *coded = room(256), *rows = random_bytes(count);
    for (int64_t c = 0; c < CHANNELS; c++) worth[c] = 1 + random_up_to(20) / 4.0f;
    for (int64_t row = 0; row < 64; row++) coded[row] = row > 9;
    for (int64_t i = 0; i < count; i++) rows[i] &= 63;
    Rounding rounding = {unit, worth, extra, coded, 16, 1 << 19};
    float *means = random_floats(count, 200), *y = random_floats(POSITIONS * CHANNELS, 5);
    int32_t *symbols = room(4 * count), *latents = room(4 * POSITIONS * CHANNELS);
    kernels->round(&rounding, &cells, means, rows, y, symbols, &SHAPE, begin, end);
    kernels->place(&cells, means, symbols, latents, &SHAPE, begin, end);
    int64_t sums[2] = {0, 0};
    const uint8_t *one = random_bytes(3 * 1000), *other = random_bytes(3 * 1000);
    kernels->compare(one, other, 999, sums);
    return digest(symbols, 4 * count) ^ digest(latents, 4 * POSITIONS * CHANNELS) ^ digest(sums, sizeof sums);
}

/* Steps of random symbols, some of them beyond their tables, onto a stack and back: 0 if others come back. */
static uint64_t entropy(const Kernels *kernels, int64_t begin, int64_t end) {
    enum { ROWS = 5, MOST = 2 * 40 + 3 };
    int64_t count = end - begin, starts[ROWS];
    int32_t *half_widths = room(4 * ROWS), *order = room(4 * count);
    uint32_t *sums = room(4 * ROWS * MOST), *words = room(4 * (6 * count + 2));
    uint16_t *lookup = room(2 * ROWS * LOOKUP);
    for (int row = 0; row < ROWS; row++) {
        int64_t width = row ? 10 * row : 0, entries = width ? 2 * width + 2 : 0;
        uint32_t *own = sums + row * MOST;
        half_widths[row] = width;
        starts[row] = row * MOST;
        for (int64_t i = 0; i < entries; i++) own[i + 1] = own[i] + 1 + random_up_to(65536 / entries - 2);
        if (entries) own[entries] = 65536;
        for (int64_t part = 0, entry = 0; entries && part < LOOKUP; part++) {
            while (own[entry + 1] <= part * (65536 / LOOKUP)) entry++;
            lookup[row * LOOKUP + part] = entry;
        }
    }
    Tables tables = {half_widths, sums, starts, lookup, ROWS};
    Stack stack = {0, words, 0};
    uint8_t *rows[2] = {random_bytes(count), random_bytes(count)};
    int32_t *symbols[2] = {room(4 * count), room(4 * count)}, *back = room(4 * count);
    int64_t wrong = 0;
    for (int step = 1; step >= 0; step--) {
        for (int64_t i = 0; i < count; i++) {
            rows[step][i] %= ROWS;
            int64_t most = INT64_C(1) << random_up_to(19);
            symbols[step][i] = rows[step][i] ? random_up_to(2 * most) - most : 0;
        }
        wrong += kernels->encode_step(&tables, &stack, rows[step], symbols[step], order, count);
    }
    uint64_t found = digest(words, 4 * stack.count) ^ stack.state;
    for (int step = 0; step < 2; step++) {
        wrong += kernels->decode_step(&tables, &stack, rows[step], back, order, count);
        wrong += memcmp(back, symbols[step], 4 * count) != 0;
    }
    return wrong || stack.count || stack.state ? 0 : found;
}

enum { PARTS = 7 };

int main(int argc, char **argv) {
    uint64_t (*const parts[PARTS])(const Kernels *, int64_t, int64_t) = {products,  block,  parameters, samples,
                                                                       with_logs, coding, entropy};
    Find kernels_of = argc == 2 ? find(argv[1]) : NULL;
    if (!kernels_of) {
        fprintf(stderr, "usage: elsewhere LIBRARY\n");
        return 2;
    }
    int64_t count = 0;
    kernels_of(CAE_KERNELS_VERSION, -1, &count);
    uint64_t found[PARTS] = {0}, expected[PARTS] = {0};
    int levels = 0, wrong = 0;
    for (int64_t index = count - 1; index >= 0; index--) {
        const Kernels *kernels = kernels_of(CAE_KERNELS_VERSION, index, &count);
        if (!kernels) continue;
        printf("%s%s", levels ? " " : "", kernels->name);
        for (int part = 0; part < PARTS; part++) {
            state = 88172645463325252 + part;
            found[part] = parts[part](kernels, WIDTH, POSITIONS - 2 * WIDTH);
            if (!levels) expected[part] = found[part];
            wrong += found[part] != expected[part] || !found[part];
        }
        levels++;
    }
    for (int part = 0; part < PARTS; part++) printf("%c%016" PRIx64, part ? ' ' : '\n', expected[part]);
    printf("\n");
    return !levels || wrong;
}
