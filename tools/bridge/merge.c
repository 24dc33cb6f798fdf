#include "tools/bridge/merge.h"
#include "engine/base/arena.h"
#include "engine/base/json.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

// ---- JSON ----------------------------------------------------------------------------------------------------------

static int parse(struct str text, struct arena *arena, const struct json **ret)
{
    struct err err;
    arena_init(arena, 0);
    return json_parse(arena, text, ret, &err);
}

int models_each(struct str list, void (*fn)(void *ctx, struct str id, struct str element), void *ctx)
{
    struct arena arena = { 0 };
    const struct json *root = NULL;
    int r = parse(list, &arena, &root);
    const struct json *data = r == 0 ? json_get(root, STR("data")) : NULL;
    if (r == 0 && (!data || data->type != JSON_ARRAY)) {
        r = -EINVAL;
    }
    const struct json *model = r == 0 ? json_first(data) : NULL;
    for (size_t i = 0; r == 0 && i < data->n_children; i++, model = json_next(model)) {
        const struct json *id = json_get(model, STR("id"));
        if (id && id->type == JSON_STRING) {
            fn(ctx, id->text, model->text);
        }
    }
    arena_deinit(&arena);
    return r;
}

struct merged {
    struct strbuf *out;
    struct strbuf seen; // ids, each between line ends
    size_t n;
};

static bool add_once(struct strbuf *seen, struct str id)
{
    struct strbuf line;
    strbuf_init(&line, 0);
    strbuf_printf(&line, "\n%.*s\n", STR_ARG(id));
    bool is_new = !line.error && str_find(strbuf_str(seen), strbuf_str(&line)) < 0;
    if (is_new) {
        strbuf_append(seen, strbuf_str(&line));
    }
    strbuf_deinit(&line);
    return is_new;
}

static void add_model(void *ctx, struct str id, struct str element)
{
    struct merged *merged = ctx;
    if (add_once(&merged->seen, id)) {
        strbuf_printf(merged->out, "%s%.*s", merged->n++ > 0 ? "," : "", STR_ARG(element));
    }
}

int models_merge(const struct str *lists, size_t n, struct strbuf *out)
{
    struct merged merged = { .out = out };
    int r = 0;
    strbuf_init(&merged.seen, 0);
    strbuf_append(out, STR("{\"object\":\"list\",\"data\":["));
    for (size_t i = 0; i < n && r == 0; i++) {
        r = models_each(lists[i], add_model, &merged);
    }
    strbuf_append(out, STR("]}\n"));
    strbuf_deinit(&merged.seen);
    return r < 0 ? r : out->error;
}

// The end of the string that begins at `at` (its quote), after the closing quote.
static size_t string_end(struct str text, size_t at)
{
    for (at++; at < text.len && text.ptr[at] != '"'; at++) {
        at += text.ptr[at] == '\\';
    }
    return at < text.len ? at + 1 : text.len;
}

static size_t skip_space(struct str text, size_t at)
{
    while (at < text.len && isspace((unsigned char)text.ptr[at])) {
        at++;
    }
    return at;
}

// A string with its quotes, decoded.
static bool decode(struct str quoted, char *ret, size_t size)
{
    struct arena arena = { 0 };
    struct strbuf text;
    const struct json *root = NULL;
    strbuf_init(&text, 0);
    strbuf_printf(&text, "[%.*s]", STR_ARG(quoted));
    bool is_whole = text.error == 0 && parse(strbuf_str(&text), &arena, &root) == 0 && root->n_children == 1;
    if (is_whole) {
        struct str value = str_take(json_first(root)->text, size - 1);
        memcpy(ret, value.ptr, value.len);
        ret[value.len] = 0;
    }
    arena_deinit(&arena);
    strbuf_deinit(&text);
    return is_whole;
}

// Reads no more than it must: bodies may be megabytes, and the mount checks them.
bool body_find_model(struct str body, char *ret, size_t size)
{
    size_t depth = 0;
    bool is_found = false;
    for (size_t at = 0; at < body.len;) {
        char c = body.ptr[at];
        if (c != '"') {
            depth += c == '{' || c == '[';
            depth -= (c == '}' || c == ']') && depth > 0;
            at++;
            continue;
        }
        size_t end = string_end(body, at), colon = skip_space(body, end);
        struct str key = { body.ptr + at, end - at };
        at = end;
        if (depth != 1 || colon >= body.len || body.ptr[colon] != ':') {
            continue;
        }
        char name[16];
        bool is_model = str_eq(key, STR("\"model\"")) ||
                        (memchr(key.ptr, '\\', key.len) && decode(key, name, sizeof(name)) && !strcmp(name, "model"));
        size_t value = skip_space(body, colon + 1);
        if (is_model) {
            is_found = value < body.len && body.ptr[value] == '"' &&
                       decode((struct str){ body.ptr + value, string_end(body, value) - value }, ret, size);
        }
        at = value < body.len && body.ptr[value] == '"' ? string_end(body, value) : value;
    }
    return is_found;
}

// ---- Prometheus text -----------------------------------------------------------------------------------------------

struct family {
    struct str name;
    struct str comments;
    struct str samples;
};

static struct str next_line(struct str text, struct str *ret_line)
{
    const char *end = memchr(text.ptr, '\n', text.len);
    size_t n = end ? (size_t)(end - text.ptr) + 1 : text.len;
    *ret_line = str_take(text, n);
    return str_skip(text, n);
}

static struct str name_of(struct str line)
{
    struct str name = line;
    if (str_starts_with(line, STR("# HELP ")) || str_starts_with(line, STR("# TYPE "))) {
        name = str_skip(line, 7);
    }
    size_t n = 0;
    while (n < name.len && (isalnum((unsigned char)name.ptr[n]) || name.ptr[n] == '_' || name.ptr[n] == ':')) {
        n++;
    }
    return str_take(name, n);
}

// Takes the next family from `text`: its comments and what follows up to the next comment.
static struct str next_family(struct str text, struct family *ret)
{
    struct str line, rest = text;
    *ret = (struct family){ .name = name_of(text), .comments = { text.ptr, 0 }, .samples = { text.ptr, 0 } };
    while (rest.len > 0 && rest.ptr[0] == '#' && str_eq(name_of(rest), ret->name)) {
        rest = next_line(rest, &line);
        ret->comments.len += line.len;
    }
    ret->samples.ptr = rest.ptr;
    bool is_bare = ret->comments.len == 0;
    while (rest.len > 0 && rest.ptr[0] != '#' && (!is_bare || str_eq(name_of(rest), ret->name))) {
        rest = next_line(rest, &line);
        ret->samples.len += line.len;
    }
    if (ret->comments.len + ret->samples.len == 0) { // a comment of another kind
        rest = next_line(rest, &line);
    }
    return rest;
}

static void write_samples(struct str samples, const char *label, struct strbuf *out)
{
    struct str line;
    while (samples.len > 0) {
        samples = next_line(samples, &line);
        struct str name = name_of(line), rest = str_skip(line, name.len);
        if (!label || name.len == 0) {
            strbuf_append(out, line);
        } else if (rest.len > 0 && rest.ptr[0] == '{') {
            rest = str_skip(rest, 1);
            strbuf_printf(out, "%.*s{mount=\"%s\"%s%.*s", STR_ARG(name), label, rest.ptr[0] == '}' ? "" : ",",
                          STR_ARG(rest));
        } else {
            strbuf_printf(out, "%.*s{mount=\"%s\"}%.*s", STR_ARG(name), label, STR_ARG(rest));
        }
    }
}

static bool find_family(struct str text, struct str name, struct family *ret)
{
    while (text.len > 0) {
        text = next_family(text, ret);
        if (str_eq(ret->name, name) && ret->name.len > 0) {
            return true;
        }
    }
    return false;
}

static bool is_in_earlier(const struct str *texts, size_t n, struct str name)
{
    struct family other;
    for (size_t i = 0; i < n; i++) {
        if (find_family(texts[i], name, &other)) {
            return true;
        }
    }
    return false;
}

int metrics_merge(const struct str *texts, const char *const *labels, size_t n, struct strbuf *out)
{
    struct family family, other;
    for (size_t i = 0; i < n; i++) {
        for (struct str rest = texts[i]; rest.len > 0;) {
            rest = next_family(rest, &family);
            if (family.name.len == 0 || is_in_earlier(texts, i, family.name)) {
                continue;
            }
            strbuf_append(out, family.comments);
            write_samples(family.samples, labels[i], out);
            for (size_t k = i + 1; k < n; k++) {
                if (find_family(texts[k], family.name, &other)) {
                    write_samples(other.samples, labels[k], out);
                }
            }
        }
    }
    return out->error;
}
