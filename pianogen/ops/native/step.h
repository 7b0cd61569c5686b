/* One position of a whole model, for every row of a batch; included once for each type of the operands, as product.h.

   Every thread owns some panels of each weight, with one barrier between two layers. A row's sums are taken in one
   order, whatever the batch and the number of threads: a row has the same bits in any batch. Shapes: B rows, L layers,
   H units, G = H or 4 H gates, V words; a state is (B, L, H) or, of the attention, (B, H). */

typedef struct {
    int rows, stride; /* the latter of sha: from the memory of a row to that of the next */
    int layers, units, gates_per_unit, words, first_word, window, threads;
    const float *table;          /* (V, G): sums of the first layer's inputs by word */
    const operand *recurrent;    /* the packed W_hh of every layer */
    const operand *below;        /* the packed W_ih of every layer but the first */
    const float *biases;         /* (L - 1, G) */
    const operand *attention;    /* the packed W_a, or null */
    const operand *decoder;      /* packed: the weight of h, then that of the context; layer norms' scales multiplied in */
    const float *decoder_bias;   /* (V) */
    const operand *query;        /* of sha: the packed W_q, divided by the square root of H; or null */
    const float *norm_weight, *norm_bias; /* of sha, (H): of the layer norm whose results the memory holds */
    const operand *wider, *narrower; /* of a feed-forward layer with 4 H inner units, packed: W_1 as `decoder`, W_2; or null */
    const float *wider_bias;         /* (4 H) */
    const int64_t *tokens;       /* (B); `first_word` empties its row's state before it is read */
    const float *h0, *c0, *lse0, *context0, *length0; /* the last one of sha, (B) */
    operand *before, *after, *mean; /* what weights are multiplied by: h0, h and context; in fp32 the last two may be these */
    operand *normed; /* (2, B, H): with layer norms, h of the top layer and context as the decoder reads them; or null */
    operand *inner;  /* (B, 4 H): of the feed-forward layer */
    float *vectors, *queries; /* of sha, (B, H): what the memory gets, and what it is multiplied by */
    operand *memory;          /* of sha, (B, W, H): all but the newest vectors are there already */
    float *h, *c, *lse, *context, *length, *logits;
} NAME(Step);

static void NAME(step_begin)(const NAME(Step) * o) {
    const Share mine = share_of(o->rows);
    const long width = (long)o->layers * o->units;
    for (int b = mine.first; b < mine.last; b++)
        for (long k = 0; k < width; k += LANES) {
            const long at = b * width + k;
            const int count = width - k < LANES ? (int)(width - k) : LANES;
            NAME(store)(o->before + at, o->tokens[b] == o->first_word ? splat(0) : load_some(o->h0 + at, count), count);
        }
}

INLINE void NAME(step_lstm)(const NAME(Step) * o, int b, long at, const float *sums, int count) {
    vec i = vsigmoid(load(sums)), f = vsigmoid(load(sums + LANES));
    vec g = vtanh(load(sums + 2 * LANES)), out = vsigmoid(load(sums + 3 * LANES));
    vec c = i * g + (o->tokens[b] == o->first_word ? splat(0) : (vec)(f * load_some(o->c0 + at, count)));
    vec h = out * vtanh(c);
    store_some(o->c + at, c, count);
    store_some(o->h + at, h, count);
    NAME(store)(o->after + at, h, count);
}

/* One panel of a layer for some rows: a vector of units with four gates each, or four vectors of units. */
INLINE void NAME(step_panel)(const NAME(Step) * o, int layer, int p, int first, int rows, float *tile) {
    const int units = o->units, lstm = o->gates_per_unit == 4, unit = p * (lstm ? LANES : WIDTH);
    const long gates = (long)o->gates_per_unit * units, stride = (long)o->layers * units, across = lstm ? units : LANES;
    const long size = (long)((units + (lstm ? LANES : WIDTH) - 1) / (lstm ? LANES : WIDTH)) * units * WIDTH;
    for (int r = 0; r < rows; r++) {
        const float *sums = layer ? o->biases + (layer - 1) * gates : o->table + o->tokens[first + r] * gates;
        for (int j = 0; j < 4; j++) {
            const int count = units - unit - (lstm ? 0 : j * LANES);
            if (count > 0) store(tile + r * WIDTH + j * LANES, load_some(sums + unit + j * across, count));
        }
    }
    const long start = first * stride + layer * units, panel = (long)p * units * WIDTH;
    if (layer) NAME(product)(rows, units, o->after + start - units, stride, o->below + (layer - 1) * size + panel, tile);
    NAME(product)(rows, units, o->before + start, stride, o->recurrent + layer * size + panel, tile);
    for (int r = 0; r < rows; r++) {
        const long at = start + r * stride + unit;
        if (lstm) NAME(step_lstm)(o, first + r, at, tile + r * WIDTH, units - unit < LANES ? units - unit : LANES);
        else
            for (int j = 0; j < 4 && unit + j * LANES < units; j++) {
                const int left = units - unit - j * LANES, count = left < LANES ? left : LANES;
                vec h = vtanh(load(tile + r * WIDTH + j * LANES));
                store_some(o->h + at + j * LANES, h, count);
                NAME(store)(o->after + at + j * LANES, h, count);
            }
    }
}

/* The running mean of the top layer's h, as causal_mean_forward. */
INLINE void NAME(step_attention)(const NAME(Step) * o, int p, int first, int rows, float *tile) {
    const int units = o->units, stride = o->layers * units;
    const long top = (long)first * stride + stride - units;
    memset(tile, 0, (size_t)rows * WIDTH * sizeof(float));
    NAME(product)(rows, units, o->after + top, stride, o->attention + (long)p * units * WIDTH, tile);
    for (int r = 0; r < rows; r++)
        for (int u = p * WIDTH; u < units && u < (p + 1) * WIDTH; u += LANES) {
            const int count = units - u < LANES ? units - u : LANES, empty = o->tokens[first + r] == o->first_word;
            const long at = (long)(first + r) * units + u;
            vec old = empty ? splat(-INFINITY) : load_some(o->lse0 + at, count);
            vec mean = empty ? splat(0) : load_some(o->context0 + at, count);
            vec score = load(tile + r * WIDTH + u - p * WIDTH), value = load_some(o->h + top + (long)r * stride + u, count);
            ivec higher = score > old;
            vec less = vexp(choose(higher, old - score, score - old)); /* of the lower one, relative to the higher */
            mean += choose(higher, splat(1), less) / (1 + less) * (value - mean);
            store_some(o->lse + at, choose(higher, score, old) + vlog1p(less), count);
            store_some(o->context + at, mean, count);
            NAME(store)(o->mean + at, mean, count);
        }
}

static void NAME(step_norm)(int units, const float *x, operand *to) {
    float standard[units];
    standardize(units, x, standard);
    for (int u = 0; u < units; u += LANES)
        NAME(store)(to + u, load_some(standard + u, units - u), units - u < LANES ? units - u : LANES);
}

static void NAME(step_norms)(const NAME(Step) * o) {
    const Share mine = share_of(o->rows);
    const int units = o->units;
    for (long b = mine.first; b < mine.last; b++) {
        NAME(step_norm)(units, o->h + ((b + 1) * o->layers - 1) * units, o->normed + b * units);
        if (o->attention) NAME(step_norm)(units, o->context + b * units, o->normed + (o->rows + b) * units);
    }
}

#include "window.h"
#include "block.h"

INLINE void NAME(step_decoder)(const NAME(Step) * o, int p, int first, int rows, float *tile) {
    const int units = o->units, stride = o->layers * units, left = o->words - p * WIDTH;
    const long panel = (long)p * units * WIDTH, size = (long)((o->words + WIDTH - 1) / WIDTH) * units * WIDTH;
    for (int r = 0; r < rows; r++)
        for (int k = 0; k < WIDTH && k < left; k += LANES)
            store(tile + r * WIDTH + k, load_some(o->decoder_bias + p * WIDTH + k, left - k));
    const operand *h = o->after + (long)first * stride + stride - units, *context = o->mean + (long)first * units;
    if (o->normed) h = o->normed + (long)first * units, context = o->normed + (long)(o->rows + first) * units;
    NAME(product)(rows, units, h, o->normed ? units : stride, o->decoder + panel, tile);
    if (o->attention || o->query) NAME(product)(rows, units, context, units, o->decoder + size + panel, tile);
    for (int r = 0; r < rows; r++)
        for (int k = 0; k < WIDTH && k < left; k += LANES)
            store_some(o->logits + (long)(first + r) * o->words + p * WIDTH + k, load(tile + r * WIDTH + k), left - k);
}

/* Some rows at a time, so that what they multiply stays in the cache while all panels pass. */
#define EACH_PANEL(num_panels, call)                                                              \
    do {                                                                                          \
        const Share mine = share_of(num_panels);                                                  \
        for (int first = 0; first < o->rows; first += STEP_ROWS) {                                \
            const int rows = o->rows - first < STEP_ROWS ? o->rows - first : STEP_ROWS;           \
            for (int p = mine.first; p < mine.last; p++) call;                                    \
        }                                                                                         \
        wait_at(&barrier);                                                                        \
    } while (0)

void NAME(model_step)(const NAME(Step) * o) {
    const int units_of_panel = o->gates_per_unit == 4 ? LANES : WIDTH;
    Barrier barrier = {0};
#pragma omp parallel num_threads(o->threads)
    {
        float *tile = new_tile(o->rows < STEP_ROWS ? o->rows : STEP_ROWS);
        NAME(step_begin)(o);
        wait_at(&barrier);
        for (int layer = 0; layer < o->layers; layer++)
            EACH_PANEL((o->units + units_of_panel - 1) / units_of_panel, NAME(step_panel)(o, layer, p, first, rows, tile));
        if (o->attention) EACH_PANEL((o->units + WIDTH - 1) / WIDTH, NAME(step_attention)(o, p, first, rows, tile));
        if (o->query) {
            NAME(step_vectors)(o);
            wait_at(&barrier);
            EACH_PANEL((o->units + WIDTH - 1) / WIDTH, NAME(step_queries)(o, p, first, rows, tile));
            NAME(step_memory)(o);
            wait_at(&barrier);
            if (o->wider) {
                EACH_PANEL((4 * o->units + WIDTH - 1) / WIDTH, NAME(step_wider)(o, p, first, rows, tile));
                EACH_PANEL((o->units + WIDTH - 1) / WIDTH, NAME(step_narrower)(o, p, first, rows, tile));
                NAME(step_sums)(o);
                wait_at(&barrier);
            }
        } else if (o->normed) {
            NAME(step_norms)(o);
            wait_at(&barrier);
        }
        EACH_PANEL((o->words + WIDTH - 1) / WIDTH, NAME(step_decoder)(o, p, first, rows, tile));
        free(tile);
    }
}
#undef EACH_PANEL
