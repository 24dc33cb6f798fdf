// The state of one rendering: heap, output, limits, errors.
//
// Errors leave the evaluation by longjmp to its entry: an expression nests deep, every operation of Python can raise,
// and all memory belongs to the heap, so there is nothing to unwind. Only jinja_render catches; nothing of the caller's
// runs in between.
#ifndef TOKFS_TEXT_JINJA_RT_H
#define TOKFS_TEXT_JINJA_RT_H

#include "engine/base/arena.h"
#include "engine/base/err.h"
#include "engine/text/jinja/value.h"

#include <setjmp.h>
#include <string.h>
#include <time.h>

#define RT_DEPTH_MAX      5000 // nested evaluations over all macro calls
#define RT_VALUE_DEPTH    400  // nesting of a value that is shown, compared or written as JSON
#define RT_HEAP_BYTES_MAX ((size_t)256 << 20)
#define RT_OUT_BYTES_MAX  ((size_t)64 << 20)

struct jinja_spans;
struct jinja_template;
struct jinja_var;

// Slots of one activation of the template or of a macro. Captured by the macros defined in it.
struct frame {
    struct frame *outer;
    struct value slots[];
};

struct rt {
    const struct jinja_template *tmpl;
    struct strbuf *out;
    size_t out_start; // output before it is not ours
    struct frame *frame;
    struct value *globals; // resolved so far
    const struct jinja_var *vars;
    size_t n_vars;
    time_t now;

    struct arena *arena;       // grows the heap
    char *heap_ptr, *heap_end; // for structures, 8-byte aligned
    char *text_ptr, *text_end; // for strings

    uint32_t pos; // source offset of what is evaluated, for errors
    uint32_t depth;
    bool is_folding; // while compiling: names, calls and what needs a context fail (fold.c)
    uint64_t steps_left;
    struct jinja_spans *generation;    // NULL: not recorded
    size_t buffer_start;               // where the outermost text that is captured began; RT_NO_BUFFER: none is
    size_t n_counted, n_counted_chars; // of the output: bytes whose characters were counted

    struct err *err;
    int error_code;
    jmp_buf on_error;
};

_Noreturn void rt_fail(struct rt *rt, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
_Noreturn void rt_fail_code(struct rt *rt, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
_Noreturn void rt_fail_undefined(struct rt *rt, struct value v);

void *rt_alloc_slow(struct rt *rt, size_t size);
char *rt_text_slow(struct rt *rt, size_t size);

static inline void *rt_alloc(struct rt *rt, size_t size) // not cleared
{
    size = (size + 7) & ~(size_t)7;
    if ((size_t)(rt->heap_end - rt->heap_ptr) < size) {
        return rt_alloc_slow(rt, size);
    }
    char *ptr = rt->heap_ptr;
    rt->heap_ptr += size;
    return ptr;
}

struct value *rt_alloc_values(struct rt *rt, size_t n);

// Room for a string of at most `size` bytes; rt_text_end gives back what was not used.
static inline char *rt_text(struct rt *rt, size_t size)
{
    if ((size_t)(rt->text_end - rt->text_ptr) < size) {
        return rt_text_slow(rt, size);
    }
    char *ptr = rt->text_ptr;
    rt->text_ptr += size;
    return ptr;
}

static inline void rt_charge(struct rt *rt, size_t n)
{
    if (__builtin_expect(rt->steps_left < n, 0)) {
        rt_fail_code(rt, -7 /* E2BIG */, "the template takes too many steps");
    }
    rt->steps_left -= n;
}

static inline void rt_charge_bytes(struct rt *rt, size_t n)
{
    rt_charge(rt, n / 16);
}

static inline void rt_enter(struct rt *rt)
{
    if (__builtin_expect(++rt->depth > RT_DEPTH_MAX, 0)) {
        rt_fail_code(rt, -7, "nested too deeply");
    }
}

static inline void rt_leave(struct rt *rt)
{
    rt->depth--;
}

struct value rt_str(struct rt *rt, struct str s);              // a copy
struct value rt_str_n(struct rt *rt, size_t size, char **ret); // a new string of `size` bytes to fill in
static inline struct value value_from_str(struct str s)        // borrows
{
    return (struct value){ .type = V_STR, .len = (uint32_t)s.len, .s = s.ptr };
}
struct value rt_printf(struct rt *rt, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct value rt_concat(struct rt *rt, struct str a, struct str b); // in place where a is the newest string
struct value rt_list(struct rt *rt, enum value_type type, const struct value *items, size_t n); // a copy
struct value rt_undefined(struct rt *rt, struct str hint);

#define RT_NO_BUFFER SIZE_MAX

// What a template writes between these two is not rendered yet, but the text of a macro or block. Returns what the
// second takes.
static inline size_t rt_buffer_begin(struct rt *rt)
{
    size_t outer = rt->buffer_start;

    if (outer == RT_NO_BUFFER) {
        rt->buffer_start = rt->out->len;
    }
    return outer;
}

static inline void rt_buffer_end(struct rt *rt, size_t outer)
{
    rt->buffer_start = outer;
}

// Output written since `mark` becomes a string and leaves the output.
struct value rt_capture(struct rt *rt, size_t mark);
// The output since `mark` is what a generation block gave; its place is where the output was at `start`.
void rt_note_generation(struct rt *rt, size_t start, size_t mark);
void rt_out_slow(struct rt *rt, struct str s);
static inline void rt_out(struct rt *rt, struct str s)
{
    struct strbuf *out = rt->out;

    if (__builtin_expect(out->cap - out->len > s.len, 1) && out->cap > 0) {
        if (s.len > 0) {
            memcpy(out->ptr + out->len, s.ptr, s.len);
            out->len += s.len;
        }
        return;
    }
    rt_out_slow(rt, s);
}

// A list that grows.
struct list_builder {
    struct value *items;
    uint32_t n, cap;
};
void list_add(struct rt *rt, struct list_builder *list, struct value v);
struct value list_end(const struct list_builder *list);

#endif
