// The reason of a failure in words that a user can act on, filled once, where the failure is found.
#ifndef TOKFS_BASE_ERR_H
#define TOKFS_BASE_ERR_H

#include <stdarg.h>

#ifdef __cplusplus
extern "C" {
#endif

struct err {
    int code;       // negative errno, 0 when unset
    char param[64]; // JSON path of the offending field ("messages[1].role"), empty when there is none
    char msg[256];  // one line, names the file, field and value; truncated at a character border
};

// Fills *err (which may be NULL), replacing what was there, and returns `code` (negative errno) so that a caller can
// `return err_set(...)`. Control characters of the message are shown as '?'.
int err_set(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int err_set_param(struct err *err, int code, const char *param, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
// Puts "prefix: " before the message (a caller that knows the file adds its name). Returns err->code, so 0 for NULL: a
// caller whose err may be NULL returns the code it already has.
int err_prefix(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#ifdef __cplusplus
}
#endif

#endif
