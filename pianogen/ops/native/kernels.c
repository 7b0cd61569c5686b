/* The recurrences, the causal attention, the masked loss and sampling for CPUs; compiled for the machine at hand, called by ctypes.

   OpenMP is torch's own: nothing is linked here, so its symbols are found in what torch has loaded, and there is one pool
   of threads. */

#include <math.h>

#include "threads.h"

const int lanes = LANES;

#include "attention.h"
#include "loss.h"
#include "norm.h"
#include "sampling.h"

#define STEP_ROWS 96 /* of a position of a model that are computed at a time: a multiple of ROWS */

#define NAME(x) x##_fp32
#define STEP 1
typedef float operand_fp32;
#define operand operand_fp32
INLINE vec spread_fp32(const float *x) { return splat(*x); }
INLINE vec multiply_add_fp32(vec x, vec w, vec sum) { return x * w + sum; }
INLINE float round_fp32(float x) { return x; }
INLINE void store_fp32(float *to, vec x, int count) { store_some(to, x, count); }
INLINE vec widen_fp32(const float *from, int count) { return load_some(from, count); }
#include "product.h"
#include "recurrence.h"
#include "step.h"
#undef NAME
#undef STEP
#undef operand

#if defined(__AVX512BF16__) || defined(EMULATE_BF16)
#define NAME(x) x##_bf16
#define STEP 2
typedef uint16_t operand_bf16;
#define operand operand_bf16
INLINE vec spread_bf16(const uint16_t *pair) {
    int32_t both;
    memcpy(&both, pair, sizeof both);
    return (vec)(both - (ivec){});
}
/* to nearest, ties to even, as torch rounds; NaN stays NaN */
INLINE uint16_t round_bf16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    return x != x ? (uint16_t)(bits >> 16 | 64) : (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
#if defined(EMULATE_BF16) /* for tests of everything but these three instructions, on any processor */
INLINE vec multiply_add_bf16(vec x, vec w, vec sum) {
    const ivec high = (ivec){} + (int32_t)0xffff0000;
    sum += (vec)((ivec)x << 16) * (vec)((ivec)w << 16);
    return sum + (vec)((ivec)x & high) * (vec)((ivec)w & high);
}
INLINE void store_bf16(uint16_t *to, vec x, int count) {
    for (int lane = 0; lane < LANES && lane < count; lane++) to[lane] = round_bf16(x[lane]);
}
INLINE vec widen_bf16(const uint16_t *from, int count) {
    ivec x = {};
    for (int lane = 0; lane < LANES && lane < count; lane++) x[lane] = (int32_t)((uint32_t)from[lane] << 16);
    return (vec)x;
}
#else
#include <immintrin.h>
INLINE vec multiply_add_bf16(vec x, vec w, vec sum) { return (vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)x, (__m512bh)w); }
INLINE void store_bf16(uint16_t *to, vec x, int count) {
    __m256bh rounded = _mm512_cvtneps_pbh((__m512)x);
    if (count >= LANES) memcpy(to, &rounded, sizeof rounded);
    else memcpy(to, &rounded, (size_t)count * sizeof *to);
}
INLINE vec widen_bf16(const uint16_t *from, int count) {
    __m256i x = {};
    if (count >= LANES) memcpy(&x, from, sizeof x);
    else memcpy(&x, from, (size_t)count * sizeof *from);
    return (vec)_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16);
}
#endif
#include "product.h"
#include "recurrence.h"
#include "step.h"
#endif
