#include "cli/operator.h"

#include <stdlib.h>
#include <string.h>

#include "base/folder.h"

enum choir_err operator_connect(const char *config_path, struct aggregator_config **config, int *fd,
                                struct choir_diag *diag)
{
    char path[PATH_MAX];
    enum choir_err err = aggregator_config_read(config_path, config, diag);

    if (err != CHOIR_OK)
        return err;
    err = folder_path(path, (*config)->state_dir, "control.sock");
    if (err == CHOIR_OK)
        err = control_connect(path, fd);
    if (err == CHOIR_OK)
        return CHOIR_OK;
    aggregator_config_free(*config);
    *config = NULL;
    return diag_set(diag, err, path,
                    err == CHOIR_ERR_MISSING
                        ? "no aggregator is running there; start `choir-aggregator run --config %s`"
                        : "the aggregator cannot be reached; its settings are %s",
                    config_path);
}

enum choir_err operator_ask(int fd, enum control_kind request, const void *bytes, size_t len,
                            enum control_kind *kind, uint8_t **payload, size_t *payload_len)
{
    enum choir_err err = control_send(fd, request, bytes, len);

    return err != CHOIR_OK ? err : control_receive(fd, kind, payload, payload_len);
}

enum choir_err operator_progress(int fd, struct progress *progress)
{
    enum control_kind kind = CONTROL_OK;
    uint8_t *payload = NULL;
    size_t len = 0;
    enum choir_err err = control_receive(fd, &kind, &payload, &len);

    if (err == CHOIR_OK)
        err = kind == CONTROL_PROGRESS ? progress_decode(payload, len, progress) : CHOIR_ERR_FORMAT;
    free(payload);
    return err;
}
