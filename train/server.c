#include "train/server.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/pages.h"

enum { STATE_VERSION = 1, STATE_HEAD_BYTES = 4 + 4 + 8 };

struct server {
    struct server_spec spec;
    size_t n;
    float *first, *second; // m and v of the paper, [n]; NULL for FedAvg
};

static bool in_unit(double value)
{
    return value >= 0.0 && value < 1.0;
}

static bool spec_is_valid(const struct server_spec *spec)
{
    if (!isfinite(spec->learning_rate) || spec->learning_rate <= 0.0)
        return false;
    if (spec->kind == SERVER_FEDAVG)
        return true;
    if (!in_unit(spec->beta1) || !isfinite(spec->tau) || spec->tau <= 0.0)
        return false;
    return spec->kind == SERVER_FEDADAGRAD || in_unit(spec->beta2);
}

enum choir_err server_new(const struct server_spec *spec, size_t n, struct server **out)
{
    struct server *server;

    if (!spec_is_valid(spec) || n < 1)
        return CHOIR_ERR_FORMAT;
    server = calloc(1, sizeof *server);
    if (server == NULL)
        return CHOIR_ERR_MEMORY;
    server->spec = *spec;
    server->n = n;
    if (spec->kind != SERVER_FEDAVG) {
        server->first = pages_calloc(n, sizeof *server->first);
        server->second = pages_calloc(n, sizeof *server->second);
        if (server->first == NULL || server->second == NULL) {
            server_free(server);
            return CHOIR_ERR_MEMORY;
        }
        for (size_t i = 0; i < n; i++)
            server->second[i] = (float)(spec->tau * spec->tau);
    }
    *out = server;
    return CHOIR_OK;
}

void server_free(struct server *server)
{
    if (server == NULL)
        return;
    free(server->first);
    free(server->second);
    free(server);
}

// v after one more squared delta: lines 8 to 10 of algorithm 2.
static float next_second(const struct server_spec *spec, float second, float square)
{
    float rest = (float)(1.0 - spec->beta2);

    if (spec->kind == SERVER_FEDADAGRAD)
        return second + square;
    if (spec->kind == SERVER_FEDADAM)
        return (float)spec->beta2 * second + rest * square;
    if (second > square)
        return second - rest * square;
    return second < square ? second + rest * square : second;
}

enum choir_err server_step_range(struct server *server, size_t begin, size_t count, float *params,
                                 const float *mean_delta)
{
    const struct server_spec *spec = &server->spec;
    float rate = (float)spec->learning_rate, tau = (float)spec->tau;
    float beta1 = (float)spec->beta1, rest = (float)(1.0 - spec->beta1);

    if (begin > server->n || count > server->n - begin)
        return CHOIR_ERR_FORMAT;
    for (size_t i = 0; i < count; i++)
        if (!isfinite(mean_delta[i]))
            return CHOIR_ERR_FORMAT;
    for (size_t i = 0; i < count; i++) {
        float delta = mean_delta[i];

        if (spec->kind != SERVER_FEDAVG) {
            float *first = &server->first[begin + i], *second = &server->second[begin + i];

            *first = beta1 * *first + rest * delta;
            *second = next_second(spec, *second, delta * delta);
            delta = *first / (sqrtf(*second) + tau);
        }
        params[i] += rate * delta;
    }
    return CHOIR_OK;
}

enum choir_err server_step(struct server *server, float *params, const float *mean_delta)
{
    return server_step_range(server, 0, server->n, params, mean_delta);
}

size_t server_state_len(const struct server *server)
{
    return STATE_HEAD_BYTES + (server->first == NULL ? 0 : 8 * server->n);
}

static void put_head(const struct server *server, uint8_t to[static STATE_HEAD_BYTES])
{
    put_u64(put_u32(put_u32(to, STATE_VERSION), (uint32_t)server->spec.kind), server->n);
}

// Where float number i of the state lies: first the moments m, then v.
static float *state_float(const struct server *server, size_t i)
{
    return i < server->n ? &server->first[i] : &server->second[i - server->n];
}

void server_save_part(const struct server *server, size_t at, uint8_t *to, size_t len)
{
    assert(at % sizeof(float) == 0 && at <= server_state_len(server) &&
           len <= server_state_len(server) - at);
    if (at == 0 && len > 0) {
        assert(len >= STATE_HEAD_BYTES);
        put_head(server, to);
        at += STATE_HEAD_BYTES;
        to += STATE_HEAD_BYTES;
        len -= STATE_HEAD_BYTES;
    }
    for (size_t i = (at - STATE_HEAD_BYTES) / sizeof(float); len > 0; len -= sizeof(float)) {
        uint32_t bits;

        memcpy(&bits, state_float(server, i++), sizeof bits);
        to = put_u32(to, bits);
    }
}

void server_save(const struct server *server, uint8_t *to)
{
    server_save_part(server, 0, to, server_state_len(server));
}

enum choir_err server_load_part(struct server *server, size_t at, const uint8_t *from, size_t len)
{
    bool good = true;

    assert(at % sizeof(float) == 0);
    if (at > server_state_len(server) || len > server_state_len(server) - at ||
        len % sizeof(float) != 0)
        return CHOIR_ERR_FORMAT;
    if (at == 0) {
        uint8_t head[STATE_HEAD_BYTES];

        put_head(server, head);
        if (len < STATE_HEAD_BYTES || memcmp(head, from, sizeof head) != 0)
            return CHOIR_ERR_FORMAT;
        at += STATE_HEAD_BYTES;
        from += STATE_HEAD_BYTES;
        len -= STATE_HEAD_BYTES;
    }
    for (size_t i = (at - STATE_HEAD_BYTES) / sizeof(float); len > 0; len -= sizeof(float), i++) {
        uint32_t bits = get_u32(from);
        float value;

        memcpy(&value, &bits, sizeof value);
        good = good && isfinite(value) && (i < server->n || value >= 0.0F);
        *state_float(server, i) = value;
        from += sizeof bits;
    }
    return good ? CHOIR_OK : CHOIR_ERR_FORMAT;
}

static float get_float(struct view *view)
{
    uint32_t bits = view_u32(view);
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

enum choir_err server_load(struct server *server, const uint8_t *from, size_t len)
{
    struct view view = view_over(from, len), check;
    bool is_ours = view_u32(&view) == STATE_VERSION;

    is_ours = view_u32(&view) == (uint32_t)server->spec.kind && is_ours;
    is_ours = view_u64(&view) == server->n && is_ours;
    if (!is_ours || len != server_state_len(server))
        return CHOIR_ERR_FORMAT;
    check = view;
    for (size_t i = 0; check.left > 0; i++) {
        float value = get_float(&check);

        if (!isfinite(value) || (i >= server->n && value < 0.0F))
            return CHOIR_ERR_FORMAT;
    }
    for (size_t i = 0; server->first != NULL && i < server->n; i++)
        server->first[i] = get_float(&view);
    for (size_t i = 0; server->first != NULL && i < server->n; i++)
        server->second[i] = get_float(&view);
    return CHOIR_OK;
}
