// Traces in memory, and the reader of JSON lines. A line with an unknown field is refused: it would be silently
// ignored.
#include "tools/bench/trace.h"

#include "engine/base/json.h"
#include "tools/bench/trace_internal.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_VALUES_BYTES (64u << 20)
#define SECONDS_MAX       1e8

// splitmix64's finalizer (Steele, Lea, Flood 2014).
uint64_t trace_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

int32_t trace_token(const struct trace_request *request, uint32_t pos)
{
    if (request->prompt && pos < request->prompt_tokens) {
        return request->prompt[pos];
    }
    uint64_t stream = pos < request->prefix_tokens ? request->prefix_stream : request->own_stream;
    return (int32_t)(trace_mix(stream + (pos + 1) * 0x9e3779b97f4a7c15u) % TRACE_VOCAB);
}

void trace_free(struct trace *trace)
{
    for (size_t i = 0; i < trace->n; i++) {
        free(trace->requests[i].prompt);
    }
    free(trace->requests);
    free(trace->tenants);
    *trace = (struct trace){ 0 };
}

int trace_add(struct trace *trace, const struct trace_request *request, int64_t tenant)
{
    size_t idx = 0;

    while (idx < trace->n_tenants && trace->tenants[idx] != tenant) {
        idx++;
    }
    if (idx == trace->n_tenants) {
        int64_t *tenants = realloc(trace->tenants, (idx + 1) * sizeof(*tenants));
        if (!tenants) {
            return -ENOMEM;
        }
        trace->tenants = tenants;
        trace->tenants[trace->n_tenants++] = tenant;
    }
    if (trace->n == trace->n_allocated) {
        size_t n = trace->n_allocated ? 2 * trace->n_allocated : 256;
        struct trace_request *requests = realloc(trace->requests, n * sizeof(*requests));
        if (!requests) {
            return -ENOMEM;
        }
        trace->requests = requests;
        trace->n_allocated = n;
    }
    trace->requests[trace->n] = *request;
    trace->requests[trace->n].order = trace->n;
    trace->requests[trace->n++].tenant = (uint32_t)idx;
    return 0;
}

// ---- JSON lines ---------------------------------------------------------------------------------------------------

struct reader {
    const char *path;
    size_t line_no;
    uint32_t n_ctx;
    struct err *err;
};

static int refuse(const struct reader *r, const char *field, const char *what)
{
    return err_set(r->err, -EINVAL, "%s: line %zu: %s %s", r->path, r->line_no, field, what);
}

// A whole number from min to max; `*ret` stays where the field is absent.
static int read_count(const struct reader *r, const struct json *line, const char *field, int64_t min, int64_t max,
                      int64_t *ret)
{
    const struct json *value = json_get(line, str_from(field));
    int64_t n;

    if (!value) {
        return 0;
    }
    if (value->type != JSON_NUMBER || json_get_i64(value, &n) < 0 || n < min || n > max) {
        return err_set(r->err, -EINVAL, "%s: line %zu: %s is not a whole number from %lld to %lld", r->path, r->line_no,
                       field, (long long)min, (long long)max);
    }
    *ret = n;
    return 0;
}

// A name of a stream is a text or a number; `kind` keeps prefixes and sessions apart.
static uint64_t stream_named(const struct json *name, uint64_t kind)
{
    uint64_t stream = kind;

    for (size_t i = 0; i < name->text.len; i++) {
        stream = trace_mix(stream + (unsigned char)name->text.ptr[i] + 1);
    }
    return stream;
}

static int read_streams(const struct reader *r, const struct json *line, struct trace_request *request)
{
    const struct json *prefix = json_get(line, STR("prefix")), *session = json_get(line, STR("session"));

    request->own_stream = trace_mix(r->line_no);
    if (prefix) {
        if (prefix->type != JSON_STRING && prefix->type != JSON_NUMBER) {
            return refuse(r, "prefix", "is neither a text nor a number");
        }
        request->prefix_stream = stream_named(prefix, 1);
    }
    if (session) {
        if (session->type != JSON_STRING && session->type != JSON_NUMBER) {
            return refuse(r, "session", "is neither a text nor a number");
        }
        request->own_stream = stream_named(session, 2);
    }
    if ((prefix != NULL) != (json_get(line, STR("prefix_tokens")) != NULL)) {
        return refuse(r, "prefix and prefix_tokens", "go together");
    }
    return 0;
}

static int read_ids(const struct reader *r, const struct json *ids, struct trace_request *request)
{
    if (ids->type != JSON_ARRAY || ids->n_children == 0 || ids->n_children > r->n_ctx) {
        return refuse(r, "prompt", "is not a list of ids that fits in the context");
    }
    request->prompt = calloc(ids->n_children, sizeof(request->prompt[0]));
    if (!request->prompt) {
        return err_set(r->err, -ENOMEM, "out of memory for a prompt of %u tokens", ids->n_children);
    }
    const struct json *id = json_first(ids);
    for (uint32_t i = 0; i < ids->n_children; i++, id = json_next(id)) {
        int64_t n;
        if (id->type != JSON_NUMBER || json_get_i64(id, &n) < 0 || n < 0 || n > INT32_MAX) {
            return refuse(r, "prompt", "has something that is not an id");
        }
        request->prompt[i] = (int32_t)n;
    }
    request->prompt_tokens = ids->n_children;
    return 0;
}

static int read_prompt(const struct reader *r, const struct json *line, struct trace_request *request)
{
    const struct json *ids = json_get(line, STR("prompt"));
    int64_t n_prompt = 0, n_prefix = 0, n_answer = -1;
    int rc = read_count(r, line, "prompt_tokens", 1, r->n_ctx, &n_prompt);

    rc = rc == 0 ? read_count(r, line, "prefix_tokens", 0, r->n_ctx, &n_prefix) : rc;
    rc = rc == 0 ? read_count(r, line, "answer_tokens", 0, r->n_ctx, &n_answer) : rc;
    rc = rc == 0 && ids ? read_ids(r, ids, request) : rc;
    if (rc < 0) {
        return rc;
    }
    if ((n_prompt > 0) == (ids != NULL) || (ids && n_prefix > 0)) {
        return refuse(r, "prompt or prompt_tokens", "has to be there, not both, and a prefix only with the latter");
    }
    request->prompt_tokens = ids ? request->prompt_tokens : (uint32_t)n_prompt;
    if (n_answer < 0) {
        return refuse(r, "answer_tokens", "is missing");
    }
    if (n_prefix > request->prompt_tokens || request->prompt_tokens + n_answer > r->n_ctx) {
        return refuse(r, n_prefix > request->prompt_tokens ? "prefix_tokens" : "prompt and answer",
                      n_prefix > request->prompt_tokens ? "is more than prompt_tokens" : "do not fit in the context");
    }
    request->prefix_tokens = (uint32_t)n_prefix;
    request->answer_tokens = (uint32_t)n_answer;
    return read_streams(r, line, request);
}

static int check_fields(const struct reader *r, const struct json *line)
{
    static const char *const known[] = {
        "timeout",       "arrival_s",     "tenant", "priority", "prompt", "prompt_tokens",
        "prefix_tokens", "answer_tokens", "prefix", "session",  NULL
    };
    if (line->type != JSON_OBJECT) {
        return refuse(r, "the line", "is not an object");
    }
    const struct json *key = json_first(line);
    for (uint32_t i = 0; i < line->n_children; i++, key = json_next(json_next(key))) {
        size_t k = 0;
        while (known[k] && !str_eq(key->text, str_from(known[k]))) {
            k++;
        }
        if (!known[k]) {
            return err_set(r->err, -EINVAL, "%s: line %zu: unknown field %.*s", r->path, r->line_no,
                           STR_ARG(str_take(key->text, 60)));
        }
    }
    return 0;
}

static int read_seconds(const struct reader *r, const struct json *line, const char *field, double *ret)
{
    const struct json *value = json_get(line, str_from(field));
    double seconds = value && value->type == JSON_NUMBER ? json_get_double(value) : -1;

    if (value && (seconds < 0 || seconds > SECONDS_MAX)) {
        return refuse(r, field, "is not a number from 0 to 1e8");
    }
    *ret = value ? seconds : *ret;
    return 0;
}

static int read_line(const struct reader *r, const struct json *line, struct trace *trace)
{
    struct trace_request request = { 0 };
    double seconds = -1;
    int64_t tenant = 0;
    int rc = check_fields(r, line);

    rc = rc == 0 ? read_seconds(r, line, "arrival_s", &seconds) : rc;
    if (rc == 0 && seconds < 0) {
        rc = refuse(r, "arrival_s", "is not a number from 0 to 1e8");
    }
    rc = rc == 0 ? read_count(r, line, "tenant", 0, UINT32_MAX, &tenant) : rc;
    rc = rc == 0 ? read_seconds(r, line, "timeout", &request.timeout_s) : rc;
    rc = rc == 0 ? read_count(r, line, "priority", -1000000, 1000000, &request.priority) : rc;
    rc = rc == 0 ? read_prompt(r, line, &request) : rc;
    request.arrival_ns = (uint64_t)llround(seconds > 0 ? seconds * 1e9 : 0);
    if (rc == 0 && trace_add(trace, &request, tenant) < 0) {
        rc = err_set(r->err, -ENOMEM, "out of memory for %zu requests", trace->n + 1);
    }
    if (rc < 0) {
        free(request.prompt);
    }
    return rc;
}

static int compare_arrivals(const void *a, const void *b)
{
    const struct trace_request *x = a, *y = b;
    return x->arrival_ns != y->arrival_ns ? (x->arrival_ns > y->arrival_ns ? 1 : -1) : x->order > y->order ? 1 : -1;
}

static int read_lines(FILE *file, struct reader *r, struct trace *trace)
{
    struct arena arena;
    char *text = NULL;
    size_t size = 0;
    ssize_t len;
    int rc = 0;

    arena_init(&arena, LINE_VALUES_BYTES);
    while (rc == 0 && (len = getline(&text, &size, file)) >= 0) {
        const struct json *line;
        struct err why = { 0 };
        struct str s = str_trim((struct str){ text, (size_t)len });

        r->line_no++;
        if (s.len == 0) {
            continue;
        }
        rc = json_parse(&arena, s, &line, &why);
        rc = rc < 0 ? err_set(r->err, rc, "%s: line %zu: %s", r->path, r->line_no, why.msg) : read_line(r, line, trace);
        arena_reset(&arena);
    }
    if (rc == 0 && ferror(file)) {
        rc = err_set(r->err, -EIO, "%s: cannot be read", r->path);
    }
    free(text);
    arena_deinit(&arena);
    return rc;
}

int trace_load(const char *path, uint32_t n_ctx, struct trace *ret, struct err *err)
{
    struct reader reader = { .path = path, .n_ctx = n_ctx, .err = err };
    FILE *file = fopen(path, "re");

    *ret = (struct trace){ 0 };
    if (!file) {
        return err_set(err, -errno, "%s: %s", path, strerror(errno));
    }
    int rc = read_lines(file, &reader, ret);
    fclose(file);
    if (rc == 0 && ret->n == 0) {
        rc = err_set(err, -EINVAL, "%s: no requests in it", path);
    }
    if (rc < 0) {
        trace_free(ret);
        return rc;
    }
    qsort(ret->requests, ret->n, sizeof(ret->requests[0]), compare_arrivals);
    return 0;
}
