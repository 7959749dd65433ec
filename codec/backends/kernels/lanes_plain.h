/* Vectors of LANES = 4 numbers of 32 bits in the vector types of GCC and Clang, which every processor with SSE2 or NEON
   has; lanes_256.h says what the names mean. Operands, weights and sums are float32, so GROUP is 1. */

#define LANES 4
#if defined(ARM)
#include <arm_neon.h>
#define TILE 8 /* positions at a time: 16 of 32 registers hold their sums, others values that are loaded ahead */
#else
#define TILE 6 /* positions at a time: 12 of 16 registers hold their sums */
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
/* x where the mask has all bits set, y where it has none. */
static inline vf chosen(vi mask, vf x, vf y) { return (vf)(((vi)x & mask) | ((vi)y & ~mask)); }
/* x * y + z of integers below 2^24, so that rounding once or twice is the same. */
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

/* Magnitudes up to 2^22 rounded half to even: adding 1.5 * 2^23 does it, since from 2^23 on float32 has no fraction. */
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
