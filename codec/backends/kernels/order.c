/* The order in which tile_pairs.h adds up products, so that no sum of 16 bits overflows.

   A word is the weights of one vector of outputs for four neighbouring inputs, [lanes][4] int8. Each half of an
   output's four weights is a pair, whose products with operands 0 .. 255 the processor adds up in 16 bits. As long as
   the positive weights of all pairs that are added up for an output make no more than 127, and the negative ones no
   less than -127, every sum on the way is within 127 * 255 < 2^15. So words are put into runs: the heaviest first, each
   into the first run that has room for it in all outputs. Where a pair by itself is beyond 127, its second weight moves
   to a word of its own. This is done once for each layer, when its weights are packed. */

#include <stdlib.h>
#include <string.h>

#include "kernels.h"

#define MOST 127 /* largest sum of weights of one sign: seven bits, so that two sums fit into eight */
#define PAIRS 32 /* pairs of weights in a word: two for each of up to 16 outputs */

/* For each pair of a word, or the pairs of a run, the sum of its positive weights; then for each that of its negative
   ones, without sign. */
typedef uint8_t Sums[2 * PAIRS];

/* A word of weights. */
typedef struct {
    int32_t place; /* its first operand */
    int32_t heaviest; /* the largest of its sums */
    int16_t pairs[PAIRS];
    Sums sums;
} Word;

/* Words whose products are added up in 16 bits. */
typedef struct {
    int32_t length, words[LONGEST_RUN]; /* indices of words */
    Sums sums;
} Run;

/* The two weights of a pair. All numbers have 16 bits, so that compilers turn the loops over pairs into vectors. */
static inline int16_t first_of(int16_t pair) { return (int16_t)((uint16_t)pair << 8) >> 8; }
static inline int16_t second_of(int16_t pair) { return pair >> 8; }
static inline int16_t positive(int16_t x) { return x > 0 ? x : 0; }

/* Sets the sums of a word. */
static void weigh(Word *word) {
    int16_t heaviest = 0;
    for (int i = 0; i < PAIRS; i++) {
        int16_t first = first_of(word->pairs[i]), second = second_of(word->pairs[i]);
        int16_t above = positive(first) + positive(second), below = positive(-first) + positive(-second);
        word->sums[i] = above;
        word->sums[PAIRS + i] = below;
        int16_t heavier = above > below ? above : below;
        heaviest = heavier > heaviest ? heavier : heaviest;
    }
    word->heaviest = heaviest;
}

/* Moves the second weight of pairs whose sum is beyond MOST to another word. Returns whether there was any. */
static int split(Word *word, Word *rest) {
    int16_t any = 0;
    rest->place = word->place;
    for (int i = 0; i < PAIRS; i++) {
        int16_t sum = first_of(word->pairs[i]) + second_of(word->pairs[i]);
        int16_t beyond = sum > MOST || sum < -MOST ? -1 : 0;
        rest->pairs[i] = word->pairs[i] & beyond & ~0xff;
        word->pairs[i] &= ~beyond | 0xff;
        any |= beyond;
    }
    return any;
}

/* Order of words for qsort: the heaviest first, those of equal weight as they are in the layer. */
static int by_weight(const void *x, const void *y) {
    const Word *a = *(const Word *const *)x, *b = *(const Word *const *)y;
    return a->heaviest != b->heaviest ? b->heaviest - a->heaviest : (a > b) - (a < b);
}

/* Whether a word may be added to a run. */
static int fits(const Run *run, const Word *word) {
    uint8_t any = 0; /* has its highest bit set if any sum is beyond MOST */
    if (run->length == LONGEST_RUN) return 0;
    for (int i = 0; i < 2 * PAIRS; i++) any |= (uint8_t)(run->sums[i] + word->sums[i]);
    return any <= MOST;
}

int64_t cae_order(const int8_t *weights, int64_t vectors, int64_t words, int64_t lanes, int32_t *order,
                  int8_t *ordered) {
    Word *all = malloc(2 * words * sizeof *all), **sorted = malloc(2 * words * sizeof *sorted);
    Run *runs = malloc(2 * words * sizeof *runs);
    int64_t most = 0;
    for (int64_t v = 0; all && sorted && runs && v < vectors; v++) {
        int64_t count = words, run_count = 0;
        for (int64_t k = 0; k < words; k++) {
            Word *word = all + k;
            word->place = 4 * k;
            memset(word->pairs, 0, sizeof word->pairs);
            memcpy(word->pairs, weights + (v * words + k) * 4 * lanes, 4 * lanes);
            if (split(word, all + count)) weigh(all + count++);
            weigh(word);
        }
        for (int64_t k = 0; k < count; k++) sorted[k] = all + k;
        qsort(sorted, count, sizeof *sorted, by_weight);
        for (int64_t k = 0; k < count; k++) {
            int64_t r = 0;
            while (r < run_count && !fits(runs + r, sorted[k])) r++;
            if (r == run_count) memset(runs + run_count++, 0, sizeof *runs);
            for (int i = 0; i < 2 * PAIRS; i++) runs[r].sums[i] += sorted[k]->sums[i];
            runs[r].words[runs[r].length++] = sorted[k] - all;
        }
        int32_t *lengths = order + v * (LONGEST_RUN + 2 * words), *places = lengths + LONGEST_RUN;
        int8_t *to = ordered + v * 2 * words * 4 * lanes;
        for (int32_t length = 1; length <= LONGEST_RUN; length++) {
            lengths[length - 1] = 0;
            for (int64_t r = 0; r < run_count; r++) {
                if (runs[r].length != length) continue;
                lengths[length - 1]++;
                for (int j = 0; j < length; j++, to += 4 * lanes) {
                    *places++ = all[runs[r].words[j]].place;
                    memcpy(to, all[runs[r].words[j]].pairs, 4 * lanes);
                }
            }
        }
        if (count > most) most = count;
    }
    int lacking = !all || !sorted || !runs;
    free(all);
    free(sorted);
    free(runs);
    return lacking ? -1 : most;
}
