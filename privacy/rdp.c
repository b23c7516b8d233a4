#include "privacy/rdp.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "privacy/divergence.h"

// Each block of orders: `count` orders from `first` in steps of `step`, as fractions of `part`
// so that whole numbers and tenths are exact.
struct order_block {
    double first, step, part;
    size_t count;
};

static const struct order_block blocks[] = {
    {101, 1, 100, 3},   // 1.01 to 1.03
    {105, 1, 100, 1},   // 1.05
    {11, 1, 10, 100},   // 1.1 to 11
    {12, 1, 1, 53},     // 12 to 64
    {72, 8, 1, 2},      // 72, 80
    {96, 16, 1, 3},     // 96 to 128
    {160, 32, 1, 4},    // 160 to 256
    {320, 64, 1, 4},    // 320 to 512
    {640, 128, 1, 4},   // 640 to 1024
    {1280, 256, 1, 4},  // 1280 to 2048
    {2560, 512, 1, 2},  // 2560, 3072
    {4096, 4096, 1, 2}, // 4096, 8192
    {16384, 1, 1, 1},   // 16384
};

double rdp_order(size_t i)
{
    size_t b = 0;

    assert(i < RDP_ORDERS);
    while (i >= blocks[b].count)
        i -= blocks[b++].count;
    return (blocks[b].first + (double)i * blocks[b].step) / blocks[b].part;
}

void rdp_curve_init(struct rdp_curve *curve)
{
    memset(curve, 0, sizeof *curve); // no event is encoded as zeros: its count is at least 1
}

// Standard deviation over sensitivity of the Gaussian that the event amounts to.
static double noise_multiplier_of(const struct privacy_event *event)
{
    if (event->kind == EVENT_TREE) // one unit is in that many nodes of the tree
        return event->noise_multiplier / sqrt(ceil(log2((double)event->steps + 1.0)));
    if (event->kind == EVENT_DISCRETE_GAUSSIAN)
        return event->sigma / event->sensitivity;
    return event->noise_multiplier;
}

static double pure_epsilon_of(const struct privacy_event *event)
{
    if (event->kind == EVENT_LAPLACE)
        return 1.0 / event->scale;
    if (event->kind == EVENT_DISCRETE_LAPLACE)
        return event->sensitivity / event->scale;
    return event->kind == EVENT_EPSILON_DELTA ? event->epsilon : HUGE_VAL;
}

static bool is_covered(const struct privacy_event *event)
{
    bool is_sampled = event->sampling_rate < 1.0;

    switch (event->kind) {
    case EVENT_NONE:
    case EVENT_GAUSSIAN:
    case EVENT_DISCRETE_GAUSSIAN:
        return true;
    case EVENT_LAPLACE:
    case EVENT_DISCRETE_LAPLACE:
    case EVENT_EPSILON_DELTA:
    case EVENT_TREE:
        return !is_sampled;
    case EVENT_SKELLAM:
    case EVENT_DDG:
    case EVENT_MATRIX:
    case EVENT_KINDS:
        break;
    }
    return false;
}

static double divergence_of(const struct privacy_event *event, double order)
{
    switch (event->kind) {
    case EVENT_LAPLACE:
        return divergence_laplace(event->scale, order);
    case EVENT_DISCRETE_LAPLACE:
    case EVENT_EPSILON_DELTA:
        return divergence_pure(pure_epsilon_of(event), order);
    case EVENT_DISCRETE_GAUSSIAN:
        return divergence_discrete_gaussian(event->sampling_rate, noise_multiplier_of(event),
                                            order);
    case EVENT_GAUSSIAN:
    case EVENT_TREE:
        return divergence_gaussian(event->sampling_rate, noise_multiplier_of(event), order);
    case EVENT_NONE:
    case EVENT_SKELLAM:
    case EVENT_DDG:
    case EVENT_MATRIX:
    case EVENT_KINDS:
        break;
    }
    return HUGE_VAL;
}

// Puts the divergences of one step of `event` in curve->last_step, unless they are there.
static void compute_step(struct rdp_curve *curve, const struct privacy_event *event)
{
    struct privacy_event one = *event;
    uint8_t bytes[EVENT_BYTES];
    struct buf buf = buf_over(bytes, sizeof bytes);

    one.count = 1;
    event_encode(&buf, &one);
    if (memcmp(bytes, curve->last, sizeof bytes) == 0)
        return;
    for (size_t i = 0; i < RDP_ORDERS; i++)
        curve->last_step[i] = divergence_of(event, rdp_order(i));
    memcpy(curve->last, bytes, sizeof bytes);
}

enum choir_err rdp_curve_add(struct rdp_curve *curve, const struct privacy_event *event)
{
    double count = (double)event->count;

    if (event_problem(event) != NULL)
        return CHOIR_ERR_FORMAT;
    if (event->count == 0)
        return CHOIR_OK;
    if (event->kind == EVENT_NONE) {
        curve->unprotected = true;
        return CHOIR_OK;
    }
    if (!(event->sampling_rate > 0.0)) // nobody is ever in a batch
        return CHOIR_OK;
    if (!is_covered(event))
        return CHOIR_ERR_REFUSED;

    compute_step(curve, event);
    for (size_t i = 0; i < RDP_ORDERS; i++)
        curve->value[i] += count * curve->last_step[i];
    curve->pure += count * pure_epsilon_of(event);
    if (event->kind == EVENT_EPSILON_DELTA)
        curve->log_kept += count * log1p(-event->delta);
    return CHOIR_OK;
}

double rdp_to_epsilon(double order, double divergence, double delta)
{
    // delta <= sqrt(1 - e^-KL) at epsilon 0, and no order above 1 is below KL.
    if (delta * delta + expm1(-divergence) >= 0.0)
        return 0.0;
    return fmax(0.0, divergence + log1p(-1.0 / order) - log(delta * order) / (order - 1.0));
}

enum choir_err rdp_curve_epsilon(const struct rdp_curve *curve, double delta, double *epsilon)
{
    double failed = -expm1(curve->log_kept); // chance that some epsilon_delta event failed
    double left = (delta - failed) / (1.0 - failed);
    double best = HUGE_VAL;

    if (!(delta >= 0.0 && delta < 1.0))
        return CHOIR_ERR_FORMAT;
    if (!curve->unprotected) {
        if (delta >= failed * (1.0 - 0x1p-50)) // rounding of log1p and expm1
            best = curve->pure;
        for (size_t i = 0; left > 0.0 && i < RDP_ORDERS; i++)
            best = fmin(best, rdp_to_epsilon(rdp_order(i), curve->value[i], left));
    }
    *epsilon = best;
    return CHOIR_OK;
}

enum choir_err rdp_epsilon(const struct privacy_event *events, size_t n, double delta,
                           double *epsilon)
{
    struct rdp_curve curve;

    rdp_curve_init(&curve);
    for (size_t i = 0; i < n; i++) {
        enum choir_err err = rdp_curve_add(&curve, &events[i]);

        if (err != CHOIR_OK)
            return err;
    }
    return rdp_curve_epsilon(&curve, delta, epsilon);
}
