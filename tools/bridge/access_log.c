// Lines gather while the last ones are being written; those that a slow disk cannot take are dropped and counted.
#include "tools/bridge/access_log.h"
#include "engine/base/log.h"
#include "tools/bridge/request_internal.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINES_BYTES_MAX (4u << 20)
#define FIELD_BYTES_MAX 512

struct access_log {
    struct loop_op op;
    struct loop *loop;
    const char *path;
    int fd;
    struct strbuf lines;   // to be written
    struct strbuf writing; // the kernel reads it
    size_t n_written;
    uint64_t n_dropped;
    bool is_stopped;
};

static int open_file(const char *path)
{
    return strcmp(path, "-") == 0 ? dup(STDOUT_FILENO) : open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
}

static void write_rest(struct access_log *log)
{
    struct str rest = str_skip(strbuf_str(&log->writing), log->n_written);
    loop_write(log->loop, &log->op, log->fd, rest.ptr, rest.len, (uint64_t)-1);
}

static void begin(struct access_log *log)
{
    struct strbuf empty = log->writing;
    log->writing = log->lines;
    log->lines = empty;
    strbuf_reset(&log->lines);
    log->n_written = 0;
    write_rest(log);
}

static void written(struct loop_op *op, int res)
{
    struct access_log *log = (struct access_log *)op;
    if (res < 0) {
        log_warn("access log %s: %s", log->path, strerror(-res));
    } else if ((log->n_written += (size_t)res) < log->writing.len && res > 0) {
        write_rest(log);
        return;
    }
    strbuf_reset(&log->writing);
    if (log->lines.len > 0) {
        begin(log);
    }
}

int access_log_open(struct loop *loop, const char *path, struct access_log **ret, struct err *err)
{
    struct access_log *log = calloc(1, sizeof(*log));
    int fd = open_file(path);
    if (!log || fd < 0) {
        free(log);
        return err_set(err, -errno, "--access-log %s: %s", path, strerror(errno));
    }
    log->loop = loop;
    log->path = path;
    log->fd = fd;
    log->op.done = written;
    strbuf_init(&log->lines, LINES_BYTES_MAX);
    strbuf_init(&log->writing, LINES_BYTES_MAX);
    *ret = log;
    return 0;
}

int access_log_reopen(struct access_log *log, struct err *err)
{
    int fd = open_file(log->path);
    if (fd < 0) {
        return err_set(err, -errno, "--access-log %s: %s", log->path, strerror(errno));
    }
    dup3(fd, log->fd, O_CLOEXEC); // what is being written goes to the old file
    close(fd);
    return 0;
}

// What a client says must not end the line or the field.
static void append_field(struct strbuf *line, const char *text)
{
    for (size_t i = 0; text && text[i] && i < FIELD_BYTES_MAX; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7f || c == '"' || c == '\\' || c >= 0x80) {
            strbuf_printf(line, "\\x%02x", c);
        } else {
            strbuf_append_byte(line, (char)c);
        }
    }
    if (!text || !text[0]) {
        strbuf_append_byte(line, '-');
    }
}

static void append_address(struct strbuf *line, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    char text[INET6_ADDRSTRLEN] = "-";
    const struct sockaddr *address = info ? info->client_addr : NULL;
    if (address && address->sa_family == AF_INET) {
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr, text, sizeof(text));
    } else if (address && address->sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, text, sizeof(text));
    }
    strbuf_append(line, str_from(text));
}

void access_log_request(struct access_log *log, const struct request *request, struct MHD_Connection *connection)
{
    if (!log) {
        return;
    }
    char date[40];
    time_t now = time(NULL);
    struct tm tm;
    size_t len_before = log->lines.len;
    strftime(date, sizeof(date), "%d/%b/%Y:%H:%M:%S %z", localtime_r(&now, &tm));
    append_address(&log->lines, connection);
    strbuf_printf(&log->lines, " - %s [%s] \"", request->user_name[0] ? request->user_name : "-", date);
    append_field(&log->lines, request->method);
    strbuf_append_byte(&log->lines, ' ');
    append_field(&log->lines, request->uri);
    strbuf_append_byte(&log->lines, ' ');
    append_field(&log->lines, request->version);
    strbuf_printf(&log->lines, "\" %u %llu \"", request->is_aborted ? 499 : request->status,
                  (unsigned long long)request->n_response_bytes);
    append_field(&log->lines, MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Referer"));
    strbuf_append(&log->lines, STR("\" \""));
    append_field(&log->lines, MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "User-Agent"));
    strbuf_printf(&log->lines, "\" %.3f %s\n", (double)(clock_monotonic_ns() - request->begin_ns) * 1e-9, request->id);
    if (log->lines.error) {
        log->lines.error = 0;
        log->lines.len = len_before;
        log->n_dropped++;
    }
    if (!log->op.is_pending && !log->is_stopped) {
        begin(log);
    }
}

void access_log_stop(struct access_log *log)
{
    if (log) {
        log->is_stopped = true;
        if (!log->op.is_pending && log->lines.len > 0) {
            begin(log);
        }
    }
}

void access_log_free(struct access_log *log)
{
    if (!log) {
        return;
    }
    if (log->n_dropped > 0) {
        log_warn("access log %s: %llu lines were dropped", log->path, (unsigned long long)log->n_dropped);
    }
    close(log->fd);
    strbuf_deinit(&log->lines);
    strbuf_deinit(&log->writing);
    free(log);
}
