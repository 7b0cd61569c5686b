/* The next word of every piece of a batch: the words that may come next, their filters and noise, the choice, and what
   follows from it. One row of pianogen/generation/{rules,choice}.py at a time, which explain it. */

enum { RUNNING, ENDED_BY_MODEL, ENDED_BY_LIMIT, FAILED }; /* as pianogen.generation.pieces.End */

typedef struct { /* as pianogen.generation.pieces.PIECE */
    uint64_t seed, number;
    int64_t max_tokens, max_steps, min_tokens, min_steps;
    int64_t length, state, clock, end_step, has_note, last, end;
} Piece;

typedef struct {
    int rows, words, capacity, strict, top_k;
    int eos, sep, first_note, lowest_note, first_duration, threads;
    const float *logits;      /* (B, V) */
    const uint8_t *allowed;   /* (S, V): whether a grammar state allows a word */
    const int16_t *next;      /* (S, V): the state that follows */
    const double *filters;    /* temperatures of kinds and of lengths, top_p (1: off), log(min_p) (-inf: off) */
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
    const uint8_t *allowed = o->allowed + p->state * o->words;
    const int ends = may_end(p), awaits_length = p->length % 2, begins = !awaits_length && !ends;
    const int no_sep = begins && !fits(o, p, o->sep), no_note = begins && pairs_left(p) == 0;
    const int no_lowest = begins && o->strict && pairs_left(p) == 2 && pairs_due(p) >= 2;
    int64_t longest = o->words; /* steps */
    if (awaits_length) longest = p->max_steps - p->clock - (p->last == o->sep ? (ends ? -o->words : 1) : 0);
    int count = 0;
    for (int word = 0; word < o->words; word++) {
        const int is_note = word >= o->first_note && word < o->first_duration;
        const int barred = (word == o->eos && begins) | (word == o->sep && no_sep) | (is_note && no_note) |
                           (word == o->lowest_note && no_lowest) | (word - o->first_duration > longest);
        legal[count] = word;
        count += allowed[word] && !barred;
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

static void add_noise(const Sampling *o, const Piece *p, int count, const int *legal, double *values) {
    uint64_t bits[4], have = UINT64_MAX;
    for (int i = 0; i < count; i++) {
        const uint64_t at = (uint64_t)p->length * (uint64_t)o->words + (uint64_t)legal[i];
        if (at / 4 != have) philox(have = at / 4, p->seed, p->number, bits);
        values[i] -= log(-log(((double)(bits[at % 4] >> 12) + 0.5) * 0x1p-52));
    }
}

/* Whether top_k and top_p keep word i. If not, nor do they keep the words ranked after it. */
static int is_kept(const Sampling *o, int count, const double *scores, const double *shares, double total, int i) {
    int better = 0;
    double before = 0;
    for (int k = 0; k < count; k++)
        if (scores[k] > scores[i] || (scores[k] == scores[i] && k < i)) better++, before += shares ? shares[k] : 0;
    return (!o->top_k || better < o->top_k) && (!shares || before < o->filters[2] * total);
}

static int choose_word(const Sampling *o, const Piece *p, const float *logits) {
    int legal[o->words];
    double scores[o->words], values[o->words], shares[o->words], total = 0, highest = -INFINITY;
    const int count = list_legal(o, p, legal), has_top_p = o->filters[2] < 1;
    for (int i = 0; i < count; i++) highest = logits[legal[i]] > highest ? logits[legal[i]] : highest;
    for (int i = 0; i < count; i++) {
        scores[i] = logits[legal[i]] - highest;
        values[i] = scores[i] >= o->filters[3] ? scores[i] / o->filters[p->length % 2] : -INFINITY;
        if (has_top_p) total += shares[i] = exp(scores[i]);
    }
    add_noise(o, p, count, legal, values);
    for (;;) {
        int best = 0;
        for (int i = 1; i < count; i++) best = values[i] > values[best] ? i : best;
        if (is_kept(o, count, scores, has_top_p ? shares : 0, total, best)) return legal[best];
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

void append_words(const Sampling *o) {
#pragma omp parallel for num_threads(o->threads) if (o->rows >= 16) schedule(static)
    for (int b = 0; b < o->rows; b++) {
        const float *logits = o->logits + (long)b * o->words;
        int finite = 1;
        for (int v = 0; v < o->words; v++) finite &= logits[v] - logits[v] == 0;
        if (!finite) o->pieces[b].end = FAILED;
        else append(o, o->pieces + b, o->tokens + (long)b * o->capacity, choose_word(o, o->pieces + b, logits));
    }
}
