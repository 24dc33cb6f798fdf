// Characters come from utf8proc one by one; they are put into canonical order here, since utf8proc_decompose exchanges
// neighbours, which takes hours on a long run of marks.
#include "engine/text/unicode_form.h"

#include "engine/base/utf8.h"
#include "engine/text/codepoint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SMALL              256 // code points that need no allocation
#define DECOMPOSED_MAX     32  // more than any character decomposes to
#define INSERTION_SORT_MAX 16

struct points {
    utf8proc_int32_t small[SMALL], *items;
    size_t n, cap;
};

static int grow(struct points *points)
{
    size_t cap = 2 * points->cap;
    utf8proc_int32_t *items = realloc(points->items == points->small ? NULL : points->items, cap * sizeof *items);
    if (!items) {
        return -ENOMEM;
    }
    if (points->items == points->small) {
        memcpy(items, points->small, points->n * sizeof *items);
    }
    points->items = items;
    points->cap = cap;
    return 0;
}

static int decompose(struct str text, utf8proc_option_t options, struct points *points)
{
    const uint8_t *p = (const uint8_t *)text.ptr;
    for (size_t i = 0; i < text.len;) {
        int unused = 0;
        uint32_t c;
        if (points->cap - points->n < DECOMPOSED_MAX && grow(points) < 0) {
            return -ENOMEM;
        }
        i += codepoint_next(p + i, &c);
        utf8proc_ssize_t n =
            utf8proc_decompose_char((utf8proc_int32_t)c, points->items + points->n, DECOMPOSED_MAX, options, &unused);
        if (n < 0 || n > DECOMPOSED_MAX) {
            return -EINVAL;
        }
        points->n += (size_t)n;
    }
    return 0;
}

static uint8_t combining_class(utf8proc_int32_t c)
{
    return c < 0x300 ? 0 : (uint8_t)utf8proc_get_property(c)->combining_class;
}

static void sort_few(utf8proc_int32_t *marks, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        utf8proc_int32_t mark = marks[i];
        size_t at = i;
        for (; at > 0 && combining_class(marks[at - 1]) > combining_class(mark); at--) {
            marks[at] = marks[at - 1];
        }
        marks[at] = mark;
    }
}

static int sort_many(utf8proc_int32_t *marks, size_t n)
{
    size_t start[257] = { 0 };
    utf8proc_int32_t *sorted = malloc(n * sizeof *sorted);
    if (!sorted) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        start[combining_class(marks[i]) + 1]++;
    }
    for (size_t k = 1; k < 257; k++) {
        start[k] += start[k - 1];
    }
    for (size_t i = 0; i < n; i++) {
        sorted[start[combining_class(marks[i])]++] = marks[i];
    }
    memcpy(marks, sorted, n * sizeof *sorted);
    free(sorted);
    return 0;
}

// Each run of marks by its combining classes, equal ones as they came.
static int order_marks(struct points *points)
{
    int r = 0;
    for (size_t at = 0, end; at < points->n && r == 0; at = end) {
        for (end = at; end < points->n && combining_class(points->items[end]) > 0; end++) {
        }
        if (end - at > INSERTION_SORT_MAX) {
            r = sort_many(points->items + at, end - at);
        } else {
            sort_few(points->items + at, end - at);
        }
        end += end == at;
    }
    return r;
}

int unicode_form_append(struct str text, utf8proc_option_t options, struct strbuf *out)
{
    struct points points = { .cap = SMALL };
    points.items = points.small;
    int r = decompose(text, options, &points);
    r = r ? r : order_marks(&points);
    if (r == 0 && options & UTF8PROC_COMPOSE) {
        points.n = (size_t)utf8proc_normalize_utf32(points.items, (utf8proc_ssize_t)points.n, options);
    }
    for (size_t i = 0; i < points.n && r == 0; i++) {
        char c[4];
        r = strbuf_append(out, (struct str){ c, utf8_encode((uint32_t)points.items[i], c) });
    }
    if (points.items != points.small) {
        free(points.items);
    }
    return r;
}
