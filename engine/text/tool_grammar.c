// A description is JSON: the number of the call syntax, which of its marks are special tokens, and the functions with
// their schemas. White space within the arguments is the model's to choose; everything around them is as the templates
// write it, and hence mostly forced.
#include "engine/text/tool_grammar.h"

#include "engine/base/json.h"
#include "engine/text/grammar/schema.h"
#include "engine/text/grammar/token_trie.h"

#include <errno.h>
#include <stdio.h>

#define DESCRIPTION_BYTES_MAX ((size_t)16 << 20)

bool tool_grammar_has_form(const struct call_syntax *calls)
{
    return calls && calls->writing != CALL_WRITING_UNKNOWN;
}

// ---- describing ----------------------------------------------------------------------------------------------------

static void write_flag(struct json_writer *w, const char *key, bool value)
{
    json_write_key(w, key);
    json_write_bool(w, value);
}

static bool is_special(const struct tokenizer *tok, struct str mark)
{
    return mark.len > 0 && tokenizer_is_special(tok, tokenizer_find(tok, mark));
}

static bool is_strict(const struct json *function)
{
    const struct json *strict = json_get(function, STR("strict"));
    return strict && strict->type == JSON_BOOL && strict->boolean;
}

static void describe_functions(struct json_writer *w, const struct tool_demand *demand)
{
    const struct json *tool = json_first(demand->tools);
    for (size_t i = 0; i < demand->tools->n_children; i++, tool = json_next(tool)) {
        const struct json *function = json_get(tool, STR("function"));
        const struct json *name = json_get(function, STR("name")), *schema = json_get(function, STR("parameters"));
        if (demand->name.ptr && !str_eq(demand->name, name->text)) {
            continue;
        }
        json_write_object_begin(w);
        json_write_key(w, "name");
        json_write_value(w, name);
        json_write_key(w, "idx");
        json_write_i64(w, (int64_t)i);
        write_flag(w, "strict", is_strict(function));
        write_flag(w, "any", demand->only_strict && !is_strict(function));
        if (schema && schema->type == JSON_OBJECT) {
            json_write_key(w, "schema");
            json_write_value(w, schema);
        }
        json_write_object_end(w);
    }
}

int tool_grammar_describe(const struct tool_demand *demand, const struct tokenizer *tok, struct arena *arena,
                          struct str *ret, struct err *err)
{
    const struct call_syntax *calls = demand->calls;
    struct strbuf text;
    struct json_writer w;
    strbuf_init(&text, DESCRIPTION_BYTES_MAX);
    json_writer_init(&w, &text);
    json_write_object_begin(&w);
    json_write_key(&w, "syntax");
    json_write_i64(&w, (int64_t)call_syntax_number(calls));
    write_flag(&w, "many", demand->is_many);
    write_flag(&w, "begun", demand->is_begun);
    write_flag(&w, "begin_special", is_special(tok, calls->begin));
    write_flag(&w, "name_end_special", is_special(tok, calls->name_end));
    write_flag(&w, "end_special", is_special(tok, calls->end));
    json_write_key(&w, "functions");
    json_write_array_begin(&w);
    describe_functions(&w, demand);
    json_write_array_end(&w);
    json_write_object_end(&w);
    *ret = text.error == 0 ? arena_copy(arena, strbuf_str(&text)) : (struct str){ 0 };
    strbuf_deinit(&text);
    return ret->ptr ? 0 : err_set(err, -ENOMEM, "out of memory for the tools of a request");
}

// ---- compiling -----------------------------------------------------------------------------------------------------

struct writer {
    struct nfa *nfa;
    struct arena *arena;
    const struct json *root;
    const struct call_syntax *calls;
    struct err *err;
    int error;
};

static bool flag(const struct json *object, struct str name)
{
    const struct json *value = json_get(object, name);
    return value && value->boolean;
}

static uint32_t write_text(struct writer *w, const char *text, uint32_t next)
{
    return nfa_literal(w->nfa, str_from(text), next);
}

static uint32_t write_mark(struct writer *w, struct str mark, struct str flag_name, uint32_t next)
{
    next = nfa_literal(w->nfa, mark, next);
    return flag(w->root, flag_name) ? nfa_bytes(w->nfa, (uint8_t)TOKEN_TRIE_SPECIAL, (uint8_t)TOKEN_TRIE_SPECIAL, next)
                                    : next;
}

// A rule for a function's arguments.
static uint32_t write_arguments(struct writer *w, const struct json *function, uint32_t next)
{
    static const char any[] = "{\"type\":\"object\"}";
    const struct json *schema = json_get(function, STR("schema"));
    unsigned flags = 0;
    char where[64];
    int64_t idx = 0;
    if (!schema && !flag(function, STR("any"))) { // OpenAI: none are taken
        return write_text(w, "{}", next);
    }
    if (flag(function, STR("any"))) {
        w->error = w->error ? w->error : json_parse(w->arena, str_from(any), &schema, w->err);
    } else if (flag(function, STR("strict"))) {
        flags = GRAMMAR_STRICT;
    }
    json_get_i64(json_get(function, STR("idx")), &idx);
    snprintf(where, sizeof where, "tools[%d].function.parameters", (int)idx);
    uint32_t first = NFA_FAILED, rule = nfa_rule(w->nfa);
    w->error = w->error ? w->error : schema_add(w->nfa, w->arena, schema, flags, where, &first, w->err);
    nfa_rule_set(w->nfa, rule, first);
    return nfa_call(w->nfa, rule, next);
}

// One call without its marks.
static uint32_t write_function(struct writer *w, const struct json *function, uint32_t next)
{
    struct str name = json_get(function, STR("name"))->text;
    if (w->calls->writing == CALL_WRITES_NAMED) {
        next = write_arguments(w, function, next);
        return nfa_literal(w->nfa, name, write_mark(w, w->calls->name_end, STR("name_end_special"), next));
    }
    next = write_arguments(w, function, write_text(w, "}", next));
    next = write_text(w, w->calls->is_bare ? "\", \"parameters\": " : "\", \"arguments\": ", next);
    return write_text(w, "{\"name\": \"", nfa_literal(w->nfa, name, next));
}

static uint32_t write_any_function(struct writer *w, uint32_t next)
{
    const struct json *functions = json_get(w->root, STR("functions")), *function = json_first(functions);
    uint32_t all = NFA_FAILED, rule = nfa_rule(w->nfa);
    for (size_t i = 0; i < functions->n_children && w->error == 0; i++, function = json_next(function)) {
        all = nfa_either(w->nfa, write_function(w, function, NFA_ENDED), all);
    }
    nfa_rule_set(w->nfa, rule, all);
    return nfa_call(w->nfa, rule, next);
}

// {...}, {...}, ...
static uint32_t write_list(struct writer *w, uint32_t rule_of_one, bool is_many, uint32_t next)
{
    uint32_t more = nfa_loop(w->nfa);
    uint32_t again = is_many ? write_text(w, ", ", nfa_call(w->nfa, rule_of_one, more)) : NFA_FAILED;
    nfa_loop_set(w->nfa, more, again, next);
    return write_text(w, "[", nfa_call(w->nfa, rule_of_one, more));
}

// What stands between the marks of a call.
static uint32_t write_body(struct writer *w, uint32_t rule_of_one, bool is_many, uint32_t next)
{
    switch (w->calls->writing) {
    case CALL_WRITES_OBJECT:
        return w->calls->is_bare ? nfa_call(w->nfa, rule_of_one, next)
                                 : write_text(w, "\n", nfa_call(w->nfa, rule_of_one, write_text(w, "\n", next)));
    case CALL_WRITES_LIST: return write_list(w, rule_of_one, is_many, next);
    case CALL_WRITES_NAMED: return nfa_call(w->nfa, rule_of_one, next);
    case CALL_WRITING_UNKNOWN: break;
    }
    return NFA_FAILED;
}

static int write_calls(void *ctx, struct nfa *nfa, struct arena *arena, uint32_t *ret_start, struct err *err)
{
    const struct str *description = ctx;
    struct writer w = { .nfa = nfa, .arena = arena, .err = err };
    int64_t number = -1;
    int rc = json_parse(arena, *description, &w.root, err);
    if (rc < 0) {
        return rc;
    }
    json_get_i64(json_get(w.root, STR("syntax")), &number);
    w.calls = call_syntax_by_number((size_t)number);
    if (!tool_grammar_has_form(w.calls)) {
        return err_set_param(err, -EOPNOTSUPP, "tool_choice", "calls cannot be demanded of this model");
    }
    bool is_many = flag(w.root, STR("many")), is_begun = flag(w.root, STR("begun"));
    uint32_t one = nfa_rule(nfa);
    nfa_rule_set(nfa, one, write_any_function(&w, NFA_ENDED));
    // Calls with marks of their own follow each other; a list and a bare call are one.
    uint32_t more = nfa_loop(nfa);
    uint32_t call = write_body(&w, one, is_many, write_mark(&w, w.calls->end, STR("end_special"), more));
    uint32_t marked = w.calls->is_bare ? call : write_mark(&w, w.calls->begin, STR("begin_special"), call);
    bool is_repeated = is_many && !is_begun && !w.calls->is_bare && w.calls->writing != CALL_WRITES_LIST;
    uint32_t between = w.calls->writing == CALL_WRITES_OBJECT ? write_text(&w, "\n", marked) : marked;
    nfa_loop_set(nfa, more, is_repeated ? between : NFA_FAILED, NFA_ENDED);
    *ret_start = is_begun ? call : marked;
    return w.error;
}

int tool_grammar_compile(struct str description, unsigned flags, struct grammar **ret, struct err *err)
{
    return grammar_from_writer(write_calls, &description, flags, "tools", ret, err);
}
