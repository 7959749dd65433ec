/* Vectors of LANES = 4 numbers of 32 bits, by NEON with dot products; lanes_256.h says what the names mean. NEON
   multiplies bytes with sign only, so operands are stored as int8, OFFSET = 128 less, which the packed biases make
   up for. */
#include <arm_neon.h>

#define LANES 4
#define TILE 8 /* positions at a time: 16 of 32 registers hold their sums, others values that are loaded ahead */
#define GROUP 4
#define OFFSET 128

typedef float32x4_t vf;
typedef int32x4_t vi;

static inline vf load(const float *p) { return vld1q_f32(p); }
static inline void store(float *p, vf x) { vst1q_f32(p, x); }
static inline vf set(float x) { return vdupq_n_f32(x); }
static inline vf add(vf x, vf y) { return vaddq_f32(x, y); }
static inline vf mul(vf x, vf y) { return vmulq_f32(x, y); }
/* x * y + z of integers below 2^24, so that rounding once or twice is the same. */
static inline vf fused(vf x, vf y, vf z) { return vfmaq_f32(z, x, y); }
static inline vf clamp(vf x, vf least, vf most) { return vminq_f32(vmaxq_f32(x, least), most); }
static inline vi rounded(vf x) { return vcvtnq_s32_f32(x); }
static inline vf to_float(vi x) { return vcvtq_f32_s32(x); }
static inline vi bits(vf x) { return vreinterpretq_s32_f32(x); }
static inline vi set_whole(int x) { return vdupq_n_s32(x); }
static inline vi add_whole(vi x, vi y) { return vaddq_s32(x, y); }
static inline vi masked(vi x, vi mask) { return vandq_s32(x, mask); }
static inline vi shifted(vi x, int bits) { return vshlq_s32(x, vdupq_n_s32(-bits)); }
static inline vi from_bytes(const uint8_t *p) {
    uint32_t word;
    memcpy(&word, p, 4);
    return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(vmovl_u8(vcreate_u8(word)))));
}
static inline void to_bytes(uint8_t *p, vi x) {
    int16x4_t halves = vmovn_s32(x);
    uint32_t word = vget_lane_u32(vreinterpret_u32_s8(vmovn_s16(vcombine_s16(halves, halves))), 0);
    memcpy(p, &word, 4);
}

typedef vi va;
static inline va load_bias(const void *bias, int64_t first) { return vld1q_s32((const int32_t *)bias + first); }
static inline vf sum_float(va x) { return to_float(x); }

typedef int8_t operand;
typedef int8_t weight;
static inline void put(operand *p, vi x) { to_bytes((uint8_t *)p, vsubq_s32(x, vdupq_n_s32(OFFSET))); }
static inline vi get(const operand *p) {
    uint32_t word;
    memcpy(&word, p, 4);
    return vaddq_s32(vmovl_s16(vget_low_s16(vmovl_s8(vcreate_s8(word)))), vdupq_n_s32(OFFSET));
}
/* Four operands, in all lanes. */
static inline va words(const operand *p) {
    int32_t word;
    memcpy(&word, p, 4);
    return vdupq_n_s32(word);
}
static inline va weights(const weight *p) { return vreinterpretq_s32_s8(vld1q_s8(p)); }
static inline va dot(va sum, va u, va w) { return vdotq_s32(sum, vreinterpretq_s8_s32(w), vreinterpretq_s8_s32(u)); }
