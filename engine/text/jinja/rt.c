// Memory, output and failure of one rendering.
//
// The heap grows by chunks from the arena: structures and strings in separate ones, so that the newest string can be
// extended in place and building text by repeated `+` stays linear.
#include "engine/text/jinja/rt.h"

#include "engine/text/jinja/ast.h"
#include "engine/text/jinja/jinja.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define CHUNK_BYTES 8192

static void set_error(struct rt *rt, int code, const char *fmt, va_list args)
{
    char words[220];
    unsigned line, column;

    if (rt->is_folding) { // nobody reads it
        rt->error_code = code;
        return;
    }
    vsnprintf(words, sizeof(words), fmt, args);
    lex_position(rt->tmpl->source, rt->pos, &line, &column);
    rt->error_code = err_set(rt->err, code, "line %u, column %u: %s", line, column, words);
}

_Noreturn void rt_fail(struct rt *rt, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    set_error(rt, -EINVAL, fmt, args);
    va_end(args);
    longjmp(rt->on_error, 1);
}

_Noreturn void rt_fail_code(struct rt *rt, int code, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    set_error(rt, code, fmt, args);
    va_end(args);
    longjmp(rt->on_error, 1);
}

_Noreturn void rt_fail_undefined(struct rt *rt, struct value v)
{
    const struct undefined *u = v.undefined;

    if (u->hint.len > 0) {
        rt_fail(rt, "%.*s", STR_ARG(u->hint));
    }
    if (u->of == NULL) {
        rt_fail(rt, "'%.*s' is undefined", STR_ARG(u->name));
    }
    if (u->is_unsafe) {
        rt_fail(rt, "access to attribute '%.*s' of '%s' object is unsafe.", STR_ARG(u->name), u->of);
    }
    if (u->is_element) {
        rt_fail(rt, "%s object has no element %.*s", u->of, STR_ARG(u->name));
    }
    rt_fail(rt, "'%s object' has no attribute '%.*s'", u->of, STR_ARG(u->name));
}

static char *new_chunk(struct rt *rt, size_t *size)
{
    size_t wanted = *size > CHUNK_BYTES / 4 ? *size : CHUNK_BYTES;
    char *chunk;

    // Later chunks are larger, so that a large rendering takes few.
    if (wanted < rt->arena->used_bytes / 4) {
        wanted = rt->arena->used_bytes / 4;
    }
    chunk = arena_alloc(rt->arena, wanted);
    if (chunk == NULL && wanted > *size) {
        wanted = *size;
        chunk = arena_alloc(rt->arena, wanted);
    }
    if (chunk == NULL) {
        rt_fail_code(rt, -E2BIG, "the template takes too much memory");
    }
    *size = wanted;
    return chunk;
}

void *rt_alloc_slow(struct rt *rt, size_t size)
{
    size_t chunk_size = size;
    char *chunk = new_chunk(rt, &chunk_size);

    rt->heap_ptr = chunk + size;
    rt->heap_end = chunk + chunk_size;
    return chunk;
}

char *rt_text_slow(struct rt *rt, size_t size)
{
    size_t chunk_size = size;
    char *chunk = new_chunk(rt, &chunk_size);

    rt->text_ptr = chunk + size;
    rt->text_end = chunk + chunk_size;
    return chunk;
}

struct value *rt_alloc_values(struct rt *rt, size_t n)
{
    if (n > UINT32_MAX / sizeof(struct value)) {
        rt_fail_code(rt, -E2BIG, "a list is too long");
    }
    return rt_alloc(rt, n * sizeof(struct value));
}

struct value rt_str_n(struct rt *rt, size_t size, char **ret)
{
    if (size > UINT32_MAX / 2) {
        rt_fail_code(rt, -E2BIG, "a string is too long");
    }
    rt_charge_bytes(rt, size);
    *ret = rt_text(rt, size);
    return value_from_str((struct str){ *ret, size });
}

struct value rt_str(struct rt *rt, struct str s)
{
    char *copy;
    struct value v = rt_str_n(rt, s.len, &copy);

    if (s.len > 0) {
        memcpy(copy, s.ptr, s.len);
    }
    return v;
}

struct value rt_printf(struct rt *rt, const char *fmt, ...)
{
    char text[512];
    va_list args;
    int len;

    va_start(args, fmt);
    len = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return rt_str(rt, (struct str){ text, len < 0 ? 0 : (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1 });
}

struct value rt_concat(struct rt *rt, struct str a, struct str b)
{
    char *text;
    struct value v;

    if (b.len == 0 && a.len > 0) {
        return value_from_str(a);
    }
    if (a.len == 0) {
        return rt_str(rt, b);
    }
    if (a.ptr + a.len == rt->text_ptr && (size_t)(rt->text_end - rt->text_ptr) >= b.len &&
        a.len + b.len <= UINT32_MAX / 2) {
        rt_charge_bytes(rt, b.len);
        memcpy(rt->text_ptr, b.ptr, b.len);
        rt->text_ptr += b.len;
        return value_from_str((struct str){ a.ptr, a.len + b.len });
    }
    v = rt_str_n(rt, a.len + b.len, &text);
    memcpy(text, a.ptr, a.len);
    memcpy(text + a.len, b.ptr, b.len);
    return v;
}

struct value rt_list(struct rt *rt, enum value_type type, const struct value *items, size_t n)
{
    struct value *copy = rt_alloc_values(rt, n);

    if (n > 0) {
        memcpy(copy, items, n * sizeof(*items));
    }
    return (struct value){ .type = (uint8_t)type, .len = (uint32_t)n, .items = copy };
}

struct value rt_undefined(struct rt *rt, struct str hint)
{
    struct undefined *u = rt_alloc(rt, sizeof(*u));

    *u = (struct undefined){ .hint = hint };
    return (struct value){ .type = V_UNDEFINED, .undefined = u };
}

void rt_out_slow(struct rt *rt, struct str s)
{
    struct strbuf *out = rt->out;

    if (out->len - rt->out_start + s.len > RT_OUT_BYTES_MAX) {
        rt_fail_code(rt, -E2BIG, "the template writes more than %zu bytes", RT_OUT_BYTES_MAX);
    }
    if (strbuf_append(out, s) < 0) {
        rt_fail_code(rt, out->error == -EFBIG ? -E2BIG : out->error, "the output is too long");
    }
    // Room for many more at once: small appends do not come here again soon.
    if (out->len_max == 0 && out->cap - out->len < out->len) {
        strbuf_reserve(out, out->len);
    }
}

static size_t count_chars(const char *text, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        n += ((unsigned char)text[i] & 0xc0) != 0x80;
    }
    return n;
}

static struct jinja_span *add_span(struct jinja_spans *spans)
{
    if (spans->n == spans->cap) {
        size_t cap = spans->cap > 0 ? spans->cap * 2 : 16;
        struct jinja_span *items = reallocarray(spans->items, cap, sizeof(*items));

        if (items == NULL) {
            return NULL;
        }
        spans->items = items;
        spans->cap = cap;
    }
    return &spans->items[spans->n++];
}

void jinja_spans_deinit(struct jinja_spans *spans)
{
    free(spans->items);
    *spans = (struct jinja_spans){ 0 };
}

#define SPAN_STEPS 16 // what one costs: bounds how many there are

// What was rendered before `start` only grows from one block to the next, hence is counted once.
void rt_note_generation(struct rt *rt, size_t start, size_t mark)
{
    struct jinja_span *span;
    size_t n_chars = count_chars(rt->out->ptr + mark, rt->out->len - mark);

    rt_charge(rt, SPAN_STEPS);
    rt_charge_bytes(rt, rt->out->len - mark + start - rt->n_counted);
    rt->n_counted_chars += count_chars(rt->out->ptr + rt->n_counted, start - rt->n_counted);
    rt->n_counted = start;
    span = add_span(rt->generation);
    if (span == NULL) {
        rt_fail_code(rt, -ENOMEM, "out of memory");
    }
    *span = (struct jinja_span){ rt->n_counted_chars, rt->n_counted_chars + n_chars };
}

struct value rt_capture(struct rt *rt, size_t mark)
{
    struct value v = rt_str(rt, (struct str){ rt->out->ptr + mark, rt->out->len - mark });

    rt->out->len = mark;
    return v;
}

void list_add(struct rt *rt, struct list_builder *list, struct value v)
{
    if (list->n == list->cap) {
        uint32_t cap = list->cap == 0 ? 8 : list->cap * 2;
        struct value *items = rt_alloc_values(rt, cap);

        if (list->n > 0) {
            memcpy(items, list->items, list->n * sizeof(*items));
        }
        list->items = items;
        list->cap = cap;
    }
    list->items[list->n++] = v;
}

struct value list_end(const struct list_builder *list)
{
    return (struct value){ .type = V_LIST, .len = list->n, .items = list->items };
}
