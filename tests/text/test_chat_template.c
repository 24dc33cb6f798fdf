// The template engine against renderings recorded from Python's jinja2 (tests/oracle/gen_chat_templates.py), and what
// is ours: positions in errors, bounds, continue_final_message.
#include "engine/text/chat_template.h"
#include "tests/text/template_cases.h"
#include "tests/unit.h"
#include <errno.h>
#include <string.h>

static struct str render(const char *source, const char *context_text, struct strbuf *out, struct err *err)
{
    struct chat_template *tmpl = NULL;
    const struct json *context;
    struct arena arena;
    arena_init(&arena, 0);
    strbuf_reset(out);
    *err = (struct err){ 0 };
    assert_int_equal(json_parse(&arena, str_from(context_text), &context, err), 0);
    if (chat_template_compile(str_from(source), &tmpl, err) == 0) {
        chat_template_render_context(tmpl, context, 0, out, err);
    }
    chat_template_free(tmpl);
    arena_deinit(&arena);
    return strbuf_str(out);
}

static void test_chat_template_recorded_cases_match_python(void **state)
{
    struct template_cases cases;
    (void)state;
    template_cases_open(&cases, test_source_root(), "tests/fixtures/chat_templates/cases.json");
    const struct json *list = json_get(cases.root, STR("cases")), *c = json_first(list);
    unsigned n_failed = 0;
    for (size_t i = 0; i < list->n_children; i++, c = json_next(c)) {
        const struct json *context = json_get(c, STR("context"));
        context = context->type == JSON_STRING ? json_get(cases.root, context->text) : context;
        n_failed += !template_case_passes(&cases, c, json_get(c, STR("template")), context);
    }
    assert_true(list->n_children > 100);
    assert_int_equal(n_failed, 0);
    template_cases_close(&cases);
}

static void test_chat_template_errors_carry_line_and_column(void **state)
{
    static const struct {
        const char *source, *message;
        int code;
    } cases[] = {
        { "a\n  {{ x.y.z }}", "line 2, column 7: 'x' is undefined", -EINVAL },
        { "ab\n{% if %}", "line 2, column 7: Expected an expression", -EINVAL },
        { "{{ 'a' }}\n{{ raise_exception('no \xc3\xa9') }}", "line 2, column 19: no \xc3\xa9", -EINVAL },
        { "{% for x in y %}", "Unexpected end of template", -EINVAL },
        { "{{ 1 | nosuch }}", "line 1, column 8: No filter named nosuch", -EINVAL },
        { "{% for x in y recursive %}{% endfor %}", "recursive loops are not supported", -EOPNOTSUPP },
        { "{{ '\xff' }}", "not valid UTF-8", -EINVAL },
    };
    struct strbuf out;
    struct err err;
    (void)state;
    strbuf_init(&out, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        render(cases[i].source, "{}", &out, &err);
        assert_int_equal(err.code, cases[i].code);
        if (!strstr(err.msg, cases[i].message)) {
            fail_msg("%s: %s", cases[i].source, err.msg);
        }
    }
    strbuf_deinit(&out);
}

// A megabyte of one letter, a million ones.
#define LONG_TEXT "{% set ns = namespace(s='a') %}{% for i in range(20) %}{% set ns.s = ns.s + ns.s %}{% endfor %}"
#define LONG_LIST "{% set ns = namespace(l=[1]) %}{% for i in range(20) %}{% set ns.l = ns.l + ns.l %}{% endfor %}"

static void test_chat_template_hostile_sources_hit_a_bound(void **state)
{
    static const char *const sources[] = {
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% set ns = namespace(s='x') %}{% for a in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{% set ns = namespace(s='x') %}{% for a in range(24) %}{% set ns.s = ns.s + ns.s %}{% endfor %}"
        "{% for a in range(99999) %}{{ ns.s }}{% endfor %}",
        "{% set ns = namespace(s='x') %}{% for a in range(24) %}{% set ns.s = ns.s + ns.s %}{% endfor %}"
        "{% for a in range(99999) %}{% if 'y' in ns.s %}{% endif %}{% endfor %}",
        "{% set ns = namespace(l=[]) %}{% for a in range(99999) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}",
        "{% set ns = namespace(l=[]) %}{% for a in range(99) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
        "{% set ns = namespace(l=[]) %}{% for a in range(99) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l == "
        "[ns.l] }}{{ ns.l | tojson }}",
        "{% set ns = namespace(g=[1]) %}{% for a in range(99999) %}{% set ns.g = ns.g | map('string') %}{% endfor %}{{ "
        "ns.g | list }}",
        "{% set ns = namespace() %}{% set ns.n = ns %}{{ ns }}", // the one value that may contain itself
        "{% set ns = namespace() %}{% set ns.n = [{'a': (ns,)}] %}{{ ns.n }}",
        "{% set ns = namespace() %}{% set ns.n = {'a': ns}.items() %}{{ '%s' % ns.n }}",
        "{% set ns = namespace() %}{% set ns.n = ns %}{{ ns | string | length }}",
        "{% set ns = namespace() %}{% set ns.n = ns %}{{ ns | tojson }}",
        "{{ '%99999999s' % 1 }}",
        "{{ 'x' * 999999999999 }}",
        "{{ [1] * 99999999 }}",
        "{% if 'a' * 9999999 %}{{ 'x'.rjust(10 ** 9) }}{% endif %}",
        LONG_TEXT "{{ ns.s.rfind('a' * 500000 + 'b') }}{{ ns.s.rfind('a' * 500000 + 'ba') }}",
        LONG_TEXT "{% for a in range(99999) %}{{ ns.s | wordcount }}{% endfor %}",
        LONG_LIST "{% for a in range(99999) %}{{ ns.l == ns.l[:] }}{% endfor %}",
    };
    struct strbuf out;
    struct err err;
    (void)state;
    strbuf_init(&out, 0);
    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        render(sources[i], "{}", &out, &err);
        assert_true(err.code == -E2BIG || err.code == -EINVAL);
        assert_int_equal(out.len, 0);
    }
    strbuf_deinit(&out);
}

static void test_chat_template_deep_nesting_is_refused_at_compile(void **state)
{
    static const char *const units[] = { "(", "[", "{{ ", "{% if x %}", "not ", "-", "{{ x", "a.", "x|f(" };
    struct err err;
    (void)state;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        struct chat_template *tmpl = NULL;
        struct strbuf source;
        strbuf_init(&source, 0);
        strbuf_append(&source, STR("{{ "));
        for (size_t k = 0; k < 100000; k++) {
            strbuf_append(&source, str_from(units[i]));
        }
        assert_true(chat_template_compile(strbuf_str(&source), &tmpl, &err) < 0);
        strbuf_deinit(&source);
    }
}

static void test_chat_template_failure_leaves_output_as_it_was(void **state)
{
    struct chat_template *tmpl;
    const struct json *context;
    struct strbuf out;
    struct arena arena;
    struct err err;
    (void)state;
    arena_init(&arena, 0);
    strbuf_init(&out, 0);
    strbuf_append(&out, STR("before"));
    assert_int_equal(json_parse(&arena, STR("{\"a\": 1}"), &context, &err), 0);
    assert_int_equal(chat_template_compile(STR("text {{ a }}{{ a.b.c }}"), &tmpl, &err), 0);
    assert_int_equal(chat_template_render_context(tmpl, context, 0, &out, &err), -EINVAL);
    assert_string_equal(out.ptr, "before");
    chat_template_free(tmpl);
    assert_int_equal(chat_template_compile(STR("+{{ a }}"), &tmpl, &err), 0);
    assert_int_equal(chat_template_render_context(tmpl, context, 0, &out, &err), 0);
    assert_string_equal(out.ptr, "before+1");
    chat_template_free(tmpl);
    strbuf_deinit(&out);
    arena_deinit(&arena);
}

static void test_chat_template_request_variables_reach_the_template(void **state)
{
    struct chat_template_input input = { .bos_token = STR("<s>"), .add_generation_prompt = true };
    struct chat_template *tmpl;
    struct strbuf out;
    struct arena arena;
    struct err err;
    (void)state;
    arena_init(&arena, 0);
    strbuf_init(&out, 0);
    json_parse(&arena, STR("[{\"role\": \"user\", \"content\": \"hi\"}]"), &input.messages, &err);
    json_parse(&arena, STR("{\"mood\": \"x\"}"), &input.extra, &err);
    assert_int_equal(chat_template_compile(STR("{{ bos_token }}{{ eos_token is defined }}{{ tools }}{{ mood }}"
                                               "{{ messages[0].content }}{{ add_generation_prompt }}"),
                                           &tmpl, &err),
                     0);
    assert_int_equal(chat_template_render(tmpl, &input, &out, &err), 0);
    assert_string_equal(out.ptr, "<s>FalseNonexhiTrue");
    chat_template_free(tmpl);
    strbuf_deinit(&out);
    arena_deinit(&arena);
}

static void test_chat_template_continued_message_is_cut_after_its_content(void **state)
{
    static const struct {
        const char *source, *content, *expected;
    } cases[] = {
        { "{% for m in messages %}[{{ m.content }}]<end>{% endfor %}", "\"so far \"", "[so far " },
        { "{% for m in messages %}[{{ m.content | trim }}]<end>{% endfor %}", "\"so far \"", "[so far" },
        { "{% for m in messages %}[{{ m.content[0].text }}]<end>{% endfor %}",
          "[{\"type\": \"text\", \"text\": \"ab\"}]", "[ab" },
        { "{% for m in messages %}nothing{% endfor %}", "\"so far\"", NULL },
        { "{{ messages[0].content }}", "null", NULL },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct chat_template_input input = { .continue_final_message = true };
        struct chat_template *tmpl;
        struct strbuf out;
        struct arena arena;
        struct err err;
        arena_init(&arena, 0);
        strbuf_init(&out, 0);
        struct str text = arena_printf(&arena, "[{\"role\": \"assistant\", \"content\": %s}]", cases[i].content);
        assert_int_equal(json_parse(&arena, text, &input.messages, &err), 0);
        assert_int_equal(chat_template_compile(str_from(cases[i].source), &tmpl, &err), 0);
        int rc = chat_template_render(tmpl, &input, &out, &err);
        assert_int_equal(rc, cases[i].expected ? 0 : -EINVAL);
        if (cases[i].expected) {
            assert_string_equal(out.ptr, cases[i].expected);
        } else {
            assert_string_equal(err.param, "continue_final_message");
        }
        chat_template_free(tmpl);
        strbuf_deinit(&out);
        arena_deinit(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chat_template_recorded_cases_match_python),
        cmocka_unit_test(test_chat_template_errors_carry_line_and_column),
        cmocka_unit_test(test_chat_template_hostile_sources_hit_a_bound),
        cmocka_unit_test(test_chat_template_deep_nesting_is_refused_at_compile),
        cmocka_unit_test(test_chat_template_failure_leaves_output_as_it_was),
        cmocka_unit_test(test_chat_template_request_variables_reach_the_template),
        cmocka_unit_test(test_chat_template_continued_message_is_cut_after_its_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
