/* Masked cross-entropy over rows of logits: each row is read once, and its gradient is written in its place. */

typedef struct {
    int rows, words, threads;
    float *logits;           /* (N, V); on return d loss / d logits of each row's own loss */
    const int64_t *targets;  /* (N); one below 0 leaves the row out */
    const int64_t *states;   /* (N) */
    const int32_t *allowed;  /* (S, V): -1 where the state allows the word, else 0 */
    float *nll;              /* (N): infinite where the target is not allowed, 0 where the row is left out */
    int64_t *prediction;     /* (N): the likeliest allowed word, the first of equals */
} MaskedLoss;

static float score_row(float *logits, const int32_t *allowed, int words, int64_t target, int64_t *prediction) {
    vec highest = splat(-INFINITY);
    for (int v = 0; v < words; v += LANES) {
        const int some = words - v < LANES ? words - v : LANES;
        ivec mask = (ivec)load_some((const float *)allowed + v, some);
        highest = maximum(choose(mask, load_some(logits + v, some), splat(-INFINITY)), highest);
    }
    float peak = highest[0];
    for (int lane = 1; lane < LANES; lane++) peak = highest[lane] > peak ? highest[lane] : peak;
    *prediction = 0;
    for (int v = 0; v < words; v++)
        if (allowed[v] && logits[v] == peak) {
            *prediction = v;
            break;
        }
    const float chosen = logits[target];
    vec sums = splat(0);
    for (int v = 0; v < words; v += LANES) {
        const int some = words - v < LANES ? words - v : LANES;
        ivec mask = (ivec)load_some((const float *)allowed + v, some);
        vec x = choose(mask, vexp(load_some(logits + v, some) - peak), splat(0));
        sums += x;
        store_some(logits + v, x, some);
    }
    const float sum = lane_sum(sums), scale = allowed[target] ? 1 / sum : 0;
    for (int v = 0; v < words; v += LANES) {
        const int some = words - v < LANES ? words - v : LANES;
        store_some(logits + v, load_some(logits + v, some) * scale, some);
    }
    if (!allowed[target]) return INFINITY;
    logits[target] -= 1;
    return logf(sum) + peak - chosen;
}

void masked_loss(const MaskedLoss *o) {
#pragma omp parallel for num_threads(o->threads) schedule(static)
    for (int n = 0; n < o->rows; n++) {
        float *logits = o->logits + (long)n * o->words;
        if (o->targets[n] < 0) {
            memset(logits, 0, (size_t)o->words * sizeof(float));
            o->nll[n] = 0, o->prediction[n] = 0;
        } else {
            const int32_t *allowed = o->allowed + o->states[n] * o->words;
            o->nll[n] = score_row(logits, allowed, o->words, o->targets[n], o->prediction + n);
        }
    }
}
