#include "tests/round/graph_bounds.h"

#include <math.h>

static double log_choose(double n, double k)
{
    int sign;

    return lgamma_r(n + 1, &sign) - lgamma_r(k + 1, &sign) - lgamma_r(n - k + 1, &sign);
}

// log E[exp(lambda ...)] of one set of s honest sites: pairs within count twice, once per end.
static double log_moment(const struct graph_case *graph, double s, double lambda)
{
    const double p = (double)graph->k / (graph->n - 1), tau = graph->tau_milli / 1000.0;
    const double within = s * (s - 1) / 2, colluding = s * graph->c;
    const double outside = s * (graph->n - graph->c - s);

    return within * log1p(p * expm1(2 * (1 - tau) * lambda)) +
           colluding * log1p(p * expm1((1 - tau) * lambda)) +
           outside * log1p(p * expm1(-tau * lambda));
}

// The exponent is convex in lambda: golden section between two far ends.
static double least_log_moment(const struct graph_case *graph, double s)
{
    const double golden = 0.6180339887498949;
    double low = 0, high = 8;

    for (int i = 0; i < 40; i++) {
        double a = high - golden * (high - low), b = low + golden * (high - low);

        if (log_moment(graph, s, a) < log_moment(graph, s, b))
            high = b;
        else
            low = a;
    }
    return log_moment(graph, s, (low + high) / 2);
}

double graph_privacy_log2(const struct graph_case *graph)
{
    const double honest = graph->n - graph->c;
    double sum = -INFINITY;

    for (uint32_t s = 1; s <= (graph->n - graph->c) / 2; s++) {
        double term = log_choose(honest, s) + least_log_moment(graph, s);
        double top = fmax(sum, term);

        sum = top + log(exp(sum - top) + exp(term - top));
    }
    return sum / log(2);
}

static double log_binomial(double n, double k, double p)
{
    return log_choose(n, k) + k * log(p) + (n - k) * log1p(-p);
}

double graph_loss_log2(const struct graph_case *graph, double delta)
{
    const double others = graph->n - 1, p = (double)graph->k / others;
    double sum = 0;

    // Of `degree` neighbours, `alive` answer; both binomial.
    for (uint32_t degree = 0; degree < graph->n; degree++) {
        const double degree_log = log_binomial(others, degree, p);
        const uint32_t threshold = (graph->tau_milli * degree + 999) / 1000 + 1;

        if (degree_log < -100)
            continue;
        for (uint32_t alive = 0; alive < threshold && alive <= degree; alive++)
            sum += exp(degree_log + log_binomial(degree, alive, 1 - delta));
    }
    return log2(graph->n * sum);
}
