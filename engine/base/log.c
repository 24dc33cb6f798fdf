// Lines to the operator. One write() per line, so that lines of several threads or processes never mix; a line longer
// than LINE_BYTES is cut. A failing standard error is ignored: there is nowhere left to say so. errno is preserved.
#include "engine/base/log.h"
#include "engine/base/str.h"
#include "engine/base/utf8.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#define LINE_BYTES 2048 // below PIPE_BUF, so a write to a pipe is atomic

// Set once by log_setup before threads start, read by all of them after.
static struct {
    char program[32];
    enum log_level level;
    enum log_target target;
    bool is_journal;
} log_state = { "tokfs", LOG_LEVEL_WARN, LOG_TARGET_STDERR };

bool log_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat st;
    char own[64];
    if (!stream || fstat(STDERR_FILENO, &st) < 0) {
        return false;
    }
    snprintf(own, sizeof(own), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
    return strcmp(stream, own) == 0;
}

void log_setup(const char *program, enum log_level level, enum log_target target)
{
    snprintf(log_state.program, sizeof(log_state.program), "%s", program);
    log_state.level = level;
    log_state.target = target;
    log_state.is_journal = target == LOG_TARGET_STDERR && log_is_journal();
    if (target == LOG_TARGET_SYSLOG) {
        openlog(log_state.program, LOG_PID, LOG_DAEMON);
    }
}

static void write_line(const char *line, size_t len)
{
    ssize_t n;
    do {
        n = write(STDERR_FILENO, line, len);
    } while (n < 0 && errno == EINTR);
}

void log_write(enum log_level level, const char *fmt, ...)
{
    static const char *const names[] = { "error", "warning", "info", "debug" };
    static const int priorities[] = { LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
    if (level > log_state.level) {
        return;
    }
    int saved_errno = errno;
    char line[LINE_BYTES];
    size_t mark = log_state.is_journal ? (size_t)snprintf(line, sizeof(line), "<%d>", priorities[level]) : 0;
    size_t head =
        mark + (size_t)snprintf(line + mark, sizeof(line) - mark, "%s: %s: ", log_state.program, names[level]);
    size_t room = sizeof(line) - head - 1; // the newline's byte kept back
    va_list args;
    va_start(args, fmt);
    int wanted = vsnprintf(line + head, room, fmt, args);
    va_end(args);
    size_t len = wanted < 0 ? 0 : (size_t)wanted;
    if (len >= room) {
        len = room - 1;
        len -= utf8_incomplete_tail((struct str){ line + head, len });
    }
    utf8_make_printable(line + head, len);
    if (log_state.target == LOG_TARGET_SYSLOG) {
        syslog(priorities[level], "%.*s", (int)len, line + head);
    } else {
        line[head + len] = '\n';
        write_line(line, head + len + 1);
    }
    errno = saved_errno;
}
