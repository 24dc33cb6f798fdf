// Each event of the OpenAI API is one line of data. Whether it brings something is seen by looking for the fields that
// do, without reading the JSON: a load of a hundred thousand events a second is read by one thread.
#include "tools/bench/sse.h"
#include <string.h>

void sse_init(struct sse *sse)
{
    sse->len = 0;
}

// A field with a text in it, however the sender puts spaces.
static bool has_text(struct str data, struct str name)
{
    for (long at; (at = str_find(data, name)) >= 0;) {
        data = str_skip(data, (size_t)at + name.len);
        struct str value = str_skip(data, str_starts_with(data, STR(" ")));
        if (str_starts_with(value, STR("\"")) && !str_starts_with(value, STR("\"\""))) {
            return true;
        }
    }
    return false;
}

static enum sse_event kind_of(struct str data)
{
    if (str_eq(data, STR("[DONE]"))) {
        return SSE_DONE;
    }
    struct str inside = str_trim(str_skip(data, str_starts_with(data, STR("{"))));
    if (str_starts_with(inside, STR("\"error\""))) {
        return SSE_ERROR;
    }
    bool brings = has_text(data, STR("\"content\":")) || has_text(data, STR("\"text\":")) ||
                  has_text(data, STR("\"reasoning_content\":")) || has_text(data, STR("\"arguments\":")) ||
                  has_text(data, STR("\"name\":"));
    return brings ? SSE_TOKENS : SSE_OTHER;
}

static void take_line(struct str line, const struct sse_sink *sink)
{
    if (str_starts_with(line, STR("data:"))) {
        struct str data = str_trim(str_skip(line, 5));
        sink->event(sink->ctx, kind_of(data), data);
    }
}

static void keep(struct sse *sse, struct str bytes)
{
    size_t n = bytes.len < sizeof(sse->line) - sse->len ? bytes.len : sizeof(sse->line) - sse->len;
    if (n > 0) {
        memcpy(sse->line + sse->len, bytes.ptr, n);
    }
    sse->len += n;
}

void sse_feed(struct sse *sse, struct str bytes, const struct sse_sink *sink)
{
    while (bytes.len > 0) {
        const char *end = memchr(bytes.ptr, '\n', bytes.len);
        struct str line = end ? str_take(bytes, (size_t)(end - bytes.ptr)) : bytes;
        if (!end) {
            keep(sse, line);
            return;
        }
        if (sse->len > 0) {
            keep(sse, line);
            line = (struct str){ sse->line, sse->len };
        }
        take_line(line, sink);
        sse->len = 0;
        bytes = str_skip(bytes, (size_t)(end - bytes.ptr) + 1);
    }
}
