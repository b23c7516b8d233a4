/* choir plan: what a plan means and costs, before anything runs. */
#include "configs/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "cli/args.h"
#include "cli/choir.h"
#include "configs/aggregator.h"
#include "configs/explain.h"
#include "configs/site.h"

static const char help[] =
    "Usage: choir plan check PLAN.json\n"
    "       choir plan schema [plan | site | aggregator]\n\n"
    "`check` reads a plan as strictly as every site will, and explains it on one page: what\n"
    "leaves a site, who is trusted, and what it costs in epsilon. `schema` prints the JSON\n"
    "Schema of a file format, for editors.\n";

static int check(const char *path)
{
    struct choir_diag diag = {0};
    struct plan *plan = NULL;
    char hash[2 * HASH_BYTES + 1];
    enum choir_err err = plan_read_file(path, &plan, &diag);

    if (err != CHOIR_OK)
        return args_fail(diag.place[0] == '\0' ? path : diag.place,
                         diag.message[0] == '\0' ? choir_err_text(err) : diag.message);
    err = plan_explain(plan, stdout);
    hex_put(hash, plan->hash, HASH_BYTES);
    printf("\nPlan hash, by which sites approve it:\n  %s\n", hash);
    plan_free(plan);
    return err == CHOIR_OK ? EXIT_DONE : args_fail(path, choir_err_text(err));
}

static int schema(const char *of)
{
    char *text = NULL;
    enum choir_err err = CHOIR_ERR_MISSING;

    if (strcmp(of, "plan") == 0)
        err = plan_schema_json(&text);
    else if (strcmp(of, "site") == 0)
        err = site_schema_json(&text);
    else if (strcmp(of, "aggregator") == 0)
        err = aggregator_schema_json(&text);
    if (err != CHOIR_OK)
        return args_fail(of, err == CHOIR_ERR_MISSING
                                 ? "there are schemas of plan, site and aggregator"
                                 : choir_err_text(err));
    fputs(text, stdout);
    free(text);
    return EXIT_DONE;
}

int choir_plan(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "check") == 0 && argv[2][0] != '-')
        return check(argv[2]);
    if ((argc == 2 || argc == 3) && strcmp(argv[1], "schema") == 0)
        return schema(argc == 3 ? argv[2] : "plan");
    if (args_want_help(argc, argv)) {
        fputs(help, stdout);
        return EXIT_DONE;
    }
    fputs(help, stderr);
    return EXIT_USAGE;
}
