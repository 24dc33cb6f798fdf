// Scanners for the regexes of GPT-2, Llama 3 / GPT-4 and Qwen 2, and for trailing white space. Pure functions.
//
// Alternatives of a regex are tried in order and the first that matches wins, which the functions mirror: each takes a
// position and either returns the end of its match or passes on. A character is reduced to one of four kinds first.
#include "engine/text/scanner.h"

#include "engine/text/codepoint.h"

const char scanner_gpt2_pattern[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

static const struct {
    const char *pattern;
    enum scanner_kind kind;
} patterns[] = {
    { scanner_gpt2_pattern, SCANNER_GPT2 },
    { "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", SCANNER_GPT2 },
    { "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
      "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
      SCANNER_LLAMA3 },
    { "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
      "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
      SCANNER_QWEN2 },
    { "\\s+$", SCANNER_TRAILING_SPACE },
};

enum scanner_kind scanner_for_pattern(struct str pattern)
{
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        if (str_eq(pattern, str_from(patterns[i].pattern))) {
            return patterns[i].kind;
        }
    }
    return SCANNER_NONE;
}

enum kind { KIND_LETTER, KIND_NUMBER, KIND_SPACE, KIND_OTHER, KIND_END };

struct scan {
    const struct unicode_table *table;
    const uint8_t *p;
    size_t len;
};

static inline enum kind kind_of(uint8_t class_byte)
{
    uint32_t bit = 1u << (class_byte & 31);
    return bit & UNICODE_SET_L       ? KIND_LETTER
           : bit & UNICODE_SET_N     ? KIND_NUMBER
           : bit & UNICODE_SET_SPACE ? KIND_SPACE
                                     : KIND_OTHER;
}

// Kind of the character at `at`, and where the next one begins.
static inline enum kind kind_at(const struct scan *s, size_t at, size_t *ret_next)
{
    if (at >= s->len) {
        return KIND_END;
    }
    uint32_t c;
    *ret_next = at + codepoint_next(s->p + at, &c);
    return kind_of(unicode_class(s->table, c));
}

// End of the run of characters of one kind that begins at `at`.
static inline size_t run_end(const struct scan *s, size_t at, enum kind kind)
{
    size_t next;
    while (kind_at(s, at, &next) == kind) {
        at = next;
    }
    return at;
}

static inline bool is_newline(uint8_t byte)
{
    return byte == '\n' || byte == '\r';
}

// End of the contraction that begins at the apostrophe `at`, or `at` when there is none. Ignoring case as Unicode does
// makes U+017F, the long s, an s.
static size_t contraction_end(const struct scan *s, size_t at, bool ignore_case)
{
    size_t n = s->len - at;
    uint8_t fold = ignore_case ? 0x20 : 0;
    if (n < 2) {
        return at;
    }
    uint8_t a = s->p[at + 1] | fold;
    if (a == 's' || a == 't' || a == 'm' || a == 'd') {
        return at + 2;
    }
    uint8_t b = n > 2 ? s->p[at + 2] | fold : 0;
    if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) {
        return at + 3;
    }
    if (ignore_case && n > 2 && s->p[at + 1] == 0xc5 && s->p[at + 2] == 0xbf) {
        return at + 3;
    }
    return at;
}

// \s+(?!\S)|\s+ at a white-space character: the run without its last character when something follows, unless that
// leaves nothing.
static size_t space_end(const struct scan *s, size_t at)
{
    size_t end = at, last = at, next;
    while (kind_at(s, end, &next) == KIND_SPACE) {
        last = end;
        end = next;
    }
    return end == s->len || last == at ? end : last;
}

static size_t gpt2_end(const struct scan *s, size_t at)
{
    size_t next = at, after;
    if (s->p[at] == '\'') {
        size_t end = contraction_end(s, at, false);
        if (end != at) {
            return end;
        }
    }
    enum kind kind = kind_at(s, at, &next);
    if (s->p[at] == ' ') {
        enum kind second = kind_at(s, next, &after);
        if (second != KIND_SPACE && second != KIND_END) {
            return run_end(s, after, second);
        }
    }
    return kind == KIND_SPACE ? space_end(s, at) : run_end(s, next, kind);
}

// [^\s\p{L}\p{N}]+[\r\n]* from its first character.
static size_t punctuation_end(const struct scan *s, size_t at)
{
    size_t end = run_end(s, at, KIND_OTHER);
    while (end < s->len && is_newline(s->p[end])) {
        end++;
    }
    return end;
}

// \s*[\r\n]+|\s+(?!\S)|\s+ from a white-space character: up to the last line break of the run, if it has one.
static size_t newline_or_space_end(const struct scan *s, size_t at)
{
    size_t end = run_end(s, at, KIND_SPACE);
    for (size_t i = end; i > at; i--) {
        if (is_newline(s->p[i - 1])) {
            return i;
        }
    }
    return space_end(s, at);
}

static size_t llama3_end(const struct scan *s, size_t at, int n_digits_max)
{
    size_t next = at, after;
    if (s->p[at] == '\'') {
        size_t end = contraction_end(s, at, true);
        if (end != at) {
            return end;
        }
    }
    enum kind kind = kind_at(s, at, &next);
    if (kind == KIND_LETTER) {
        return run_end(s, next, KIND_LETTER);
    }
    if (kind == KIND_NUMBER) {
        for (int n = 1; n < n_digits_max && kind_at(s, next, &after) == KIND_NUMBER; n++) {
            next = after;
        }
        return next;
    }
    if (!is_newline(s->p[at])) {
        enum kind second = kind_at(s, next, &after);
        if (second == KIND_LETTER) {
            return run_end(s, after, KIND_LETTER);
        }
        if (s->p[at] == ' ' && second == KIND_OTHER) {
            return punctuation_end(s, after);
        }
    }
    return kind == KIND_OTHER ? punctuation_end(s, next) : newline_or_space_end(s, at);
}

// \s+$ where $ is also the end of a line.
static bool trailing_space_next(const struct scan *s, size_t from, size_t *ret_start, size_t *ret_end)
{
    size_t next;
    for (size_t at = from; at < s->len;) {
        if (kind_at(s, at, &next) != KIND_SPACE) {
            at = next;
            continue;
        }
        size_t end = run_end(s, at, KIND_SPACE);
        size_t match_end = end;
        while (match_end != s->len && match_end > at && s->p[match_end] != '\n') {
            match_end--;
        }
        if (match_end > at) {
            *ret_start = at;
            *ret_end = match_end;
            return true;
        }
        at = end;
    }
    return false;
}

bool scanner_next(enum scanner_kind kind, const struct unicode_table *table, struct str text, size_t from,
                  size_t *ret_start, size_t *ret_end)
{
    struct scan s = { table, (const uint8_t *)text.ptr, text.len };
    if (kind == SCANNER_TRAILING_SPACE) {
        return trailing_space_next(&s, from, ret_start, ret_end);
    }
    if (from >= text.len) {
        return false;
    }
    *ret_start = from;
    *ret_end = kind == SCANNER_GPT2 ? gpt2_end(&s, from) : llama3_end(&s, from, kind == SCANNER_QWEN2 ? 1 : 3);
    return true;
}
