/* One attention head over the last W vectors of a row, the newest included: a step of
   pianogen/models/window_attention.py. One pass over the memory moves its vectors and weights them. */

/* Puts the newest vector at the end of the memory, (W, H), which loses its first one, and writes the mean of its last
   `length` vectors weighted by a softmax of their products with the query. */
static void window_attention(int units, int window, int length, const float *query, const float *newest, float *memory,
                             float *mean) {
    float highest = -INFINITY, total = 0;
    memset(mean, 0, (size_t)units * sizeof(float));
    for (long k = window - length; k < window; k++) {
        const float *from = k + 1 < window ? memory + (k + 1) * units : newest;
        float *to = memory + k * units;
        vec sums[4] = {};
        for (int u = 0; u < units; u += 4 * LANES)
            for (int j = 0; j < 4 && u + j * LANES < units; j++) {
                const int at = u + j * LANES;
                const vec x = load_some(from + at, units - at);
                store_some(to + at, x, units - at);
                sums[j] += x * load_some(query + at, units - at);
            }
        const float score = lane_sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
        const float old = score > highest ? expf(highest - score) : 1; /* what the sums so far are multiplied by */
        if (score > highest) highest = score;
        const float weight = expf(score - highest);
        total = total * old + weight;
        for (int u = 0; u < units; u += LANES)
            store_some(mean + u, old * load_some(mean + u, units - u) + weight * load_some(to + u, units - u), units - u);
    }
    for (int u = 0; u < units; u += LANES) store_some(mean + u, load_some(mean + u, units - u) / total, units - u);
}
