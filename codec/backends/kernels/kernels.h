/* The integer networks' layers as kernels: the structures that describe weights and arrays, and the table of functions
   that each level of vector instructions (avx2.c, avx512_vnni.c, ...) fills.

   Data: activations are float32 and channels-last, [images][height][width][channels], without padding; a position is
   one [channels]. A layer turns the activations of some positions into operands, bytes 0 .. 255, in a buffer of its
   own, and multiplies them by weights, -127 .. 127, that NativeLayers has packed for two vectors of outputs at a time.

   Hot loop: sums_of_tile in tile_*.h, which adds up the products of TILE positions and two vectors of outputs with all
   sums in registers. Nearly all time is spent there.

   Exactness: every sum of products is an integer below 2^24, so that neither its order nor whether it is held in int32
   or float32 matters. The rest is single IEEE 754 operations in float32, in the order of backends/numpy_layers.py;
   compilers must not contract them to fused multiply-adds (-ffp-contract=off).

   Kernels do not check sizes: their callers do. */

#ifndef CAE_KERNELS_H
#define CAE_KERNELS_H

#include <stdint.h>

/* Version of the declarations below; goes up when they change. instructions.py has the same number and structures. */
#define CAE_KERNELS_VERSION 5

/* A 1x1 convolution: outputs = (weights @ operands + bias) * multiplier, the multipliers powers of two. Inputs are
   padded to a multiple of the level's depth, outputs to two vectors, with zeros. lanes and group are the
   level's, see Kernels. */
typedef struct {
    const void *weights; /* [outputs / (2 lanes)][steps][2 lanes][group], int8 or float32, or as cae_order has them */
    const void *bias; /* [outputs], int32 or, with weights of float32, float32; includes what the offset takes away */
    const float *multiplier; /* [outputs] */
    const int32_t *order; /* as cae_order writes it, [outputs / lanes][LONGEST_RUN + steps], if the level needs it */
    int64_t steps; /* groups of inputs: padded inputs / group, or with cae_order its words */
    int64_t inputs, outputs; /* before padding */
} Layer;

/* A residual block of six layers, as training/model/layers.py has it: 1x1 convolutions, and one of 3x3 for each channel
   with weights [9][channels], row by row, and bias and multiplier [channels], channels padded. */
typedef struct {
    Layer mix;
    const float *spatial_weights, *spatial_bias, *spatial_multiplier;
    Layer project, value, gate, contract;
} Block;

/* The shape of an array without its last axis, the channels. */
typedef struct {
    int64_t images, height, width;
} Shape;

/* How operands are made of a layer's input. x below is a number of the input as an integer: multiplied by the scale if
   there is one, clamped to least .. most, rounded half to even, plus the offset. */
enum {
    BYTES,  /* the input itself, which is uint8 */
    NARROW, /* 128 + round(input / 2^shift), clamped to 0 .. 255, of float32; without scale, limits and offset */
    UPPER,  /* 128 + floor(x / 2^shift) */
    LOWER,  /* x mod 2^shift */
    BOTH,   /* UPPER of all channels, then LOWER of all: twice as many operands as channels */
};

/* The input of a layer, and how operands are made of it. */
typedef struct {
    const void *data; /* [positions][channels] */
    const float *scale; /* [channels], or NULL */
    int64_t kind, shift; /* one of the enumeration above, and its shift */
    int64_t whole; /* whether data are int32 instead of float32 */
    float least, most;
    int64_t offset;
} Input;

/* A layer with its input. */
typedef struct {
    const Layer *layer;
    Input input;
} Term;

/* The last layer of a prior's step for one of the four position classes: two layers that give means and log-scales.
   Means are multiplied by sigma_in_steps, [outputs], clamped to mean_limit and rounded. Scale indices, rows of the
   probability tables, are log_sigma, [outputs], plus log-scales times scale_step, rounded and clamped to
   0 .. last_scale_index. */
typedef struct {
    Layer means, scales;
    const float *sigma_in_steps, *log_sigma; /* padded to two vectors */
    float mean_limit, scale_step;
    int64_t last_scale_index;
    int64_t down, right; /* row and column of the class in each cell of 2x2 positions */
} Parameters;

#define FRACTION 16 /* means and latents are in 1/16 of a quantisation step */

/* The latents that a step codes: at each of the four position classes of cells of 2x2, one of four groups of channels.
   Arrays of a step have the classes one after another, [4][images][height / 2][width / 2][size]. */
typedef struct {
    int64_t size, channels; /* channels of a group, and of latents */
    int64_t first[4], down[4], right[4]; /* for each class: its group's first channel; its row and column in a cell */
} Cells;

/* The tables and limits by which latents are rounded (tile/quantize.py). */
typedef struct {
    const float *sigma_in_steps; /* [4][size]: a standard deviation in quantisation steps */
    const float *rd_weight; /* [4][size]: bits that an error of one squared step is worth */
    const float *half_extra; /* [scales][depth + 1]: half the bits that a magnitude costs beyond the one below it */
    const uint8_t *coded; /* [256]: whether symbols of a scale index are coded, 1 or 0 */
    int64_t depth; /* largest magnitude that is rounded by cost; those above are rounded to the nearest */
    float most; /* largest magnitude of a symbol */
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

/* The kernels of one level of instructions, and the layout in which they take weights and operands. */
typedef struct {
    const char *name;
    int64_t lanes; /* numbers of 32 bits in a vector */
    int64_t group; /* operands, and weights, in 32 bits: 4 bytes, or 1 float32 */
    int64_t depth; /* inputs of a layer are padded to a multiple of it */
    int64_t offset; /* is taken from operands when they are stored, where they have to be int8 */

    /* Orders a layer's weights if the level adds up products in 16 bits, see cae_order; NULL if not. */
    int64_t (*order)(const int8_t *weights, int64_t vectors, int64_t words, int64_t lanes, int32_t *order,
                     int8_t *ordered);

    /* The kernels that follow, all but compare, work on positions begin .. end, the end not included, and return 0, or
       1 if there is no memory. */

    /* Writes to out, float32 [positions][outputs], the outputs of one term, or the sums of two terms' outputs, times
       gain, [outputs], unless that is NULL. */
    int64_t (*product)(const Term *terms, int64_t count, const float *gain, float *out, int64_t begin, int64_t end);

    /* Applies a residual block to x, float32 [images][height][width][channels], in place, in two passes over the
       positions of all images. mix writes operands to mixed, [images][height + 2][width + 2][padded channels], whose
       border has to hold operands of 0; when it is done everywhere, rest does the remainder. */
    int64_t (*mix)(const Block *block, const float *x, void *mixed, const Shape *shape, int64_t begin, int64_t end);
    int64_t (*rest)(const Block *block, float *x, const void *mixed, const Shape *shape, int64_t begin, int64_t end);

    /* Writes the means, float32 [images][height / 2][width / 2][outputs], and scale indices, uint8 of that shape, that
       the prior predicts at one position class from features x, float32 [images][height][width][inputs]. Positions are
       those of the means. */
    int64_t (*parameters)(const Parameters *given, const float *x, float *means, uint8_t *scale_indices,
                          const Shape *shape, int64_t begin, int64_t end);

    /* Adds patches of 16x16 pixels, float32 [images][height][width][768], and corrections of 8x8 pixels,
       [images][2 height][2 width][192], and writes them, rounded and clamped, to out, uint8
       [images][16 height][16 width][3]. Positions are rows of patches of all images. */
    int64_t (*samples)(const float *patches, const float *corrections, uint8_t *out, const Shape *shape, int64_t begin,
                    int64_t end);

    /* Writes the input of the hyper-analysis, out, float32 [positions][2 channels], for latents in standard deviations,
       y, [positions][channels]: y times one, rounded and clamped to -limit .. limit, then the logarithms of these,
       which logs, [limit + 1], has by magnitude. */
    int64_t (*with_logs)(const float *y, const int16_t *logs, float *out, int64_t channels, float one, float limit,
                         int64_t begin, int64_t end);

    /* Writes the symbols of a step for latents in standard deviations, y, [images][height][width][channels]. means,
       scale_indices: as `parameters` writes them, for all four classes. Positions are those of all classes. */
    int64_t (*round)(const Rounding *rounding, const Cells *cells, const float *means, const uint8_t *scale_indices,
                     const float *y, int32_t *symbols, const Shape *shape, int64_t begin, int64_t end);

    /* Writes the latents of a step, means + FRACTION * symbols, to their places in latents, [images][height][width]
       [channels]. Positions are those of all classes. */
    int64_t (*place)(const Cells *cells, const float *means, const int32_t *symbols, int32_t *latents,
                     const Shape *shape, int64_t begin, int64_t end);

    /* Writes to sums the squared differences of x and y, uint8 [pixels][3], added up over RGB, and those of their luma,
       times 256^2. */
    void (*compare)(const uint8_t *x, const uint8_t *y, int64_t pixels, int64_t sums[2]);

    /* The next step from a stack, or the last one onto it, whose words have room for three a symbol and two more; the
       same for all levels. rows, symbols: [n]; order: room for n numbers. */
    int64_t (*decode_step)(const Tables *tables, Stack *stack, const uint8_t *rows, int32_t *symbols, int32_t *order,
                           int64_t n);
    int64_t (*encode_step)(const Tables *tables, Stack *stack, const uint8_t *rows, const int32_t *symbols,
                           int32_t *order, int64_t n);
} Kernels;

#define LONGEST_RUN 4 /* most words of a run, whose products are added up in 16 bits */

/* Orders a layer's weights, [vectors][words][lanes][4], none of them -128, into runs of words whose products may be
   added up in 16 bits (order.c). Returns the number of words of the longest vector, at most 2 * words, or -1 if there
   is no memory. ordered: the weights, run by run, [vectors][2 * words][lanes][4]. order:
   [vectors][LONGEST_RUN + 2 * words], for each vector how many runs of 1, 2 .. LONGEST_RUN words it has and, run by
   run, each word's first operand. */
int64_t cae_order(const int8_t *weights, int64_t vectors, int64_t words, int64_t lanes, int32_t *order,
                  int8_t *ordered);

int64_t cae_decode_step(const Tables *tables, Stack *stack, const uint8_t *rows, int32_t *symbols, int32_t *order,
                        int64_t n);
int64_t cae_encode_step(const Tables *tables, Stack *stack, const uint8_t *rows, const int32_t *symbols, int32_t *order,
                        int64_t n);

extern const Kernels cae_avx512_amx, cae_avx512_vnni, cae_avx512, cae_avx2_vnni, cae_avx2, cae_neon_dot, cae_plain;

/* The functions that the library exports, which instructions.py calls. */

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

/* The kernels of the level with this index, the fastest first, or NULL if this processor lacks it. count: is set to the
   number of levels, 0 if `version` is another than CAE_KERNELS_VERSION. */
EXPORT const Kernels *cae_kernels(int64_t version, int64_t index, int64_t *count);

/* The size of a structure above, by its name ("Layer"), or the offset of a field ("Layer.bias"), in bytes. */
typedef struct {
    const char *name;
    int64_t value;
} Place;

/* The sizes and offsets of all structures that Python declares, too, as this compiler has laid them out. count: is set
   to their number. */
EXPORT const Place *cae_layout(int64_t *count);

#endif
