/* Vectors of LANES = 8 numbers of 32 bits, by AVX2. layers.h, coding.h and tile_*.h are written in terms of the names
   here, which each lanes_*.h has: vf and vi are vectors of float32 and int32; operand and weight are the types of a
   layer's operands and weights in memory, of which GROUP share 32 bits; va is a vector of sums of their products.
   rounded() is half to even; put() and get() write and read LANES operands. */

#include <immintrin.h>

#define LANES 8
#define OFFSET 0
#ifdef VNNI
#define TILE 6 /* positions at a time: 12 of 16 registers hold their sums */
#else
#define TILE 8 /* 8 registers hold sums, others weights and sums of 16 bits */
#endif

typedef __m256 vf;
typedef __m256i vi;

static inline vf load(const float *p) { return _mm256_loadu_ps(p); }
static inline void store(float *p, vf x) { _mm256_storeu_ps(p, x); }
static inline vf set(float x) { return _mm256_set1_ps(x); }
static inline vf add(vf x, vf y) { return _mm256_add_ps(x, y); }
static inline vf mul(vf x, vf y) { return _mm256_mul_ps(x, y); }
/* x * y + z of integers below 2^24, so that rounding once or twice is the same. */
static inline vf fused(vf x, vf y, vf z) { return _mm256_fmadd_ps(x, y, z); }
static inline vf clamp(vf x, vf least, vf most) { return _mm256_min_ps(_mm256_max_ps(x, least), most); }
static inline vi rounded(vf x) { return _mm256_cvtps_epi32(x); }
static inline vf to_float(vi x) { return _mm256_cvtepi32_ps(x); }
static inline vi bits(vf x) { return _mm256_castps_si256(x); }
static inline vi set_whole(int x) { return _mm256_set1_epi32(x); }
static inline vi add_whole(vi x, vi y) { return _mm256_add_epi32(x, y); }
static inline vi masked(vi x, vi mask) { return _mm256_and_si256(x, mask); }
static inline vi shifted(vi x, int bits) { return _mm256_sra_epi32(x, _mm_cvtsi32_si128(bits)); }
static inline vi from_bytes(const uint8_t *p) { return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)); }

/* The numbers as int16, in order; they are within its range. */
static inline __m128i packed(vi x) {
    return _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
}
static inline void to_bytes(uint8_t *p, vi x) {
    __m128i halves = packed(x);
    _mm_storel_epi64((__m128i *)p, _mm_packus_epi16(halves, halves));
}

typedef vi va;
static inline va load_bias(const void *bias, int64_t first) {
    return _mm256_loadu_si256((const __m256i *)((const int32_t *)bias + first));
}
static inline vf sum_float(va x) { return to_float(x); }

typedef uint8_t operand;
typedef int8_t weight;
#define GROUP 4
static inline void put(operand *p, vi x) { to_bytes(p, x); }
static inline vi get(const operand *p) { return from_bytes(p); }
#ifdef VNNI
static inline va dot(va sum, vi u, vi w) { return _mm256_dpbusd_avx_epi32(sum, u, w); }
#else
/* pairs: products of bytes, two neighbours added in 16 bits, with saturation. add_pairs: sums of such, in 16 bits.
   sum_pairs: two neighbours of these added in 32 bits. */
static inline vi pairs(vi u, vi w) { return _mm256_maddubs_epi16(u, w); }
static inline vi add_pairs(vi x, vi y) { return _mm256_add_epi16(x, y); }
static inline vi sum_pairs(vi x) { return _mm256_madd_epi16(x, _mm256_set1_epi16(1)); }
#endif

/* Four operands, in all lanes. */
static inline vi words(const operand *p) {
    int32_t word;
    memcpy(&word, p, 4);
    return _mm256_set1_epi32(word);
}
static inline vi weights(const weight *p) { return _mm256_loadu_si256((const __m256i *)p); }
