// The reference decodes lists of tokens, each step turning a list into another. Here every step is a stream: it gets a
// token, hands on what it can, and keeps in its state what a later token may still change. `end` comes once, after the
// last token.
//
// Behind a step that joins all tokens into one (Fuse, ByteLevel) the list has a single token, which arrives in parts:
// such steps are is_fused. One that needs the whole of its token then (a rule that looks for more than a character)
// keeps everything until the end, which is right for any chain, if not prompt.
//
//   step           keeps                                                          until
//   ByteLevel      bytes of an unfinished character                               the next token
//   ByteFallback   a run of byte tokens: one bad byte makes each of them U+FFFD   a token of another kind
//   Strip (right)  its characters at the end of the text                          other text, or the end: dropped
//   BPEDecoder     one token: the last one is treated differently                 the next token
//   CTC            one token, handed on already: the next one may repeat it       the next token
#include "engine/text/decoder.h"

#include "engine/base/utf8.h"
#include "engine/text/byte_level.h"
#include "engine/text/codepoint.h"
#include "engine/text/replace.h"
#include "engine/text/spec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct decoder_step {
    const struct kind *kind;
    bool is_fused;
    struct str pattern, content; // owned: Replace's; Strip's and Metaspace's character, BPEDecoder's suffix,
                                 // WordPiece's prefix and CTC's padding are the pattern, CTC's delimiter the content
    struct regex *regex;
    uint32_t strip_start, strip_stop;
    bool prepends; // Metaspace: the first token lost its leading space
    bool cleanup;  // WordPiece, CTC
};

struct run {
    const struct decoder *dec;
    struct decoder_state *states;
    struct strbuf *out;
    struct regex_scratch *regex; // lives for one call
};

struct kind {
    const char *name;
    int (*load)(struct decoder_step *step, const struct json *spec, const char *where,
                const struct unicode_table *table, struct err *err); // NULL: no parameters
    // A token, or a part of the only one. NULL: keep everything until the end.
    int (*push)(const struct run *run, size_t idx, struct str text);
    int (*end)(const struct run *run, size_t idx); // NULL: nothing was kept
    // What the step makes of one token in the middle of a text: appends to out; false when the token's bytes are final.
    bool (*middle)(const struct decoder_step *step, struct str token, struct regex_scratch *regex, struct strbuf *out);
    bool fuses;
    bool needs_whole; // when is_fused
};

static int hand_on(const struct run *run, size_t idx, struct str text);

// ---- ByteLevel ----------------------------------------------------------------------------------------------------

// A token with a character outside of the alphabet stands for its own UTF-8.
static int append_token_bytes(struct strbuf *out, struct str token)
{
    int r = strbuf_reserve(out, token.len);
    if (r < 0) {
        return r;
    }
    ptrdiff_t n = byte_level_read(token, out->ptr + out->len);
    if (n < 0) {
        return strbuf_append(out, token);
    }
    out->len += (size_t)n;
    out->ptr[out->len] = 0;
    return 0;
}

static int push_byte_level(const struct run *run, size_t idx, struct str text)
{
    struct decoder_state *state = &run->states[idx];
    int r = append_token_bytes(&state->held, text);
    struct str held = strbuf_str(&state->held);
    size_t n_tail = utf8_incomplete_tail(held);
    if (r < 0 || n_tail == held.len) {
        return r;
    }
    strbuf_reset(&state->text);
    r = utf8_append_lossy(&state->text, str_take(held, held.len - n_tail));
    char tail[4];
    memcpy(tail, held.ptr + held.len - n_tail, n_tail);
    strbuf_reset(&state->held);
    strbuf_append(&state->held, (struct str){ tail, n_tail });
    return r ? r : hand_on(run, idx + 1, strbuf_str(&state->text));
}

static int end_byte_level(const struct run *run, size_t idx)
{
    struct decoder_state *state = &run->states[idx];
    strbuf_reset(&state->text);
    int r = utf8_append_lossy(&state->text, strbuf_str(&state->held));
    return r ? r : hand_on(run, idx + 1, strbuf_str(&state->text));
}

static bool middle_byte_level(const struct decoder_step *step, struct str token, struct regex_scratch *regex,
                              struct strbuf *out)
{
    (void)step, (void)regex;
    append_token_bytes(out, token);
    return false;
}

// ---- ByteFallback -------------------------------------------------------------------------------------------------

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

// The byte of <0xNN>, or -1. The reference's number reader takes a plus sign for the first digit.
static int fallback_byte(struct str token)
{
    if (token.len != 6 || memcmp(token.ptr, "<0x", 3) != 0 || token.ptr[5] != '>') {
        return -1;
    }
    int high = token.ptr[3] == '+' ? 0 : hex_digit(token.ptr[3]), low = hex_digit(token.ptr[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static int flush_fallback(const struct run *run, size_t idx)
{
    struct decoder_state *state = &run->states[idx];
    struct str held = strbuf_str(&state->held);
    int r = 0;
    if (held.len == 0) {
        return 0;
    }
    if (utf8_valid_len(held) == held.len) {
        r = hand_on(run, idx + 1, held);
    } else {
        for (size_t i = 0; i < held.len && r == 0; i++) {
            r = hand_on(run, idx + 1, STR("\xef\xbf\xbd"));
        }
    }
    strbuf_reset(&state->held);
    return r;
}

static int push_fallback(const struct run *run, size_t idx, struct str text)
{
    int byte = fallback_byte(text);
    if (byte >= 0) {
        return strbuf_append_byte(&run->states[idx].held, (char)byte);
    }
    int r = flush_fallback(run, idx);
    return r ? r : hand_on(run, idx + 1, text);
}

static bool middle_fallback(const struct decoder_step *step, struct str token, struct regex_scratch *regex,
                            struct strbuf *out)
{
    (void)step, (void)regex;
    int byte = fallback_byte(token);
    if (byte < 0) {
        strbuf_append(out, token);
        return true;
    }
    strbuf_append_byte(out, (char)byte);
    return false;
}

// ---- Fuse ---------------------------------------------------------------------------------------------------------

static int push_fuse(const struct run *run, size_t idx, struct str text)
{
    return hand_on(run, idx + 1, text);
}

// ---- Strip --------------------------------------------------------------------------------------------------------

static int load_strip(struct decoder_step *step, const struct json *spec, const char *where,
                      const struct unicode_table *table, struct err *err)
{
    (void)table;
    struct str content;
    int r = spec_char(spec, where, "content", SPEC_REQUIRED, &content, err);
    r = r ? r : spec_u32(spec, where, "start", SPEC_REQUIRED, &step->strip_start, err);
    r = r ? r : spec_u32(spec, where, "stop", SPEC_REQUIRED, &step->strip_stop, err);
    return r ? r : spec_copy(content, &step->pattern);
}

static struct str strip_start(struct str text, struct str c, uint32_t n_max, uint32_t *n_stripped)
{
    while (*n_stripped < n_max && str_starts_with(text, c)) {
        text = str_skip(text, c.len);
        ++*n_stripped;
    }
    return text;
}

// Length of the text without up to n_max characters `c` at its end.
static size_t strip_stop(struct str text, struct str c, uint32_t n_max)
{
    size_t len = text.len;
    for (uint32_t n = 0; n < n_max && str_ends_with(str_take(text, len), c); n++) {
        len -= c.len;
    }
    return len;
}

static struct str strip_whole(const struct decoder_step *step, struct str text)
{
    uint32_t n = 0;
    size_t len = strip_stop(text, step->pattern, step->strip_stop);
    return strip_start(str_take(text, len), step->pattern, step->strip_start, &n);
}

static int push_strip(const struct run *run, size_t idx, struct str text)
{
    const struct decoder_step *step = &run->dec->steps[idx];
    struct decoder_state *state = &run->states[idx];
    if (!step->is_fused) {
        return hand_on(run, idx + 1, strip_whole(step, text));
    }
    if (!state->is_past_start) {
        text = strip_start(text, step->pattern, step->strip_start, &state->n_stripped);
        state->is_past_start = text.len > 0 || state->n_stripped == step->strip_start;
    }
    strbuf_reset(&state->text);
    strbuf_append(&state->text, strbuf_str(&state->held));
    int r = strbuf_append(&state->text, text);
    struct str all = strbuf_str(&state->text);
    size_t len = strip_stop(all, step->pattern, step->strip_stop);
    strbuf_reset(&state->held);
    r = r ? r : strbuf_append(&state->held, str_skip(all, len));
    return r || len == 0 ? r : hand_on(run, idx + 1, str_take(all, len));
}

static bool middle_strip(const struct decoder_step *step, struct str token, struct regex_scratch *regex,
                         struct strbuf *out)
{
    (void)regex;
    strbuf_append(out, step->is_fused ? token : strip_whole(step, token));
    return true;
}

// ---- Replace ------------------------------------------------------------------------------------------------------

static int load_replace(struct decoder_step *step, const struct json *spec, const char *where,
                        const struct unicode_table *table, struct err *err)
{
    return replace_load(spec, where, table, &step->pattern, &step->content, &step->regex, err);
}

static int replace_whole(const struct decoder_step *step, struct regex_scratch *regex, struct str text,
                         struct strbuf *out)
{
    if (!step->regex) {
        return replace_text(text, step->pattern, step->content, out);
    }
    // The reference finds nothing in nothing.
    return text.len > 0 ? replace_matches(text, step->regex, regex, step->content, out) : 0;
}

static int push_replace(const struct run *run, size_t idx, struct str text)
{
    struct decoder_state *state = &run->states[idx];
    strbuf_reset(&state->text);
    int r = replace_whole(&run->dec->steps[idx], run->regex, text, &state->text);
    return r ? r : hand_on(run, idx + 1, strbuf_str(&state->text));
}

static bool middle_replace(const struct decoder_step *step, struct str token, struct regex_scratch *regex,
                           struct strbuf *out)
{
    replace_whole(step, regex, token, out);
    return true;
}

// ---- Metaspace ----------------------------------------------------------------------------------------------------

static int load_metaspace(struct decoder_step *step, const struct json *spec, const char *where,
                          const struct unicode_table *table, struct err *err)
{
    (void)table;
    struct str replacement, scheme = STR("always");
    bool add_prefix_space = true;
    int r = spec_char(spec, where, "replacement", SPEC_REQUIRED, &replacement, err);
    r = r ? r : spec_bool(spec, where, "add_prefix_space", SPEC_OPTIONAL, &add_prefix_space, err);
    r = r ? r : spec_str(spec, where, "prepend_scheme", SPEC_OPTIONAL, &scheme, err);
    bool is_never = str_eq(scheme, STR("never"));
    if (r == 0 && !is_never &&
        (!add_prefix_space || (!str_eq(scheme, STR("always")) && !str_eq(scheme, STR("first"))))) {
        return err_set(err, -EINVAL,
                       "%s.prepend_scheme: \"%.*s\" is none of always, first, never, or contradicts"
                       " add_prefix_space",
                       where, STR_ARG(scheme));
    }
    step->prepends = !is_never;
    return r ? r : spec_copy(replacement, &step->pattern);
}

static int push_metaspace(const struct run *run, size_t idx, struct str text)
{
    const struct decoder_step *step = &run->dec->steps[idx];
    struct decoder_state *state = &run->states[idx];
    bool is_first = !state->is_past_start;
    state->is_past_start = state->is_past_start || !step->is_fused;
    strbuf_reset(&state->text);
    int r = replace_text(text, step->pattern, is_first && step->prepends ? STR("") : STR(" "), &state->text);
    return r ? r : hand_on(run, idx + 1, strbuf_str(&state->text));
}

static bool middle_metaspace(const struct decoder_step *step, struct str token, struct regex_scratch *regex,
                             struct strbuf *out)
{
    (void)regex;
    replace_text(token, step->pattern, STR(" "), out);
    return true;
}

// ---- BPEDecoder ---------------------------------------------------------------------------------------------------

static int load_bpe(struct decoder_step *step, const struct json *spec, const char *where,
                    const struct unicode_table *table, struct err *err)
{
    (void)table;
    struct str suffix;
    int r = spec_str(spec, where, "suffix", SPEC_REQUIRED, &suffix, err);
    return r ? r : spec_copy(suffix, &step->pattern);
}

static int flush_bpe(const struct run *run, size_t idx, struct str suffix_becomes)
{
    struct decoder_state *state = &run->states[idx];
    if (!state->has_held) {
        return 0;
    }
    strbuf_reset(&state->text);
    int r = replace_text(strbuf_str(&state->held), run->dec->steps[idx].pattern, suffix_becomes, &state->text);
    strbuf_reset(&state->held);
    state->has_held = false;
    return r ? r : hand_on(run, idx + 1, strbuf_str(&state->text));
}

static int push_bpe(const struct run *run, size_t idx, struct str text)
{
    int r = flush_bpe(run, idx, STR(" "));
    run->states[idx].has_held = true;
    return r ? r : strbuf_append(&run->states[idx].held, text);
}

static int end_bpe(const struct run *run, size_t idx)
{
    return flush_bpe(run, idx, STR(""));
}

// ---- WordPiece ----------------------------------------------------------------------------------------------------

static int load_word_piece(struct decoder_step *step, const struct json *spec, const char *where,
                           const struct unicode_table *table, struct err *err)
{
    (void)table;
    struct str prefix;
    int r = spec_str(spec, where, "prefix", SPEC_REQUIRED, &prefix, err);
    r = r ? r : spec_bool(spec, where, "cleanup", SPEC_REQUIRED, &step->cleanup, err);
    return r ? r : spec_copy(prefix, &step->pattern);
}

static int append_cleaned(struct strbuf *out, struct str text)
{
    static const char *const rules[][2] = {
        { " .", "." },   { " ?", "?" },     { " !", "!" },     { " ,", "," },
        { " ' ", "'" },  { " n't", "n't" }, { " 'm", "'m" },   { " do not", " don't" },
        { " 's", "'s" }, { " 've", "'ve" }, { " 're", "'re" },
    };
    struct strbuf turns[2] = { 0 };
    int r = 0;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0] && r == 0; i++) {
        struct strbuf *next = &turns[i % 2];
        strbuf_reset(next);
        r = replace_text(text, str_from(rules[i][0]), str_from(rules[i][1]), next);
        text = strbuf_str(next);
    }
    r = r ? r : strbuf_append(out, text);
    strbuf_deinit(&turns[0]);
    strbuf_deinit(&turns[1]);
    return r;
}

static int append_word_piece(const struct decoder_step *step, bool is_first, struct str text, struct strbuf *out)
{
    struct strbuf spaced = { 0 };
    int r = 0;
    if (!is_first && str_starts_with(text, step->pattern)) {
        text = str_skip(text, step->pattern.len);
    } else if (!is_first) {
        strbuf_append_byte(&spaced, ' ');
        r = strbuf_append(&spaced, text);
        text = strbuf_str(&spaced);
    }
    r = r ? r : step->cleanup ? append_cleaned(out, text) : strbuf_append(out, text);
    strbuf_deinit(&spaced);
    return r;
}

static int push_word_piece(const struct run *run, size_t idx, struct str text)
{
    struct decoder_state *state = &run->states[idx];
    strbuf_reset(&state->text);
    int r = append_word_piece(&run->dec->steps[idx], !state->is_past_start, text, &state->text);
    state->is_past_start = true;
    return r ? r : hand_on(run, idx + 1, strbuf_str(&state->text));
}

static bool middle_word_piece(const struct decoder_step *step, struct str token, struct regex_scratch *regex,
                              struct strbuf *out)
{
    (void)regex;
    append_word_piece(step, step->is_fused, token, out);
    return true;
}

// ---- CTC ----------------------------------------------------------------------------------------------------------

static int load_ctc(struct decoder_step *step, const struct json *spec, const char *where,
                    const struct unicode_table *table, struct err *err)
{
    (void)table;
    struct str pad, delimiter;
    int r = spec_str(spec, where, "pad_token", SPEC_REQUIRED, &pad, err);
    r = r ? r : spec_str(spec, where, "word_delimiter_token", SPEC_REQUIRED, &delimiter, err);
    r = r ? r : spec_bool(spec, where, "cleanup", SPEC_REQUIRED, &step->cleanup, err);
    r = r ? r : spec_copy(pad, &step->pattern);
    return r ? r : spec_copy(delimiter, &step->content);
}

static int append_ctc(const struct decoder_step *step, struct str text, struct strbuf *out)
{
    struct strbuf unpadded = { 0 }, cleaned = { 0 };
    int r = replace_text(text, step->pattern, STR(""), step->cleanup ? &unpadded : out);
    if (r == 0 && step->cleanup) {
        r = append_cleaned(&cleaned, strbuf_str(&unpadded));
        r = r ? r : replace_text(strbuf_str(&cleaned), step->content, STR(" "), out);
    }
    strbuf_deinit(&unpadded);
    strbuf_deinit(&cleaned);
    return r;
}

// A token that repeats the one before says nothing, nor does one that is empty without its padding.
static int push_ctc(const struct run *run, size_t idx, struct str text)
{
    struct decoder_state *state = &run->states[idx];
    if (state->has_held && str_eq(strbuf_str(&state->held), text)) {
        return 0;
    }
    strbuf_reset(&state->held);
    strbuf_reset(&state->text);
    state->has_held = true;
    int r = strbuf_append(&state->held, text);
    r = r ? r : append_ctc(&run->dec->steps[idx], text, &state->text);
    return r || state->text.len == 0 ? r : hand_on(run, idx + 1, strbuf_str(&state->text));
}

static bool middle_ctc(const struct decoder_step *step, struct str token, struct regex_scratch *regex,
                       struct strbuf *out)
{
    (void)regex;
    append_ctc(step, token, out);
    return true;
}

// ---- no decoder: tokens joined by spaces --------------------------------------------------------------------------

static int push_join(const struct run *run, size_t idx, struct str text)
{
    struct decoder_state *state = &run->states[idx];
    int r = state->is_past_start ? hand_on(run, idx + 1, STR(" ")) : 0;
    state->is_past_start = true;
    return r ? r : hand_on(run, idx + 1, text);
}

static bool middle_join(const struct decoder_step *step, struct str token, struct regex_scratch *regex,
                        struct strbuf *out)
{
    (void)step, (void)regex;
    strbuf_append_byte(out, ' ');
    strbuf_append(out, token);
    return true;
}

static bool middle_same(const struct decoder_step *step, struct str token, struct regex_scratch *regex,
                        struct strbuf *out)
{
    (void)step, (void)regex;
    strbuf_append(out, token);
    return true;
}

static bool middle_bpe(const struct decoder_step *step, struct str token, struct regex_scratch *regex,
                       struct strbuf *out)
{
    (void)regex;
    replace_text(token, step->pattern, STR(" "), out);
    return true;
}

// ---- the list of steps --------------------------------------------------------------------------------------------

static const struct kind kinds[] = {
    { "ByteLevel", NULL, push_byte_level, end_byte_level, middle_byte_level, .fuses = true, .needs_whole = true },
    { "ByteFallback", NULL, push_fallback, flush_fallback, middle_fallback, .needs_whole = true },
    { "Fuse", NULL, push_fuse, NULL, middle_same, .fuses = true },
    { "Strip", load_strip, push_strip, NULL, middle_strip },
    { "Replace", load_replace, push_replace, NULL, middle_replace, .needs_whole = true },
    { "Metaspace", load_metaspace, push_metaspace, NULL, middle_metaspace },
    { "BPEDecoder", load_bpe, push_bpe, end_bpe, middle_bpe, .needs_whole = true },
    { "WordPiece", load_word_piece, push_word_piece, NULL, middle_word_piece, .needs_whole = true },
    { "CTC", load_ctc, push_ctc, NULL, middle_ctc, .needs_whole = true },
};
#define N_KINDS (sizeof kinds / sizeof kinds[0])

static const struct kind join_kind = { "none", NULL, push_join, NULL, middle_join };

// A single character cannot be split between two parts, so replacing it needs no whole.
static bool keeps_all(const struct decoder_step *step)
{
    bool is_one_char =
        !step->regex && step->pattern.len > 0 && codepoint_len((uint8_t)step->pattern.ptr[0]) == step->pattern.len;
    return step->is_fused && step->kind->needs_whole && !(step->kind->push == push_replace && is_one_char);
}

static int hand_on(const struct run *run, size_t idx, struct str text)
{
    if (idx == run->dec->n_steps) {
        return strbuf_append(run->out, text);
    }
    const struct decoder_step *step = &run->dec->steps[idx];
    if (keeps_all(step)) {
        return strbuf_append(&run->states[idx].held, text);
    }
    return step->kind->push(run, idx, text);
}

static int end_step(const struct run *run, size_t idx)
{
    const struct decoder_step *step = &run->dec->steps[idx];
    struct decoder_state *state = &run->states[idx];
    int r = 0;
    if (keeps_all(step)) {
        struct strbuf whole = state->held;
        strbuf_init(&state->held, whole.len_max);
        r = step->kind->push(run, idx, strbuf_str(&whole));
        strbuf_deinit(&whole);
    }
    return r || !step->kind->end ? r : step->kind->end(run, idx);
}

static struct decoder_step *append_step(struct decoder *dec, const struct kind *kind)
{
    struct decoder_step *step = &dec->steps[dec->n_steps];
    bool is_fused = dec->n_steps > 0 && (step[-1].is_fused || step[-1].kind->fuses);
    *step = (struct decoder_step){ .kind = kind, .is_fused = is_fused };
    dec->n_steps++;
    return step;
}

static int add_step(void *ctx, const struct json *spec, const char *where, struct err *err)
{
    struct decoder *dec = ctx;
    int kind;
    int r = spec_type(spec, where, kinds, N_KINDS, sizeof kinds[0], &kind, err);
    if (r < 0) {
        return r;
    }
    if (dec->n_steps == DETOKENIZER_STEPS_MAX) {
        return err_set(err, -EOPNOTSUPP, "%s: more than %d decoders", where, DETOKENIZER_STEPS_MAX);
    }
    struct decoder_step *step = append_step(dec, &kinds[kind]);
    return step->kind->load ? step->kind->load(step, spec, where, dec->table, err) : 0;
}

int decoder_init(struct decoder *dec, const struct json *spec, const struct unicode_table *table, struct err *err)
{
    *dec = (struct decoder){ .table = table };
    dec->steps = calloc(DETOKENIZER_STEPS_MAX, sizeof *dec->steps);
    if (!dec->steps) {
        return -ENOMEM;
    }
    if (!spec || spec->type == JSON_NULL) {
        append_step(dec, &join_kind);
        return 0;
    }
    int r = spec_for_each(spec, "decoder", "decoders", add_step, dec, err);
    if (r < 0) {
        decoder_deinit(dec);
    }
    return r;
}

void decoder_deinit(struct decoder *dec)
{
    for (size_t i = 0; i < dec->n_steps; i++) {
        free((char *)dec->steps[i].pattern.ptr);
        free((char *)dec->steps[i].content.ptr);
        regex_free(dec->steps[i].regex);
    }
    free(dec->steps);
    *dec = (struct decoder){ 0 };
}

int decoder_push(const struct decoder *dec, struct decoder_state *states, struct str token, struct strbuf *out)
{
    struct regex_scratch scratch = { 0 };
    struct run run = { dec, states, out, &scratch };
    int r = hand_on(&run, 0, token);
    regex_scratch_deinit(&scratch);
    return r;
}

int decoder_finish(const struct decoder *dec, struct decoder_state *states, struct strbuf *out)
{
    struct regex_scratch scratch = { 0 };
    struct run run = { dec, states, out, &scratch };
    int r = 0;
    for (size_t i = 0; i < dec->n_steps && r == 0; i++) {
        r = end_step(&run, i);
    }
    regex_scratch_deinit(&scratch);
    return r;
}

bool decoder_is_byte_level(const struct decoder *dec)
{
    return dec->n_steps == 1 && dec->steps[0].kind->push == push_byte_level;
}

int decoder_append_bytes(const struct decoder *dec, struct str token, struct strbuf turns[2], struct strbuf *out)
{
    struct regex_scratch scratch = { 0 };
    int r = 0;
    bool goes_on = true;
    for (size_t i = 0; i < dec->n_steps && goes_on && r == 0; i++) {
        struct strbuf *next = &turns[i % 2];
        strbuf_reset(next);
        goes_on = dec->steps[i].kind->middle(&dec->steps[i], token, &scratch, next);
        token = strbuf_str(next);
        r = next->error;
    }
    r = r ? r : strbuf_append(out, token);
    regex_scratch_deinit(&scratch);
    return r;
}
