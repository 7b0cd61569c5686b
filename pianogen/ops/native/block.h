/* The block of sha above the LSTM, pianogen/models/sha.py: attention over the memory, then the feed-forward layer, if there is
   one. Included by step.h, once for each type of the operands; what is multiplied by layer norms' scales there is so here. */

/* What the memory gets: the layer norm of h of the top layer, with its scale and shift. */
static void NAME(step_vectors)(const NAME(Step) * o) {
    const Share mine = share_of(o->rows);
    const int units = o->units;
    for (long b = mine.first; b < mine.last; b++) {
        const float *h = o->h + ((b + 1) * o->layers - 1) * units;
        float *vector = o->vectors + b * units;
        standardize(units, h, vector);
        for (int u = 0; u < units; u += LANES) {
            const int count = units - u < LANES ? units - u : LANES;
            vec x = load_some(vector + u, count) * load_some(o->norm_weight + u, count) + load_some(o->norm_bias + u, count);
            store_some(vector + u, x, count);
            NAME(store)(o->normed + b * units + u, x, count);
        }
    }
}

INLINE void NAME(step_queries)(const NAME(Step) * o, int p, int first, int rows, float *tile) {
    const int units = o->units, left = units - p * WIDTH;
    memset(tile, 0, (size_t)rows * WIDTH * sizeof(float));
    NAME(product)(rows, units, o->normed + (long)first * units, units, o->query + (long)p * units * WIDTH, tile);
    for (int r = 0; r < rows; r++)
        for (int k = 0; k < WIDTH && k < left; k += LANES)
            store_some(o->queries + (long)(first + r) * units + p * WIDTH + k, load(tile + r * WIDTH + k), left - k);
}

/* The new vector is put at the end of the memory, and the mean of the ones that are seen is computed. */
static void NAME(step_memory)(const NAME(Step) * o) {
    const Share mine = share_of(o->rows);
    const long units = o->units, kept = (o->window - 1) * units;
    for (long b = mine.first; b < mine.last; b++) {
        const int is_first = o->tokens[b] == o->first_word, length = is_first ? 1 : (int)o->length0[b] + 1;
        operand *memory = o->memory + b * o->stride;
        float mean[units];
        if (is_first) memset(memory, 0, (size_t)kept * sizeof(operand));
        memcpy(memory + kept, o->normed + b * units, (size_t)units * sizeof(operand));
        o->length[b] = length < o->window ? length : o->window;
        const operand *seen = memory + (o->window - (long)o->length[b]) * units;
        NAME(window_attention)(units, (int)o->length[b], o->queries + b * units, seen, mean);
        NAME(step_norm)(units, mean, o->normed + (o->rows + b) * units);
    }
}

/* GELU(W_1 (x, c) + b_1) */
INLINE void NAME(step_wider)(const NAME(Step) * o, int p, int first, int rows, float *tile) {
    const int units = o->units, inner = 4 * units, left = inner - p * WIDTH;
    const long panel = (long)p * units * WIDTH, size = (long)((inner + WIDTH - 1) / WIDTH) * units * WIDTH;
    for (int r = 0; r < rows; r++)
        for (int k = 0; k < WIDTH && k < left; k += LANES)
            store(tile + r * WIDTH + k, load_some(o->wider_bias + p * WIDTH + k, left - k));
    const operand *x = o->normed + (long)first * units, *context = o->normed + (long)(o->rows + first) * units;
    NAME(product)(rows, units, x, units, o->wider + panel, tile);
    NAME(product)(rows, units, context, units, o->wider + size + panel, tile);
    for (int r = 0; r < rows; r++)
        for (int k = 0; k < WIDTH && k < left; k += LANES) {
            operand *to = o->inner + (long)(first + r) * inner + p * WIDTH + k;
            NAME(store)(to, vgelu(load(tile + r * WIDTH + k)), left - k < LANES ? left - k : LANES);
        }
}

/* x + W_2 inner, in the place of the queries, which are read no more. */
INLINE void NAME(step_narrower)(const NAME(Step) * o, int p, int first, int rows, float *tile) {
    const int units = o->units, inner = 4 * units, left = units - p * WIDTH;
    const long at = (long)first * units + p * WIDTH;
    for (int r = 0; r < rows; r++)
        for (int k = 0; k < WIDTH && k < left; k += LANES)
            store(tile + r * WIDTH + k, load_some(o->vectors + at + (long)r * units + k, left - k));
    NAME(product)(rows, inner, o->inner + (long)first * inner, inner, o->narrower + (long)p * inner * WIDTH, tile);
    for (int r = 0; r < rows; r++)
        for (int k = 0; k < WIDTH && k < left; k += LANES)
            store_some(o->queries + at + (long)r * units + k, load(tile + r * WIDTH + k), left - k);
}

/* The layer norm of these sums, as the decoder reads it. */
static void NAME(step_sums)(const NAME(Step) * o) {
    const Share mine = share_of(o->rows);
    for (long b = mine.first; b < mine.last; b++)
        NAME(step_norm)(o->units, o->queries + b * o->units, o->normed + b * o->units);
}
