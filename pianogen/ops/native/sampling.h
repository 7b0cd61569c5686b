/* The next word of every piece of a batch: the words that may come next, their filters and noise, the choice, and what
   follows from it. One row of pianogen/generation/{rules,choice}.py at a time, which explain it. */

enum { RUNNING, ENDED_BY_MODEL, ENDED_BY_LIMIT, FAILED, STOPPED }; /* as pianogen.generation.pieces.End */

typedef struct { /* as pianogen.generation.pieces.PIECE */
    uint64_t seed, number;
    int64_t max_tokens, max_steps, min_tokens, min_steps;
    int64_t length, state, clock, end_step, has_note, last, end, top_k;
    double kind_temperature, length_temperature, top_p, min_p; /* 0: no top_k, no min_p; 1: no top_p */
} Piece;

typedef struct {
    int rows, words, capacity, strict;
    int eos, sep, first_note, lowest_note, first_duration, threads;
    const float *logits;      /* (B, V) */
    const int16_t *allowed;   /* (S, V + 1): how many words a grammar state allows, and these in ascending order */
    const int16_t *next;      /* (S, V): the state that follows */
    Piece *pieces;            /* (B) */
    int16_t *tokens;          /* (B, capacity) */
} Sampling;

static int64_t floor_half(int64_t x) { return x >> 1; }
static int64_t pairs_left(const Piece *p) { return floor_half(p->max_tokens - 1 - p->length); }
static int64_t pairs_due(const Piece *p) {
    int64_t start = p->length / 2 * 2, due = -floor_half(start + 1 - p->min_tokens);
    return due > 0 ? due : 0;
}
static int may_end(const Piece *p) { return p->has_note && pairs_due(p) == 0 && p->end_step >= p->min_steps; }

static int fits(const Sampling *o, const Piece *p, int word) {
    if (word != o->sep) return pairs_left(p) >= 1;
    return pairs_left(p) >= 2 && p->clock + 1 < p->max_steps;
}

/* Lists the words that may come next, in ascending order, and returns how many there are. */
static int list_legal(const Sampling *o, const Piece *p, int *legal) {
    const int16_t *allowed = o->allowed + p->state * (o->words + 1);
    const int ends = may_end(p), begins = p->length % 2 == 0 && !ends;
    const int no_end = begins ? o->eos : -1, no_sep = begins && !fits(o, p, o->sep) ? o->sep : -1;
    const int no_lowest = begins && o->strict && pairs_left(p) == 2 && pairs_due(p) >= 2 ? o->lowest_note : -1;
    int64_t last = o->words; /* no word above it */
    if (p->length % 2 && !(p->last == o->sep && ends))
        last = o->first_duration + p->max_steps - p->clock - (p->last == o->sep); /* a wait leaves a step for a note */
    if (begins && pairs_left(p) == 0) last = o->first_note - 1;
    int count = 0;
    for (int i = 1; i <= allowed[0] && allowed[i] <= last; i++) {
        legal[count] = allowed[i];
        count += (allowed[i] != no_end) & (allowed[i] != no_sep) & (allowed[i] != no_lowest);
    }
    if (!count) legal[count++] = o->eos;
    return count;
}

/* Block `block` of numpy's Philox4x64-10: four words of its stream. */
static void philox(uint64_t block, uint64_t key0, uint64_t key1, uint64_t out[4]) {
    uint64_t a = block + 1, b = 0, c = 0, d = 0;
    for (int round = 0; round < 10; round++) {
        const unsigned __int128 x = (unsigned __int128)0xD2E7470EE14C6C93u * a, y = (unsigned __int128)0xCA5A826395121157u * c;
        a = (uint64_t)(y >> 64) ^ b ^ key0, b = (uint64_t)y;
        c = (uint64_t)(x >> 64) ^ d ^ key1, d = (uint64_t)x;
        key0 += 0x9E3779B97F4A7C15u, key1 += 0xBB67AE8584CAA73Bu;
    }
    out[0] = a, out[1] = b, out[2] = c, out[3] = d;
}

/* Adds standard Gumbel noise: 52 of a word's bits and a half make a number strictly between 0 and 1. */
static void add_noise(const Sampling *o, const Piece *p, int count, const int *legal, double *values) {
    uint64_t numbers[4], have = UINT64_MAX, bits[o->words + DLANES];
    for (int i = 0; i < count; i++) {
        const uint64_t at = (uint64_t)p->length * (uint64_t)o->words + (uint64_t)legal[i];
        if (at / 4 != have) philox(have = at / 4, p->seed, p->number, numbers);
        bits[i] = numbers[at % 4] >> 12 | 0x4330000000000000u; /* 2^52 more, as a double */
    }
    for (int i = 0; i < DLANES; i++) bits[count + i] = 0x4330000000000000u;
    for (int i = 0; i < count; i += DLANES) {
        dvec uniform = (*(const dvec *)(bits + i) - 0x1p52 + 0.5) * 0x1p-52;
        *(dvec *)(values + i) -= vlog(-vlog(uniform));
    }
}

/* Whether top_k and top_p keep word i. If not, nor do they keep the words ranked after it. */
static int is_kept(const Piece *p, int count, const double *scores, const double *shares, double total, int i) {
    if (!p->top_k && !shares) return 1;
    int better = 0;
    double before = 0;
    for (int k = 0; k < count; k++)
        if (scores[k] > scores[i] || (scores[k] == scores[i] && k < i)) better++, before += shares ? shares[k] : 0;
    return (!p->top_k || better < p->top_k) && (!shares || before < p->top_p * total);
}

static int choose_word(const Sampling *o, const Piece *p, const float *logits) {
    int legal[o->words];
    double scores[o->words], values[o->words + DLANES], shares[o->words], total = 0, highest = -INFINITY;
    const double temperature = p->length % 2 ? p->length_temperature : p->kind_temperature;
    const double lowest = log(p->min_p); /* -inf at 0 */
    const int count = list_legal(o, p, legal), has_top_p = p->top_p < 1;
    for (int i = 0; i < count; i++) {
        scores[i] = logits[legal[i]];
        if (scores[i] > highest) highest = scores[i];
    }
    for (int i = 0; i < count; i++) {
        scores[i] -= highest;
        values[i] = scores[i] >= lowest ? scores[i] / temperature : -INFINITY;
    }
    for (int i = 0; has_top_p && i < count; i++) total += shares[i] = exp(scores[i]);
    add_noise(o, p, count, legal, values);
    for (;;) {
        int best = 0;
        double top = values[0];
        for (int i = 1; i < count; i++)
            if (values[i] > top) top = values[i], best = i;
        if (is_kept(p, count, scores, has_top_p ? shares : 0, total, best)) return legal[best];
        const double limit = scores[best];
        for (int i = 0; i < count; i++)
            if (scores[i] < limit || (scores[i] == limit && i >= best)) values[i] = -INFINITY;
    }
}

static void append(const Sampling *o, Piece *p, int16_t *tokens, int word) {
    const int awaits_length = p->length % 2;
    const int64_t steps = word - o->first_duration;
    if (!awaits_length && (word == o->eos || !fits(o, p, word))) {
        p->end = word == o->eos && may_end(p) ? ENDED_BY_MODEL : ENDED_BY_LIMIT;
        word = o->eos;
    } else if (awaits_length && p->last == o->sep) {
        if (p->clock + steps >= p->max_steps) {
            p->end = ENDED_BY_LIMIT;
            p->length--; /* xxeos in place of the xxsep */
            word = o->eos;
        } else p->clock += steps;
    } else if (awaits_length) {
        p->end_step = p->clock + steps > p->end_step ? p->clock + steps : p->end_step;
        p->has_note = 1;
    }
    if (p->end == RUNNING) p->state = o->next[p->state * o->words + word];
    tokens[p->length++] = (int16_t)word;
    p->last = word;
}

/* Returns how many pieces have ended or failed. */
int append_words(const Sampling *o) {
    int ended = 0;
#pragma omp parallel for num_threads(o->threads) if (o->rows >= 16) schedule(static) reduction(+ : ended)
    for (int b = 0; b < o->rows; b++) {
        const float *logits = o->logits + (long)b * o->words;
        int finite = 1;
        for (int v = 0; v < o->words; v++) finite &= logits[v] - logits[v] == 0;
        if (!finite) o->pieces[b].end = FAILED;
        else append(o, o->pieces + b, o->tokens + (long)b * o->capacity, choose_word(o, o->pieces + b, logits));
        ended += o->pieces[b].end != RUNNING;
    }
    return ended;
}
