#include "node/masker.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "crypto/locked.h"
#include "crypto/mask.h"
#include "crypto/merkle.h"
#include "privacy/quantize.h"
#include "wire/bulk.h"

// A mask over a chunk takes some 60 microseconds with AES, some 400 with SM4: at most that many of
// them, and at least one chunk, before heartbeats have their turn.
enum { SLICE_MASKS = 64 };

struct masker {
    struct masker_job job;
    struct mask *worker;
    uint64_t bytes, at;
    uint32_t n_chunks;
    uint32_t segment_bytes;
    uint8_t (*leaves)[HASH_BYTES]; // [n_chunks]
    uint8_t *chunk;                // BULK_CHUNK_BYTES, locked
};

static uint64_t bytes_of(uint64_t n_parameters, uint32_t lane_bits)
{
    uint64_t n_segments = n_parameters / QUANTIZE_SEGMENT_VALUES +
                          (n_parameters % QUANTIZE_SEGMENT_VALUES == 0 ? 0 : 1);

    return (n_parameters + n_segments) * (lane_bits / 8);
}

static enum choir_err check(const struct masker_job *job, uint64_t *bytes)
{
    struct stat about;

    if ((job->lane_bits != 16 && job->lane_bits != 32) || job->n_parameters == 0 ||
        job->n_parameters > UINT32_MAX)
        return CHOIR_ERR_FORMAT;
    *bytes = bytes_of(job->n_parameters, job->lane_bits);
    if (fstat(job->plain, &about) != 0)
        return CHOIR_ERR_IO;
    return about.st_size >= 0 && (uint64_t)about.st_size == *bytes ? CHOIR_OK : CHOIR_ERR_FORMAT;
}

enum choir_err masker_new(const struct masker_job *job, struct masker **out)
{
    struct masker *masker = NULL;
    uint64_t bytes;
    enum choir_err err = check(job, &bytes);

    if (err != CHOIR_OK)
        return err;
    if (ftruncate(job->scratch, 0) != 0)
        return CHOIR_ERR_IO;
    masker = calloc(1, sizeof *masker);
    if (masker == NULL)
        return CHOIR_ERR_MEMORY;
    masker->job = *job;
    masker->bytes = bytes;
    masker->n_chunks = bulk_chunks(bytes);
    masker->segment_bytes = QUANTIZE_SEGMENT_LANES * (job->lane_bits / 8);
    masker->leaves = calloc(masker->n_chunks, sizeof *masker->leaves);
    masker->chunk = locked_new(BULK_CHUNK_BYTES);
    err = masker->leaves == NULL || masker->chunk == NULL
              ? CHOIR_ERR_MEMORY
              : mask_open(maskset_suite(job->masks), &masker->worker);
    if (err != CHOIR_OK) {
        masker_free(masker);
        return err;
    }
    *out = masker;
    return CHOIR_OK;
}

void masker_free(struct masker *masker)
{
    if (masker == NULL)
        return;
    mask_close(masker->worker);
    locked_free(masker->chunk);
    free(masker->leaves);
    free(masker);
}

// A chunk is one segment of 32-bit lanes or two of 16-bit lanes: a segment never spans two chunks.
static void put_masks(struct masker *masker, size_t len)
{
    static_assert(BULK_CHUNK_BYTES % (QUANTIZE_SEGMENT_LANES * 4) == 0, "whole segments");
    for (size_t done = 0; done < len; done += masker->segment_bytes) {
        uint32_t segment = (uint32_t)((masker->at + done) / masker->segment_bytes);
        size_t left = len - done;

        maskset_apply(masker->job.masks, masker->worker, segment, masker->job.lane_bits, 0,
                      masker->chunk + done,
                      left < masker->segment_bytes ? left : masker->segment_bytes);
    }
}

static enum choir_err mask_chunk(struct masker *masker)
{
    uint64_t left = masker->bytes - masker->at;
    size_t len = left < BULK_CHUNK_BYTES ? (size_t)left : BULK_CHUNK_BYTES;
    enum choir_err err = file_read_at(masker->job.plain, masker->at, masker->chunk, len);

    if (err != CHOIR_OK)
        return err;
    put_masks(masker, len);
    merkle_leaf(masker->leaves[masker->at / BULK_CHUNK_BYTES], masker->chunk, len);
    err = file_write_at(masker->job.scratch, masker->at, masker->chunk, len);
    masker->at += len;
    return err;
}

enum choir_err masker_step(struct masker *masker, bool *done)
{
    size_t n = SLICE_MASKS / (maskset_count(masker->job.masks) + 1) + 1;
    enum choir_err err = CHOIR_OK;

    while (err == CHOIR_OK && n-- > 0 && masker->at < masker->bytes)
        err = mask_chunk(masker);
    *done = err == CHOIR_OK && masker->at == masker->bytes;
    return err;
}

enum choir_err masker_source(const struct masker *masker, struct source **out)
{
    uint8_t root[HASH_BYTES];

    assert(masker->at == masker->bytes);
    merkle_root(root, (const uint8_t(*)[HASH_BYTES])masker->leaves, masker->n_chunks);
    return source_of_leaves(root, masker->job.scratch, masker->bytes,
                            (const uint8_t(*)[HASH_BYTES])masker->leaves, out);
}
