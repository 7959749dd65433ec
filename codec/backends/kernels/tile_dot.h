/* The hot loop on levels whose dot() adds products of bytes, or of float32, to sums of 32 bits: for TILE positions and
   two vectors of outputs, whose 2 TILE sums stay in registers. In each step it loads the weights of GROUP inputs, one
   vector for LANES outputs, and multiplies both vectors by the operands of each position, repeated in all lanes. Sums
   are exact integers below 2^24, in int32 or in float32. */

#include "kernels.h"
#include "registers.h"

#define PAIR (2 * LANES)
#define ORDER NULL
#define DEPTH LANES
#define BEGIN_TILES
#define END_TILES

/* Writes a layer's outputs for the operands of TILE positions, u, [TILE][stride], and the two vectors of outputs from
   `first` on: products added up, plus bias, times multiplier. */
static inline void sums_of_tile(const Layer *layer, const operand *u, int64_t stride, int64_t first, vf sums[TILE][2]) {
    const weight *w = (const weight *)layer->weights + first * layer->steps * GROUP;
    va bias[2] = {load_bias(layer->bias, first), load_bias(layer->bias, first + LANES)};
#define NAME(i) va left##i = bias[0], right##i = bias[1];
    EACH(NAME)
    for (int64_t k = 0; k < layer->steps; k++, w += PAIR * GROUP) {
        va left = weights(w), right = weights(w + LANES * GROUP), word;
#define ADD_PRODUCTS(i)                          \
    word = words(u + i * stride + k * GROUP);    \
    left##i = dot(left##i, word, left);          \
    right##i = dot(right##i, word, right);       \
    KEEP(left##i) KEEP(right##i)
        EACH(ADD_PRODUCTS)
    }
    vf multiplier[2] = {load(layer->multiplier + first), load(layer->multiplier + first + LANES)};
#define FINISH(i)                                                          \
    sums[i][0] = mul(sum_float(left##i), multiplier[0]);     \
    sums[i][1] = mul(sum_float(right##i), multiplier[1]);
    EACH(FINISH)
}
