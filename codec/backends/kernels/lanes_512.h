/* Vectors of LANES = 16 numbers of 32 bits, by AVX-512; lanes_256.h says what the names mean. */

#include <immintrin.h>

#define LANES 16
#define OFFSET 0
#define TILE 12 /* positions at a time: 24 of 32 registers hold their sums */

typedef __m512 vf;
typedef __m512i vi;

static inline vf load(const float *p) { return _mm512_loadu_ps(p); }
static inline void store(float *p, vf x) { _mm512_storeu_ps(p, x); }
static inline vf set(float x) { return _mm512_set1_ps(x); }
static inline vf add(vf x, vf y) { return _mm512_add_ps(x, y); }
static inline vf mul(vf x, vf y) { return _mm512_mul_ps(x, y); }
/* x * y + z of integers below 2^24, so that rounding once or twice is the same. */
static inline vf fused(vf x, vf y, vf z) { return _mm512_fmadd_ps(x, y, z); }
static inline vf clamp(vf x, vf least, vf most) { return _mm512_min_ps(_mm512_max_ps(x, least), most); }
static inline vi rounded(vf x) { return _mm512_cvtps_epi32(x); }
static inline vf to_float(vi x) { return _mm512_cvtepi32_ps(x); }
static inline vi bits(vf x) { return _mm512_castps_si512(x); }
static inline vi set_whole(int x) { return _mm512_set1_epi32(x); }
static inline vi add_whole(vi x, vi y) { return _mm512_add_epi32(x, y); }
static inline vi masked(vi x, vi mask) { return _mm512_and_si512(x, mask); }
static inline vi shifted(vi x, int bits) { return _mm512_sra_epi32(x, _mm_cvtsi32_si128(bits)); }
static inline vi from_bytes(const uint8_t *p) { return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)); }
static inline void to_bytes(uint8_t *p, vi x) { _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(x)); }

typedef vi va;
static inline va load_bias(const void *bias, int64_t first) {
    return _mm512_loadu_si512((const int32_t *)bias + first);
}
static inline vf sum_float(va x) { return to_float(x); }

typedef uint8_t operand;
typedef int8_t weight;
#define GROUP 4
static inline void put(operand *p, vi x) { to_bytes(p, x); }
static inline vi get(const operand *p) { return from_bytes(p); }
#ifdef VNNI
static inline va dot(va sum, vi u, vi w) { return _mm512_dpbusd_epi32(sum, u, w); }
#else
/* pairs: products of bytes, two neighbours added in 16 bits, with saturation. add_pairs: sums of such, in 16 bits.
   sum_pairs: two neighbours of these added in 32 bits. */
static inline vi pairs(vi u, vi w) { return _mm512_maddubs_epi16(u, w); }
static inline vi add_pairs(vi x, vi y) { return _mm512_add_epi16(x, y); }
static inline vi sum_pairs(vi x) { return _mm512_madd_epi16(x, _mm512_set1_epi16(1)); }
#endif

/* Four operands, in all lanes. */
static inline vi words(const operand *p) {
    int32_t word;
    memcpy(&word, p, 4);
    return _mm512_set1_epi32(word);
}
static inline vi weights(const weight *p) { return _mm512_loadu_si512(p); }
