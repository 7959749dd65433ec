/* Sums of products of bytes for some positions and two vectors of outputs, on processors that have them in pairs alone:
   two neighbouring products, added in 16 bits and limited there. order.c puts words of four weights into runs whose
   sums never meet the limit; they are added up in 16 bits and go to sums of 32 bits together. */

#include "kernels.h"
#include "registers.h"

#define PAIR (2 * LANES)
#define ORDER cae_order
#define DEPTH LANES
#define BEGIN_TILES
#define END_TILES

/* The products of a run of words, for one position and a vector of outputs. */
static inline __attribute__((always_inline)) vi run_of(const operand *u, const int32_t *places, const weight *w,
                                                       int length) {
    vi sum = pairs(words(u + places[0]), weights(w));
    for (int j = 1; j < length; j++)
        sum = add_pairs(sum, pairs(words(u + places[j]), weights(w + j * PAIR * GROUP)));
    return sum;
}

/* The sums of TILE positions and the two vectors of outputs that begin at `first`. u: [TILE][stride]. */
static inline void sums_of_tile(const Layer *layer, const operand *u, int64_t stride, int64_t first, vf sums[TILE][2]) {
    const weight *w = (const weight *)layer->weights + first * layer->steps * GROUP;
    const int32_t *runs = layer->order + first / PAIR * (LONGEST_RUN + layer->steps), *places = runs + LONGEST_RUN;
    va bias[2] = {load_bias(layer->bias, first), load_bias(layer->bias, first + LANES)};
#define NAME(i) va left##i = bias[0], right##i = bias[1];
    EACH(NAME)
#define ADD_RUN(i)                                                                                        \
    left##i = add_whole(left##i, sum_pairs(run_of(u + i * stride, places, w, LENGTH)));                   \
    right##i = add_whole(right##i, sum_pairs(run_of(u + i * stride, places, w + LANES * GROUP, LENGTH))); \
    KEEP(left##i) KEEP(right##i)
#define ADD_RUNS(length)                                                                            \
    for (int32_t n = runs[length - 1]; n > 0; n--, places += length, w += length * PAIR * GROUP) { \
        enum { LENGTH = length };                                                                   \
        EACH(ADD_RUN)                                                                               \
    }
    ADD_RUNS(1)
    ADD_RUNS(2)
    ADD_RUNS(3)
    ADD_RUNS(4)
    vf multiplier[2] = {load(layer->multiplier + first), load(layer->multiplier + first + LANES)};
#define FINISH(i)                                        \
    sums[i][0] = mul(sum_float(left##i), multiplier[0]); \
    sums[i][1] = mul(sum_float(right##i), multiplier[1]);
    EACH(FINISH)
}
