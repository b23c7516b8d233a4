/* server - the server optimiser: applies the sites' averaged delta to the global model.
 *
 * FedAvg, FedAdam, FedYogi and FedAdagrad of Reddi et al., "Adaptive Federated Optimization",
 * 2021, arXiv 2003.00295, algorithm 2 (no bias correction; v starts at tau^2). Works in place;
 * memory is 0 (FedAvg), else 2 floats per parameter.
 */
#ifndef CHOIR_TRAIN_SERVER_H
#define CHOIR_TRAIN_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum server_kind { SERVER_FEDAVG, SERVER_FEDADAM, SERVER_FEDYOGI, SERVER_FEDADAGRAD };

struct server_spec {
    enum server_kind kind;
    double learning_rate; // > 0
    double beta1, beta2;  // [0, 1); FedAvg uses neither, FedAdagrad no beta2
    double tau;           // > 0; FedAvg has no use for it
};

struct server;

/* For n parameters. Fails with CHOIR_ERR_FORMAT (a value out of range) or CHOIR_ERR_MEMORY. */
CHOIR_MUST_CHECK enum choir_err server_new(const struct server_spec *spec, size_t n,
                                           struct server **out);
void server_free(struct server *server);

/* One round: params [n] moves along mean_delta [n] (the weighted mean of what the sites' models
 * moved by). Every mean_delta must be finite: CHOIR_ERR_FORMAT otherwise, nothing changed. */
CHOIR_MUST_CHECK enum choir_err server_step(struct server *server, float *params,
                                            const float *mean_delta);

/* The same for parameters [begin, begin + count) alone, for an aggregator that streams: each
 * range exactly once per round. params and mean_delta point at the range's first element. */
CHOIR_MUST_CHECK enum choir_err server_step_range(struct server *server, size_t begin, size_t count,
                                                  float *params, const float *mean_delta);

/* State between rounds as bytes (little-endian, versioned, with kind and n), for a journal. */
size_t server_state_len(const struct server *server);
void server_save(const struct server *server, uint8_t *to);
/* Fails with CHOIR_ERR_FORMAT if it is not the state of the same kind and n, or holds a value
 * that is not finite; the server is then unchanged. */
CHOIR_MUST_CHECK enum choir_err server_load(struct server *server, const uint8_t *from, size_t len);

/* The same piece by piece, for a state that is too large to be held twice: bytes [at, at + len)
 * of it. Pieces begin at multiples of SERVER_STATE_UNIT; when loading they come in order, all of
 * them. Fails with CHOIR_ERR_FORMAT as server_load(), and the server is then unspecified. */
enum { SERVER_STATE_UNIT = 16 };
void server_save_part(const struct server *server, size_t at, uint8_t *to, size_t len);
CHOIR_MUST_CHECK enum choir_err server_load_part(struct server *server, size_t at,
                                                 const uint8_t *from, size_t len);

#endif
