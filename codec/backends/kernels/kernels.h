/* The codec's layers for one CPU, in one place: what each level of instructions (avx512_vnni.c, avx2.c, ...) offers.

   Everything is exact. Operands are whole numbers from 0 to 255 and weights from -127 to 127, and every sum of their
   products stays below 2^24, so its order is free. Whatever else there is are single IEEE 754 operations in float32, in
   the order of backends/numpy_layers.py; contraction to fused multiply-adds has to be off (-ffp-contract=off). */

#ifndef CAE_KERNELS_H
#define CAE_KERNELS_H

#include <stdint.h>

/* Of all that is below: instructions.py has the same number, and the same structures, by the same names. */
#define CAE_KERNELS_VERSION 5

/* A 1x1 convolution. sum = (weights @ operands + bias) * multiplier, the multiplier a power of two. */
typedef struct {
    const void *weights; /* [outputs / (2 lanes)][steps][2 lanes][group], with zeros for what is padded; or cae_order's */
    const void *bias; /* [outputs], int32, or float32 if weights are, with what operands are less; padded likewise */
    const float *multiplier; /* [outputs], padded likewise */
    const int32_t *order; /* cae_order's, [outputs / lanes][LONGEST_RUN + steps], if the level needs it */
    int64_t steps; /* inputs / group, if not */
    int64_t inputs, outputs;
} Layer;

/* A residual block; training/model/layers.py says what it does. */
typedef struct {
    Layer mix;
    const float *spatial_weights, *spatial_bias, *spatial_multiplier; /* [9][channels], [channels] twice; padded */
    Layer project, value, gate, contract;
} Block;

typedef struct {
    int64_t images, height, width;
} Shape;

/* How numbers become operands. */
enum {
    BYTES,  /* uint8, as they are */
    NARROW, /* float32, divided by 2^shift; 128 stands for 0 */
    UPPER,  /* whole numbers: how many 2^shift they have, 128 stands for 0 */
    LOWER,  /* what is left */
    BOTH,   /* one after the other, for twice as many inputs */
};

/* What a layer takes. Before they become operands, whole numbers are made of others: these are multiplied by `scale`,
   [channels], if there is one, limited and rounded, and `offset` is added. */
typedef struct {
    const void *data; /* [positions][channels] */
    const float *scale;
    int64_t kind, shift;
    int64_t whole; /* whether they are int32 instead of float32 */
    float least, most;
    int64_t offset;
} Input;

typedef struct {
    const Layer *layer;
    Input input;
} Term;

/* What the prior knows of latents that one class of positions codes in a step: means, limited and rounded, and rows of
   the probability tables. */
typedef struct {
    Layer means, scales;
    const float *sigma_in_steps, *log_sigma; /* [outputs]; padded to two vectors */
    float mean_limit, scale_step;
    int64_t last_scale_index;
    int64_t down, right; /* where in each cell of 2x2 positions they are */
} Parameters;

#define FRACTION 16 /* of a quantisation step, in which means and latents are counted */

/* Which latents a step codes: a group of channels at each class of the positions in cells of 2x2. What goes by steps has
   the classes one after the other, [4][images][height / 2][width / 2][size]. */
typedef struct {
    int64_t size, channels; /* of a group, of all */
    int64_t first[4], down[4], right[4]; /* of each class: its group's first channel, and where it is in a cell */
} Cells;

/* How latents are rounded; tile/quantize.py says why. */
typedef struct {
    const float *sigma_in_steps, *rd_weight; /* [4][size]; rd_weight: bits that a squared step is worth */
    const float *half_extra; /* [scales][depth + 1] */
    const uint8_t *coded; /* [256]: whether symbols of a scale are coded, or 0 */
    int64_t depth;
    float most;
} Rounding;

/* The probability tables of bitstream/tables.py, as the entropy coder takes them. */
typedef struct {
    const int32_t *half_widths; /* [rows], K of each: symbols are -K .. K, and the escape; 0 for a row that is skipped */
    const uint32_t *sums; /* of counts, row after row: 0, the first, the first two .. all, 65536; 2 K + 3 numbers */
    const int64_t *starts; /* [rows], where each row's begin */
    const uint16_t *lookup; /* [rows][LOOKUP]: the entry in which each of so many equal parts of 65536 begins */
    int64_t rows; /* at most 256 */
} Tables;

#define LOOKUP 256

/* The entropy coder's state, and words that are at its end. */
typedef struct {
    uint64_t state;
    uint32_t *words;
    int64_t count;
} Stack;

/* What the entropy coder gives, if not 0. */
enum {
    NO_ROW = 1,      /* a row beyond those of the tables */
    IN_SKIP_ROW = 2, /* a symbol that is not 0 in a row that is skipped */
    TOO_FAR = 3,     /* a symbol beyond what an escape can say */
};

typedef struct {
    const char *name;
    int64_t lanes; /* numbers of 32 bits in a vector */
    int64_t group; /* operands in 32 bits: 4 of int8 (weights) and uint8, or 1 of float32 */
    int64_t depth; /* operands and weights of inputs are padded to a multiple of it */
    int64_t offset; /* operands in memory are so much less */

    /* What a layer's weights have to go through, if products are added up in 16 bits; see cae_order. */
    int64_t (*order)(const int8_t *weights, int64_t vectors, int64_t words, int64_t lanes, int32_t *order,
                     int8_t *ordered);

    /* All that follow give 0, or 1 if there is no memory, and work on positions from a begin to an end, but for the
       last. */

    /* out, [positions][outputs], for positions begin .. end: the sums of one term, or of two, added; then times gain,
       [outputs], if there is one. */
    int64_t (*product)(const Term *terms, int64_t count, const float *gain, float *out, int64_t begin, int64_t end);

    /* A block in two passes over positions begin .. end of all images: the first needs to be done everywhere before the
       second. x: float32 [images][height][width][channels], in place. mixed: operands [images][height + 2][width + 2]
       [channels, padded], at first those of 0. */
    int64_t (*mix)(const Block *block, const float *x, void *mixed, const Shape *shape, int64_t begin, int64_t end);
    int64_t (*rest)(const Block *block, float *x, const void *mixed, const Shape *shape, int64_t begin, int64_t end);

    /* x: features, float32 [images][height][width][inputs]. means: [images][height / 2][width / 2][outputs];
       scale_indices: uint8, likewise. begin, end: positions of these. */
    int64_t (*parameters)(const Parameters *given, const float *x, float *means, uint8_t *scale_indices,
                          const Shape *shape, int64_t begin, int64_t end);

    /* Patches of 16x16 pixels, float32 [images][height][width][768], and corrections of 8x8 pixels, [images][2 height]
       [2 width][192], to samples, uint8 [images][16 height][16 width][3], for rows of patches of all images. */
    int64_t (*samples)(const float *patches, const float *corrections, uint8_t *out, const Shape *shape, int64_t begin,
                    int64_t end);

    /* What the hyper-analysis takes of latents in standard deviations, y, [positions][channels]: these, `one` times, as
       whole numbers up to a limit, then the logarithms of those, `logs`, int16 [limit + 1], by their magnitude. out:
       float32 [positions][2 channels]. */
    int64_t (*with_logs)(const float *y, const int16_t *logs, float *out, int64_t channels, float one, float limit,
                         int64_t begin, int64_t end);

    /* Symbols of a step, for positions begin .. end of all its classes. y: latents in standard deviations, float32
       [images][height][width][channels]; means, scale_indices: what `parameters` gives. */
    int64_t (*round)(const Rounding *rounding, const Cells *cells, const float *means, const uint8_t *scale_indices,
                     const float *y, int32_t *symbols, const Shape *shape, int64_t begin, int64_t end);

    /* Symbols and means to latents, int32 [images][height][width][channels], for the same positions. */
    int64_t (*place)(const Cells *cells, const float *means, const int32_t *symbols, int32_t *latents,
                     const Shape *shape, int64_t begin, int64_t end);

    /* sums: of the squared differences of RGB, uint8 [pixels][3], and of those of their luma, times 256^2. */
    void (*compare)(const uint8_t *x, const uint8_t *y, int64_t pixels, int64_t sums[2]);

    /* The next step from a stack, or the last one onto it, whose words have room for three a symbol and two more; the
       same for all levels. rows, symbols: [n]; order: room for n numbers. */
    int64_t (*decode_step)(const Tables *tables, Stack *stack, const uint8_t *rows, int32_t *symbols, int32_t *order,
                           int64_t n);
    int64_t (*encode_step)(const Tables *tables, Stack *stack, const uint8_t *rows, const int32_t *symbols,
                           int32_t *order, int64_t n);
} Kernels;

#define LONGEST_RUN 4 /* words that are added up in 16 bits */

/* weights: [outputs / lanes][words][lanes][4], none of them -128. Gives the number of steps, at most 2 * words, or -1 if
   there is no memory. ordered: [outputs / lanes][2 * words][lanes][4]; order: [outputs / lanes][LONGEST_RUN + 2 * words],
   how many runs of 1, 2 .. words there are and, run by run, with which operands each word begins. */
int64_t cae_order(const int8_t *weights, int64_t vectors, int64_t words, int64_t lanes, int32_t *order,
                  int8_t *ordered);

int64_t cae_decode_step(const Tables *tables, Stack *stack, const uint8_t *rows, int32_t *symbols, int32_t *order,
                        int64_t n);
int64_t cae_encode_step(const Tables *tables, Stack *stack, const uint8_t *rows, const int32_t *symbols, int32_t *order,
                        int64_t n);

extern const Kernels cae_avx512_amx, cae_avx512_vnni, cae_avx512, cae_avx2_vnni, cae_avx2, cae_neon_dot, cae_plain;

/* What Python calls. */

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

/* The level with this index, the best one first: NULL if this processor lacks it. `count`: how many levels there are,
   none if this has another version. */
EXPORT const Kernels *cae_kernels(int64_t version, int64_t index, int64_t *count);

/* The size of a structure above, by its name ("Layer"), or the offset of a field ("Layer.bias"), in bytes. */
typedef struct {
    const char *name;
    int64_t value;
} Place;

/* All of them, as they were compiled; `count`: how many. */
EXPORT const Place *cae_layout(int64_t *count);

#endif
