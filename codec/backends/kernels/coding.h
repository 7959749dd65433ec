/* What is done with what the networks give: latents are rounded and put where they belong, pixels are compared. */

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
            int64_t magnitude = (int64_t)__builtin_fabsf(to[c]); /* beyond the limit if what it comes from is no number */
            to[channels + c] = logs[least(magnitude, limit)];
        }
    }
    return 0;
}

/* The first of the latents that a step codes at one of the positions of all classes. */
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
            /* Beyond 2^23 float32 has no digits below 1, so that this rounds, half to even. */
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
        /* In float32, which rounds sums beyond 2^24 (FORMAT.md, section 8). */
        for (int64_t c = 0; c < cells->size; c++) to[c] = (int32_t)(mean[c] + FRACTION * (float)symbol[c]);
    }
    return 0;
}

static void compare(const uint8_t *x, const uint8_t *y, int64_t pixels, int64_t sums[2]) {
    int64_t squares = 0, luma_squares = 0;
    for (const uint8_t *last = x + 3 * pixels, *p = x, *q = y; p < last; p += 3, q += 3) {
        int32_t red = p[0] - q[0], green = p[1] - q[1], blue = p[2] - q[2];
        int64_t luma = 77 * red + 150 * green + 29 * blue; /* encode/refine.py */
        squares += red * red + green * green + blue * blue;
        luma_squares += luma * luma;
    }
    sums[0] = squares;
    sums[1] = luma_squares;
}

#define KERNELS(name)                                                                                   \
    const Kernels cae_##name = {#name, LANES, GROUP, DEPTH, OFFSET, ORDER, product, mix, rest, parameters, \
                                samples, with_logs, round_to_symbols, place, compare, cae_decode_step,     \
                                cae_encode_step}
