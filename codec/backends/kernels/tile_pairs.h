/* The hot loop on levels without VNNI: for TILE positions and one vector of outputs after the other. These processors
   multiply bytes in pairs only and add two neighbouring products in 16 bits, with saturation. order.c has put words,
   weights for four inputs, into runs whose sums never saturate; the products of a run are added up in 16 bits and then
   go to the sums in int32, which stay in registers. All sums are exact integers. */

#include "kernels.h"
#include "registers.h"

#define PAIR (2 * LANES)
#define ORDER cae_order
#define DEPTH LANES
#define BEGIN_TILES
#define END_TILES

/* The sums in 16 bits of the products of a run of `length` words with the operands of one position, u. */
static inline __attribute__((always_inline)) vi run_of(const operand *u, const int32_t *places, const weight *w,
                                                       int length) {
    vi sum = pairs(words(u + places[0]), weights(w));
    for (int j = 1; j < length; j++) sum = add_pairs(sum, pairs(words(u + places[j]), weights(w + j * LANES * GROUP)));
    return sum;
}

/* Writes a layer's outputs for the operands of TILE positions, u, [TILE][stride], and the vector of outputs from
   `first` on, to one half of `sums`. */
static inline void sums_of_half(const Layer *layer, const operand *u, int64_t stride, int64_t first, int half,
                                vf sums[TILE][2]) {
    const weight *w = (const weight *)layer->weights + first * layer->steps * GROUP;
    const int32_t *runs = layer->order + first / LANES * (LONGEST_RUN + layer->steps), *places = runs + LONGEST_RUN;
    va bias = load_bias(layer->bias, first);
#define NAME(i) va sum##i = bias;
    EACH(NAME)
#define ADD_RUN(i)                                                                        \
    sum##i = add_whole(sum##i, sum_pairs(run_of(u + i * stride, places, w, LENGTH)));     \
    KEEP(sum##i)
#define ADD_RUNS(length)                                                                            \
    for (int32_t n = runs[length - 1]; n > 0; n--, places += length, w += length * LANES * GROUP) { \
        enum { LENGTH = length };                                                                   \
        EACH(ADD_RUN)                                                                               \
    }
    ADD_RUNS(1)
    ADD_RUNS(2)
    ADD_RUNS(3)
    ADD_RUNS(4)
    vf multiplier = load(layer->multiplier + first);
#define FINISH(i) sums[i][half] = mul(sum_float(sum##i), multiplier);
    EACH(FINISH)
}

/* Writes a layer's outputs for the operands of TILE positions, u, [TILE][stride], and the two vectors of outputs from
   `first` on: products added up, plus bias, times multiplier. */
static inline void sums_of_tile(const Layer *layer, const operand *u, int64_t stride, int64_t first, vf sums[TILE][2]) {
    sums_of_half(layer, u, stride, first, 0, sums);
    sums_of_half(layer, u, stride, first + LANES, 1, sums);
}
