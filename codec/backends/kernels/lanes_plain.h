/* Vectors of 4 numbers, as every processor with SSE2 or NEON has them, mostly in the compiler's own notation. */

#define LANES 4
#if defined(ARM)
#include <arm_neon.h>
#define TILE 8 /* positions at a time: 16 of 32 registers hold their sums, others what compilers load ahead */
#else
#define TILE 6 /* 12 of 16 */
#endif
#define GROUP 1
#define OFFSET 0

typedef float vf __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t vi __attribute__((vector_size(16), aligned(4), may_alias));

static inline vf load(const float *p) { return *(const vf *)p; }
static inline void store(float *p, vf x) { *(vf *)p = x; }
static inline vf set(float x) { return (vf){x, x, x, x}; }
static inline vf add(vf x, vf y) { return x + y; }
static inline vf mul(vf x, vf y) { return x * y; }
static inline vf chosen(vi mask, vf x, vf y) { return (vf)(((vi)x & mask) | ((vi)y & ~mask)); }
/* x * y + z, of whole numbers: rounding it once or twice is the same. */
#if defined(ARM)
static inline vf fused(vf x, vf y, vf z) { return (vf)vfmaq_f32((float32x4_t)z, (float32x4_t)x, (float32x4_t)y); }
#else
static inline vf fused(vf x, vf y, vf z) { return x * y + z; }
#endif
static inline vf clamp(vf x, vf least, vf most) {
    x = chosen(x < least, least, x);
    return chosen(x > most, most, x);
}
static inline vf to_float(vi x) { return __builtin_convertvector(x, vf); }
static inline vi bits(vf x) { return (vi)x; }
static inline vi set_whole(int x) { return (vi){x, x, x, x}; }
static inline vi add_whole(vi x, vi y) { return x + y; }
static inline vi masked(vi x, vi mask) { return x & mask; }
static inline vi shifted(vi x, int bits) { return x >> bits; }
static inline vi from_bytes(const uint8_t *p) { return (vi){p[0], p[1], p[2], p[3]}; }
static inline void to_bytes(uint8_t *p, vi x) {
    for (int i = 0; i < LANES; i++) p[i] = x[i];
}

/* Of magnitudes up to 2^22: there float32 has no digits below 1 beyond 2^23, so that adding 1.5 * 2^23 rounds, half to
   even. */
static inline vi rounded(vf x) {
    vf shift = set(12582912.0f);
    vf moved = x + shift;
    return __builtin_convertvector(moved - shift, vi);
}

typedef float operand;
typedef float weight;
typedef vf va;
static inline va load_bias(const void *bias, int64_t first) {
    return load((const float *)bias + first);
}
static inline vf sum_float(va x) { return x; }
static inline void put(operand *p, vi x) { store(p, to_float(x)); }
static inline vi get(const operand *p) { return __builtin_convertvector(load(p), vi); }
static inline vf words(const operand *p) { return set(*p); }
static inline vf weights(const weight *p) { return load(p); }
static inline va dot(va sum, vf u, vf w) { return fused(u, w, sum); }
