// Each step is a kind and its parameters; the table `kinds` binds the name in the file to a reader and a function that
// appends the rewritten text to a buffer. Two buffers take turns.
//
// Unicode forms come from utf8proc; text that is ASCII, which every form leaves alone, is not copied for them.
#include "engine/text/normalizer.h"

#include "engine/base/utf8.h"
#include "engine/text/byte_level.h"
#include "engine/text/codepoint.h"
#include "engine/text/precompiled.h"
#include "engine/text/replace.h"
#include "engine/text/spec.h"
#include "engine/text/unicode_form.h"
#include "engine/text/unicode_form_data.h"

#include <errno.h>
#include <stdlib.h>
#include <utf8proc.h>

// Steps that replace can let a text grow without end, one after the other; this is more than any sensible file does.
#define GROWTH_BYTES_MAX (1u << 20)
#define GROWTH_MAX       32

struct normalizer_step {
    const struct kind *kind;
    struct str pattern, content; // Replace, Prepend (content); owned
    struct regex *regex;         // Replace with a Regex
    bool strip_left, strip_right;
    struct precompiled *map;
};

struct run {
    const struct normalizer *norm;
    struct normalizer_scratch *scratch;
    bool *keeps_start;
};

struct kind {
    const char *name;
    int (*load)(struct normalizer_step *step, const struct json *spec, const char *where,
                const struct unicode_table *table, struct err *err); // NULL: no parameters
    // Appends the rewritten text.
    int (*apply)(const struct normalizer_step *step, const struct run *run, struct str text, struct strbuf *out);
    bool keeps_ascii; // leaves ASCII text as it is
};

#define N_RANGES(table) (sizeof(table) / sizeof((table)[0]))

// Index of the range that holds c (as_pairs: of the pair whose first member is c), or -1.
static int find_range(const uint32_t (*ranges)[2], size_t n, uint32_t c, bool as_pairs)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        uint32_t last = ranges[mid][as_pairs ? 0 : 1];
        if (c >= ranges[mid][0] && c <= last) {
            return (int)mid;
        }
        if (c < ranges[mid][0]) {
            high = mid;
        } else {
            low = mid + 1;
        }
    }
    return -1;
}

// ---- Unicode forms ------------------------------------------------------------------------------------------------

// Characters that stand alone in every composed text: starters that are not decomposed and that no composition begins
// with or ends in, unless a character outside of these ranges follows.
static bool is_inert_composed(uint32_t c)
{
    return c < 0x300 || (c >= 0x400 && c <= 0x482) || (c >= 0x48a && c <= 0x52f) || (c >= 0x3001 && c <= 0x3029) ||
           (c >= 0x3041 && c <= 0x3096) || (c >= 0x30a1 && c <= 0x30fa) || (c >= 0x4e00 && c <= 0x9fff) ||
           (c >= 0xac00 && c <= 0xd7a3) || (c >= 0xff01 && c <= 0xff60);
}

// A character that no form touches, and that separates what stands before it from what stands behind: ASCII (which may
// still begin a composition), and what the reference's Unicode version does not know.
static bool is_border(uint32_t c)
{
    return c < 0x80 || (c >= unicode_form_unknown[0][0] && !is_inert_composed(c) &&
                        find_range(unicode_form_unknown, N_RANGES(unicode_form_unknown), c, false) >= 0);
}

// Only stretches between borders, with the ASCII character before them, are worked on; with may_skip also not those
// that are composed already.
static int append_form_of_stretches(struct str text, utf8proc_option_t options, bool may_skip, struct strbuf *out)
{
    const uint8_t *p = (const uint8_t *)text.ptr;
    int r = 0;
    for (size_t at = 0, end; at < text.len && r == 0; at = end) {
        size_t i = at, n;
        uint32_t c, last = 0;
        for (; i < text.len && (n = codepoint_next(p + i, &c), is_border(c)); i += n) {
            last = c;
        }
        bool is_inert = may_skip, begins_with_ascii = i > at && last < 0x80;
        for (end = i; end < text.len && (n = codepoint_next(p + end, &c), !is_border(c)); end += n) {
            is_inert = is_inert && is_inert_composed(c);
        }
        size_t stretch = is_inert || i == end ? end : begins_with_ascii ? i - 1 : i;
        r = strbuf_append(out, (struct str){ text.ptr + at, stretch - at });
        if (r == 0 && stretch < end) {
            r = unicode_form_append((struct str){ text.ptr + stretch, end - stretch }, options, out);
        }
    }
    return r;
}

static int apply_nfc(const struct normalizer_step *step, const struct run *run, struct str text, struct strbuf *out)
{
    (void)step, (void)run;
    return append_form_of_stretches(text, UTF8PROC_COMPOSE | UTF8PROC_STABLE, true, out);
}

static int apply_nfd(const struct normalizer_step *step, const struct run *run, struct str text, struct strbuf *out)
{
    (void)step, (void)run;
    return append_form_of_stretches(text, UTF8PROC_DECOMPOSE | UTF8PROC_STABLE, false, out);
}

static int apply_nfkc(const struct normalizer_step *step, const struct run *run, struct str text, struct strbuf *out)
{
    (void)step, (void)run;
    return append_form_of_stretches(text, UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_STABLE, false, out);
}

static int apply_nfkd(const struct normalizer_step *step, const struct run *run, struct str text, struct strbuf *out)
{
    (void)step, (void)run;
    return append_form_of_stretches(text, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_STABLE, false, out);
}

// ---- character by character ---------------------------------------------------------------------------------------

#define DROP UINT32_MAX

// Appends map(character) of each; DROP leaves a character out.
static int append_mapped(struct str text, const struct run *run, uint32_t (*map)(const struct run *run, uint32_t c),
                         struct strbuf *out)
{
    const uint8_t *p = (const uint8_t *)text.ptr;
    bool is_at_start = true;
    int r = 0;
    for (size_t i = 0; i < text.len && r == 0;) {
        uint32_t c;
        char bytes[4];
        i += codepoint_next(p + i, &c);
        uint32_t mapped = map(run, c);
        if (mapped == DROP) {
            *run->keeps_start = *run->keeps_start && !is_at_start;
            continue;
        }
        is_at_start = false;
        r = strbuf_append(out, (struct str){ bytes, utf8_encode(mapped, bytes) });
    }
    return r;
}

static uint32_t unless_mark(const struct run *run, uint32_t c)
{
    bool is_mark = unicode_class_in(unicode_class(run->norm->table, c), UNICODE_SET_M);
    if (find_range(unicode_mark_differs, N_RANGES(unicode_mark_differs), c, false) >= 0) {
        is_mark = !is_mark;
    }
    return is_mark ? DROP : c;
}

static int apply_strip_accents(const struct normalizer_step *step, const struct run *run, struct str text,
                               struct strbuf *out)
{
    (void)step;
    return append_mapped(text, run, unless_mark, out);
}

static uint32_t nmt(const struct run *run, uint32_t c)
{
    (void)run;
    if ((c >= 1 && c <= 8) || c == 0xb || (c >= 0xe && c <= 0x1f) || c == 0x7f || c == 0x8f || c == 0x9f) {
        return DROP;
    }
    bool is_space = c == 9 || c == 0xa || c == 0xc || c == 0xd || c == 0x1680 || (c >= 0x200b && c <= 0x200f) ||
                    c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xfeff || c == 0xfffd;
    return is_space ? ' ' : c;
}

static int apply_nmt(const struct normalizer_step *step, const struct run *run, struct str text, struct strbuf *out)
{
    (void)step;
    return append_mapped(text, run, nmt, out);
}

static uint32_t lower_of(uint32_t c)
{
    if (c < 0x80) {
        return c >= 'A' && c <= 'Z' ? c + 32 : c;
    }
    int i = c < unicode_lower[0][0] ? -1 : find_range(unicode_lower, N_RANGES(unicode_lower), c, true);
    return i >= 0 ? unicode_lower[i][1] : (uint32_t)utf8proc_tolower((int32_t)c);
}

// U+0130 is the only character whose lower case is two: i and a combining dot.
static int apply_lowercase(const struct normalizer_step *step, const struct run *run, struct str text,
                           struct strbuf *out)
{
    (void)step, (void)run;
    const uint8_t *p = (const uint8_t *)text.ptr;
    int r = 0;
    for (size_t i = 0; i < text.len && r == 0;) {
        uint32_t c;
        char bytes[4];
        i += codepoint_next(p + i, &c);
        uint32_t lower = lower_of(c);
        r = c == 0x130 ? strbuf_append(out, STR("i\xcc\x87"))
                       : strbuf_append(out, (struct str){ bytes, utf8_encode(lower, bytes) });
    }
    return r;
}

// ---- Strip, Prepend, Replace, ByteLevel, Precompiled --------------------------------------------------------------

static int load_strip(struct normalizer_step *step, const struct json *spec, const char *where,
                      const struct unicode_table *table, struct err *err)
{
    (void)table;
    int r = spec_bool(spec, where, "strip_left", SPEC_REQUIRED, &step->strip_left, err);
    return r ? r : spec_bool(spec, where, "strip_right", SPEC_REQUIRED, &step->strip_right, err);
}

static int apply_strip(const struct normalizer_step *step, const struct run *run, struct str text, struct strbuf *out)
{
    const uint8_t *p = (const uint8_t *)text.ptr;
    size_t start = 0, end = 0;
    for (size_t i = 0; i < text.len;) {
        uint32_t c;
        size_t n = codepoint_next(p + i, &c);
        bool is_space = unicode_is_space(run->norm->table, c);
        if (step->strip_left && is_space && start == i) {
            start = i + n;
        }
        i += n;
        end = is_space && step->strip_right ? end : i;
    }
    *run->keeps_start = *run->keeps_start && start == 0;
    return end > start ? strbuf_append(out, (struct str){ text.ptr + start, end - start }) : 0;
}

static int load_prepend(struct normalizer_step *step, const struct json *spec, const char *where,
                        const struct unicode_table *table, struct err *err)
{
    (void)table;
    struct str s;
    int r = spec_str(spec, where, "prepend", SPEC_REQUIRED, &s, err);
    return r ? r : spec_copy(s, &step->content);
}

static int apply_prepend(const struct normalizer_step *step, const struct run *run, struct str text, struct strbuf *out)
{
    (void)run;
    strbuf_append(out, step->content);
    return strbuf_append(out, text);
}

static int load_replace(struct normalizer_step *step, const struct json *spec, const char *where,
                        const struct unicode_table *table, struct err *err)
{
    return replace_load(spec, where, table, &step->pattern, &step->content, &step->regex, err);
}

static int apply_replace(const struct normalizer_step *step, const struct run *run, struct str text, struct strbuf *out)
{
    return step->regex ? replace_matches(text, step->regex, run->scratch->regex, step->content, out)
                       : replace_text(text, step->pattern, step->content, out);
}

static int apply_byte_level(const struct normalizer_step *step, const struct run *run, struct str text,
                            struct strbuf *out)
{
    (void)step, (void)run;
    return byte_level_append_written(out, text);
}

static int load_precompiled(struct normalizer_step *step, const struct json *spec, const char *where,
                            const struct unicode_table *table, struct err *err)
{
    (void)table;
    struct str map;
    int r = spec_str(spec, where, "precompiled_charsmap", SPEC_REQUIRED, &map, err);
    return r ? r : precompiled_new(map, where, &step->map, err);
}

static int apply_precompiled(const struct normalizer_step *step, const struct run *run, struct str text,
                             struct strbuf *out)
{
    (void)run;
    return precompiled_append(step->map, text, out);
}

// ---- the list of steps --------------------------------------------------------------------------------------------

static const struct kind kinds[] = {
    { "NFC", NULL, apply_nfc, true },
    { "NFD", NULL, apply_nfd, true },
    { "NFKC", NULL, apply_nfkc, true },
    { "NFKD", NULL, apply_nfkd, true },
    { "StripAccents", NULL, apply_strip_accents, true },
    { "Lowercase", NULL, apply_lowercase, false },
    { "Nmt", NULL, apply_nmt, false },
    { "Strip", load_strip, apply_strip, false },
    { "Prepend", load_prepend, apply_prepend, false },
    { "Replace", load_replace, apply_replace, false },
    { "ByteLevel", NULL, apply_byte_level, false },
    { "Precompiled", load_precompiled, apply_precompiled, false },
};
#define N_KINDS (sizeof kinds / sizeof kinds[0])

static int add_step(void *ctx, const struct json *spec, const char *where, struct err *err)
{
    struct normalizer *norm = ctx;
    int kind;
    int r = spec_type(spec, where, kinds, N_KINDS, sizeof kinds[0], &kind, err);
    if (r < 0) {
        return r;
    }
    struct normalizer_step *steps = realloc(norm->steps, (norm->n_steps + 1) * sizeof *steps);
    if (!steps) {
        return -ENOMEM;
    }
    norm->steps = steps;
    struct normalizer_step *step = &steps[norm->n_steps++];
    *step = (struct normalizer_step){ .kind = &kinds[kind] };
    return step->kind->load ? step->kind->load(step, spec, where, norm->table, err) : 0;
}

int normalizer_init(struct normalizer *norm, const struct json *spec, const struct unicode_table *table,
                    struct err *err)
{
    *norm = (struct normalizer){ .table = table };
    if (!spec || spec->type == JSON_NULL) {
        return 0;
    }
    int r = spec_for_each(spec, "normalizer", "normalizers", add_step, norm, err);
    if (r < 0) {
        normalizer_deinit(norm);
    }
    return r;
}

void normalizer_deinit(struct normalizer *norm)
{
    for (size_t i = 0; i < norm->n_steps; i++) {
        free((char *)norm->steps[i].pattern.ptr);
        free((char *)norm->steps[i].content.ptr);
        regex_free(norm->steps[i].regex);
        precompiled_free(norm->steps[i].map);
    }
    free(norm->steps);
    *norm = (struct normalizer){ 0 };
}

void normalizer_scratch_deinit(struct normalizer_scratch *scratch)
{
    strbuf_deinit(&scratch->buffers[0]);
    strbuf_deinit(&scratch->buffers[1]);
}

static bool is_ascii(struct str s)
{
    uint8_t all = 0;
    for (size_t i = 0; i < s.len; i++) {
        all |= (uint8_t)s.ptr[i];
    }
    return all < 0x80;
}

int normalizer_run(const struct normalizer *norm, struct normalizer_scratch *scratch, struct str text, struct str *ret,
                   bool *keeps_start)
{
    struct run run = { norm, scratch, keeps_start };
    int turn = 0, ascii = -1; // ascii: -1 not known yet
    scratch->buffers[0].len_max = scratch->buffers[1].len_max = GROWTH_BYTES_MAX + GROWTH_MAX * text.len;
    for (size_t i = 0; i < norm->n_steps && text.len > 0; i++) {
        const struct normalizer_step *step = &norm->steps[i];
        if (step->kind->keeps_ascii && ascii < 0) {
            ascii = is_ascii(text);
        }
        if (step->kind->keeps_ascii && ascii > 0) {
            continue;
        }
        struct strbuf *out = &scratch->buffers[turn];
        strbuf_reset(out);
        int r = step->kind->apply(step, &run, text, out);
        if (r < 0) {
            return r;
        }
        text = strbuf_str(out);
        turn = !turn;
        ascii = -1;
    }
    *ret = text;
    return 0;
}
