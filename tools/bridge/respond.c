#include "engine/base/json.h"
#include "tools/bridge/http.h"
#include "tools/bridge/page.h"
#include "tools/bridge/request_internal.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STREAM_BLOCK_BYTES 16384

static void add_headers(struct request *request, struct MHD_Response *response, const char *type)
{
    const struct options *options = request->bridge->options;
    MHD_add_response_header(response, "X-Request-Id", request->id);
    if (type) {
        MHD_add_response_header(response, "Content-Type", type);
    }
    if (request->is_without_index) {
        MHD_add_response_header(response, "X-Shared-Index", "unavailable");
    }
    if (options->cors) {
        MHD_add_response_header(response, "Access-Control-Allow-Origin", options->cors);
        MHD_add_response_header(response, "Access-Control-Expose-Headers", "X-Request-Id, Retry-After");
    }
    if (options->cors && strcmp(options->cors, "*") != 0) {
        MHD_add_response_header(response, "Vary", "Origin");
    }
    if (request->bridge->is_draining) {
        MHD_add_response_header(response, "Connection", "close");
    }
    if (request->route && (request->status == 405 || request->status == 204)) {
        MHD_add_response_header(response, "Allow", route_methods(request->route));
    }
    if (request->status == 415) {
        MHD_add_response_header(response, "Accept-Encoding", "identity");
    }
    if (request->status == 401) {
        MHD_add_response_header(response, "WWW-Authenticate", "Bearer");
    }
    if (request->status == 429 || request->status == 503) {
        MHD_add_response_header(response, "Retry-After", "1");
    }
}

static enum MHD_Result queue(struct request *request, unsigned status, const char *type, struct MHD_Response *response)
{
    request->status = status;
    if (!response) {
        return MHD_NO;
    }
    add_headers(request, response, type);
    enum MHD_Result r = http_queue(request->bridge->http, request->connection, status, response);
    MHD_destroy_response(response);
    return r;
}

enum MHD_Result respond(struct request *request, unsigned status, const char *type, char *bytes, size_t len)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(len, bytes, MHD_RESPMEM_MUST_FREE);
    if (!response) {
        free(bytes);
    }
    request->n_response_bytes = len;
    return queue(request, status, type, response);
}

enum MHD_Result respond_static(struct request *request, unsigned status, const char *type, struct str bytes)
{
    request->n_response_bytes = bytes.len;
    return queue(request, status, type,
                 MHD_create_response_from_buffer(bytes.len, (void *)(uintptr_t)bytes.ptr, MHD_RESPMEM_PERSISTENT));
}

static const char *type_of(unsigned status)
{
    return status == 401   ? "authentication_error"
           : status == 429 ? "rate_limit_error"
           : status >= 500 ? "server_error"
                           : "invalid_request_error";
}

void respond_write_error(struct strbuf *out, unsigned status, const char *code, const char *param, const char *message)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_write_object_begin(&w);
    json_write_key(&w, "error");
    json_write_object_begin(&w);
    json_write_key(&w, "message");
    json_write_cstr(&w, message);
    json_write_key(&w, "type");
    json_write_cstr(&w, type_of(status));
    json_write_key(&w, "param");
    if (param) {
        json_write_cstr(&w, param);
    } else {
        json_write_null(&w);
    }
    json_write_key(&w, "code");
    json_write_cstr(&w, code);
    json_write_object_end(&w);
    json_write_object_end(&w);
}

static enum MHD_Result respond_failure(struct request *request, unsigned status, const char *code, const char *param,
                                       const char *fmt, va_list args)
{
    char message[512];
    struct strbuf out;
    vsnprintf(message, sizeof(message), fmt, args);
    strbuf_init(&out, 0);
    respond_write_error(&out, status, code, param, message);
    strbuf_append_byte(&out, '\n');
    size_t len = out.len;
    return respond(request, status, "application/json", strbuf_steal(&out), len);
}

enum MHD_Result respond_error(struct request *request, unsigned status, const char *code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    enum MHD_Result r = respond_failure(request, status, code, NULL, fmt, args);
    va_end(args);
    return r;
}

enum MHD_Result respond_error_of(struct request *request, unsigned status, const char *code, const char *param,
                                 const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    enum MHD_Result r = respond_failure(request, status, code, param, fmt, args);
    va_end(args);
    return r;
}

enum MHD_Result respond_page(struct request *request)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(page_html_len, (void *)(uintptr_t)page_html, MHD_RESPMEM_PERSISTENT);
    if (response) {
        MHD_add_response_header(response, "Content-Security-Policy",
                                "default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; "
                                "script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
                                "frame-ancestors 'none'");
        MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
        MHD_add_response_header(response, "Cache-Control", "no-cache");
    }
    request->n_response_bytes = page_html_len;
    return queue(request, 200, "text/html; charset=utf-8", response);
}

enum MHD_Result respond_preflight(struct request *request)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (response && request->bridge->options->cors) {
        const char *wanted =
            MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, "Access-Control-Request-Headers");
        MHD_add_response_header(response, "Access-Control-Allow-Methods", route_methods(request->route));
        MHD_add_response_header(response, "Access-Control-Allow-Headers",
                                wanted ? wanted : "Authorization, Content-Type, X-Api-Key");
        MHD_add_response_header(response, "Access-Control-Max-Age", "86400");
    }
    return queue(request, 204, NULL, response);
}

// ---- streams -------------------------------------------------------------------------------------------------------

// The mount went away in mid-answer. (A turn that fails says so itself, in a last event.)
static ssize_t end_stream(struct request *request, struct part *part)
{
    int code = part->ends.read;
    if (request->is_aborted) {
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    if (code == 0 || code == -ECANCELED || code == -EIO || code == -EPIPE) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    part->ends.read = -EPIPE; // said once
    strbuf_append(&part->bytes, STR("data: "));
    respond_write_error(&part->bytes, 503, "mount_unavailable", NULL, "the mount went away");
    strbuf_append(&part->bytes, STR("\n\n"));
    return 0;
}

static ssize_t read_stream(void *cls, uint64_t at, char *out, size_t size)
{
    struct request *request = cls;
    struct part *part = &request->parts[0];
    (void)at;
    if (part->n_sent == part->bytes.len && !part->exchange) {
        ssize_t r = end_stream(request, part);
        if (r < 0) {
            return r;
        }
    }
    struct str rest = str_take(str_skip(strbuf_str(&part->bytes), part->n_sent), size);
    if (rest.len > 0) {
        memcpy(out, rest.ptr, rest.len);
        part->n_sent += rest.len;
        request->n_response_bytes += rest.len;
        request->is_between_events = str_ends_with(rest, STR("\n\n"));
    }
    if (part->n_sent == part->bytes.len) {
        strbuf_reset(&part->bytes);
        part->n_sent = 0;
        if (part->is_paused && part->exchange) {
            part->is_paused = false;
            exchange_go_on(part->exchange);
        }
    }
    if (rest.len == 0) {
        request_suspend(request);
    }
    return (ssize_t)rest.len;
}

enum MHD_Result respond_reader(struct request *request, unsigned status, const char *type,
                               MHD_ContentReaderCallback reader)
{
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES, reader, request, NULL);
    if (response) {
        MHD_add_response_header(response, "Cache-Control", "no-cache");
        MHD_add_response_header(response, "X-Accel-Buffering", "no");
        request->is_chunked = strcmp(request->version, "HTTP/1.1") == 0 && !request->bridge->options->tls_cert &&
                              MHD_add_response_header(response, "Transfer-Encoding", "chunked") == MHD_YES;
    }
    return queue(request, status, type, response);
}

enum MHD_Result respond_stream(struct request *request)
{
    return respond_reader(request, 200, "text/event-stream; charset=utf-8", read_stream);
}
