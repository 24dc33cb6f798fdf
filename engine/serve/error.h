// struct err (inside the libraries) to struct tokfs_error (in the API): the same fields under another name.
#ifndef TOKFS_SERVE_ERROR_H
#define TOKFS_SERVE_ERROR_H

#include "engine/base/err.h"
#include <string.h>
#include <tokfs/engine.h>

_Static_assert(sizeof(((struct tokfs_error *)0)->msg) == sizeof(((struct err *)0)->msg), "one is copied to the other");
_Static_assert(sizeof(((struct tokfs_error *)0)->param) == sizeof(((struct err *)0)->param), "likewise");

// Returns err->code; `ret` may be NULL.
static inline int error_export(struct tokfs_error *ret, const struct err *err)
{
    if (ret) {
        ret->code = err->code;
        memcpy(ret->param, err->param, sizeof(ret->param));
        memcpy(ret->msg, err->msg, sizeof(ret->msg));
    }
    return err->code;
}

#endif
