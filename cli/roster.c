/* choir roster: adds sites to the signed roster, or shows one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/folder.h"
#include "base/hex.h"
#include "base/now.h"
#include "cli/args.h"
#include "cli/choir.h"
#include "cli/federation.h"
#include "crypto/keyfile.h"
#include "wire/enrolment.h"
#include "wire/secrets.h"

enum { ARGS_MAX = 1100, DAYS_MAX = 3650, DAY_SECONDS = 86400 };

struct wish {
    const char *dir, *passphrase_file, *days_text, *c_text;
    uint64_t days, c;
    const char **files;
    size_t n_files;
};

static const char help[] =
    "Usage: choir roster add DIR NAME.pub... [--c N] [--days N] [--passphrase-file FILE]\n"
    "       choir roster show ROSTER.bin\n\n"
    "`add` puts the sites on the next epoch of the roster in DIR and signs it; without a\n"
    "NAME.pub it renews the roster. Compare each fingerprint that it prints with what the\n"
    "site reads to you over the telephone. Give the new roster.bin to every site.\n"
    "  --c N      sites that may collude with the aggregator (default: 0 up to four sites,\n"
    "             a third of the others above)\n"
    "  --days N   how long the new epoch is good for (default: as before)\n";

static void print_date(const char *what, uint64_t seconds)
{
    char date[32];
    time_t time = (time_t)seconds;
    struct tm parts;

    strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", gmtime_r(&time, &parts));
    printf("%-12s %s\n", what, date);
}

static void print_roster(const struct roster *roster)
{
    char text[2 * HASH_BYTES + 1];

    printf("federation   %s, epoch %llu\n", roster->name, (unsigned long long)roster->epoch);
    roster_fingerprint(text, roster->root_key);
    printf("root         %s\n", text);
    hex_put(text, roster->hash, HASH_BYTES);
    printf("roster hash  %s\n", text);
    print_date("issued", roster->issued);
    print_date("expires", roster->expires);
    printf("aggregator   %s (control), %s (bulk)\n", roster->aggregator.control,
           roster->aggregator.bulk);
    printf("sites        %zu, of which %u may collude with the aggregator\n", roster->n_sites,
           roster->c);
    for (size_t i = 0; i < roster->n_sites; i++) {
        hex_put(text, roster->sites[i].sign_key, 8);
        printf("  %4u  %-24s key %s...\n", roster->sites[i].id, roster->sites[i].name, text);
    }
}

static int show(const char *path)
{
    struct roster roster = {0};
    enum choir_err err = roster_read(path, NULL, &roster);

    if (err != CHOIR_OK)
        return args_fail(path, roster_fault_text(err));
    print_roster(&roster);
    printf("Signed by the root key above. Whether that is the root you trust, its fingerprint "
           "tells.\n");
    roster_release(&roster);
    return EXIT_DONE;
}

static enum choir_err add_file(struct roster *roster, const char *path, struct choir_diag *diag)
{
    char fingerprint[ROSTER_FINGERPRINT_MAX];
    struct roster_site site;
    uint8_t *bytes = NULL;
    size_t len = 0;
    uint32_t id = 0;
    enum choir_err err = file_read(path, ENROLMENT_BYTES_MAX, &bytes, &len);

    if (err == CHOIR_OK)
        err = enrolment_decode(bytes, len, &site);
    if (err == CHOIR_OK) {
        enrolment_fingerprint(fingerprint, bytes, len);
        err = roster_add(roster, &site, &id);
    }
    free(bytes);
    if (err == CHOIR_ERR_REFUSED)
        return diag_set(diag, err, path,
                        "a site of that name or with one of its keys is on the "
                        "roster already");
    if (err != CHOIR_OK)
        return diag_set(diag, err, path, "%s", choir_err_text(err));
    printf("site %u  %-24s %s\n", id, site.name, fingerprint);
    return CHOIR_OK;
}

// The next epoch: what was signed before is named in it, so epochs form a chain.
static void turn_page(struct roster *roster, const struct wish *wish, size_t n_before)
{
    uint64_t life = roster->expires - roster->issued;

    memcpy(roster->previous, roster->hash, HASH_BYTES);
    roster->epoch++;
    if (wish->c_text != NULL)
        roster->c = (uint32_t)wish->c;
    else if (roster->c == roster_default_c(n_before))
        roster->c = roster_default_c(roster->n_sites);
    roster->issued = now_unix();
    roster->expires = roster->issued + (wish->days_text != NULL ? wish->days * DAY_SECONDS : life);
}

static enum choir_err check_c(const struct roster *roster, struct choir_diag *diag)
{
    if (roster->c == 0 || roster->c < roster->n_sites)
        return CHOIR_OK;
    return diag_set(diag, CHOIR_ERR_REFUSED, "--c",
                    "%u of %zu sites may collude, so nobody is left: add more sites at once, or "
                    "give a lower --c",
                    roster->c, roster->n_sites);
}

static enum choir_err add(const struct wish *wish, struct roster *roster, struct choir_diag *diag)
{
    char path[PATH_MAX] = "", *passphrase = NULL;
    uint8_t *root = NULL;
    size_t n_before;
    enum choir_err err = folder_path(path, wish->dir, "roster.bin");

    if (err == CHOIR_OK)
        err = roster_read(path, NULL, roster);
    if (err != CHOIR_OK)
        return diag_set(diag, err, path, "%s; `choir init` makes a federation",
                        roster_fault_text(err));
    n_before = roster->n_sites;
    for (size_t i = 0; err == CHOIR_OK && i < wish->n_files; i++)
        err = add_file(roster, wish->files[i], diag);
    if (err == CHOIR_OK) {
        turn_page(roster, wish, n_before);
        err = check_c(roster, diag);
    }
    if (err == CHOIR_OK)
        err = federation_passphrase(wish->dir, wish->passphrase_file, &passphrase, diag);
    if (err == CHOIR_OK)
        err = federation_key(wish->dir, "root.key", SECRETS_ROOT, passphrase, SECRETS_SIGNER_BYTES,
                             &root, diag);
    keyfile_free(passphrase);
    if (err == CHOIR_OK)
        err = federation_store_roster(wish->dir, roster, root, diag);
    keyfile_free(root);
    return err;
}

static int add_sites(struct wish *wish)
{
    struct roster roster = {0};
    struct choir_diag diag = {0};
    enum choir_err err;

    if ((wish->days_text != NULL &&
         args_number("--days", wish->days_text, 1, DAYS_MAX, &wish->days) != CHOIR_OK) ||
        (wish->c_text != NULL &&
         args_number("--c", wish->c_text, 0, ROSTER_SITES_MAX, &wish->c) != CHOIR_OK))
        return EXIT_USAGE;
    err = add(wish, &roster, &diag);
    if (err == CHOIR_OK)
        printf("Epoch %llu with %zu sites is signed: %s/roster.bin. Give it to every site and "
               "restart the aggregator.\n",
               (unsigned long long)roster.epoch, roster.n_sites, wish->dir);
    roster_release(&roster);
    return err == CHOIR_OK ? EXIT_DONE : args_fail(diag.place, diag.message);
}

int choir_roster(int argc, char **argv)
{
    const char *rest[ARGS_MAX];
    bool wants_help = false;
    struct wish wish = {0};
    const struct args_option options[] = {
        {"--passphrase-file", &wish.passphrase_file, NULL},
        {"--days", &wish.days_text, NULL},
        {"--c", &wish.c_text, NULL},
        {"--help", NULL, &wants_help},
    };
    size_t n = 0;

    if (argc > ARGS_MAX ||
        args_read(argc, argv, options, sizeof options / sizeof options[0], rest, &n) != CHOIR_OK)
        return EXIT_USAGE;
    if (!wants_help && n == 2 && strcmp(rest[0], "show") == 0)
        return show(rest[1]);
    if (wants_help || n < 2 || strcmp(rest[0], "add") != 0) {
        fputs(help, wants_help ? stdout : stderr);
        return wants_help ? EXIT_DONE : EXIT_USAGE;
    }
    wish.dir = rest[1];
    wish.files = rest + 2;
    wish.n_files = n - 2;
    return add_sites(&wish);
}
