/* csv - any bytes as a data file, plain or gzip: refused with a message, or read whole. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "train/dataset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static char level_a[] = "a", level_b[] = "2", code_yes[] = "1", code_no[] = "0";
static char size_name[] = "size", term_name[] = "term", label_name[] = "Class";
static char *levels[] = {level_a, level_b}, *yes[] = {code_yes}, *no[] = {code_no};
static struct schema_column columns[] = {
    {.name = size_name, .missing = SCHEMA_FLAG, .min = 0, .max = 100, .fill = 1},
    {.name = term_name, .kind = SCHEMA_CATEGORY, .levels = {levels, 2}},
};

static void read_once(int fd, bool header)
{
    struct schema schema = {.columns = columns,
                            .n_columns = 2,
                            .label = {label_name, {yes, 1}, {no, 1}},
                            .header = header};
    struct dataset *dataset = NULL;
    struct choir_diag diag = {0};
    enum choir_err err = dataset_read(fd, "data", &schema, NULL, &dataset, &diag);

    if (err == CHOIR_OK) {
        if (dataset->n == 0 || dataset->d != 3)
            abort();
        for (size_t i = 0; i < 3 * dataset->n; i++)
            if (!(dataset->x[i] >= -1.0F && dataset->x[i] <= 1.0F))
                abort();
    } else if (dataset != NULL || diag.message[0] == '\0') {
        abort();
    }
    dataset_free(dataset);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct dataset_rows rows = {0};
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    if (fd < 0 || write(fd, data, len) != (ssize_t)len)
        abort();
    read_once(fd, true);
    read_once(fd, false);
    if (dataset_read_rows(fd, &rows, NULL) == CHOIR_OK)
        dataset_rows_free(&rows);
    (void)close(fd);
    return 0;
}
