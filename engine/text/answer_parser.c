// The answer parser's states of text: reasoning, content, and what stands between calls.
//
//   START --begin mark--> REASONING --end mark--> TRIM --> BARE --'{'--> HEAD
//     |                                                      |
//     `-----------------------------------------------------+--> TEXT --mark--> SECTION, HEAD
//   HEAD --name--> ARGUMENTS, VALUES --> TAIL --> AFTER --mark--> HEAD, or TEXT
//     `--no call--> TEXT
//
// Each step looks at what is held, decides some of it, or waits. Invariants: a step that does not wait consumes bytes
// or goes to a later state, so that the loop ends; a step depends on the text only, never on where it was cut; once
// is_final is set no step waits with bytes left.
#include "engine/text/answer_parser_internal.h"

#include <assert.h>
#include <string.h>

#define SPACE_MAX 64 // bytes of white space before a call that are dropped

// ---- text ----------------------------------------------------------------------------------------------------------

struct str answer_rest(const struct answer_parser *p)
{
    return str_skip(strbuf_str(&p->held), p->at);
}

void answer_consume(struct answer_parser *p, size_t n)
{
    assert(n <= p->held.len - p->at);
    p->at += n;
}

void answer_emit(struct answer_parser *p, enum answer_part_kind kind, struct str text)
{
    struct answer_part part = { .kind = kind, .call_idx = kind == ANSWER_ARGUMENTS ? p->n_calls - 1 : 0, .text = text };
    int r = answer_parts_add(p->out, &part);
    p->error = p->error ? p->error : r;
}

enum answer_step answer_go(struct answer_parser *p, enum answer_state state)
{
    p->state = state;
    return ANSWER_ON;
}

enum answer_step answer_fall_back(struct answer_parser *p)
{
    answer_emit(p, ANSWER_CONTENT, str_take(answer_rest(p), p->head_len));
    answer_consume(p, p->head_len);
    return answer_go(p, ANSWER_STATE_TEXT);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

size_t answer_space_len(struct str s)
{
    size_t n = 0;
    while (n < s.len && is_space(s.ptr[n])) {
        n++;
    }
    return n;
}

// White space at the end, of the last SPACE_MAX bytes.
static size_t trailing_space(struct str s)
{
    size_t n = 0;
    while (n < s.len && n < SPACE_MAX && is_space(s.ptr[s.len - 1 - n])) {
        n++;
    }
    return n;
}

int answer_match(const struct answer_parser *p, struct str s, struct str mark)
{
    if (mark.len == 0) {
        return 0;
    }
    if (s.len >= mark.len) {
        return str_starts_with(s, mark);
    }
    return !p->is_final && str_starts_with(mark, s) ? -1 : 0;
}

ptrdiff_t answer_find(const struct answer_parser *p, struct str s, struct str mark, size_t *ret_safe)
{
    *ret_safe = s.len;
    if (mark.len == 0) {
        return -1;
    }
    ptrdiff_t at = str_find(s, mark);
    if (at < 0 && !p->is_final) {
        size_t len = mark.len - 1 < s.len ? mark.len - 1 : s.len;
        while (len > 0 && memcmp(s.ptr + s.len - len, mark.ptr, len) != 0) {
            len--;
        }
        *ret_safe = s.len - len;
    }
    return at;
}

// ---- reasoning -----------------------------------------------------------------------------------------------------

static enum answer_state after_reasoning(const struct answer_parser *p)
{
    const struct call_syntax *calls = answer_calls(p);
    if (calls && calls->body == CALL_CHANNELS) {
        return ANSWER_STATE_HEADER;
    }
    return calls && calls->is_bare ? ANSWER_STATE_BARE : ANSWER_STATE_TEXT;
}

static enum answer_step step_start(struct answer_parser *p)
{
    struct str in = answer_rest(p);
    const struct reasoning_syntax *reasoning = p->request->format.reasoning;
    const struct call_syntax *calls = answer_calls(p);
    if (calls && calls->begins_there) {
        p->head_len = 0;
        return answer_go(p, ANSWER_STATE_HEAD);
    }
    if (!reasoning) {
        return answer_go(p, after_reasoning(p));
    }
    size_t space = answer_space_len(in);
    int match = answer_match(p, str_skip(in, space), reasoning->begin);
    if (match < 0) {
        return ANSWER_MORE;
    }
    if (match == 0) {
        return answer_go(p, after_reasoning(p));
    }
    answer_consume(p, space + reasoning->begin.len);
    return answer_go(p, ANSWER_STATE_REASONING);
}

// Text of one kind until a mark, without white space before it or, at first, at its beginning.
static bool emit_until(struct answer_parser *p, enum answer_part_kind kind, struct str mark)
{
    struct str in = answer_rest(p);
    size_t safe;
    ptrdiff_t at = answer_find(p, in, mark, &safe);
    size_t len = at >= 0 ? (size_t)at : safe;
    size_t text_len = len;
    while (text_len > 0 && is_space(in.ptr[text_len - 1])) {
        text_len--;
    }
    answer_emit(p, kind, str_take(in, text_len));
    answer_consume(p, at >= 0 ? len + mark.len : p->is_final ? len : text_len);
    return at >= 0;
}

static enum answer_step step_reasoning(struct answer_parser *p)
{
    if (!p->is_inside) { // nothing of it was emitted: white space at its beginning
        answer_consume(p, answer_space_len(answer_rest(p)));
        p->is_inside = answer_rest(p).len > 0;
    }
    if (!emit_until(p, ANSWER_REASONING, p->request->format.reasoning->end)) {
        return ANSWER_MORE;
    }
    p->is_inside = false;
    return answer_go(p, ANSWER_STATE_TRIM);
}

static enum answer_step step_trim(struct answer_parser *p)
{
    answer_consume(p, answer_space_len(answer_rest(p)));
    return answer_rest(p).len > 0 ? answer_go(p, after_reasoning(p)) : ANSWER_MORE;
}

// ---- content -------------------------------------------------------------------------------------------------------

static enum answer_step step_bare(struct answer_parser *p)
{
    struct str in = answer_rest(p);
    size_t space = answer_space_len(in);
    if (space == in.len && !p->is_final) {
        return ANSWER_MORE;
    }
    if (space < in.len && in.ptr[space] == '{') {
        p->head_len = space;
        return answer_go(p, ANSWER_STATE_HEAD);
    }
    return answer_go(p, ANSWER_STATE_TEXT);
}

// The first of the marks that mean something in content. False: none; *ret_at is then how much is certain.
static bool find_mark(const struct answer_parser *p, struct str in, size_t *ret_at, struct str *ret_mark)
{
    const struct call_syntax *calls = answer_calls(p);
    struct str marks[] = { calls->begin, calls->section_begin, p->is_inside ? calls->end : STR("") };
    bool is_found = false;
    *ret_at = in.len;
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        size_t safe;
        ptrdiff_t at = answer_find(p, in, marks[i], &safe);
        size_t limit = at >= 0 ? (size_t)at : safe;
        if (limit < *ret_at || (limit == *ret_at && at >= 0 && !is_found)) {
            is_found = at >= 0;
            *ret_at = limit;
            *ret_mark = marks[i];
        }
    }
    return is_found;
}

static enum answer_step step_text(struct answer_parser *p)
{
    const struct call_syntax *calls = answer_calls(p);
    struct str in = answer_rest(p), mark = { 0 };
    size_t len = in.len;
    if (!calls) {
        answer_emit(p, ANSWER_CONTENT, in);
        answer_consume(p, in.len);
        return ANSWER_MORE;
    }
    bool is_found = find_mark(p, in, &len, &mark);
    size_t space = is_found || !p->is_final ? trailing_space(str_take(in, len)) : 0;
    answer_emit(p, ANSWER_CONTENT, str_take(in, len - space));
    answer_consume(p, len - space);
    if (!is_found) {
        return ANSWER_MORE;
    }
    if (p->is_inside && str_eq(mark, calls->end)) {
        answer_emit(p, ANSWER_CONTENT, str_take(answer_rest(p), space));
        answer_consume(p, space + mark.len);
        p->is_inside = false;
        return ANSWER_ON;
    }
    p->head_len = space + mark.len;
    return answer_go(p, str_eq(mark, calls->begin) ? ANSWER_STATE_HEAD : ANSWER_STATE_SECTION);
}

// ---- around calls --------------------------------------------------------------------------------------------------

static enum answer_step step_section(struct answer_parser *p)
{
    struct str in = str_skip(answer_rest(p), p->head_len);
    size_t space = answer_space_len(in);
    int match = answer_match(p, str_skip(in, space), answer_calls(p)->begin);
    if (match < 0) {
        return ANSWER_MORE;
    }
    if (match == 0) {
        return answer_fall_back(p);
    }
    p->head_len += space + answer_calls(p)->begin.len;
    return answer_go(p, ANSWER_STATE_HEAD);
}

// Between calls in JSON: "," or ";" and white space.
static size_t separator_len(const struct answer_parser *p, struct str in)
{
    const struct call_syntax *calls = answer_calls(p);
    bool is_json = calls->body == CALL_JSON || p->in_list;
    size_t len = is_json && in.len > 0 && (in.ptr[0] == ',' || in.ptr[0] == ';') ? 1 : 0;
    return len + answer_space_len(str_skip(in, len));
}

// Whether an object here is a further call.
static bool takes_object(const struct answer_parser *p)
{
    const struct call_syntax *calls = answer_calls(p);
    return p->in_list || (calls->body == CALL_JSON && (p->is_inside || calls->is_bare));
}

// Behind a call that has its end: another one, an end mark, or text.
static enum answer_step step_after(struct answer_parser *p)
{
    const struct call_syntax *calls = answer_calls(p);
    answer_consume(p, answer_space_len(answer_rest(p)));
    struct str in = answer_rest(p);
    size_t len = separator_len(p, in);
    struct str next = str_skip(in, len);
    int end = answer_match(p, in, calls->end), section_end = answer_match(p, in, calls->section_end);
    int begin = answer_match(p, next, calls->begin);
    if (in.len == 0) {
        return ANSWER_MORE;
    }
    if (p->in_list && in.ptr[0] == ']') {
        p->in_list = false;
        answer_consume(p, 1);
        return ANSWER_ON;
    }
    if (end > 0 || section_end > 0) {
        p->is_inside = false;
        answer_consume(p, end > 0 ? calls->end.len : calls->section_end.len);
        return ANSWER_ON;
    }
    if (begin > 0 || (next.len > 0 && next.ptr[0] == '{' && takes_object(p))) {
        p->head_len = len + (begin > 0 ? calls->begin.len : 0);
        p->in_list = p->in_list && begin <= 0;
        return answer_go(p, ANSWER_STATE_HEAD);
    }
    bool is_undecided = end < 0 || section_end < 0 || begin < 0;
    return is_undecided ? ANSWER_MORE : answer_go(p, ANSWER_STATE_TEXT);
}

// ---- the parser ----------------------------------------------------------------------------------------------------

int answer_parser_init(struct answer_parser *parser, size_t n_reserved)
{
    *parser = (struct answer_parser){ 0 };
    strbuf_init(&parser->held, 0);
    return strbuf_reserve(&parser->held, n_reserved);
}

void answer_parser_deinit(struct answer_parser *parser)
{
    strbuf_deinit(&parser->held);
}

void answer_parser_begin(struct answer_parser *parser, const struct answer_request *request, struct answer_parts *out)
{
    struct strbuf held = parser->held;
    strbuf_reset(&held);
    *parser = (struct answer_parser){ .request = request, .out = out, .held = held };
    if (request && request->begins_in_reasoning) {
        parser->state = ANSWER_STATE_REASONING;
    }
}

static enum answer_step step(struct answer_parser *p)
{
    switch (p->state) {
    case ANSWER_STATE_START: return step_start(p);
    case ANSWER_STATE_REASONING: return step_reasoning(p);
    case ANSWER_STATE_TRIM: return step_trim(p);
    case ANSWER_STATE_BARE: return step_bare(p);
    case ANSWER_STATE_TEXT: return step_text(p);
    case ANSWER_STATE_SECTION: return step_section(p);
    case ANSWER_STATE_HEAD: return answer_step_head(p);
    case ANSWER_STATE_ARGUMENTS: return answer_step_arguments(p);
    case ANSWER_STATE_BROKEN: return answer_step_broken(p);
    case ANSWER_STATE_TAIL: return answer_step_tail(p);
    case ANSWER_STATE_VALUES: return answer_step_values(p);
    case ANSWER_STATE_AFTER: return step_after(p);
    case ANSWER_STATE_HEADER: return answer_step_header(p);
    case ANSWER_STATE_BODY: return answer_step_body(p);
    }
    return ANSWER_MORE;
}

static int run(struct answer_parser *p)
{
    while (p->error == 0 && !p->is_done && step(p) == ANSWER_ON) {
    }
    if (p->is_done) {
        p->at = p->held.len;
    }
    size_t rest = p->held.len - p->at;
    if (p->at > 0) {
        memmove(p->held.ptr, p->held.ptr + p->at, rest + 1);
        p->held.len = rest;
        p->at = 0;
    }
    assert(!p->is_final || p->error != 0 || rest == 0);
    return p->error;
}

int answer_parser_feed(struct answer_parser *parser, struct str text)
{
    if (parser->error == 0 && !parser->request) {
        answer_emit(parser, ANSWER_CONTENT, text);
        return parser->error;
    }
    if (parser->error == 0) {
        parser->error = strbuf_append(&parser->held, text);
    }
    return text.len > 0 ? run(parser) : parser->error;
}

int answer_parser_finish(struct answer_parser *parser)
{
    parser->is_final = true;
    return parser->request ? run(parser) : parser->error;
}

bool answer_prompt_opens_reasoning(const struct reasoning_syntax *syntax, struct str prompt)
{
    return syntax && str_ends_with(str_trim(prompt), str_trim(syntax->begin));
}
