/* The entropy coder of FORMAT.md, section 7: symbols of a step to a stack of 32-bit words, and back.

   A step has a list of symbols and, for each, the row of its probability table. Symbols are coded row by row, within a
   row in the order of the list. The hot loop is `code_rows` in both directions: one symbol after the other, since the
   state after one is what the next begins with; a few nanoseconds each. Everything is unsigned integers of 64 bits:
   state < 2^64 and frequencies <= 2^24, so that frequency * (state >> 24) < 2^64, and nothing is ever rounded. */

#include "kernels.h"

#include <stddef.h>

enum { ROWS = 256, CLASSES = 20, PRECISION = 24, COUNT_BITS = 16, SCALE = PRECISION - COUNT_BITS };
#define MASK ((UINT64_C(1) << PRECISION) - 1)
#define MAX_EXCESS ((INT64_C(1) << CLASSES) - 1)

static void refill(Stack *stack) {
    if (stack->state >> 32 == 0 && stack->count) stack->state = stack->state << 32 | stack->words[--stack->count];
}

static void push(Stack *stack, uint64_t first, uint64_t frequency) {
    if (stack->state >> (64 - PRECISION) >= frequency) {
        stack->words[stack->count++] = (uint32_t)stack->state;
        stack->state >>= 32;
    }
    stack->state = (stack->state / frequency << PRECISION) + first + stack->state % frequency;
}

static void pop(Stack *stack, uint64_t first, uint64_t frequency) {
    stack->state = frequency * (stack->state >> PRECISION) + (stack->state & MASK) - first;
    refill(stack);
}

/* An excess's number of bits b: 2^(24 - b) of 2^24, but as much for 20 as for 19. */
static uint64_t class_frequency(int b) { return UINT64_C(1) << (PRECISION - (b < CLASSES ? b : CLASSES - 1)); }

/* Those before it take all but twice their last one's. */
static uint64_t class_first(int b) { return (MASK + 1) - (UINT64_C(1) << (PRECISION - b + 1)); }

static int bits_of(int64_t value) {
    int bits = 0;
    while (value >> bits) bits++;
    return bits;
}

/* What is coded, row by row: positions in the list, [n]. ends: where each row's end. Gives NO_ROW if one is not in the
   tables. */
static int64_t by_row(const Tables *tables, const uint8_t *rows, int64_t n, int32_t *order, int64_t ends[ROWS]) {
    int64_t counts[ROWS] = {0}, begin = 0;
    for (int64_t i = 0; i < n; i++) counts[rows[i]]++;
    for (int row = 0; row < ROWS; row++) {
        if (row >= tables->rows && counts[row]) return NO_ROW;
        ends[row] = begin;
        if (row < tables->rows && tables->half_widths[row]) begin += counts[row];
    }
    /* Each end begins where the row does, and moves on. */
    for (int64_t i = 0; i < n; i++)
        if (tables->half_widths[rows[i]]) order[ends[rows[i]]++] = (int32_t)i;
    return 0;
}

int64_t cae_decode_step(const Tables *tables, Stack *stack, const uint8_t *rows, int32_t *symbols, int32_t *order,
                        int64_t n) {
    int64_t ends[ROWS], next = 0, escapes = 0;
    if (by_row(tables, rows, n, order, ends)) return NO_ROW;
    for (int64_t i = 0; i < n; i++) symbols[i] = 0;
    for (int row = 0; row < tables->rows; row++) {
        const uint32_t *sums = tables->sums + tables->starts[row];
        const uint16_t *lookup = tables->lookup + row * LOOKUP;
        int32_t width = tables->half_widths[row];
        if (!width) continue;
        for (; next < ends[row]; next++) {
            uint32_t place = (uint32_t)((stack->state & MASK) >> SCALE);
            int32_t entry = lookup[place / (65536 / LOOKUP)];
            while (sums[entry + 1] <= place) entry++;
            pop(stack, (uint64_t)sums[entry] << SCALE, (uint64_t)(sums[entry + 1] - sums[entry]) << SCALE);
            symbols[order[next]] = entry - width;
            escapes += entry > 2 * width;
        }
    }
    if (!escapes) return 0;
    /* Of escapes, all classes and then all fields, each in the order of the list. */
    int64_t found = 0;
    for (int64_t i = 0; i < n; i++)
        if (symbols[i] > tables->half_widths[rows[i]]) order[found++] = (int32_t)i;
    for (int64_t i = 0; i < found; i++) {
        uint64_t place = stack->state & MASK;
        int b = 1;
        while (b < CLASSES && place >= class_first(b) + class_frequency(b)) b++;
        pop(stack, class_first(b), class_frequency(b));
        symbols[order[i]] = b;
    }
    for (int64_t i = 0; i < found; i++) {
        int b = symbols[order[i]];
        uint64_t frequency = UINT64_C(1) << (PRECISION - b), field = (stack->state & MASK) / frequency;
        int32_t half = INT32_C(1) << (b - 1), value = (int32_t)field, width = tables->half_widths[rows[order[i]]];
        pop(stack, field * frequency, frequency);
        symbols[order[i]] = value < half ? value + half + width : -value - width;
    }
    return 0;
}

int64_t cae_encode_step(const Tables *tables, Stack *stack, const uint8_t *rows, const int32_t *symbols, int32_t *order,
                        int64_t n) {
    int64_t ends[ROWS];
    if (by_row(tables, rows, n, order, ends)) return NO_ROW;
    int64_t escapes = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t width = tables->half_widths[rows[i]], size = symbols[i] < 0 ? -(int64_t)symbols[i] : symbols[i];
        if (!width && size) return IN_SKIP_ROW;
        if (size - width > MAX_EXCESS) return TOO_FAR;
        escapes += size > width;
    }
    /* The coder is a stack: what is to be decoded first is pushed last. */
    for (int what = 0; what < 2 && escapes; what++)
        for (int64_t i = n - 1; i >= 0; i--) {
            int64_t width = tables->half_widths[rows[i]], size = symbols[i] < 0 ? -(int64_t)symbols[i] : symbols[i];
            if (size <= width) continue;
            int b = bits_of(size - width);
            uint64_t frequency = UINT64_C(1) << (PRECISION - b), half = UINT64_C(1) << (b - 1);
            /* The leading one is known from the class; the sign takes its place. */
            uint64_t field = (uint64_t)(size - width) - (symbols[i] < 0 ? 0 : half);
            if (what == 0)
                push(stack, field * frequency, frequency);
            else
                push(stack, class_first(b), class_frequency(b));
        }
    for (int64_t row = tables->rows - 1, begin, end; row >= 0; row--) {
        const uint32_t *sums = tables->sums + tables->starts[row];
        int32_t width = tables->half_widths[row];
        if (!width) continue;
        end = ends[row];
        begin = row ? ends[row - 1] : 0;
        for (int64_t i = end - 1; i >= begin; i--) {
            int32_t symbol = symbols[order[i]];
            int32_t entry = -width <= symbol && symbol <= width ? symbol + width : 2 * width + 1;
            push(stack, (uint64_t)sums[entry] << SCALE, (uint64_t)(sums[entry + 1] - sums[entry]) << SCALE);
        }
    }
    return 0;
}
