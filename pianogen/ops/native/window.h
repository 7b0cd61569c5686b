/* One attention head over vectors that are keys and values at once: a step of pianogen/models/window_attention.py. Included
   once for each type of the operands, as product.h. */

static float NAME(window_score)(int units, const float *query, const operand *vector) {
    vec sums[4] = {};
    int u = 0;
    for (; u + WIDTH <= units; u += WIDTH)
        for (int j = 0; j < 4; j++) sums[j] += NAME(widen)(vector + u + j * LANES, LANES) * load(query + u + j * LANES);
    for (int j = 0; u < units; u += LANES, j++) sums[j] += NAME(widen)(vector + u, units - u) * load_some(query + u, units - u);
    return lane_sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

/* sums = old * sums + weights (count) * vectors (count, H), for some vectors of columns, in which `left` columns are left. */
INLINE void NAME(window_add)(int columns, int left, int units, int count, float old, const float *weights,
                             const operand *vectors, float *sums) {
    vec inside[4];
    for (int j = 0; j < columns; j++) inside[j] = old * load_some(sums + j * LANES, left - j * LANES);
    for (int k = 0; k < count; k++, vectors += units)
        for (int j = 0; j < columns; j++) inside[j] += weights[k] * NAME(widen)(vectors + j * LANES, left - j * LANES);
    for (int j = 0; j < columns; j++) store_some(sums + j * LANES, inside[j], left - j * LANES);
}

/* Writes the mean of `length` vectors (length, H) weighted by a softmax of their products with the query; LANES of them at a
   time, which stay in the cache between their scores and their sum. */
static void NAME(window_attention)(int units, int length, const float *query, const operand *vectors, float *mean) {
    float highest = -INFINITY, total = 0;
    float weights[LANES];
    memset(mean, 0, (size_t)units * sizeof(float));
    for (int first = 0; first < length; first += LANES, vectors += (long)LANES * units) {
        const int count = length - first < LANES ? length - first : LANES;
        const float before = highest;
        store(weights, splat(-INFINITY));
        for (int k = 0; k < count; k++) weights[k] = NAME(window_score)(units, query, vectors + (long)k * units);
        for (int k = 0; k < count; k++) highest = weights[k] > highest ? weights[k] : highest;
        const float old = expf(before - highest); /* what the sums so far are multiplied by */
        store(weights, vexp(load(weights) - highest));
        total = total * old + lane_sum(load(weights));
        int u = 0;
        for (; u + WIDTH <= units; u += WIDTH) NAME(window_add)(4, WIDTH, units, count, old, weights, vectors + u, mean + u);
        for (; u < units; u += LANES) NAME(window_add)(1, units - u, units, count, old, weights, vectors + u, mean + u);
    }
    for (int u = 0; u < units; u += LANES) store_some(mean + u, load_some(mean + u, units - u) / total, units - u);
}
