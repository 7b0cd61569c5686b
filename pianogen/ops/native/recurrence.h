/* The RNN and the LSTM over time, forward and backward; included once for each type of the operands, as product.h.

   Every thread owns some units for the whole call, with the part of the weight that feeds them, so that the weight stays
   in its cache and one barrier per time step is all that threads wait for. Each sum is taken by one thread in one order:
   the number of threads changes no bit. Shapes: T steps, B rows, H units, G = H or 4 H gates in the order i, f, g, o. */

typedef struct {
    int steps, rows, units, threads;
    const float *gates;     /* (T, B, G) sums of the inputs; with `words`, a table (V, G) of which they are rows */
    const int64_t *words;   /* (T, B), or null */
    const uint8_t *keep;    /* (T, B): 0 where the row's state is zeroed before the step */
    const operand *panels;  /* the packed weight */
    const float *h0, *c0;   /* (B, H); an RNN has no cell */
    operand *before;        /* (T, B, H): what the weight was multiplied by, h of the step before */
    float *active;          /* (T, B, G): the gates of an LSTM, for the backward pass; or null */
    float *cell, *hidden;   /* (T, B, H) */
} NAME(Forward);

typedef struct {
    int steps, rows, units, threads;
    const float *d_hidden;       /* (T, B, H) */
    const int64_t *words;        /* (T, B), or null */
    const uint8_t *keep;         /* (T, B) */
    const operand *panels;       /* the packed weight, transposed */
    const float *c0, *cell;      /* of an LSTM */
    const float *active;         /* (T, B, G): the gates of an LSTM, the hidden state of an RNN */
    float *dh, *dc;              /* (B, H): in, the gradients of the last state; out, those of the first */
    operand *d_gates;            /* (T, B, G); in fp32 it may be `active` */
    float *d_table;              /* (V, G), to add to; or null */
} NAME(Backward);

static void NAME(begin)(const NAME(Forward) * o, int first, int last) {
    for (int b = 0; b < o->rows; b++)
        for (int u = first; u < last; u += LANES) {
            const int count = last - u < LANES ? last - u : LANES;
            const long at = (long)b * o->units + u;
            NAME(store)(o->before + at, o->keep[b] ? load_some(o->h0 + at, count) : splat(0), count);
        }
}

INLINE const float *NAME(gates_of)(const NAME(Forward) * o, long row, long num_gates) {
    return o->gates + (o->words ? o->words[row] : row) * num_gates;
}

INLINE void NAME(activate_lstm)(const NAME(Forward) * o, int t, int b, const float *sums, int u, int count) {
    const int units = o->units;
    const long row = (long)t * o->rows + b, at = row * units + u;
    const float *cell = t ? o->cell + at - (long)o->rows * units : o->c0 + (long)b * units + u;
    vec i = vsigmoid(load(sums)), f = vsigmoid(load(sums + LANES));
    vec g = vtanh(load(sums + 2 * LANES)), out = vsigmoid(load(sums + 3 * LANES));
    vec c = i * g + (o->keep[row] ? (vec)(f * load_some(cell, count)) : splat(0));
    vec h = out * vtanh(c);
    if (o->active) {
        float *active = o->active + row * 4L * units + u;
        store_some(active, i, count);
        store_some(active + units, f, count);
        store_some(active + 2L * units, g, count);
        store_some(active + 3L * units, out, count);
    }
    store_some(o->cell + at, c, count);
    store_some(o->hidden + at, h, count);
    if (t + 1 == o->steps) return;
    const long next = row + o->rows;
    NAME(store)(o->before + next * units + u, o->keep[next] ? h : splat(0), count);
}

void NAME(lstm_forward)(const NAME(Forward) * o) {
    const int rows = o->rows, units = o->units, num_panels = (units + LANES - 1) / LANES;
    Barrier barrier = {0};
#pragma omp parallel num_threads(o->threads)
    {
        const Share mine = share_of(num_panels);
        float *tile = new_tile(rows);
        NAME(begin)(o, mine.first * LANES, mine.last * LANES < units ? mine.last * LANES : units);
        wait_at(&barrier);
        for (int t = 0; t < o->steps; t++) {
            for (int p = mine.first; p < mine.last; p++) {
                const int u = p * LANES, count = units - u < LANES ? units - u : LANES;
                for (int b = 0; b < rows; b++)
                    for (int j = 0; j < 4; j++) {
                        const float *gates = NAME(gates_of)(o, (long)t * rows + b, 4L * units);
                        store(tile + b * WIDTH + j * LANES, load_some(gates + (long)j * units + u, count));
                    }
                NAME(product)(rows, units, o->before + (long)t * rows * units, units, o->panels + (long)p * units * WIDTH,
                              tile);
                for (int b = 0; b < rows; b++) NAME(activate_lstm)(o, t, b, tile + b * WIDTH, u, count);
            }
            wait_at(&barrier);
        }
        free(tile);
    }
}

INLINE void NAME(activate_rnn)(const NAME(Forward) * o, int t, int b, const float *sums, int u, int count) {
    const int units = o->units;
    const long row = (long)t * o->rows + b, next = row + o->rows;
    vec h = vtanh(load(sums));
    store_some(o->hidden + row * units + u, h, count);
    if (t + 1 < o->steps)
        NAME(store)(o->before + next * units + u, o->keep[next] ? h : splat(0), count);
}

void NAME(rnn_forward)(const NAME(Forward) * o) {
    const int rows = o->rows, units = o->units, num_panels = (units + WIDTH - 1) / WIDTH;
    Barrier barrier = {0};
#pragma omp parallel num_threads(o->threads)
    {
        const Share mine = share_of(num_panels);
        float *tile = new_tile(rows);
        NAME(begin)(o, mine.first * WIDTH, mine.last * WIDTH < units ? mine.last * WIDTH : units);
        wait_at(&barrier);
        for (int t = 0; t < o->steps; t++) {
            for (int p = mine.first; p < mine.last; p++) {
                const int first = p * WIDTH, last = first + WIDTH < units ? first + WIDTH : units;
                for (int b = 0; b < rows; b++)
                    for (int u = first; u < last; u += LANES) {
                        const float *gates = NAME(gates_of)(o, (long)t * rows + b, units);
                        store(tile + b * WIDTH + u - first, load_some(gates + u, last - u));
                    }
                NAME(product)(rows, units, o->before + (long)t * rows * units, units, o->panels + (long)p * units * WIDTH,
                              tile);
                for (int b = 0; b < rows; b++)
                    for (int u = first; u < last; u += LANES)
                        NAME(activate_rnn)(o, t, b, tile + b * WIDTH + u - first, u, last - u < LANES ? last - u : LANES);
            }
            wait_at(&barrier);
        }
        free(tile);
    }
}

/* Stores the gradient of one gate, and adds it to the row of the table that the gate came from. */
INLINE void NAME(put_gradient)(const NAME(Backward) * o, long row, long gate, long num_gates, vec gradient, int count) {
    NAME(store)(o->d_gates + row * num_gates + gate, gradient, count);
    if (!o->d_table) return;
    float *sum = o->d_table + o->words[row] * num_gates + gate;
    store_some(sum, load_some(sum, count) + gradient, count);
}

INLINE void NAME(differentiate_lstm)(const NAME(Backward) * o, int t, int b, int u, int count) {
    const int units = o->units;
    const long row = (long)t * o->rows + b, state = (long)b * units + u, at = row * units + u, gates = 4L * units;
    const float *active = o->active + row * gates + u, *cell = t ? o->cell + at - (long)o->rows * units : o->c0 + state;
    vec i = load_some(active, count), f = load_some(active + units, count);
    vec g = load_some(active + 2L * units, count), out = load_some(active + 3L * units, count);
    vec before = o->keep[row] ? load_some(cell, count) : splat(0), tanh_c = vtanh(load_some(o->cell + at, count));
    vec dh = load_some(o->dh + state, count) + load_some(o->d_hidden + at, count);
    vec dc = load_some(o->dc + state, count) + dh * out * (1 - tanh_c * tanh_c);
    NAME(put_gradient)(o, row, u, gates, dc * g * i * (1 - i), count);
    NAME(put_gradient)(o, row, u + units, gates, dc * before * f * (1 - f), count);
    NAME(put_gradient)(o, row, u + 2L * units, gates, dc * i * (1 - g * g), count);
    NAME(put_gradient)(o, row, u + 3L * units, gates, dh * tanh_c * out * (1 - out), count);
    store_some(o->dc + state, o->keep[row] ? (vec)(dc * f) : splat(0), count);
}

INLINE void NAME(differentiate_rnn)(const NAME(Backward) * o, int t, int b, int u, int count) {
    const int units = o->units;
    const long row = (long)t * o->rows + b, state = (long)b * units + u, at = row * units + u;
    vec h = load_some(o->active + at, count);
    vec dh = load_some(o->dh + state, count) + load_some(o->d_hidden + at, count);
    NAME(put_gradient)(o, row, u, units, dh * (1 - h * h), count);
}

/* dh of the step before: the gradients of all gates times the weight, for this thread's units. */
static void NAME(carry_back)(const NAME(Backward) * o, int t, int num_gates, Share mine, float *tile) {
    const int rows = o->rows, units = o->units;
    const operand *d_gates = o->d_gates + (long)t * rows * num_gates;
    for (int p = mine.first; p < mine.last; p++) {
        const int first = p * WIDTH, last = first + WIDTH < units ? first + WIDTH : units;
        memset(tile, 0, (size_t)rows * WIDTH * sizeof(float));
        NAME(product)(rows, num_gates, d_gates, num_gates, o->panels + (long)p * num_gates * WIDTH, tile);
        for (int b = 0; b < rows; b++)
            for (int u = first; u < last; u += LANES)
                store_some(o->dh + (long)b * units + u,
                           o->keep[(long)t * rows + b] ? load(tile + b * WIDTH + u - first) : splat(0), last - u);
    }
}

#define BACKWARD(function, gates_per_unit, differentiate)                                                       \
    void function(const NAME(Backward) * o) {                                                                 \
        Barrier barrier = {0};                                                                                \
        _Pragma("omp parallel num_threads(o->threads)") {                                                     \
            const Share mine = share_of((o->units + WIDTH - 1) / WIDTH);                                      \
            const int last = mine.last * WIDTH < o->units ? mine.last * WIDTH : o->units;                     \
            float *tile = new_tile(o->rows);                                                                  \
            for (int t = o->steps - 1; t >= 0; t--) {                                                         \
                for (int b = 0; b < o->rows; b++)                                                             \
                    for (int u = mine.first * WIDTH; u < last; u += LANES)                                    \
                        differentiate(o, t, b, u, last - u < LANES ? last - u : LANES);                       \
                wait_at(&barrier);                                                                            \
                NAME(carry_back)(o, t, gates_per_unit * o->units, mine, tile);                                  \
            }                                                                                                 \
            free(tile);                                                                                       \
        }                                                                                                     \
    }
BACKWARD(NAME(lstm_backward), 4, NAME(differentiate_lstm))
BACKWARD(NAME(rnn_backward), 1, NAME(differentiate_rnn))
