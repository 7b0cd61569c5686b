/* How the threads of one call share the work, and wait for each other between two time steps. */
#ifndef PIANOGEN_THREADS_H
#define PIANOGEN_THREADS_H

#include <omp.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "simd.h"

#define WIDTH (4 * LANES) /* columns of a panel */
#define DEPTH 128         /* of the part of a panel that stays in the first-level cache while all rows pass */
#define SPINS 4000        /* before a waiting thread gives its core away: some 50 us, a few time steps' lag */

typedef struct {
    _Atomic int arrived, round;
} Barrier;

/* The threads of a training step wait for each other hundreds of times, too often to sleep each time. */
static void wait_at(Barrier *barrier) {
    int threads = omp_get_num_threads();
    if (threads == 1) return;
    int round = atomic_load(&barrier->round);
    if (atomic_fetch_add(&barrier->arrived, 1) == threads - 1) {
        atomic_store(&barrier->arrived, 0);
        atomic_fetch_add(&barrier->round, 1);
        return;
    }
    for (int spins = 0; atomic_load_explicit(&barrier->round, memory_order_acquire) == round; spins++) {
        if (spins > SPINS) sched_yield();
        else PAUSE();
    }
}

typedef struct {
    int first, last;
} Share;

/* This thread's part of `count` things, the last one exclusive. */
static Share share_of(int count) {
    int thread = omp_get_thread_num(), threads = omp_get_num_threads();
    return (Share){(int)((long)count * thread / threads), (int)((long)count * (thread + 1) / threads)};
}

static float *new_tile(int rows) { return aligned_alloc(64, (size_t)rows * WIDTH * sizeof(float)); }

#endif
