// Reasons of failure as users read them, and the table of each user's latest one.
#include "fs/user_errors.h"
#include "engine/base/err.h"
#include <stdio.h>
#include <string.h>

static struct user_error *find(struct user_errors *errors, uid_t uid)
{
    for (size_t i = 0; i < USER_ERRORS_MAX; i++) {
        if (errors->entries[i].used && errors->entries[i].uid == uid) {
            return &errors->entries[i];
        }
    }
    return NULL;
}

void user_errors_set(struct user_errors *errors, uid_t uid, const struct tokfs_error *error)
{
    struct user_error *entry = find(errors, uid);
    for (size_t i = 0; !entry && i < USER_ERRORS_MAX; i++) {
        if (!errors->entries[i].used) {
            entry = &errors->entries[i];
        }
    }
    if (!entry) {
        entry = &errors->entries[0];
        for (size_t i = 1; i < USER_ERRORS_MAX; i++) {
            entry = errors->entries[i].used < entry->used ? &errors->entries[i] : entry;
        }
    }
    *entry = (struct user_error){ .uid = uid, .used = ++errors->clock, .error = *error };
}

const struct tokfs_error *user_errors_get(struct user_errors *errors, uid_t uid)
{
    struct user_error *entry = find(errors, uid);
    if (!entry) {
        return NULL;
    }
    entry->used = ++errors->clock;
    return &entry->error;
}

void reason_write(struct strbuf *out, const struct tokfs_error *error)
{
    if (error->code == 0) {
        return;
    }
    if (error->param[0]) {
        strbuf_printf(out, "%s: ", error->param);
    }
    strbuf_printf(out, "%s\n", error->msg);
}

void reason_from_err(struct tokfs_error *ret, const struct err *err)
{
    ret->code = err->code;
    memcpy(ret->param, err->param, sizeof(ret->param));
    memcpy(ret->msg, err->msg, sizeof(ret->msg));
    _Static_assert(sizeof(ret->param) == sizeof(err->param) && sizeof(ret->msg) == sizeof(err->msg), "same fields");
}

int reason_set(struct tokfs_error *ret, int code, const char *param, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    ret->code = code;
    snprintf(ret->param, sizeof(ret->param), "%s", param ? param : "");
    vsnprintf(ret->msg, sizeof(ret->msg), fmt, args);
    va_end(args);
    return code;
}
