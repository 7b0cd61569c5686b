/* The causal mean of pianogen/ops/causal_attention, forward and backward, in one pass over memory each.

   Every channel of every row is on its own: threads share them out, and take BLOCK of them through all of time, so that
   what is carried stays in the first-level cache. Shapes: T steps, C = rows * channels. */

#define BLOCK 512

typedef struct {
    int steps, rows, channels, threads;
    const float *scores, *values; /* (T, C) */
    const float *lse0, *context0; /* (C) */
    const uint8_t *keep;          /* (T, rows): 0 where the row's past ends before the step */
    float *weights;               /* (T, C), or null where no gradient is asked for */
    float *contexts;              /* (T, C) */
    float *lse;                   /* (C) after the last step */
} CausalMean;

/* Runs of one row within [begin, end) of all channels. */
#define EACH_RUN(at, count, row, begin, end, channels)                                                            \
    for (long at = (begin), count, row; at < (end); at += count)                                                  \
        if (row = at / (channels), count = (row + 1) * (channels) - at, count = count < (end)-at ? count : (end)-at, 1)

void causal_mean_forward(const CausalMean *o) {
    const long all = (long)o->rows * o->channels;
#pragma omp parallel for num_threads(o->threads) schedule(static)
    for (long begin = 0; begin < all; begin += BLOCK) {
        const long end = begin + BLOCK < all ? begin + BLOCK : all;
        float peak[BLOCK], total[BLOCK], context[BLOCK]; /* lse = peak + log(total) */
        for (long at = begin; at < end; at++) {
            peak[at - begin] = o->lse0[at], total[at - begin] = 1, context[at - begin] = o->context0[at];
        }
        for (int t = 0; t < o->steps; t++) {
            EACH_RUN(at, count, row, begin, end, o->channels) {
                const int kept = o->keep[(long)t * o->rows + row];
                for (long k = at; k < at + count; k += LANES) {
                    const int some = at + count - k < LANES ? (int)(at + count - k) : LANES;
                    float *p = peak + (k - begin), *s = total + (k - begin), *c = context + (k - begin);
                    vec old = kept ? load_some(p, some) : splat(-INFINITY), before = kept ? load_some(c, some) : splat(0);
                    vec score = load_some(o->scores + t * all + k, some), value = load_some(o->values + t * all + k, some);
                    ivec higher = score > old;
                    vec less = vexp(choose(higher, old - score, score - old)); /* of the lower one, relative to the higher */
                    vec sum = load_some(s, some);
                    sum = choose(higher, sum * less + 1, sum + less);
                    vec weight = choose(higher, splat(1), less) / sum;
                    before += weight * (value - before);
                    store_some(p, choose(higher, score, old), some);
                    store_some(s, sum, some);
                    store_some(c, before, some);
                    store_some(o->contexts + t * all + k, before, some);
                    if (o->weights) store_some(o->weights + t * all + k, weight, some);
                }
            }
        }
        for (long at = begin; at < end; at++) o->lse[at] = peak[at - begin] + logf(total[at - begin]);
    }
}

typedef struct {
    int steps, rows, channels, threads;
    const float *d_contexts, *values, *contexts, *weights; /* (T, C) */
    const float *context0;                                 /* (C) */
    const uint8_t *keep;                                   /* (T, rows) */
    float *d_lse, *d_context; /* (C): in, the gradients of the last state; out, those of the first */
    float *d_scores, *d_values; /* (T, C); may be `weights` and `d_contexts` */
} CausalMeanBackward;

void causal_mean_backward(const CausalMeanBackward *o) {
    const long all = (long)o->rows * o->channels;
#pragma omp parallel for num_threads(o->threads) schedule(static)
    for (long begin = 0; begin < all; begin += BLOCK) {
        const long end = begin + BLOCK < all ? begin + BLOCK : all;
        for (int t = o->steps - 1; t >= 0; t--) {
            EACH_RUN(at, count, row, begin, end, o->channels) {
                const int kept = o->keep[(long)t * o->rows + row];
                for (long k = at; k < at + count; k += LANES) {
                    const int some = at + count - k < LANES ? (int)(at + count - k) : LANES;
                    const long now = t * all + k;
                    vec before = !kept ? splat(0) : load_some(t ? o->contexts + now - all : o->context0 + k, some);
                    vec weight = load_some(o->weights + now, some), rest = 1 - weight;
                    vec d_context = load_some(o->d_context + k, some) + load_some(o->d_contexts + now, some);
                    vec d_lse = load_some(o->d_lse + k, some);
                    /* only differences of values enter, so that nothing cancels over a long past */
                    vec step = (load_some(o->values + now, some) - before) * d_context;
                    store_some(o->d_values + now, weight * d_context, some);
                    store_some(o->d_scores + now, weight * (d_lse + rest * step), some);
                    store_some(o->d_lse + k, kept ? (vec)(rest * (d_lse - weight * step)) : splat(0), some);
                    store_some(o->d_context + k, kept ? (vec)(rest * d_context) : splat(0), some);
                }
            }
        }
    }
}
