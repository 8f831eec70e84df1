/* The most fused multiply-adds that the cores do: prints billions of floating-point
   operations a second, the best of some repetitions, two for each multiply-add.

       cc -O3 -march=native -pthread peak.c -o peak
       ./peak [THREADS [MILLISECONDS]]

   Threads are not started at one instant; repetitions last long enough for that not to
   matter. Each thread works on twelve independent sums in registers, more than latency times
   units of today's cores ask for and few enough for sixteen registers. */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif

typedef float vector __attribute__((vector_size(BYTES)));

enum { SUMS = 12, LANES = BYTES / sizeof(float), INNER = 100000, REPETITIONS = 7 };

static double milliseconds = 200;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

static float block(float seed) {
    vector sum[SUMS], a, b;
    for (int lane = 0; lane < LANES; lane++) {
        a[lane] = 0.999f + 1e-6f * seed;
        b[lane] = 1e-3f * seed;
    }
    for (int i = 0; i < SUMS; i++) sum[i] = b + (float)i;
    for (int k = 0; k < INNER; k++)
        for (int i = 0; i < SUMS; i++) sum[i] = sum[i] * a + b;
    float total = 0;
    for (int i = 0; i < SUMS; i++)
        for (int lane = 0; lane < LANES; lane++) total += sum[i][lane];
    return total;
}

struct work {
    float seed, result;
    double rate[REPETITIONS];
};

static void *thread(void *argument) {
    struct work *w = argument;
    for (int r = 0; r < REPETITIONS; r++) {
        double begin = now(), end;
        long blocks = 0;
        do {
            w->result += block(w->seed);
            blocks++;
            end = now();
        } while (end - begin < 1e-3 * milliseconds);
        w->rate[r] = 2.0 * SUMS * LANES * INNER * blocks / (end - begin);
    }
    return NULL;
}

int main(int count, char **arguments) {
    int threads = count > 1 ? atoi(arguments[1]) : 1;
    if (count > 2) milliseconds = atof(arguments[2]);
    if (threads < 1 || threads > 4096 || !(milliseconds > 0)) {
        fprintf(stderr, "usage: peak [THREADS [MILLISECONDS]]\n");
        return 2;
    }
    struct work *work = calloc(threads, sizeof *work);
    pthread_t *ids = calloc(threads, sizeof *ids);
    if (!work || !ids) return 1;
    for (int i = 0; i < threads; i++) {
        work[i].seed = 1 + i;
        if (pthread_create(&ids[i], NULL, thread, &work[i])) return 1;
    }
    double best = 0;
    float sink = 0;
    for (int i = 0; i < threads; i++) pthread_join(ids[i], NULL);
    for (int r = 0; r < REPETITIONS; r++) {
        double rate = 0;
        for (int i = 0; i < threads; i++) rate += work[i].rate[r];
        if (rate > best) best = rate;
    }
    for (int i = 0; i < threads; i++) sink += work[i].result;
    printf("%.1f\n", best / 1e9);
    return sink == 1; /* which it is not, and the compiler does not know */
}
