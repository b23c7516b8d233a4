#include "aggregator/merge.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

size_t merge_threads(void)
{
    cpu_set_t cpus;
    int n;

    CPU_ZERO(&cpus);
    if (sched_getaffinity(0, sizeof cpus, &cpus) != 0)
        return 1;
    n = CPU_COUNT(&cpus);
    if (n < 1)
        return 1;
    return n < MERGE_THREADS_MAX ? (size_t)n : (size_t)MERGE_THREADS_MAX;
}

enum choir_err merge_read_files(void *files, size_t i, uint64_t offset, uint8_t *to, size_t len)
{
    return file_read_at(((const struct merge_files *)files)->fds[i], offset, to, len);
}

/* Work that several threads share: they take numbered pieces and finish them in order. */
struct crew {
    pthread_mutex_t lock;
    pthread_cond_t moved; // `turn` or `err`
    size_t n, next;       // pieces, and the next one that nobody has taken
    size_t turn;          // the piece that is to be finished next
    enum choir_err err;   // of piece `turn`, the first that failed
};

/* One thread of it. */
struct hand {
    struct crew *crew;
    size_t number;
    void (*work)(struct hand *hand);
    const void *job;
    struct sum *sum;
    struct hash_stream *stream; // of the crew, or its own
    uint8_t *total;
    uint8_t (*digests)[HASH_BYTES];
    pthread_t thread;
    bool runs;
};

// The next piece, or false if there is none, or none is wanted any more.
static bool take_piece(struct crew *crew, size_t *piece)
{
    bool more;

    pthread_mutex_lock(&crew->lock);
    more = crew->err == CHOIR_OK && crew->next < crew->n;
    if (more)
        *piece = crew->next++;
    pthread_mutex_unlock(&crew->lock);
    return more;
}

// Waits until all pieces before are finished; false if one of them failed.
static bool await_turn(struct crew *crew, size_t piece)
{
    bool good;

    pthread_mutex_lock(&crew->lock);
    while (crew->turn != piece && crew->err == CHOIR_OK)
        pthread_cond_wait(&crew->moved, &crew->lock);
    good = crew->err == CHOIR_OK;
    pthread_mutex_unlock(&crew->lock);
    return good;
}

static void end_turn(struct crew *crew, enum choir_err err)
{
    pthread_mutex_lock(&crew->lock);
    if (err == CHOIR_OK)
        crew->turn++;
    else
        crew->err = err;
    pthread_cond_broadcast(&crew->moved);
    pthread_mutex_unlock(&crew->lock);
}

static void *run_hand(void *context)
{
    struct hand *hand = context;

    hand->work(hand);
    return NULL;
}

// The calling thread is hand 0. Threads that cannot be had are done without.
static void run_crew(struct hand *hands, size_t n)
{
    sigset_t all, before;

    sigfillset(&all); // signals are for the thread that runs the program
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (size_t i = 1; i < n; i++)
        hands[i].runs = pthread_create(&hands[i].thread, NULL, run_hand, &hands[i]) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    run_hand(&hands[0]);
    for (size_t i = 1; i < n; i++)
        if (hands[i].runs)
            pthread_join(hands[i].thread, NULL);
}

static void crew_init(struct crew *crew, size_t n)
{
    *crew = (struct crew){.n = n};
    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->moved, NULL);
}

static void crew_release(struct crew *crew)
{
    pthread_cond_destroy(&crew->moved);
    pthread_mutex_destroy(&crew->lock);
}

static void merge_segments(struct hand *hand)
{
    const struct merge_job *job = hand->job;
    size_t segment;

    while (take_piece(hand->crew, &segment)) {
        size_t len = quantize_segment_bytes(job->layout, segment);
        enum choir_err err =
            sum_segment(hand->sum, &job->source, (uint32_t)segment,
                        quantize_segment_offset(job->layout, segment), hand->total, len);

        if (err == CHOIR_OK)
            err = job->take(job->context, hand->number, segment, hand->total, len);
        if (!await_turn(hand->crew, segment))
            return;
        if (err == CHOIR_OK)
            hash_add(hand->stream, hand->total, len);
        end_turn(hand->crew, err);
    }
}

static void free_hands(struct hand *hands, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        sum_close(hands[i].sum);
        free(hands[i].total);
    }
}

static enum choir_err open_hands(const struct merge_job *job, struct crew *crew,
                                 struct hash_stream *stream, struct hand *hands)
{
    enum choir_err err = CHOIR_OK;

    for (size_t i = 0; err == CHOIR_OK && i < job->threads; i++) {
        hands[i] = (struct hand){.crew = crew,
                                 .number = i,
                                 .work = merge_segments,
                                 .job = job,
                                 .stream = stream,
                                 .total = malloc(MERGE_SEGMENT_BYTES_MAX)};
        err = hands[i].total == NULL ? CHOIR_ERR_MEMORY
                                     : sum_open(job->unmask, job->layout->lane_bits, &hands[i].sum);
    }
    return err;
}

enum choir_err merge_run(const struct merge_job *job, uint8_t sum_hash[static HASH_BYTES],
                         struct choir_diag *diag)
{
    struct hand hands[MERGE_THREADS_MAX] = {0};
    struct hash_stream *stream = NULL;
    struct crew crew;
    char place[64] = "sum";
    enum choir_err err = hash_new(&stream);

    assert(job->threads >= 1 && job->threads <= MERGE_THREADS_MAX);
    crew_init(&crew, job->layout->n_segments);
    if (err == CHOIR_OK)
        err = open_hands(job, &crew, stream, hands);
    if (err == CHOIR_OK) {
        run_crew(hands, job->threads);
        err = crew.err;
        snprintf(place, sizeof place, "segment %zu of %zu", crew.turn + 1, crew.n);
    }
    if (err == CHOIR_OK)
        hash_end(stream, sum_hash);
    else
        diag_set(diag, err, place, "%s", choir_err_text(err));
    free_hands(hands, job->threads);
    crew_release(&crew);
    hash_free(stream);
    return err;
}

static enum choir_err digest_one(const struct sum_source *source, size_t i, uint64_t bytes,
                                 struct hash_stream *stream, uint8_t *piece,
                                 uint8_t digest[static HASH_BYTES])
{
    enum choir_err err = CHOIR_OK;

    for (uint64_t at = 0, len; err == CHOIR_OK && at < bytes; at += len) {
        len = bytes - at < MERGE_SEGMENT_BYTES_MAX ? bytes - at : MERGE_SEGMENT_BYTES_MAX;
        err = source->read(source->context, i, at, piece, (size_t)len);
        if (err == CHOIR_OK)
            hash_add(stream, piece, (size_t)len);
    }
    hash_end(stream, digest);
    return err;
}

/* What the hands that make digests share. */
struct digesting {
    const struct sum_source *source;
    uint64_t bytes;
};

static void make_digests(struct hand *hand)
{
    const struct digesting *job = hand->job;
    size_t i;

    while (take_piece(hand->crew, &i)) {
        enum choir_err err =
            digest_one(job->source, i, job->bytes, hand->stream, hand->total, hand->digests[i]);

        if (err != CHOIR_OK)
            end_turn(hand->crew, err);
    }
}

enum choir_err merge_digests(const struct sum_source *source, uint64_t bytes, size_t threads,
                             uint8_t (*digests)[HASH_BYTES])
{
    const struct digesting job = {.source = source, .bytes = bytes};
    struct hand hands[MERGE_THREADS_MAX] = {0};
    enum choir_err err = CHOIR_OK;
    struct crew crew;

    assert(threads >= 1 && threads <= MERGE_THREADS_MAX);
    crew_init(&crew, source->n);
    for (size_t i = 0; err == CHOIR_OK && i < threads; i++) {
        hands[i] = (struct hand){.crew = &crew,
                                 .number = i,
                                 .work = make_digests,
                                 .job = &job,
                                 .digests = digests,
                                 .total = malloc(MERGE_SEGMENT_BYTES_MAX)};
        err = hands[i].total == NULL ? CHOIR_ERR_MEMORY : hash_new(&hands[i].stream);
    }
    if (err == CHOIR_OK) {
        run_crew(hands, threads);
        err = crew.err;
    }
    for (size_t i = 0; i < threads; i++)
        hash_free(hands[i].stream);
    free_hands(hands, threads);
    crew_release(&crew);
    return err;
}
