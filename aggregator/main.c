/* choir-aggregator - gathers the sites' updates and merges them into a global model. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "aggregator/hub.h"
#include "base/folder.h"
#include "configs/aggregator.h"
#include "crypto/rng.h"
#include "ops/log.h"
#include "train/blas.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

// Keys must not reach a core file or another process of the same user.
static void keep_secrets(void)
{
    const struct rlimit none = {0, 0};

    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
}

// Every site that uploads has a file open, and a connection on each channel.
static void raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static int complain(const struct choir_diag *diag)
{
    fprintf(stderr, "choir-aggregator: %s: %s\n", diag->place, diag->message);
    return EXIT_FAILED;
}

static int run(const char *path)
{
    struct choir_diag diag = {.place = "aggregator", .message = "it could not start"};
    struct aggregator_config *config = NULL;
    struct hub *hub = NULL;
    enum choir_err err = aggregator_config_read(path, &config, &diag);

    if (err != CHOIR_OK)
        return complain(&diag);
    log_start("aggregator", config->log == AGGREGATOR_LOG_JSON, LOG_INFO);
    catch_signals();
    err = folder_make(config->state_dir);
    if (err != CHOIR_OK)
        diag_set(&diag, err, config->state_dir, "the state folder cannot be made");
    if (err == CHOIR_OK)
        err = hub_open(config, &hub, &diag);
    if (err != CHOIR_OK) {
        aggregator_config_free(config);
        return complain(&diag);
    }
    err = hub_run(hub, &stop);
    hub_close(hub);
    aggregator_config_free(config);
    return err == CHOIR_OK ? 0 : EXIT_FAILED;
}

static int usage(FILE *to)
{
    fprintf(to, "Usage: choir-aggregator run --config AGGREGATOR.json\n"
                "       choir-aggregator --version\n\n"
                "Listens for the sites of the roster and runs the plans that `choir launch` "
                "hands it.\nSIGTERM stops it; the next start goes on with the same run.\n");
    return to == stdout ? 0 : EXIT_USAGE;
}

int main(int argc, char **argv)
{
    keep_secrets();
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return usage(stdout);
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("choir-aggregator %s\n", CHOIR_VERSION);
        return 0;
    }
    if (argc != 4 || strcmp(argv[1], "run") != 0 || strcmp(argv[2], "--config") != 0)
        return usage(stderr);
    if (rng_start() != CHOIR_OK) {
        fprintf(stderr, "choir-aggregator: the system has no source of randomness\n");
        return EXIT_FAILED;
    }
    raise_file_limit();
    blas_start();
    return run(argv[3]);
}
