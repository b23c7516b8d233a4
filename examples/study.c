#include "examples/study.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"

enum { STUDY_MAX_PATH = 4096, STUDY_MAX_JSON = 256 << 10 };

/* Where the files of an example lie. */
struct places {
    const char *folder, *data_folder;
    struct choir_diag *diag;
};

static enum choir_err path_join(char *to, const char *folder, const char *name)
{
    const int len = name[0] == '/' ? snprintf(to, STUDY_MAX_PATH, "%s", name)
                                   : snprintf(to, STUDY_MAX_PATH, "%s/%s", folder, name);

    return len > 0 && len < STUDY_MAX_PATH ? CHOIR_OK : CHOIR_ERR_FORMAT;
}

static enum choir_err open_file(const char *path, int *fd, struct choir_diag *diag)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd >= 0)
        return CHOIR_OK;
    return diag_set(diag, errno == ENOENT ? CHOIR_ERR_MISSING : CHOIR_ERR_IO, path,
                    "cannot be opened: %s", strerror(errno)); // NOLINT(concurrency-mt-unsafe)
}

static enum choir_err read_rows(const char *path, struct dataset_rows *rows,
                                struct choir_diag *diag)
{
    int fd = -1;
    enum choir_err err = open_file(path, &fd, diag);

    if (err != CHOIR_OK)
        return err;
    err = dataset_read_rows(fd, rows, diag);
    (void)close(fd);
    return err;
}

static enum choir_err read_part(const struct places *places, const char *file,
                                const char *rows_file, const struct schema *schema,
                                struct dataset **out)
{
    char csv[STUDY_MAX_PATH];
    char list[STUDY_MAX_PATH];
    struct dataset_rows rows = {0};
    int fd = -1;
    enum choir_err err = path_join(csv, places->data_folder, file);

    if (err == CHOIR_OK)
        err = path_join(list, places->folder, rows_file);
    if (err == CHOIR_OK)
        err = read_rows(list, &rows, places->diag);
    if (err == CHOIR_OK)
        err = open_file(csv, &fd, places->diag);
    if (err == CHOIR_OK)
        err = dataset_read(fd, csv, schema, &rows, out, places->diag);
    if (fd >= 0)
        (void)close(fd);
    dataset_rows_free(&rows);
    return err;
}

static const struct json_node *find_site(const struct json_node *sites, const char *name)
{
    for (size_t i = 0; i < json_count(sites); i++) {
        const struct json_node *text = json_get(json_at(sites, i), "name");

        if (text != NULL && json_kind(text) == JSON_STRING && strcmp(json_text(text), name) == 0)
            return json_at(sites, i);
    }
    return NULL;
}

static enum choir_err read_site(const struct places *places, const struct json_node *node,
                                const struct schema *schema, struct study_site *site)
{
    const char *file = NULL;
    const char *rows = NULL;
    const char *test_rows = NULL;
    enum choir_err err = json_get_text(node, "file", &file, places->diag);

    if (err == CHOIR_OK)
        err = json_get_text(node, "rows", &rows, places->diag);
    if (err == CHOIR_OK)
        err = json_get_text(node, "test_rows", &test_rows, places->diag);
    if (err == CHOIR_OK)
        err = read_part(places, file, rows, schema, &site->train);
    if (err == CHOIR_OK)
        err = read_part(places, file, test_rows, schema, &site->test);
    return err;
}

static enum choir_err read_sites(const struct places *places, const struct json_node *root,
                                 struct study *study)
{
    const struct json_node *list = NULL;
    enum choir_err err = json_get_node(root, "sites", JSON_ARRAY, &list, places->diag);

    for (size_t i = 0; err == CHOIR_OK && i < study->plan->n_sites; i++) {
        const struct json_node *node = find_site(list, study->plan->sites[i].name);

        study->sites[i].name = study->plan->sites[i].name;
        if (node == NULL)
            return json_fail(list, places->diag, CHOIR_ERR_MISSING,
                             "no site called \"%s\", which the plan names",
                             study->plan->sites[i].name);
        err = read_site(places, node, &study->plan->schema, &study->sites[i]);
    }
    return err;
}

static enum choir_err join_sites(struct study *study)
{
    const size_t n = study->plan->n_sites;
    enum choir_err err = CHOIR_ERR_MEMORY;
    const struct dataset **parts = calloc(n, sizeof(struct dataset *));

    if (parts == NULL)
        return CHOIR_ERR_MEMORY;
    for (size_t i = 0; i < n; i++)
        parts[i] = study->sites[i].train;
    err = study_join(parts, n, &study->train);
    for (size_t i = 0; i < n; i++)
        parts[i] = study->sites[i].test;
    if (err == CHOIR_OK)
        err = study_join(parts, n, &study->test);
    free(parts);
    return err;
}

static enum choir_err read_plan(const struct places *places, const struct json_node *root,
                                const char *plan_name, struct study *study)
{
    char path[STUDY_MAX_PATH];
    enum choir_err err = CHOIR_OK;

    if (plan_name == NULL)
        err = json_get_text(root, "plan", &plan_name, places->diag);
    if (err == CHOIR_OK)
        err = path_join(path, strchr(plan_name, '/') != NULL ? "." : places->folder, plan_name);
    if (err == CHOIR_OK)
        err = plan_read_file(path, &study->plan, places->diag);
    return err;
}

enum choir_err study_open(const char *folder, const char *plan_name, const char *data_folder,
                          struct study **out, struct choir_diag *diag)
{
    const struct places places = {folder, data_folder != NULL ? data_folder : folder, diag};
    char path[STUDY_MAX_PATH];
    struct json *json = NULL;
    enum choir_err err = CHOIR_ERR_MEMORY;
    struct study *study = calloc(1, sizeof *study);

    if (study == NULL)
        goto out;
    err = path_join(path, folder, "sites.json");
    if (err == CHOIR_OK)
        err = json_read_file(path, STUDY_MAX_JSON, &json, diag);
    if (err == CHOIR_OK)
        err = read_plan(&places, json_root(json), plan_name, study);
    if (err != CHOIR_OK)
        goto out;
    study->sites = calloc(study->plan->n_sites, sizeof *study->sites);
    if (study->sites == NULL) {
        err = CHOIR_ERR_MEMORY;
        goto out;
    }
    err = read_sites(&places, json_root(json), study);
    if (err == CHOIR_OK)
        err = join_sites(study);
    if (err != CHOIR_OK)
        goto out;
    *out = study;
    study = NULL; // now the caller's
out:
    json_free(json);
    study_free(study);
    return err;
}

void study_free(struct study *study)
{
    if (study == NULL)
        return;
    for (size_t i = 0; study->sites != NULL && i < study->plan->n_sites; i++) {
        dataset_free(study->sites[i].train);
        dataset_free(study->sites[i].test);
    }
    free(study->sites);
    dataset_free(study->train);
    dataset_free(study->test);
    plan_free(study->plan);
    free(study);
}

static void copy_record(const struct dataset *from, size_t i, struct dataset *to, size_t at)
{
    memcpy(to->x + at * to->d, from->x + i * from->d, from->d * sizeof *from->x);
    to->y[at] = from->y[i];
}

enum choir_err study_join(const struct dataset *const *parts, size_t n_parts, struct dataset **out)
{
    struct dataset *whole = NULL;
    size_t n = 0;
    size_t at = 0;
    enum choir_err err = CHOIR_OK;

    if (n_parts == 0)
        return CHOIR_ERR_FORMAT;
    for (size_t p = 0; p < n_parts; p++) {
        if (parts[p] == NULL || parts[p]->d != parts[0]->d)
            return CHOIR_ERR_FORMAT;
        n += parts[p]->n;
    }
    if (n == 0)
        return CHOIR_ERR_FORMAT;
    err = dataset_new(n, parts[0]->d, &whole);
    if (err != CHOIR_OK)
        return err;
    for (size_t p = 0; p < n_parts; p++)
        for (size_t i = 0; i < parts[p]->n; i++)
            copy_record(parts[p], i, whole, at++);
    *out = whole;
    return CHOIR_OK;
}

enum choir_err study_pick(const struct dataset *from, struct study_fold fold, struct dataset **out)
{
    struct dataset *picked = NULL;
    size_t n = 0;
    size_t at = 0;
    enum choir_err err = CHOIR_OK;

    for (size_t i = 0; i < from->n; i++)
        n += (fold.of[i] == fold.fold) == fold.in;
    if (n == 0)
        return CHOIR_ERR_FORMAT;
    err = dataset_new(n, from->d, &picked);
    if (err != CHOIR_OK)
        return err;
    for (size_t i = 0; i < from->n; i++)
        if ((fold.of[i] == fold.fold) == fold.in)
            copy_record(from, i, picked, at++);
    *out = picked;
    return CHOIR_OK;
}
