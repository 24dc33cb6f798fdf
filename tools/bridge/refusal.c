// What the library refuses by itself: first lines, lengths, chunks and heads that are ill formed or too long. It has a
// page in HTML for each and no place where another answer could be given, but it queues the page by the function that
// it exports for answers, through the linker's table as a library does: the program's function of that name is called
// in its stead. (A library that was linked with -Bsymbolic goes on with its pages.) The answer is written from here,
// since some of its refusals have it send a head twice, and the connection is closed.
#include "tools/bridge/refusal.h"
#include "tools/bridge/http.h"
#include "tools/bridge/request_internal.h"
#include <assert.h>
#include <dlfcn.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define UNREAD_BYTES_MAX 65536 // of what the client sent that are thrown away, lest the answer be, too

struct refusal {
    unsigned status;
    const char *reason, *code, *words;
};

static const struct refusal refusals[] = {
    { 413, "Content Too Large", "request_too_large", "the length of the body is no number of bytes that is taken" },
    { 414, "URI Too Long", "request_head_too_large", "the first line of the request is too long" },
    { 431, "Request Header Fields Too Large", "request_head_too_large", "the head of the request is too long" },
    { 505, "HTTP Version Not Supported", "http_version_not_supported", "HTTP/1.1 and HTTP/1.0 are spoken here" },
    { 500, "Internal Server Error", "out_of_memory", "out of memory" },
    { 400, "Bad Request", "bad_request", "the request is no HTTP: its first line, a header, its length or a chunk" },
};

static const struct refusal *find_refusal(unsigned status)
{
    size_t i = 0, last = sizeof(refusals) / sizeof(refusals[0]) - 1;
    while (i < last && refusals[i].status != status) {
        i++;
    }
    return &refusals[i];
}

static void write_answer(const struct refusal *refusal, const char *id, const char *cors, struct strbuf *out)
{
    struct strbuf body;
    char date[64];
    time_t now = time(NULL);
    struct tm tm;
    strbuf_init(&body, 0);
    respond_write_error(&body, refusal->status, refusal->code, NULL, refusal->words);
    strbuf_append_byte(&body, '\n');
    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
    strbuf_printf(out,
                  "HTTP/1.1 %u %s\r\nDate: %s\r\nConnection: close\r\nContent-Type: application/json\r\n"
                  "Content-Length: %zu\r\n",
                  refusal->status, refusal->reason, date, body.len);
    if (id) {
        strbuf_printf(out, "X-Request-Id: %s\r\n", id);
    }
    if (cors) {
        strbuf_printf(out, "Access-Control-Allow-Origin: %s\r\n", cors);
    }
    strbuf_append(out, STR("\r\n"));
    strbuf_append(out, strbuf_str(&body));
    strbuf_deinit(&body);
}

static void send_answer(struct MHD_Connection *connection, struct str answer)
{
    const union MHD_ConnectionInfo *tls = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    char unread[4096];
    if (tls && tls->tls_session) {
        gnutls_record_send(tls->tls_session, answer.ptr, answer.len);
        gnutls_bye(tls->tls_session, GNUTLS_SHUT_WR);
    } else if (send(fd, answer.ptr, answer.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        return;
    }
    shutdown(fd, SHUT_WR);
    for (size_t n = 0; n < UNREAD_BYTES_MAX && recv(fd, unread, sizeof(unread), MSG_DONTWAIT) > 0;) {
        n += sizeof(unread);
    }
}

static struct request *find_request(struct bridge *bridge, const struct MHD_Connection *connection)
{
    struct request *request = bridge->first;
    while (request && request->connection != connection) {
        request = request->next;
    }
    return request; // NULL: not even its first line was understood
}

refusal_queue refusal_library_queue(void)
{
    void *found = dlsym(RTLD_NEXT, "MHD_queue_response"); // the next one after the program's
    refusal_queue queue;
    static_assert(sizeof(queue) == sizeof(found), "a symbol is a function");
    memcpy(&queue, &found, sizeof(queue));
    return queue;
}

// Of the library's own answers: those of the bridge go to http_queue. MHD_NO: the connection is closed.
__attribute__((visibility("default"))) enum MHD_Result
MHD_queue_response(struct MHD_Connection *connection, unsigned status, struct MHD_Response *response)
{
    struct bridge *bridge = http_bridge_of(connection);
    struct strbuf out;
    (void)response;
    if (!bridge) {
        return MHD_NO;
    }
    struct request *request = find_request(bridge, connection);
    const struct refusal *refusal = find_refusal(status);
    strbuf_init(&out, 0);
    write_answer(refusal, request ? request->id : NULL, bridge->options->cors, &out);
    if (request) {
        request->status = refusal->status;
    }
    if (!out.error) {
        send_answer(connection, strbuf_str(&out));
    }
    strbuf_deinit(&out);
    http_give_up(connection);
    return MHD_NO;
}
