// The answer parser's states of calls: the head up to the function's name, the arguments, the rest.
//
// A head is held until it is certain that it is one; then its marks go and the call begins. Arguments in JSON are
// passed on byte by byte while the JSON checker agrees; after that (BROKEN) up to the call's end mark. Arguments
// between marks of their own (TAGGED) are made into a JSON object, one member when its value is complete: a string
// where the function's schema says so, or where the text is no JSON.
#include "engine/text/answer_parser_internal.h"

#include "engine/base/arena.h"

#include <string.h>

#define FENCE_MAX 32 // bytes of ``` and the name of a language

// ---- functions and calls -------------------------------------------------------------------------------------------

const struct json *answer_function(const struct answer_parser *p, struct str name)
{
    const struct json *tools = p->request->tools;
    const struct json *tool = tools ? json_first(tools) : NULL;
    for (size_t i = 0; tools && i < tools->n_children; i++, tool = json_next(tool)) {
        const struct json *function = json_get(tool, STR("function"));
        const struct json *own = function ? json_get(function, STR("name")) : NULL;
        if (own && own->type == JSON_STRING && str_eq(own->text, name)) {
            return function;
        }
    }
    return NULL;
}

static uint64_t mix(uint64_t z) // splitmix64
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static size_t make_id(const struct answer_parser *p, char *id)
{
    static const char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    bool is_short = answer_calls(p)->id_form == CALL_ID_SHORT;
    size_t len = is_short ? 0 : 5, end = len + (is_short ? 9 : 24);
    memcpy(id, "call_", 5);
    for (uint64_t i = 0; len < end; i++) {
        uint64_t n = 32 * (ANSWER_CALLS_MAX * p->id_salt + p->n_calls) + i + 1;
        id[len++] = letters[mix(p->request->id_seed + 0x9e3779b97f4a7c15u * n) % 62];
    }
    return len;
}

void answer_begin_call(struct answer_parser *p, struct str name, struct str id)
{
    char made[32];
    if (id.len == 0 || id.len > ANSWER_CALL_ID_MAX) {
        id = (struct str){ made, make_id(p, made) };
    }
    struct answer_part part = { .kind = ANSWER_CALL, .call_idx = p->n_calls, .id = id, .text = name };
    int r = answer_parts_add(p->out, &part);
    p->error = p->error ? p->error : r;
    p->n_calls++;
    p->is_inside = true;
    p->in_reasoning = false;
}

void answer_emit_arguments(struct answer_parser *p, struct str text)
{
    answer_emit(p, ANSWER_ARGUMENTS, text);
}

void answer_end_call(struct answer_parser *p)
{
    p->is_done = p->n_calls >= p->request->n_calls_max;
}

// ---- an object as it grows -----------------------------------------------------------------------------------------

static void begin_object(struct answer_object *o, size_t begin)
{
    *o = (struct answer_object){ .begin = begin, .pos = begin, .is_begun = true };
    json_scan_init(&o->scan);
}

static struct str key_of(const struct answer_object *o, struct str in)
{
    return str_take(str_skip(in, o->key_at), o->key_len);
}

static bool is_name_key(struct str key)
{
    return str_eq(key, STR("name")) || str_eq(key, STR("tool_name"));
}

static void end_string(struct answer_object *o, struct str in)
{
    o->in_string = false;
    if (o->depth != 1 || o->is_streamed) {
        return;
    }
    size_t at = o->string_at + 1, len = o->pos - at;
    if (!o->is_value) {
        o->key_at = at;
        o->key_len = len;
    } else if (is_name_key(key_of(o, in))) {
        o->name_at = at;
        o->name_len = len;
    }
}

// Looks at the next byte. False: it makes the JSON ill formed.
static bool scan_byte(struct answer_object *o, struct str in)
{
    struct str byte = { in.ptr + o->pos, 1 };
    if (json_scan_feed(&o->scan, byte, NULL) < 0) {
        return false;
    }
    char c = byte.ptr[0];
    if (o->in_string) {
        if (c == '"' && !o->is_escaped) {
            end_string(o, in);
        }
        o->is_escaped = c == '\\' && !o->is_escaped;
    } else if (c == '"') {
        o->in_string = true;
        o->string_at = o->pos;
    } else if (c == '{' || c == '[') {
        o->depth++;
    } else if (c == '}' || c == ']') {
        o->depth--;
    } else if (o->depth == 1 && (c == ':' || c == ',')) {
        o->is_value = c == ':';
    }
    o->pos++;
    return true;
}

static bool is_arguments_key(struct str key)
{
    return str_eq(key, STR("arguments")) || str_eq(key, STR("parameters"));
}

// ---- JSON ----------------------------------------------------------------------------------------------------------

// What stands for the arguments, if that is an object, an object in a string, or nothing at all.
static bool arguments_of(struct arena *arena, const struct json *object, bool is_wrapped, struct str *ret)
{
    const struct json *value = json_get(object, STR("arguments")), *inner;
    value = value ? value : json_get(object, STR("parameters"));
    *ret = STR("{}");
    if (!value || value->type == JSON_NULL) {
        return is_wrapped;
    }
    *ret = value->text;
    if (value->type == JSON_STRING) {
        return json_parse(arena, value->text, &inner, NULL) == 0 && inner->type == JSON_OBJECT;
    }
    return value->type == JSON_OBJECT;
}

static const struct json *name_in(const struct json *object)
{
    const struct json *name = json_get(object, STR("name"));
    return name ? name : json_get(object, STR("tool_name"));
}

// The whole object was held, since its name came late or its arguments are no object.
static enum answer_step take_whole(struct answer_parser *p)
{
    struct answer_object *o = &p->object;
    struct str text = str_take(str_skip(answer_rest(p), o->begin), o->pos - o->begin), arguments;
    const struct json *object, *name = NULL;
    bool is_wrapped = !answer_calls(p)->is_bare;
    struct arena arena;
    arena_init(&arena, 0);
    bool is_call = json_parse(&arena, text, &object, NULL) == 0 && (name = name_in(object)) &&
                   name->type == JSON_STRING && answer_function(p, name->text) &&
                   arguments_of(&arena, object, is_wrapped, &arguments);
    if (is_call) {
        answer_begin_call(p, name->text, (struct str){ 0 });
        answer_emit_arguments(p, arguments);
        answer_consume(p, o->pos);
        answer_end_call(p);
    }
    arena_deinit(&arena);
    return is_call ? answer_go(p, ANSWER_STATE_AFTER) : answer_fall_back(p);
}

static enum answer_step begin_arguments(struct answer_parser *p, size_t at, unsigned depth)
{
    struct answer_object *o = &p->object;
    answer_consume(p, at);
    o->begin = 0;
    o->pos -= at;
    o->is_streamed = true;
    o->arguments_depth = depth;
    return answer_go(p, ANSWER_STATE_ARGUMENTS);
}

static enum answer_step scan_head(struct answer_parser *p)
{
    struct str in = answer_rest(p);
    struct answer_object *o = &p->object;
    bool is_keyed = answer_calls(p)->is_keyed;
    while (o->pos < in.len) {
        bool at_arguments = o->depth == 1 && o->is_value && !o->in_string && in.ptr[o->pos] == '{' &&
                            (is_keyed || (o->name_len > 0 && is_arguments_key(key_of(o, in))));
        if (!scan_byte(o, in)) {
            return answer_fall_back(p);
        }
        if (at_arguments) {
            struct str name = is_keyed ? key_of(o, in) : str_take(str_skip(in, o->name_at), o->name_len);
            if (!answer_function(p, name)) {
                return answer_fall_back(p);
            }
            answer_begin_call(p, name, (struct str){ 0 });
            return begin_arguments(p, o->pos - 1, 1);
        }
        if (o->depth == 0) {
            return take_whole(p);
        }
    }
    return p->is_final ? answer_fall_back(p) : ANSWER_MORE;
}

static bool skip_fence(struct answer_parser *p, size_t *at)
{
    struct str in = str_skip(answer_rest(p), *at);
    int fence = answer_match(p, in, answer_calls(p)->is_fenced && !p->has_fence ? STR("```") : STR(""));
    size_t len = 3; // of the mark and the name of a language
    while (fence > 0 && len < in.len && ((in.ptr[len] >= 'a' && in.ptr[len] <= 'z') || in.ptr[len] == '_')) {
        len++;
    }
    if (fence <= 0 || len >= in.len || in.ptr[len] != '\n' || len > FENCE_MAX) {
        return fence == 0 || (fence > 0 && (len < in.len || len > FENCE_MAX)) || p->is_final;
    }
    p->has_fence = true;
    p->head_len = *at + len + 1;
    *at = p->head_len + answer_space_len(str_skip(answer_rest(p), p->head_len));
    return true;
}

bool answer_open_list(struct answer_parser *p, size_t *at)
{
    if (!skip_fence(p, at)) {
        return false;
    }
    struct str in = str_skip(answer_rest(p), *at);
    if (in.len > 0 && in.ptr[0] == '[' && !p->in_list) {
        p->in_list = true;
        p->head_len = ++*at;
        *at += answer_space_len(str_skip(in, 1));
    }
    return true;
}

static enum answer_step head_of_json(struct answer_parser *p)
{
    struct str in = answer_rest(p);
    size_t at = p->head_len + answer_space_len(str_skip(in, p->head_len));
    if (p->object.is_begun) {
        return scan_head(p);
    }
    if (!answer_open_list(p, &at)) {
        return ANSWER_MORE;
    }
    if (at == in.len) {
        return p->is_final ? answer_fall_back(p) : ANSWER_MORE;
    }
    if (in.ptr[at] != '{') {
        return answer_fall_back(p);
    }
    begin_object(&p->object, at);
    return scan_head(p);
}

// ---- names before arguments ----------------------------------------------------------------------------------------

// Where the name ends and how long the mark behind it is; -1: not here, or not yet (*ret_more).
static ptrdiff_t find_name_end(const struct answer_parser *p, struct str in, size_t *ret_mark_len, bool *ret_more)
{
    struct str mark = answer_calls(p)->name_end;
    ptrdiff_t at = -1;
    size_t safe;
    *ret_mark_len = mark.len;
    if (mark.len > 0) {
        at = answer_find(p, in, mark, &safe);
    }
    for (size_t i = 0; mark.len == 0 && at < 0 && i < in.len; i++) {
        at = in.ptr[i] == '\n' || in.ptr[i] == '<' ? (ptrdiff_t)i : -1;
    }
    *ret_more = at < 0 && !p->is_final && in.len < ANSWER_NAME_MAX + mark.len;
    return at < ANSWER_NAME_MAX ? at : -1;
}

// "functions.f:0" -> "f", where models write names so; "f[CALL_ID]abc" -> "f" and "abc".
static struct str clean_name(const struct answer_parser *p, struct str written, struct str *ret_id)
{
    struct str name_begin = answer_calls(p)->name_begin;
    ptrdiff_t at = name_begin.len > 0 ? str_find(written, name_begin) : -1;
    struct str name = str_trim(at >= 0 ? str_skip(written, (size_t)at + name_begin.len) : written);
    const char *quote = answer_calls(p)->body == CALL_TAGGED ? memchr(name.ptr, '"', name.len) : NULL;
    name = quote ? str_take(name, (size_t)(quote - name.ptr)) : name; // NAME" index="1
    at = str_find(name, STR("[CALL_ID]"));
    *ret_id = (struct str){ 0 };
    if (at >= 0) {
        *ret_id = str_skip(name, (size_t)at + STR("[CALL_ID]").len);
        return str_take(name, (size_t)at);
    }
    if (answer_calls(p)->id_form == CALL_ID_NAME) {
        *ret_id = name;
        name = str_skip(name, str_starts_with(name, STR("functions.")) ? STR("functions.").len : 0);
        const char *colon = memrchr(name.ptr, ':', name.len);
        name = colon ? str_take(name, (size_t)(colon - name.ptr)) : name;
    }
    return name;
}

enum answer_step answer_begin_values(struct answer_parser *p, size_t at, struct str name, struct str id,
                                     enum answer_state next)
{
    answer_begin_call(p, name, id);
    answer_consume(p, at);
    answer_emit_arguments(p, STR("{"));
    p->n_values = 0;
    return answer_go(p, next);
}

// `at`: behind the name. An object follows, or the call's end.
static enum answer_step begin_named(struct answer_parser *p, size_t at, struct str name, struct str id)
{
    struct str in = answer_rest(p);
    at += answer_space_len(str_skip(in, at));
    int end = answer_match(p, str_skip(in, at), answer_calls(p)->end);
    if (at < in.len && in.ptr[at] == '{') {
        answer_begin_call(p, name, id);
        begin_object(&p->object, at);
        return begin_arguments(p, at, 0);
    }
    if (end > 0 || (at == in.len && p->is_final)) {
        answer_begin_call(p, name, id);
        answer_emit_arguments(p, STR("{}"));
        answer_consume(p, at);
        answer_end_call(p);
        return answer_go(p, ANSWER_STATE_AFTER);
    }
    return at == in.len || end < 0 ? ANSWER_MORE : answer_fall_back(p);
}

static enum answer_step head_of_named(struct answer_parser *p)
{
    const struct call_syntax *calls = answer_calls(p);
    size_t begin = p->head_len + answer_space_len(str_skip(answer_rest(p), p->head_len)), mark_len;
    struct str in = str_skip(answer_rest(p), begin), id;
    bool is_undecided;
    ptrdiff_t end = find_name_end(p, in, &mark_len, &is_undecided);
    if (end < 0) {
        return is_undecided ? ANSWER_MORE : answer_fall_back(p);
    }
    struct str name = clean_name(p, str_take(in, (size_t)end), &id);
    size_t at = begin + (size_t)end + mark_len;
    if (calls->begins_there && str_eq(name, STR("all"))) { // what is said to all is content
        answer_consume(p, at);
        return answer_go(p, ANSWER_STATE_TEXT);
    }
    p->function = answer_function(p, name);
    if (!p->function) {
        return answer_fall_back(p);
    }
    return calls->body == CALL_TAGGED ? answer_begin_values(p, at, name, id, ANSWER_STATE_VALUES)
                                      : begin_named(p, at, name, id);
}

enum answer_step answer_step_head(struct answer_parser *p)
{
    struct str in = answer_rest(p);
    size_t at = p->head_len + answer_space_len(str_skip(in, p->head_len));
    bool is_json = answer_calls(p)->body == CALL_JSON || p->in_list;
    if (!is_json && answer_calls(p)->body == CALL_NAMED) {
        if (at == in.len) {
            return p->is_final ? answer_fall_back(p) : ANSWER_MORE;
        }
        is_json = in.ptr[at] == '{' || in.ptr[at] == '[';
    }
    enum answer_step step = answer_calls(p)->body == CALL_LITERALS ? answer_head_of_literals(p)
                            : is_json                              ? head_of_json(p)
                                                                   : head_of_named(p);
    if (p->state != ANSWER_STATE_HEAD && p->state != ANSWER_STATE_ARGUMENTS) {
        p->object.is_begun = false;
    }
    p->has_fence = p->has_fence && p->state == ANSWER_STATE_HEAD;
    if (p->state == ANSWER_STATE_TEXT || p->state == ANSWER_STATE_REASONING) {
        p->in_list = false;
    }
    return step;
}

// ---- arguments -----------------------------------------------------------------------------------------------------

enum answer_step answer_step_arguments(struct answer_parser *p)
{
    struct str in = answer_rest(p);
    struct answer_object *o = &p->object;
    bool is_complete = false, is_broken = false;
    while (o->pos < in.len && !is_complete && !is_broken) {
        is_broken = !scan_byte(o, in);
        is_complete = !is_broken && o->depth == o->arguments_depth;
    }
    size_t len = o->pos;
    answer_emit_arguments(p, str_take(in, len));
    answer_consume(p, len);
    o->pos = 0;
    if (is_broken) {
        o->is_begun = false;
        return answer_go(p, ANSWER_STATE_BROKEN);
    }
    if (!is_complete) {
        return ANSWER_MORE;
    }
    answer_end_call(p);
    if (o->arguments_depth > 0) {
        return answer_go(p, ANSWER_STATE_TAIL);
    }
    o->is_begun = false;
    return answer_go(p, ANSWER_STATE_AFTER);
}

enum answer_step answer_step_broken(struct answer_parser *p)
{
    struct str in = answer_rest(p);
    size_t safe;
    ptrdiff_t at = answer_find(p, in, answer_calls(p)->end, &safe);
    size_t len = at >= 0 ? (size_t)at : safe;
    answer_emit_arguments(p, str_take(in, len));
    answer_consume(p, len);
    if (at < 0) {
        return ANSWER_MORE;
    }
    answer_end_call(p);
    return answer_go(p, ANSWER_STATE_AFTER);
}

// What an object has behind its arguments is dropped; what makes it ill formed is content, from the arguments on.
enum answer_step answer_step_tail(struct answer_parser *p)
{
    struct str in = answer_rest(p);
    struct answer_object *o = &p->object;
    while (o->pos < in.len) {
        if (!scan_byte(o, in)) {
            o->is_begun = false;
            return answer_go(p, ANSWER_STATE_TEXT);
        }
        if (o->depth == 0) {
            o->is_begun = false;
            answer_consume(p, o->pos);
            return answer_go(p, ANSWER_STATE_AFTER);
        }
    }
    if (p->is_final) {
        answer_consume(p, in.len);
    }
    return ANSWER_MORE;
}

// ---- arguments between marks ---------------------------------------------------------------------------------------

struct str answer_type_of(const struct answer_parser *p, struct str key)
{
    const struct json *parameters = json_get(p->function, STR("parameters"));
    const struct json *properties = parameters ? json_get(parameters, STR("properties")) : NULL;
    const struct json *property = properties ? json_get(properties, key) : NULL;
    const struct json *type = property ? json_get(property, STR("type")) : NULL;
    return type && type->type == JSON_STRING ? type->text : STR("");
}

static bool is_json(struct str text)
{
    struct json_scan scan;
    json_scan_init(&scan);
    return text.len > 0 && json_scan_feed(&scan, text, NULL) >= 0 && json_scan_end(&scan, NULL) == 0;
}

// `written` is the key, which may carry an attribute: KEY" string="true
static void write_value(struct strbuf *out, const struct answer_parser *p, struct str written, struct str key,
                        struct str value, bool is_cut)
{
    struct json_writer w;
    struct str type = answer_type_of(p, key), trimmed = str_trim(value);
    bool is_text = str_eq(type, STR("string")) || str_find(written, STR("string=\"true")) >= 0 ||
                   str_find(written, STR("type=\"string")) >= 0;
    json_writer_init(&w, out);
    if (!is_text && str_eq(type, STR("boolean")) && (str_eq(trimmed, STR("True")) || str_eq(trimmed, STR("False")))) {
        json_write_bool(&w, trimmed.ptr[0] == 'T');
    } else if (!is_text && (is_cut || is_json(trimmed))) {
        json_write_raw(&w, trimmed);
    } else {
        value = str_skip(value, str_starts_with(value, STR("\n")) ? 1 : 0);
        value = str_take(value, value.len - (str_ends_with(value, STR("\n")) && !is_cut ? 1 : 0));
        json_write_str(&w, value);
        out->len -= is_cut ? 1 : 0; // without its quotation mark
    }
}

void answer_emit_member(struct answer_parser *p, struct str key, struct str value_json)
{
    struct strbuf out;
    struct json_writer w;
    strbuf_init(&out, 0);
    strbuf_append(&out, p->n_values++ > 0 ? STR(", ") : STR(""));
    json_writer_init(&w, &out);
    json_write_str(&w, key);
    strbuf_append(&out, STR(": "));
    strbuf_append(&out, value_json);
    p->error = p->error ? p->error : out.error;
    if (out.error == 0) {
        answer_emit_arguments(p, strbuf_str(&out));
    }
    strbuf_deinit(&out);
}

static void emit_member(struct answer_parser *p, struct str written, struct str value, bool is_cut)
{
    struct strbuf json;
    struct str key = str_trim(written);
    for (size_t i = 0; i < key.len; i++) {
        key = key.ptr[i] == '"' || key.ptr[i] == '<' ? str_trim(str_take(key, i)) : key;
    }
    strbuf_init(&json, 0);
    write_value(&json, p, written, key, value, is_cut);
    p->error = p->error ? p->error : json.error;
    if (json.error == 0) {
        answer_emit_member(p, key, strbuf_str(&json));
    }
    strbuf_deinit(&json);
}

enum answer_step answer_end_values(struct answer_parser *p, enum answer_state next)
{
    answer_emit_arguments(p, STR("}"));
    answer_end_call(p);
    return answer_go(p, next);
}

static enum answer_step take_value(struct answer_parser *p)
{
    const struct call_syntax *calls = answer_calls(p);
    struct str in = str_skip(answer_rest(p), calls->value_begin.len);
    size_t safe;
    ptrdiff_t key_len = answer_find(p, in, calls->key_end, &safe);
    if (key_len < 0 && !p->is_final && in.len < ANSWER_NAME_MAX + calls->key_end.len) {
        return ANSWER_MORE;
    }
    if (key_len < 0 || key_len >= ANSWER_NAME_MAX) {
        return answer_end_values(p, ANSWER_STATE_TEXT);
    }
    struct str value = str_skip(in, (size_t)key_len + calls->key_end.len);
    ptrdiff_t value_len = answer_find_on(p, value, calls->value_end);
    if (value_len < 0 && !p->is_final) {
        return ANSWER_MORE;
    }
    bool is_cut = value_len < 0;
    p->n_searched = 0;
    size_t len = is_cut ? value.len : (size_t)value_len;
    emit_member(p, str_take(in, (size_t)key_len), str_take(value, len), is_cut);
    answer_consume(p, (size_t)(value.ptr - answer_rest(p).ptr) + len + (is_cut ? 0 : calls->value_end.len));
    return is_cut ? ANSWER_MORE : ANSWER_ON;
}

enum answer_step answer_step_values(struct answer_parser *p)
{
    const struct call_syntax *calls = answer_calls(p);
    answer_consume(p, answer_space_len(answer_rest(p)));
    struct str in = answer_rest(p);
    int value = answer_match(p, in, calls->value_begin), end = answer_match(p, in, calls->end);
    int section_end = answer_match(p, in, calls->section_end);
    if (value > 0) {
        return take_value(p);
    }
    if (end > 0 || section_end > 0) {
        return answer_end_values(p, ANSWER_STATE_AFTER);
    }
    if (in.len == 0 || value < 0 || end < 0 || section_end < 0) {
        return ANSWER_MORE;
    }
    return answer_end_values(p, ANSWER_STATE_TEXT);
}
