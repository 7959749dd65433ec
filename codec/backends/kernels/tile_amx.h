/* Sums of products for some positions and two vectors of outputs, by AMX: its registers are matrices of 16 rows of 64
   bytes. */

#include "kernels.h"

#undef TILE
#define TILE 32
#define PAIR (2 * LANES)
#define ORDER NULL
#define DEPTH 64

/* Compilers do not know all that these instructions read: what `p` points to is to be in memory now. */
static inline void reach_memory(const void *p) { __asm__ volatile("" : : "r"(p) : "memory"); }

/* What the registers hold, for this thread: 16 rows of 64 bytes each. */
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

/* The sums of TILE positions and the two vectors of outputs that begin at `first`. u: [TILE][stride]. */
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
