/* replay - runs a fuzz target over every file of the folders given, for builds without libFuzzer. */
#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { CASE_MAX = 1 << 20 };

static size_t replay_folder(const char *path)
{
    size_t n = 0;
    struct dirent *entry;
    DIR *folder = opendir(path);

    if (folder == NULL)
        return 0;
    while ((entry = readdir(folder)) != NULL) {
        char name[PATH_MAX];
        uint8_t *bytes = NULL;
        size_t len = 0;

        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] == '.' || file_read(name, CASE_MAX, &bytes, &len) != CHOIR_OK)
            continue;
        LLVMFuzzerTestOneInput(bytes, len);
        free(bytes);
        n++;
    }
    closedir(folder);
    return n;
}

int main(int argc, char **argv)
{
    size_t n = 0;

    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++)
        n += replay_folder(argv[i]);
    printf("%zu inputs replayed\n", n);
    return n > 0 ? 0 : 1;
}
