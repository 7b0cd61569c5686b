/* Mean 0 and variance 1 over the units of a row, as torch's layer_norm with its default epsilon. */
static void standardize(int units, const float *x, float *to) {
    vec sum = {}, squares = {};
    for (int u = 0; u < units; u += LANES) sum += load_some(x + u, units - u);
    const vec mean = splat(lane_sum(sum) / (float)units);
    for (int u = 0; u < units; u += LANES) {
        const vec from_mean = load_some(x + u, units - u) - mean;
        const vec inside = load_some((const float *)&from_mean, units - u);
        squares += inside * inside;
    }
    const vec scale = splat(1 / sqrtf(lane_sum(squares) / (float)units + 1e-5f));
    for (int u = 0; u < units; u += LANES) store_some(to + u, (load_some(x + u, units - u) - mean) * scale, units - u);
}
