/* The hot loop by AMX: the sums of products of bytes for TILE = 32 positions and two vectors of 16 outputs. AMX has
   eight registers, each a matrix of 16 rows of 64 bytes. Four hold the sums in int32, two the operands of 16 positions
   each for DEPTH inputs, two the weights of 16 outputs each for these inputs, [DEPTH / 4][16][4] as NativeLayers packs
   them. Sums are exact integers in any order. */

#include "kernels.h"

#undef TILE
#define TILE 32
#define PAIR (2 * LANES)
#define ORDER NULL
#define DEPTH 64

/* Has the compiler write all that it holds in registers to memory, as what p points to: it does not know what AMX's
   instructions read. */
static inline void reach_memory(const void *p) { __asm__ volatile("" : : "r"(p) : "memory"); }

/* Sets the shape of this thread's eight registers: 16 rows of 64 bytes each. */
static inline void begin_tiles(void) {
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } shape = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        shape.row_bytes[i] = 64;
        shape.rows[i] = 16;
    }
    reach_memory(&shape);
    _tile_loadconfig(&shape);
}

#define BEGIN_TILES begin_tiles();
#define END_TILES _tile_release();

/* Writes a layer's outputs for the operands of TILE positions, u, [TILE][stride], and the two vectors of outputs from
   `first` on: products added up, plus bias, times multiplier. */
static inline void sums_of_tile(const Layer *layer, const operand *u, int64_t stride, int64_t first, vf sums[TILE][2]) {
    int64_t depth = layer->steps * GROUP;
    const weight *w = (const weight *)layer->weights + first * depth;
    int32_t whole[2][2][16][LANES];
    reach_memory(u);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t k = 0; k < depth; k += DEPTH) {
        const weight *here = w + k * PAIR;
        _tile_loadd(4, u + k, stride);
        _tile_loadd(5, u + 16 * stride + k, stride);
        _tile_loadd(6, here, PAIR * GROUP);
        _tile_loadd(7, here + LANES * GROUP, PAIR * GROUP);
        _tile_dpbusd(0, 4, 6);
        _tile_dpbusd(1, 4, 7);
        _tile_dpbusd(2, 5, 6);
        _tile_dpbusd(3, 5, 7);
    }
    _tile_stored(0, whole[0][0], 64);
    _tile_stored(1, whole[0][1], 64);
    _tile_stored(2, whole[1][0], 64);
    _tile_stored(3, whole[1][1], 64);
    reach_memory(whole);
    for (int half = 0; half < 2; half++) {
        vi bias = load_bias(layer->bias, first + half * LANES);
        vf multiplier = load(layer->multiplier + first + half * LANES);
        for (int i = 0; i < TILE; i++) {
            vi sum = add_whole(_mm512_loadu_si512(whole[i / 16][half][i % 16]), bias);
            sums[i][half] = mul(to_float(sum), multiplier);
        }
    }
}
