/* choir-audit verify: everything that was given, against the anchor and against each other. */
#include <stdio.h>
#include <string.h>

#include "audit/case.h"
#include "audit/commands.h"
#include "base/hex.h"

/* What the command line asks for. */
struct wish {
    const char *roster; // --roster
    const char *root;   // --root
    int n_paths;
    char **paths;
};

static bool read_wish(int argc, char **argv, struct wish *wish)
{
    int i = 0;

    for (; i < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
        if (i + 1 == argc)
            return false;
        if (strcmp(argv[i], "--roster") == 0)
            wish->roster = argv[i + 1];
        else if (strcmp(argv[i], "--root") == 0)
            wish->root = argv[i + 1];
        else
            return false;
    }
    wish->n_paths = argc - i;
    wish->paths = argv + i;
    return wish->n_paths > 0 && (wish->roster == NULL || wish->root == NULL);
}

// The fingerprint that everything must lead to. False if it cannot be had (said already).
static bool set_anchor(struct audit_case *audit, const struct wish *wish)
{
    struct roster roster = {0};
    enum choir_err err;

    if (wish->root != NULL) {
        uint8_t digest[HASH_BYTES];

        if (hex_get(digest, sizeof digest, wish->root) != CHOIR_OK) {
            report_unknown(&audit->report, "--root", "64 hexadecimal digits expected");
            return false;
        }
        hex_put(audit->root, digest, sizeof digest); // in lower case
        audit->anchored = true;
    }
    if (wish->roster == NULL)
        return true;
    err = roster_read(wish->roster, NULL, &roster);
    if (err != CHOIR_OK) {
        report_unknown(&audit->report, wish->roster, "%s", roster_fault_text(err));
        return false;
    }
    roster_fingerprint(audit->root, roster.root_key);
    roster_release(&roster);
    audit->anchored = true;
    return true;
}

// The roster of the command line is evidence too.
static bool gather(struct audit_case *audit, const struct wish *wish)
{
    for (int i = 0; i < wish->n_paths; i++) {
        enum choir_err err = evidence_add(&audit->evidence, wish->paths[i]);

        if (err != CHOIR_OK) {
            report_unknown(&audit->report, wish->paths[i], "%s",
                           err == CHOIR_ERR_MISSING ? "there is no such file or folder"
                                                    : choir_err_text(err));
            return false;
        }
    }
    if (wish->roster != NULL && evidence_add_roster(&audit->evidence, wish->roster) != CHOIR_OK)
        return false;
    return true;
}

static enum choir_err check(struct audit_case *audit)
{
    enum choir_err err = case_load(audit);

    if (err != CHOIR_OK)
        return err;
    if (!audit->anchored)
        report_unknown(&audit->report, "anchor",
                       "who the federation is: give --root FINGERPRINT or --roster FILE, which "
                       "you have by another way than these files");
    else if (audit->n_rosters == 0)
        report_unknown(&audit->report, "roster",
                       "no good roster of this root was given (roster.bin)");
    if (audit->n_books == 0)
        report_unknown(&audit->report, "evidence",
                       "no good ledger or log was given (*.ledger, *.log)");
    err = case_check_ledgers(audit);
    if (err == CHOIR_OK)
        err = case_check_plans(audit);
    if (err == CHOIR_OK)
        err = case_check_logs(audit);
    if (err == CHOIR_OK)
        err = case_check_sums(audit);
    return err == CHOIR_OK ? case_check_models(audit) : err;
}

int command_verify(int argc, char **argv)
{
    static const char *const words[] = {
        [VERDICT_GOOD] = "good", [VERDICT_BAD] = "bad", [VERDICT_CANNOT_TELL] = "cannot tell"};
    struct audit_case audit = {0};
    struct wish wish = {0};
    enum verdict verdict;

    if (!read_wish(argc, argv, &wish)) {
        fputs("usage: choir-audit verify [--roster FILE | --root FINGERPRINT] PATH...\n", stderr);
        return VERDICT_CANNOT_TELL;
    }
    if (gather(&audit, &wish) && set_anchor(&audit, &wish)) {
        enum choir_err err = check(&audit);

        if (err != CHOIR_OK)
            report_unknown(&audit.report, "audit", "%s", choir_err_text(err));
    }
    verdict = report_verdict(&audit.report);
    printf("audit: %s (%zu good, %zu bad, %zu not decidable)\n", words[verdict],
           audit.report.n_good, audit.report.n_bad, audit.report.n_unknown);
    case_free(&audit);
    return (int)verdict;
}
