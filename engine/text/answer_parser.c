// The answer parser's states of text: reasoning, content, and what stands between calls.
//
//   START --begin mark--> REASONING --end mark--> TRIM --> BARE --bracket--> HEAD
//     |                    |     ^                           |
//     |                call's mark                           |
//     |                    v     |                           |
//     |                  THOUGHT_CALL --answer's end--> HEAD |
//     `------------------------------------------------------+--> TEXT --mark--> SECTION, HEAD
//   HEAD --name--> ARGUMENTS, VALUES, LITERALS --> TAIL --> AFTER --mark--> HEAD, or TEXT
//     `--no call--> TEXT, or REASONING
//
// Each step looks at what is held, decides some of it, or waits. Invariants: a step that does not wait consumes bytes
// or goes to a later state, so that the loop ends; a step depends on the text only, never on where it was cut; once
// is_final is set no step waits with bytes left.
#include "engine/text/answer_parser_internal.h"

#include <assert.h>
#include <string.h>

#define SPACE_MAX        64           // bytes of white space before a call that are dropped
#define THOUGHT_CALL_MAX (256u << 10) // bytes of reasoning that are held back since they may be a call
#define COUNT(a)         (sizeof(a) / sizeof((a)[0]))

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
    bool is_thought = p->in_reasoning;
    answer_emit(p, is_thought ? ANSWER_REASONING : ANSWER_CONTENT, str_take(answer_rest(p), p->head_len));
    answer_consume(p, p->head_len);
    p->in_reasoning = false;
    p->is_inside = is_thought; // some of the reasoning was told
    return answer_go(p, is_thought ? ANSWER_STATE_REASONING : ANSWER_STATE_TEXT);
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

ptrdiff_t answer_find_on(struct answer_parser *p, struct str s, struct str mark)
{
    ptrdiff_t at = str_find(str_skip(s, p->n_searched), mark);
    if (at >= 0) {
        at += (ptrdiff_t)p->n_searched;
        p->n_searched = 0;
    } else if (s.len >= p->n_searched + mark.len) {
        p->n_searched = s.len - mark.len + 1;
    }
    return at;
}

// ---- reasoning -----------------------------------------------------------------------------------------------------

static enum answer_state after_reasoning(const struct answer_parser *p)
{
    const struct call_syntax *calls = answer_calls(p);
    if (calls && (calls->body == CALL_CHANNELS || calls->header_end.len > 0)) {
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

// The first mark of a call in reasoning. -1: none; no more than *safe is then certain not to be part of one.
static ptrdiff_t find_call(const struct answer_parser *p, struct str in, size_t *safe, struct str *ret_mark)
{
    const struct call_syntax *calls = answer_calls(p);
    if (!calls || !p->request->tools || calls->begins_there || calls->body == CALL_CHANNELS) {
        return -1;
    }
    const struct str marks[] = { calls->begin, calls->section_begin };
    ptrdiff_t first = -1;
    for (size_t i = 0; i < COUNT(marks); i++) {
        size_t mark_safe;
        ptrdiff_t at = answer_find(p, in, marks[i], &mark_safe);
        *safe = mark_safe < *safe ? mark_safe : *safe;
        if (at >= 0 && (first < 0 || at < first)) {
            first = at;
            *ret_mark = marks[i];
        }
    }
    return first;
}

// Whether an answer that ends here ends with a call.
static bool ends_with_call(const struct answer_parser *p)
{
    const struct call_syntax *calls = answer_calls(p);
    struct str text = str_trim(answer_rest(p));
    return calls->end.len == 0 || str_ends_with(text, calls->end) ||
           (calls->section_end.len > 0 && str_ends_with(text, calls->section_end));
}

// What is held begins with white space and the mark of a call.
static enum answer_step step_thought_call(struct answer_parser *p)
{
    const struct call_syntax *calls = answer_calls(p);
    struct str in = answer_rest(p);
    bool has_end = answer_find_on(p, in, p->request->format.reasoning->end) >= 0;
    if (!has_end && !p->is_final && in.len < THOUGHT_CALL_MAX) {
        return ANSWER_MORE;
    }
    p->n_searched = 0;
    p->in_reasoning = true;
    if (has_end || !p->is_final || !ends_with_call(p)) {
        return answer_fall_back(p);
    }
    p->is_inside = false;
    bool is_section = !str_ends_with(str_take(in, p->head_len), calls->begin);
    return answer_go(p, is_section ? ANSWER_STATE_SECTION : ANSWER_STATE_HEAD);
}

// Reasoning until its end, without white space before that or, at first, at its beginning.
static enum answer_step step_reasoning(struct answer_parser *p)
{
    if (!p->is_inside) { // nothing of it was emitted: white space at its beginning
        answer_consume(p, answer_space_len(answer_rest(p)));
        p->is_inside = answer_rest(p).len > 0;
    }
    struct str in = answer_rest(p), end = p->request->format.reasoning->end, mark;
    size_t safe;
    ptrdiff_t at = answer_find(p, in, end, &safe);
    ptrdiff_t call_at = at < 0 ? find_call(p, in, &safe, &mark) : -1;
    size_t len = at >= 0 ? (size_t)at : call_at >= 0 ? (size_t)call_at : safe;
    size_t text_len = len;
    while (text_len > 0 && is_space(in.ptr[text_len - 1])) {
        text_len--;
    }
    answer_emit(p, ANSWER_REASONING, str_take(in, text_len));
    if (call_at >= 0) {
        answer_consume(p, text_len);
        p->head_len = (size_t)call_at - text_len + mark.len;
        return answer_go(p, ANSWER_STATE_THOUGHT_CALL);
    }
    answer_consume(p, at >= 0 ? len + end.len : p->is_final ? len : text_len);
    if (at < 0) {
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
    if (space < in.len && (in.ptr[space] == '{' || in.ptr[space] == '[')) {
        p->head_len = space;
        return answer_go(p, ANSWER_STATE_HEAD);
    }
    return answer_go(p, ANSWER_STATE_TEXT);
}

// The first of the marks that mean something in content. False: none; *ret_at is then how much is certain.
static bool find_mark(const struct answer_parser *p, struct str in, size_t *ret_at, struct str *ret_mark)
{
    static const struct call_syntax none;
    static const struct reasoning_syntax no_reasoning;
    const struct call_syntax *calls = answer_calls(p) ? answer_calls(p) : &none;
    const struct reasoning_syntax *reasoning =
        p->request->format.reasoning ? p->request->format.reasoning : &no_reasoning;
    struct str marks[] = { calls->begin,         calls->section_begin,  p->is_inside ? calls->end : STR(""),
                           calls->message_end,   reasoning->dropped[0], reasoning->dropped[1],
                           reasoning->dropped[2] };
    bool is_found = false;
    *ret_at = in.len;
    for (size_t i = 0; i < COUNT(marks); i++) {
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
    bool is_found = find_mark(p, in, &len, &mark);
    bool is_begin = is_found && calls && (str_eq(mark, calls->begin) || str_eq(mark, calls->section_begin));
    size_t space = calls && (is_found || !p->is_final) ? trailing_space(str_take(in, len)) : 0;
    answer_emit(p, ANSWER_CONTENT, str_take(in, len - space));
    answer_consume(p, len - space);
    if (!is_found) {
        return ANSWER_MORE;
    }
    if (is_begin) {
        p->head_len = space + mark.len;
        return answer_go(p, str_eq(mark, calls->begin) ? ANSWER_STATE_HEAD : ANSWER_STATE_SECTION);
    }
    answer_emit(p, ANSWER_CONTENT, str_take(answer_rest(p), space));
    answer_consume(p, space + mark.len);
    p->is_inside = p->is_inside && !str_eq(mark, calls->end);
    return calls && str_eq(mark, calls->message_end) ? answer_go(p, ANSWER_STATE_HEADER) : ANSWER_ON;
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
    bool is_listed = calls->body == CALL_JSON || p->in_list;
    size_t len = is_listed && in.len > 0 && (in.ptr[0] == ',' || in.ptr[0] == ';') ? 1 : 0;
    return len + answer_space_len(str_skip(in, len));
}

// Whether what begins with this byte is a further call.
static bool begins_call(const struct answer_parser *p, char c)
{
    const struct call_syntax *calls = answer_calls(p);
    if (calls->body == CALL_LITERALS) {
        return c != '<' && c != ']' && (p->in_list || (p->is_inside && !calls->is_bare));
    }
    return c == '{' && (p->in_list || (calls->body == CALL_JSON && (p->is_inside || calls->is_bare)));
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
    int begin = answer_match(p, next, calls->begin),
        fence = answer_match(p, in, calls->is_fenced ? STR("```") : STR(""));
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
    if (fence != 0) {
        answer_consume(p, fence > 0 ? 3 : 0);
        return fence > 0 ? ANSWER_ON : ANSWER_MORE;
    }
    if (begin > 0 || (next.len > 0 && begins_call(p, next.ptr[0]))) {
        p->head_len = len + (begin > 0 ? calls->begin.len : 0);
        p->in_list = p->in_list && begin <= 0;
        return answer_go(p, ANSWER_STATE_HEAD);
    }
    bool is_undecided = end < 0 || section_end < 0 || begin < 0 || (next.len == 0 && !p->is_final);
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
    case ANSWER_STATE_THOUGHT_CALL: return step_thought_call(p);
    case ANSWER_STATE_TRIM: return step_trim(p);
    case ANSWER_STATE_BARE: return step_bare(p);
    case ANSWER_STATE_TEXT: return step_text(p);
    case ANSWER_STATE_SECTION: return step_section(p);
    case ANSWER_STATE_HEAD: return answer_step_head(p);
    case ANSWER_STATE_ARGUMENTS: return answer_step_arguments(p);
    case ANSWER_STATE_BROKEN: return answer_step_broken(p);
    case ANSWER_STATE_TAIL: return answer_step_tail(p);
    case ANSWER_STATE_VALUES: return answer_step_values(p);
    case ANSWER_STATE_LITERALS: return answer_step_literals(p);
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
