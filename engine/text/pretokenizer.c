// A step cuts a piece into smaller ones and hands each on to the next step, depth first, so that pieces reach the model
// in order and no list of them is kept. Two parts make a step: a matcher, which finds the next match in a piece, and a
// behaviour, which says what becomes of matches and of the gaps between them.
//
//   "a-b--c", matches of "-":   removed a b c             isolated a - b - - c         contiguous a - b -- c
//                               merged_with_previous a- b- - c     merged_with_next a -b - -c
//
// Behind a ByteLevel step a piece is_spelled: its bytes are those of the text, but each stands for one character of the
// byte-level alphabet, and that is what the following matchers see (byte 0xb2 is the number U+00B2 to them).
#include "engine/text/pretokenizer.h"

#include "engine/text/byte_level.h"
#include "engine/text/codepoint.h"
#include "engine/text/scanner.h"
#include "engine/text/spec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct piece {
    struct str text;
    bool is_spelled;
    bool is_start; // begins where the whole text does
};

enum behaviour { REMOVED, ISOLATED, MERGED_WITH_PREVIOUS, MERGED_WITH_NEXT, CONTIGUOUS };

struct pretokenizer_step {
    const struct kind *kind;
    enum behaviour behaviour;
    bool invert;
    enum scanner_kind scanner;
    struct regex *regex;
    struct str literal; // Split on a string, Metaspace's replacement, CharDelimiterSplit's delimiter; owned
    uint32_t length;    // FixedLength
    bool add_prefix_space, use_regex, individual_digits, split;
    enum prepend_scheme { PREPEND_ALWAYS, PREPEND_FIRST, PREPEND_NEVER } prepend;
};

struct run {
    const struct pretokenizer *pre;
    struct pretokenizer_scratch *scratch;
    pretokenizer_piece_fn fn;
    void *ctx;
};

struct kind {
    const char *name;
    int (*load)(struct pretokenizer_step *step, const struct json *spec, const char *where,
                const struct unicode_table *table, struct err *err);
    int (*apply)(const struct run *run, size_t step_idx, struct piece piece);
};

static int next_step(const struct run *run, size_t step_idx, struct piece piece)
{
    if (piece.text.len == 0) {
        return 0;
    }
    if (step_idx == run->pre->n_steps) {
        return run->fn(run->ctx, piece.text);
    }
    return run->pre->steps[step_idx].kind->apply(run, step_idx, piece);
}

// ---- characters ---------------------------------------------------------------------------------------------------

static inline size_t next_char(struct piece piece, size_t at, uint32_t *ret)
{
    const uint8_t *p = (const uint8_t *)piece.text.ptr + at;
    if (piece.is_spelled) {
        *ret = byte_level_codepoint(*p);
        return 1;
    }
    return codepoint_next(p, ret);
}

// ---- matchers -----------------------------------------------------------------------------------------------------

struct matcher {
    // 1 with the bounds of the next match at or after `from`, 0 none, -errno.
    int (*next)(struct matcher *m, size_t from, size_t *ret_start, size_t *ret_end);
    const struct run *run;
    const struct pretokenizer_step *step;
    struct piece piece;
    struct regex_iter iter; // regexes
    bool in_spelling;       // bounds are those of the written-out text of a spelled piece:
    size_t spelled_at, at;  // bytes passed there, and the bytes of the piece that they come from
    uint32_t (*predicate)(const struct matcher *m, uint32_t c);
};

static int match_scanner(struct matcher *m, size_t from, size_t *ret_start, size_t *ret_end)
{
    return scanner_next(m->step->scanner, m->run->pre->table, m->iter.text, from, ret_start, ret_end);
}

static int match_regex(struct matcher *m, size_t from, size_t *ret_start, size_t *ret_end)
{
    (void)from;
    return regex_iter_next(&m->iter, ret_start, ret_end);
}

static int match_literal(struct matcher *m, size_t from, size_t *ret_start, size_t *ret_end)
{
    ptrdiff_t at = m->step->literal.len ? str_find(str_skip(m->iter.text, from), m->step->literal) : -1;
    if (at < 0) {
        return 0;
    }
    *ret_start = from + (size_t)at;
    *ret_end = *ret_start + m->step->literal.len;
    return 1;
}

// Single characters that satisfy a predicate.
static int match_char(struct matcher *m, size_t from, size_t *ret_start, size_t *ret_end)
{
    for (size_t at = from; at < m->piece.text.len;) {
        uint32_t c;
        size_t n = next_char(m->piece, at, &c);
        if (m->predicate(m, c)) {
            *ret_start = at;
            *ret_end = at + n;
            return 1;
        }
        at += n;
    }
    return 0;
}

// Runs of characters to which the predicate gives the same value other than 0.
static int match_run(struct matcher *m, size_t from, size_t *ret_start, size_t *ret_end)
{
    uint32_t c;
    int r = match_char(m, from, ret_start, ret_end);
    if (r <= 0) {
        return r;
    }
    next_char(m->piece, *ret_start, &c);
    uint32_t value = m->predicate(m, c);
    while (*ret_end < m->piece.text.len) {
        size_t n = next_char(m->piece, *ret_end, &c);
        if (m->predicate(m, c) != value) {
            break;
        }
        *ret_end += n;
    }
    return 1;
}

// Text matchers see a spelled piece written out; this brings their bounds back to its bytes (one character is one
// byte).
static void unspell(struct matcher *m, size_t *start, size_t *end)
{
    if (!m->in_spelling) {
        return;
    }
    const uint8_t *p = (const uint8_t *)m->iter.text.ptr;
    size_t bounds[2];
    for (int i = 0; i < 2; i++) {
        size_t target = i == 0 ? *start : *end;
        while (m->spelled_at < target) {
            m->spelled_at += codepoint_len(p[m->spelled_at]);
            m->at++;
        }
        bounds[i] = m->at;
    }
    *start = bounds[0];
    *end = bounds[1];
}

// ---- behaviours ---------------------------------------------------------------------------------------------------

struct cut {
    struct matcher *m;
    size_t step_idx;
    size_t held_start, held_end; // a tile that waits for the next one
    bool has_held, held_is_match;
};

static int emit(const struct cut *cut, size_t start, size_t end)
{
    struct piece piece = cut->m->piece;
    piece.is_start = piece.is_start && start == 0;
    piece.text = (struct str){ piece.text.ptr + start, end - start };
    return next_step(cut->m->run, cut->step_idx + 1, piece);
}

static int flush(struct cut *cut)
{
    bool has_held = cut->has_held;
    cut->has_held = false;
    return has_held ? emit(cut, cut->held_start, cut->held_end) : 0;
}

static bool joins(enum behaviour behaviour, bool held_is_match, bool is_match)
{
    switch (behaviour) {
    case CONTIGUOUS: return held_is_match == is_match;
    case MERGED_WITH_PREVIOUS: return !held_is_match && is_match;
    case MERGED_WITH_NEXT: return held_is_match && !is_match;
    default: return false;
    }
}

// Tiles (matches and the gaps between them) come in order and without gaps.
static int put_tile(struct cut *cut, size_t start, size_t end, bool is_match)
{
    const struct pretokenizer_step *step = cut->m->step;
    is_match = is_match != step->invert;
    if (step->behaviour == ISOLATED) {
        return emit(cut, start, end);
    }
    if (step->behaviour == REMOVED) {
        return is_match ? 0 : emit(cut, start, end);
    }
    if (cut->has_held && joins(step->behaviour, cut->held_is_match, is_match)) {
        cut->held_end = end;
        cut->held_is_match = is_match;
        return step->behaviour == CONTIGUOUS ? 0 : flush(cut);
    }
    int r = flush(cut);
    cut->held_start = start;
    cut->held_end = end;
    cut->held_is_match = is_match;
    cut->has_held = true;
    return r;
}

static int cut_piece(struct matcher *m, size_t step_idx)
{
    struct cut cut = { .m = m, .step_idx = step_idx };
    size_t done = 0, from = 0, start, end;
    int r, found;
    while ((found = m->next(m, from, &start, &end)) > 0) {
        from = end;
        unspell(m, &start, &end);
        r = done == start ? 0 : put_tile(&cut, done, start, false);
        r = r ? r : put_tile(&cut, start, end, true);
        if (r) {
            return r;
        }
        done = end;
    }
    if (found < 0) {
        return found;
    }
    r = done == m->piece.text.len ? 0 : put_tile(&cut, done, m->piece.text.len, false);
    return r ? r : flush(&cut);
}

// ---- Split, CharDelimiterSplit ------------------------------------------------------------------------------------

static int load_behaviour(struct pretokenizer_step *step, const struct json *spec, const char *where,
                          enum spec_need need, struct err *err)
{
    static const char *const names[] = { "Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous" };
    struct str name = { NULL, 0 };
    int r = spec_str(spec, where, "behavior", need, &name, err);
    if (r < 0 || !name.ptr) {
        return r;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (str_eq(name, str_from(names[i]))) {
            step->behaviour = (enum behaviour)i;
            return 0;
        }
    }
    return err_set(err, -EINVAL, "%s.behavior: \"%.*s\" is not a behaviour", where, STR_ARG(name));
}

static int copy_literal(struct pretokenizer_step *step, struct str s)
{
    step->literal = (struct str){ str_dup(s), s.len };
    return step->literal.ptr ? 0 : -ENOMEM;
}

static int load_split(struct pretokenizer_step *step, const struct json *spec, const char *where,
                      const struct unicode_table *table, struct err *err)
{
    struct str pattern;
    bool is_regex;
    int r = load_behaviour(step, spec, where, SPEC_REQUIRED, err);
    r = r ? r : spec_bool(spec, where, "invert", SPEC_REQUIRED, &step->invert, err);
    r = r ? r : spec_pattern(spec, where, &pattern, &is_regex, err);
    if (r < 0) {
        return r;
    }
    if (!is_regex) {
        return copy_literal(step, pattern);
    }
    step->scanner = scanner_for_pattern(pattern);
    if (step->scanner != SCANNER_NONE) {
        return 0;
    }
    char path[SPEC_PATH_MAX];
    snprintf(path, sizeof path, "%s.pattern", where);
    return regex_new(pattern, table, path, &step->regex, err);
}

static int apply_split(const struct run *run, size_t step_idx, struct piece piece)
{
    const struct pretokenizer_step *step = &run->pre->steps[step_idx];
    struct matcher m = { .run = run, .step = step, .piece = piece, .iter = { .text = piece.text } };
    if (piece.is_spelled) {
        struct strbuf *spelled = &run->scratch->spelled[step_idx];
        strbuf_reset(spelled);
        int r = byte_level_append_written(spelled, piece.text);
        if (r < 0) {
            return r;
        }
        m.iter.text = strbuf_str(spelled);
        m.in_spelling = true;
    }
    m.iter.re = step->regex;
    m.iter.scratch = run->scratch->regex;
    m.next = step->scanner != SCANNER_NONE ? match_scanner : step->regex ? match_regex : match_literal;
    return cut_piece(&m, step_idx);
}

static int load_delimiter(struct pretokenizer_step *step, const struct json *spec, const char *where,
                          const struct unicode_table *table, struct err *err)
{
    (void)table;
    struct str delimiter;
    step->behaviour = REMOVED;
    int r = spec_char(spec, where, "delimiter", SPEC_REQUIRED, &delimiter, err);
    return r ? r : copy_literal(step, delimiter);
}

// ---- by kind of character -----------------------------------------------------------------------------------------

static int cut_by_char(const struct run *run, size_t step_idx, struct piece piece,
                       uint32_t (*predicate)(const struct matcher *m, uint32_t c), bool as_runs)
{
    struct matcher m = { .next = as_runs ? match_run : match_char,
                         .run = run,
                         .step = &run->pre->steps[step_idx],
                         .piece = piece,
                         .predicate = predicate };
    return cut_piece(&m, step_idx);
}

static uint32_t class_of(const struct matcher *m, uint32_t c)
{
    return unicode_class(m->run->pre->table, c);
}

static uint32_t is_numeric(const struct matcher *m, uint32_t c)
{
    return class_of(m, c) & UNICODE_IS_NUMERIC;
}

static uint32_t is_punct(const struct matcher *m, uint32_t c)
{
    return class_of(m, c) & UNICODE_IS_PUNCT;
}

static uint32_t is_space(const struct matcher *m, uint32_t c)
{
    return unicode_class_in((uint8_t)class_of(m, c), UNICODE_SET_SPACE);
}

// \w+|[^\w\s]+
static uint32_t word_or_other(const struct matcher *m, uint32_t c)
{
    uint32_t class_byte = class_of(m, c);
    return class_byte & UNICODE_IS_WORD ? 1 : unicode_class_in((uint8_t)class_byte, UNICODE_SET_SPACE) ? 0 : 2;
}

static int load_digits(struct pretokenizer_step *step, const struct json *spec, const char *where,
                       const struct unicode_table *table, struct err *err)
{
    (void)table;
    int r = spec_bool(spec, where, "individual_digits", SPEC_REQUIRED, &step->individual_digits, err);
    step->behaviour = step->individual_digits ? ISOLATED : CONTIGUOUS;
    return r;
}

static int apply_digits(const struct run *run, size_t step_idx, struct piece piece)
{
    return cut_by_char(run, step_idx, piece, is_numeric, false);
}

static int load_punctuation(struct pretokenizer_step *step, const struct json *spec, const char *where,
                            const struct unicode_table *table, struct err *err)
{
    (void)table;
    step->behaviour = ISOLATED;
    return load_behaviour(step, spec, where, SPEC_OPTIONAL, err);
}

static int apply_punctuation(const struct run *run, size_t step_idx, struct piece piece)
{
    return cut_by_char(run, step_idx, piece, is_punct, false);
}

static int load_whitespace(struct pretokenizer_step *step, const struct json *spec, const char *where,
                           const struct unicode_table *table, struct err *err)
{
    (void)spec, (void)where, (void)table, (void)err;
    step->behaviour = REMOVED;
    step->invert = true;
    return 0;
}

static int apply_whitespace(const struct run *run, size_t step_idx, struct piece piece)
{
    return cut_by_char(run, step_idx, piece, word_or_other, true);
}

static int load_whitespace_split(struct pretokenizer_step *step, const struct json *spec, const char *where,
                                 const struct unicode_table *table, struct err *err)
{
    (void)spec, (void)where, (void)table, (void)err;
    step->behaviour = REMOVED;
    return 0;
}

static int apply_whitespace_split(const struct run *run, size_t step_idx, struct piece piece)
{
    return cut_by_char(run, step_idx, piece, is_space, false);
}

static int load_fixed_length(struct pretokenizer_step *step, const struct json *spec, const char *where,
                             const struct unicode_table *table, struct err *err)
{
    (void)table;
    step->length = 5;
    int r = spec_u32(spec, where, "length", SPEC_OPTIONAL, &step->length, err);
    return r == 0 && step->length == 0 ? err_set(err, -EINVAL, "%s.length: 0 is no length", where) : r;
}

static int apply_fixed_length(const struct run *run, size_t step_idx, struct piece piece)
{
    struct cut cut = { .m = &(struct matcher){ .run = run, .piece = piece }, .step_idx = step_idx };
    uint32_t c, n_chars = 0, length = run->pre->steps[step_idx].length;
    size_t start = 0;
    int r = 0;
    for (size_t at = 0; at < piece.text.len && r == 0;) {
        at += next_char(piece, at, &c);
        if (++n_chars == length || at == piece.text.len) {
            r = emit(&cut, start, at);
            start = at;
            n_chars = 0;
        }
    }
    return r;
}

// ---- ByteLevel, Metaspace -----------------------------------------------------------------------------------------

// A spelled piece as the text that it stands for, for a step that rewrites.
static int write_out(const struct run *run, size_t step_idx, struct piece *piece)
{
    if (!piece->is_spelled) {
        return 0;
    }
    struct strbuf *spelled = &run->scratch->spelled[step_idx];
    strbuf_reset(spelled);
    int r = byte_level_append_written(spelled, piece->text);
    piece->text = strbuf_str(spelled);
    piece->is_spelled = false;
    return r;
}

static int load_byte_level(struct pretokenizer_step *step, const struct json *spec, const char *where,
                           const struct unicode_table *table, struct err *err)
{
    (void)table;
    bool trim_offsets;
    step->use_regex = true;
    int r = spec_bool(spec, where, "add_prefix_space", SPEC_REQUIRED, &step->add_prefix_space, err);
    r = r ? r : spec_bool(spec, where, "trim_offsets", SPEC_REQUIRED, &trim_offsets, err);
    r = r ? r : spec_bool(spec, where, "use_regex", SPEC_OPTIONAL, &step->use_regex, err);
    return r;
}

static int apply_byte_level(const struct run *run, size_t step_idx, struct piece piece)
{
    const struct pretokenizer_step *step = &run->pre->steps[step_idx];
    int r = write_out(run, step_idx, &piece);
    if (r == 0 && step->add_prefix_space && piece.text.ptr[0] != ' ') {
        struct strbuf *text = &run->scratch->text[step_idx];
        strbuf_reset(text);
        strbuf_append_byte(text, ' ');
        r = strbuf_append(text, piece.text);
        piece.text = strbuf_str(text);
    }
    piece.is_spelled = true;
    if (!step->use_regex) {
        return r ? r : next_step(run, step_idx + 1, piece);
    }
    size_t from = 0, start, end;
    while (r == 0 && scanner_next(SCANNER_GPT2, run->pre->table, piece.text, from, &start, &end)) {
        struct piece part = piece;
        part.text = (struct str){ piece.text.ptr + start, end - start };
        part.is_start = piece.is_start && start == 0;
        r = next_step(run, step_idx + 1, part);
        from = end;
    }
    return r;
}

static int load_metaspace(struct pretokenizer_step *step, const struct json *spec, const char *where,
                          const struct unicode_table *table, struct err *err)
{
    (void)table;
    static const char *const schemes[] = { "always", "first", "never" };
    struct str replacement, scheme = STR("always");
    bool add_prefix_space = true;
    step->split = true;
    int r = spec_char(spec, where, "replacement", SPEC_REQUIRED, &replacement, err);
    r = r ? r : spec_bool(spec, where, "add_prefix_space", SPEC_OPTIONAL, &add_prefix_space, err);
    r = r ? r : spec_bool(spec, where, "split", SPEC_OPTIONAL, &step->split, err);
    r = r ? r : spec_str(spec, where, "prepend_scheme", SPEC_OPTIONAL, &scheme, err);
    size_t i = 0;
    while (i < 3 && !str_eq(scheme, str_from(schemes[i]))) {
        i++;
    }
    if (r == 0 && (i == 3 || (!add_prefix_space && i != 2))) {
        return err_set(err, -EINVAL, "%s.prepend_scheme: \"%.*s\" %s", where, STR_ARG(scheme),
                       i == 3 ? "is none of always, first, never" : "contradicts add_prefix_space false");
    }
    step->prepend = (enum prepend_scheme)i;
    step->behaviour = MERGED_WITH_NEXT;
    return r ? r : copy_literal(step, replacement);
}

static int apply_metaspace(const struct run *run, size_t step_idx, struct piece piece)
{
    const struct pretokenizer_step *step = &run->pre->steps[step_idx];
    struct strbuf *text = &run->scratch->text[step_idx];
    int r = write_out(run, step_idx, &piece);
    strbuf_reset(text);
    bool begins = piece.text.ptr[0] == ' ' || str_starts_with(piece.text, step->literal);
    if (!begins && (step->prepend == PREPEND_ALWAYS || (step->prepend == PREPEND_FIRST && piece.is_start))) {
        strbuf_append(text, step->literal);
    }
    struct str rest = piece.text;
    for (const char *space; rest.len > 0 && (space = memchr(rest.ptr, ' ', rest.len));) {
        strbuf_append(text, (struct str){ rest.ptr, (size_t)(space - rest.ptr) });
        strbuf_append(text, step->literal);
        rest = str_skip(rest, (size_t)(space - rest.ptr) + 1);
    }
    r = r ? r : strbuf_append(text, rest);
    if (r < 0) {
        return r;
    }
    piece.text = strbuf_str(text);
    if (!step->split) {
        return next_step(run, step_idx + 1, piece);
    }
    struct matcher m = {
        .next = match_literal, .run = run, .step = step, .piece = piece, .iter = { .text = piece.text }
    };
    return cut_piece(&m, step_idx);
}

// ---- the list of steps --------------------------------------------------------------------------------------------

static const struct kind kinds[] = {
    { "Split", load_split, apply_split },
    { "ByteLevel", load_byte_level, apply_byte_level },
    { "Metaspace", load_metaspace, apply_metaspace },
    { "Digits", load_digits, apply_digits },
    { "Punctuation", load_punctuation, apply_punctuation },
    { "Whitespace", load_whitespace, apply_whitespace },
    { "WhitespaceSplit", load_whitespace_split, apply_whitespace_split },
    { "Delimiter", load_delimiter, apply_split },
    { "CharDelimiterSplit", load_delimiter, apply_split },
    { "FixedLength", load_fixed_length, apply_fixed_length },
};
#define N_KINDS (sizeof kinds / sizeof kinds[0])

static int add_step(void *ctx, const struct json *spec, const char *where, struct err *err)
{
    struct pretokenizer *pre = ctx;
    int kind;
    int r = spec_type(spec, where, kinds, N_KINDS, sizeof kinds[0], &kind, err);
    if (r < 0) {
        return r;
    }
    if (pre->n_steps == PRETOKENIZER_STEPS_MAX) {
        return err_set(err, -EOPNOTSUPP, "%s: more than %d pre-tokenizers", where, PRETOKENIZER_STEPS_MAX);
    }
    struct pretokenizer_step *step = &pre->steps[pre->n_steps++];
    *step = (struct pretokenizer_step){ .kind = &kinds[kind] };
    if (step->kind->apply == apply_byte_level) {
        pre->is_byte_level = true;
    } else if (step->kind->apply == apply_metaspace) {
        pre->is_byte_level = false;
    }
    return step->kind->load(step, spec, where, pre->table, err);
}

int pretokenizer_init(struct pretokenizer *pre, const struct json *spec, const struct unicode_table *table,
                      struct err *err)
{
    *pre = (struct pretokenizer){ .table = table };
    if (!spec || spec->type == JSON_NULL) {
        return 0;
    }
    pre->steps = calloc(PRETOKENIZER_STEPS_MAX, sizeof *pre->steps);
    int r = pre->steps ? spec_for_each(spec, "pre_tokenizer", "pretokenizers", add_step, pre, err) : -ENOMEM;
    if (r < 0) {
        pretokenizer_deinit(pre);
    }
    return r;
}

void pretokenizer_deinit(struct pretokenizer *pre)
{
    for (size_t i = 0; i < pre->n_steps; i++) {
        regex_free(pre->steps[i].regex);
        free((char *)pre->steps[i].literal.ptr);
    }
    free(pre->steps);
    *pre = (struct pretokenizer){ 0 };
}

void pretokenizer_scratch_deinit(struct pretokenizer_scratch *scratch)
{
    for (size_t i = 0; i < PRETOKENIZER_STEPS_MAX; i++) {
        strbuf_deinit(&scratch->text[i]);
        strbuf_deinit(&scratch->spelled[i]);
    }
}

int pretokenizer_run(const struct pretokenizer *pre, struct pretokenizer_scratch *scratch, struct str text,
                     bool is_start, pretokenizer_piece_fn fn, void *ctx)
{
    struct run run = { pre, scratch, fn, ctx };
    return next_step(&run, 0, (struct piece){ .text = text, .is_start = is_start });
}
