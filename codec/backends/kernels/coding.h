/* Kernels around the networks: the input of the hyper-analysis, rounding of latents to symbols, writing of decoded
   latents to their plane, and comparison of images. Kernels in kernels.h gives their arguments; lanes_*.h and layers.h
   are to be included before.

   Latents are float32 or int32 [images][height][width][channels]; what belongs to one step of the prior is [4][images]
   [height / 2][width / 2][channels / 4], where positions of these are counted through all four classes. The loops over
   the channels of a position are the hot ones. In float32 they do the operations of backends/numpy_coding.py in its
   order, one at a time, so that the results are the same to the bit; sums of squares are integers. */

static int64_t with_logs(const float *y, const int16_t *logs, float *out, int64_t channels, float one, float limit,
                         int64_t begin, int64_t end) {
    for (int64_t position = begin; position < end; position++) {
        const float *from = y + position * channels;
        float *to = out + 2 * position * channels;
        for (int64_t c = 0; c < channels; c += LANES) {
            int64_t count = least(LANES, channels - c);
            vf x = to_float(rounded(clamp(mul(load_some(from + c, count), set(one)), set(-limit), set(limit))));
            store_some(to + c, x, count);
        }
        for (int64_t c = 0; c < channels; c++) {
            int64_t magnitude = (int64_t)__builtin_fabsf(to[c]); /* may be beyond the limit, where y is NaN */
            to[channels + c] = logs[least(magnitude, limit)];
        }
    }
    return 0;
}

/* The index in the plane of the first latent that a step codes at a position, which is counted through all classes. */
static inline int64_t first_latent(const Cells *cells, const Shape *shape, int64_t position) {
    int64_t half_width = shape->width / 2, of_class = shape->images * (shape->height / 2) * half_width;
    int64_t k = position / of_class, row = position % of_class / half_width, column = position % half_width;
    return ((2 * row + cells->down[k]) * shape->width + 2 * column + cells->right[k]) * cells->channels + cells->first[k];
}

static int64_t round_to_symbols(const Rounding *rounding, const Cells *cells, const float *means,
                                const uint8_t *scale_indices, const float *y, int32_t *symbols, const Shape *shape,
                                int64_t begin, int64_t end) {
    int64_t of_class = shape->images * (shape->height / 2) * (shape->width / 2), size = cells->size;
    float depth = rounding->depth;
    for (int64_t position = begin; position < end; position++) {
        const float *own = y + first_latent(cells, shape, position), *mean = means + position * size;
        const float *sigma = rounding->sigma_in_steps + position / of_class * size;
        const float *weight = rounding->rd_weight + position / of_class * size;
        const uint8_t *index = scale_indices + position * size;
        for (int64_t c = 0; c < size; c++) {
            int32_t *symbol = symbols + position * size + c;
            *symbol = 0;
            if (!rounding->coded[index[c]]) continue;
            float residual = mean[c] * (-1.0f / FRACTION) + own[c] * sigma[c], magnitude = __builtin_fabsf(residual);
            float near = magnitude < rounding->most ? magnitude : rounding->most;
            /* Rounds half to even: from 2^23 on float32 has no fraction. */
            near = near + 8388608.0f - 8388608.0f;
            if (near == 0) continue;
            if (near <= depth) {
                float half_extra = rounding->half_extra[index[c] * (rounding->depth + 1) + (int64_t)near];
                near -= magnitude < near - 0.5f + half_extra / weight[c];
            }
            *symbol = residual < 0 ? -(int32_t)near : (int32_t)near;
        }
    }
    return 0;
}

static int64_t place(const Cells *cells, const float *means, const int32_t *symbols, int32_t *latents,
                     const Shape *shape, int64_t begin, int64_t end) {
    for (int64_t position = begin; position < end; position++) {
        const float *mean = means + position * cells->size;
        const int32_t *symbol = symbols + position * cells->size;
        int32_t *to = latents + first_latent(cells, shape, position);
        /* float32 rounds sums beyond 2^24, which is what FORMAT.md, section 8, asks for. */
        for (int64_t c = 0; c < cells->size; c++) to[c] = (int32_t)(mean[c] + FRACTION * (float)symbol[c]);
    }
    return 0;
}

static void compare(const uint8_t *x, const uint8_t *y, int64_t pixels, int64_t sums[2]) {
    int64_t squares = 0, luma_squares = 0;
    for (const uint8_t *last = x + 3 * pixels, *p = x, *q = y; p < last; p += 3, q += 3) {
        int32_t red = p[0] - q[0], green = p[1] - q[1], blue = p[2] - q[2];
        int64_t luma = 77 * red + 150 * green + 29 * blue; /* ITU-R BT.601, times 256 */
        squares += red * red + green * green + blue * blue;
        luma_squares += luma * luma;
    }
    sums[0] = squares;
    sums[1] = luma_squares;
}

/* Defines the table of this level's kernels, cae_name; KERNELS ends each level's file. */
#define KERNELS(name)                                                                                   \
    const Kernels cae_##name = {#name, LANES, GROUP, DEPTH, OFFSET, ORDER, product, mix, rest, parameters, \
                                samples, with_logs, round_to_symbols, place, compare, cae_decode_step,     \
                                cae_encode_step}
