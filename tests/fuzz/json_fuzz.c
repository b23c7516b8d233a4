/* json_fuzz - any text is refused or read; what was read has a place for every value. */
#include <stdlib.h>

#include "base/json.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

// NOLINTNEXTLINE(misc-no-recursion): the reader bounds the depth
static void visit(const struct json_node *node)
{
    char place[64];

    json_place(node, place, sizeof place);
    if (json_find(node, "") != node || json_line(node) == 0)
        abort();
    for (size_t i = 0; i < json_count(node); i++)
        visit(json_at(node, i));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct json *json = NULL;
    struct choir_diag diag;

    if (json_parse(data, len, 1 << 16, "fuzz", &json, &diag) == CHOIR_OK)
        visit(json_root(json));
    json_free(json);
    return 0;
}
