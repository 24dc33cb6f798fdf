// Formats the one line that explains a failure. Arguments may point into the err being filled (a message wrapped in
// another): the text is built beside it first. Anyone may call; a struct err belongs to its caller.
#include "engine/base/err.h"
#include "engine/base/str.h"
#include "engine/base/utf8.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

// Formats into text[cap], cut at a character border and fit for a terminal.
static void format_line(char *text, size_t cap, const char *fmt, va_list args)
{
    int len = vsnprintf(text, cap, fmt, args);
    size_t kept = len < 0 ? 0 : (size_t)len;
    if (kept >= cap) {
        kept = cap - 1;
        kept -= utf8_incomplete_tail((struct str){ text, kept });
    }
    text[kept] = '\0';
    utf8_make_printable(text, kept);
}

int err_set(struct err *err, int code, const char *fmt, ...)
{
    assert(code < 0);
    if (!err) {
        return code;
    }
    char msg[sizeof(err->msg)];
    va_list args;
    va_start(args, fmt);
    format_line(msg, sizeof(msg), fmt, args);
    va_end(args);
    err->code = code;
    err->param[0] = '\0';
    memcpy(err->msg, msg, sizeof(msg));
    return code;
}

// format_line for text that is at hand rather than in a caller's va_list.
static void copy_line(char *text, size_t cap, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    format_line(text, cap, fmt, args);
    va_end(args);
}

int err_set_param(struct err *err, int code, const char *param, const char *fmt, ...)
{
    assert(code < 0);
    if (!err) {
        return code;
    }
    char msg[sizeof(err->msg)], path[sizeof(err->param)];
    va_list args;
    va_start(args, fmt);
    format_line(msg, sizeof(msg), fmt, args);
    va_end(args);
    copy_line(path, sizeof(path), "%s", param ? param : "");
    err->code = code;
    memcpy(err->param, path, sizeof(path));
    memcpy(err->msg, msg, sizeof(msg));
    return code;
}

int err_prefix(struct err *err, const char *fmt, ...)
{
    if (!err || err->code == 0) {
        return 0;
    }
    char prefix[sizeof(err->msg)], msg[sizeof(err->msg)];
    va_list args;
    va_start(args, fmt);
    format_line(prefix, sizeof(prefix), fmt, args);
    va_end(args);
    copy_line(msg, sizeof(msg), "%s: %s", prefix, err->msg);
    memcpy(err->msg, msg, sizeof(msg));
    return err->code;
}
