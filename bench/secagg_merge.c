/* Adding vectors in memory on two threads, against reading the same memory on two threads. */
#include "bench/secagg_merge.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bench/secagg.h"
#include "round/sum.h"

/* Chosen by the processor's features when the program is loaded. */
#if defined(__x86_64__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES
#endif

enum { THREADS = 2, VECTORS = 16, VECTOR_BYTES = 64 << 20, SEGMENT_BYTES = 1 << 18, ABREAST = 8 };

typedef uint64_t words __attribute__((vector_size(64)));

struct part {
    uint8_t *const *vectors;
    uint8_t *total;
    size_t from, to; // bytes of every vector
    uint64_t read;
};

// Every word of the part, at the speed of memory: several streams of independent sums.
CLONES static void read_part(struct part *part)
{
    words sum[ABREAST] = {{0}};

    for (size_t v = 0; v < VECTORS; v++)
        for (size_t at = part->from; at < part->to; at += sizeof sum) {
            const words *from = (const void *)(part->vectors[v] + at);

            for (size_t k = 0; k < ABREAST; k++)
                sum[k] += from[k];
        }
    for (size_t k = 0; k < ABREAST; k++)
        part->read += sum[k][0] ^ sum[k][7];
}

// The bare kernel: sixteen vectors in memory, one total.
static void add_part(struct part *part)
{
    const uint8_t *parts[VECTORS];

    for (size_t at = part->from; at < part->to; at += SEGMENT_BYTES) {
        for (size_t v = 0; v < VECTORS; v++)
            parts[v] = part->vectors[v] + at;
        sum_parts(32, parts, VECTORS, part->total + at, SEGMENT_BYTES);
    }
}

static enum choir_err read_vector(void *context, size_t i, uint64_t offset, uint8_t *to, size_t len)
{
    uint8_t *const *vectors = context;

    memcpy(to, vectors[i] + offset, len);
    return CHOIR_OK;
}

// As the aggregator does: through a function that reads, the total of a segment in a buffer.
static void merge_part(struct part *part)
{
    struct sum_source source = {.read = read_vector, .n = VECTORS};
    uint8_t *total = malloc(SEGMENT_BYTES);
    struct sum *sum = NULL;
    union {
        uint8_t *const *vectors;
        void *context; // cppcheck-suppress unusedStructMember
    } pointer = {.vectors = part->vectors};

    source.context = pointer.context;
    secagg_must(total != NULL && sum_open(NULL, 32, &sum) == CHOIR_OK);
    for (size_t at = part->from; at < part->to; at += SEGMENT_BYTES)
        secagg_must(sum_segment(sum, &source, 0, at, total, SEGMENT_BYTES) == CHOIR_OK);
    sum_close(sum);
    free(total);
}

struct job {
    void (*work)(struct part *part);
    struct part part;
    double seconds; // of processor time
};

static void *run(void *argument)
{
    struct job *job = argument;
    double begin = secagg_cpu();

    job->work(&job->part);
    job->seconds = secagg_cpu() - begin;
    return NULL;
}

// NOLINTBEGIN(readability-non-const-parameter): add_part writes to `total`
// GB/s of input on THREADS threads at once, by the processor time of the slowest: what others take
// from the processors does not count, what they take from the memory does.
static double on_threads(void (*work)(struct part *part), uint8_t *const *vectors, uint8_t *total)
{
    pthread_t threads[THREADS];
    struct job jobs[THREADS];
    double slowest = 0.0;

    for (size_t i = 0; i < THREADS; i++) {
        jobs[i] = (struct job){.work = work,
                               .part = {.vectors = vectors,
                                        .total = total,
                                        .from = (size_t)VECTOR_BYTES / THREADS * i,
                                        .to = (size_t)VECTOR_BYTES / THREADS * (i + 1)}};
        secagg_must(pthread_create(&threads[i], NULL, run, &jobs[i]) == 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        secagg_must(pthread_join(threads[i], NULL) == 0);
        if (jobs[i].seconds > slowest)
            slowest = jobs[i].seconds;
    }
    return 1e-9 * VECTORS * (double)VECTOR_BYTES / slowest;
}
// NOLINTEND(readability-non-const-parameter)

void secagg_merge(size_t runs, double *read, double *kernel, double *merge)
{
    uint8_t *vectors[VECTORS], *total = aligned_alloc(sizeof(words), VECTOR_BYTES);

    secagg_must(total != NULL);
    memset(total, 1, VECTOR_BYTES);
    for (size_t v = 0; v < VECTORS; v++) {
        vectors[v] = aligned_alloc(sizeof(words), VECTOR_BYTES);
        secagg_must(vectors[v] != NULL);
        memset(vectors[v], (int)v + 1, VECTOR_BYTES);
    }
    for (size_t i = 0; i < runs; i++) {
        read[i] = on_threads(read_part, vectors, total);
        kernel[i] = on_threads(add_part, vectors, total);
        merge[i] = on_threads(merge_part, vectors, total);
    }
    for (size_t v = 0; v < VECTORS; v++)
        free(vectors[v]);
    free(total);
}
