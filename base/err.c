#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

const char *choir_err_text(enum choir_err err)
{
    switch (err) {
    case CHOIR_OK:
        return "success";
    case CHOIR_ERR_MEMORY:
        return "out of memory";
    case CHOIR_ERR_IO:
        return "input or output failed";
    case CHOIR_ERR_MISSING:
        return "not found";
    case CHOIR_ERR_FORMAT:
        return "malformed input";
    case CHOIR_ERR_FORGED:
        return "signature or hash does not match";
    case CHOIR_ERR_REFUSED:
        return "refused by policy or privacy budget";
    case CHOIR_ERR_PEER:
        return "peer left or broke the protocol";
    case CHOIR_ERR_AGAIN:
        return "not yet";
    }
    return "unknown error";
}

enum choir_err diag_set(struct choir_diag *diag, enum choir_err err, const char *place,
                        const char *format, ...)
{
    va_list args;

    if (diag == NULL)
        return err;
    snprintf(diag->place, sizeof diag->place, "%s", place);
    va_start(args, format);
    vsnprintf(diag->message, sizeof diag->message, format, args);
    va_end(args);
    return err;
}
