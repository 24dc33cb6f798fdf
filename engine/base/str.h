// Text as (pointer, length), and a growing buffer for building it.
//
// struct str borrows: it never owns its bytes and need not end in NUL. NUL appears only at system calls.
// struct strbuf owns. Invariants: len <= cap; ptr[len] == 0 once anything was allocated; after a failed append `error`
// is set, the contents stay as they were, and further appends do nothing, so that a caller may append freely and check
// once.
#ifndef TOKFS_BASE_STR_H
#define TOKFS_BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
    const char *ptr;
    size_t len;
};

#define STR(literal) ((struct str){ "" literal, sizeof(literal) - 1 })
// For printf("%.*s", STR_ARG(s)); clips at INT_MAX.
#define STR_ARG(s) ((int)((s).len > 0x7fffffff ? 0x7fffffff : (s).len)), (s).ptr

struct str str_from(const char *cstr); // borrows; NULL gives the empty string
bool str_eq(struct str a, struct str b);
bool str_starts_with(struct str s, struct str prefix);
bool str_ends_with(struct str s, struct str suffix);
struct str str_skip(struct str s, size_t n);         // without its first n bytes (n clipped)
struct str str_take(struct str s, size_t n);         // its first n bytes (n clipped)
struct str str_trim(struct str s);                   // without ASCII white space at both ends
ptrdiff_t str_find(struct str s, struct str needle); // offset or -1
// Splits at the first `sep`: *ret_head is what stands before it, the result what follows. Without `sep`, head is all of
// s.
struct str str_cut(struct str s, char sep, struct str *ret_head);
char *str_dup(struct str s); // NUL-terminated heap copy, NULL when out of memory

// Whole-string number parsers: 0, -EINVAL (not a number, a plus sign, trailing bytes) or -ERANGE.
int str_parse_i64(struct str s, int64_t *ret);
int str_parse_double(struct str s,
                     double *ret); // correctly rounded, locale-independent; "1", ".5", "1e-3", no hex, inf, nan
int str_parse_bytes(struct str s, uint64_t *ret); // "4096", "512K", "64m", "2G", "1T" (powers of 1024)

struct strbuf {
    char *ptr;
    size_t len;
    size_t cap;
    size_t len_max; // 0 = unlimited; an append past it fails with -EFBIG
    int error;      // 0, -ENOMEM or -EFBIG: sticky until strbuf_reset
};

void strbuf_init(struct strbuf *buf, size_t len_max);
void strbuf_deinit(struct strbuf *buf);
void strbuf_reset(struct strbuf *buf);              // empties, clears the error, keeps the memory
void strbuf_clear(struct strbuf *buf, size_t keep); // likewise, but memory of more than `keep` bytes is given back
void strbuf_cut(struct strbuf *buf, size_t len);    // to its first `len` bytes, if it has more
int strbuf_reserve(struct strbuf *buf, size_t n_more);
int strbuf_append(struct strbuf *buf, struct str s); // s must not lie in buf itself
int strbuf_append_byte(struct strbuf *buf, char byte);
int strbuf_printf(struct strbuf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct str strbuf_str(const struct strbuf *buf);
char *strbuf_steal(struct strbuf *buf); // the caller frees, the buffer is empty after; NULL when buf->error is set

#endif
