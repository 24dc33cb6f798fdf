// The latest rejected creation of each user: what sessions/error shows. A bounded table; the longest unused entry gives
// way.
#ifndef TOKFS_FS_USER_ERRORS_H
#define TOKFS_FS_USER_ERRORS_H

#include "engine/base/str.h"
#include <sys/types.h>
#include <tokfs/engine.h>

#define USER_ERRORS_MAX 64

struct user_error {
    uid_t uid;
    uint64_t used; // 0: free
    struct tokfs_error error;
};

struct user_errors {
    struct user_error entries[USER_ERRORS_MAX];
    uint64_t clock;
};

void user_errors_set(struct user_errors *errors, uid_t uid, const struct tokfs_error *error);
const struct tokfs_error *user_errors_get(struct user_errors *errors, uid_t uid); // NULL: none

struct err;
// "messages[1].role: unknown role \"king\"\n"; the path is left out when there is none.
void reason_write(struct strbuf *out, const struct tokfs_error *error);
void reason_from_err(struct tokfs_error *ret, const struct err *err);
int reason_set(struct tokfs_error *ret, int code, const char *param, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
