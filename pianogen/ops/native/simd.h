/* Vectors of the widest kind that the compiler may use, and the functions of the gates on them. */
#ifndef PIANOGEN_SIMD_H
#define PIANOGEN_SIMD_H

#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define LANES 16
#define ROWS 6 /* rows of a register tile: ROWS x 4 accumulators, and what is multiplied, fill the registers */
#elif defined(__AVX2__)
#define LANES 8
#define ROWS 3
#else
#define LANES 4
#define ROWS 4
#endif

#define INLINE static inline __attribute__((always_inline))
#define PIN(vector) __asm__("" : "+" VECTOR_REGISTER (vector)) /* holds it in a register, where gcc would load it again */
#if defined(__x86_64__)
#define VECTOR_REGISTER "x"
#define PAUSE() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define VECTOR_REGISTER "w"
#define PAUSE() __asm__ volatile("yield")
#endif

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

INLINE vec load(const float *from) { return *(const vec *)from; }
INLINE void store(float *to, vec x) { *(vec *)to = x; }
INLINE vec splat(float x) { return x - (vec){}; }

/* The first `count` lanes; the others are 0. */
INLINE vec load_some(const float *from, int count) {
    if (count >= LANES) return load(from);
    vec x = {};
    memcpy(&x, from, (size_t)count * sizeof(float));
    return x;
}

INLINE void store_some(float *to, vec x, int count) {
    if (count >= LANES) store(to, x);
    else memcpy(to, &x, (size_t)count * sizeof(float));
}

INLINE float lane_sum(vec x) {
    float sum = 0;
    for (int lane = 0; lane < LANES; lane++) sum += x[lane];
    return sum;
}

INLINE vec choose(ivec mask, vec yes, vec no) { return (vec)(((ivec)yes & mask) | ((ivec)no & ~mask)); }
INLINE vec maximum(vec a, vec b) { return choose(a > b, a, b); }

/* exp(x) to 2 ulp for x from -87 to 88, and the value at these ends beyond them.
   2^n e^r with |r| <= ln(2) / 2, e^r by its minimax polynomial of degree 6 (Cephes, expf). */
INLINE vec vexp(vec x) {
    const vec shift = splat(12582912.0f); /* 1.5 * 2^23: adding it rounds to a whole number, which stands in the low bits */
    x = choose(x < splat(-87.0f), splat(-87.0f), x);
    x = choose(x > splat(88.0f), splat(88.0f), x);
    vec n = x * splat(1.44269504f) + shift;
    ivec exponent = (ivec)n << 23;
    n -= shift;
    vec r = x - n * splat(0.693359375f) - n * splat(-2.12194440e-4f);
    vec p = splat(1.9875691500e-4f);
    p = p * r + splat(1.3981999507e-3f);
    p = p * r + splat(8.3334519073e-3f);
    p = p * r + splat(4.1665795894e-2f);
    p = p * r + splat(1.6666665459e-1f);
    p = p * r + splat(5.0000001201e-1f);
    p = p * (r * r) + r + splat(1.0f);
    return choose(x == x, (vec)((ivec)p + exponent), x); /* NaN stays NaN */
}

/* log(1 + x) to 1 ulp of the result for x from 0 to 1, as 2 artanh(x / (x + 2)); the series ends below 2^-28. */
INLINE vec vlog1p(vec x) {
    vec z = x / (x + 2), square = z * z, sum = splat(1.0f / 15);
    for (int n = 13; n > 0; n -= 2) sum = sum * square + splat(1.0f / n);
    return 2 * z * sum;
}

#define DLANES (LANES / 2)
typedef double dvec __attribute__((vector_size(8 * DLANES), aligned(8), may_alias));
typedef int64_t lvec __attribute__((vector_size(8 * DLANES), aligned(8), may_alias));

/* log(x) to 2 ulp for positive normal x: that of its power of two, and 2 artanh((m - 1) / (m + 1)) of the rest m from
   sqrt(1/2) to sqrt(2), whose series ends below 2^-55. */
INLINE dvec vlog(dvec x) {
    const lvec half = (lvec)(x - x + 0x1.6a09e667f3bcdp-1); /* sqrt(1/2) */
    lvec exponent = ((lvec)x - half) >> 52;
    dvec m = (dvec)((lvec)x - (exponent << 52)), z = (m - 1) / (m + 1), square = z * z, sum = square * 0 + 1.0 / 21;
    for (int n = 19; n > 0; n -= 2) sum = sum * square + 1.0 / n;
    dvec power = (dvec)(exponent + 0x4338000000000000) - 0x1.8p52; /* the whole number as a double */
    return 2 * z * sum + power * 0x1.62e42fefa39efp-1;
}

INLINE vec vsigmoid(vec x) { return splat(1.0f) / (splat(1.0f) + vexp(-x)); }
INLINE vec vtanh(vec x) { return splat(2.0f) / (splat(1.0f) + vexp(splat(-2.0f) * x)) - splat(1.0f); }

/* x Phi(x), the exact GELU, to 3e-7 |x| (Abramowitz & Stegun, 1964, 7.1.26: erf to 1.5e-7). The part below 0 is computed
   from Phi(-|x|), so that nothing cancels. */
INLINE vec vgelu(vec x) {
    const vec size = maximum(x, -x), t = splat(1.0f) / (splat(1.0f) + splat(0.3275911f * 0.70710678f) * size);
    vec p = splat(0.5f * 1.061405429f);
    p = p * t + splat(0.5f * -1.453152027f);
    p = p * t + splat(0.5f * 1.421413741f);
    p = p * t + splat(0.5f * -0.284496736f);
    p = p * t + splat(0.5f * 0.254829592f);
    return maximum(splat(0), x) - size * (p * t) * vexp(splat(-0.5f) * x * x); /* `maximum` gives its second one, if NaN */
}

#endif
