// Published chat templates against Python's jinja2: all renderings of the reference data, its unit cases, its white
// space options.
#include "engine/text/chat_template.h"
#include "engine/text/jinja/jinja.h"
#include "tests/text/template_cases.h"
#include "tests/unit.h"
#include <string.h>

static const char *data_dir;

static void test_template_goldens_all_match(void **state)
{
    struct template_cases templates, contexts, goldens;
    unsigned n = 0, n_failed = 0;
    (void)state;
    template_cases_open(&templates, data_dir, "templates/templates.json");
    template_cases_open(&contexts, data_dir, "templates/contexts.json");
    template_cases_open(&goldens, data_dir, "templates/goldens.json");
    const struct json *t = json_first(templates.root);
    for (size_t i = 0; i < templates.root->n_children; i++, t = json_next(t)) {
        const struct json *name = json_get(t, STR("name"));
        const struct json *by_context = json_get(json_get(goldens.root, STR("goldens")), name->text);
        const struct json *key = json_first(by_context);
        for (size_t k = 0; k < by_context->n_children; k++) {
            const struct json *expected = json_next(key);
            const struct json *context = json_get(json_get(contexts.root, STR("contexts")), key->text);
            bool passes = template_case_passes(&goldens, expected, json_get(t, STR("template")), context);
            if (!passes) {
                fprintf(stderr, "  in %.*s, %.*s\n", STR_ARG(name->text), STR_ARG(key->text));
            }
            n++;
            n_failed += !passes;
            key = json_next(expected);
        }
    }
    print_message("%u of %u renderings match\n", n - n_failed, n);
    assert_true(n > 1000);
    assert_int_equal(n_failed, 0);
    template_cases_close(&templates);
    template_cases_close(&contexts);
    template_cases_close(&goldens);
}

// Cases for which the origin of this list and Python's jinja2 differ are held to Python: it refuses list.append and
// list.pop.
static void test_template_unit_cases_all_match(void **state)
{
    struct template_cases cases;
    unsigned n_failed = 0;
    (void)state;
    template_cases_open(&cases, data_dir, "templates/jinja_unit_cases.json");
    const struct json *list = json_get(cases.root, STR("cases")), *c = json_first(list);
    for (size_t i = 0; i < list->n_children; i++, c = json_next(c)) {
        bool agrees = json_get(c, STR("jinja2_3.1.6_agrees"))->boolean;
        struct str expected = json_get(c, STR("expected"))->text;
        struct chat_template *tmpl = NULL;
        struct strbuf out;
        struct err err = { 0 };
        strbuf_init(&out, 0);
        int rc = chat_template_compile(json_get(c, STR("template"))->text, &tmpl, &err);
        if (rc == 0) {
            rc = chat_template_render_context(tmpl, json_get(c, STR("context")), 0, &out, &err);
        }
        if (agrees ? rc < 0 || !str_eq(strbuf_str(&out), expected) : rc == 0) {
            fprintf(stderr, "%.*s: got %.*s%s\n", STR_ARG(json_get(c, STR("template"))->text),
                    STR_ARG(strbuf_str(&out)), err.msg);
            n_failed++;
        }
        chat_template_free(tmpl);
        strbuf_deinit(&out);
    }
    assert_true(list->n_children > 200);
    assert_int_equal(n_failed, 0);
    template_cases_close(&cases);
}

static bool option(const struct json *options, struct str name)
{
    const struct json *value = json_get(options, name);
    return value && value->boolean;
}

static void test_template_whitespace_options_match(void **state)
{
    struct template_cases cases;
    (void)state;
    template_cases_open(&cases, data_dir, "templates/whitespace_options.json");
    const struct json *list = json_get(cases.root, STR("cases")), *c = json_first(list);
    for (size_t i = 0; i < list->n_children; i++, c = json_next(c)) {
        const struct json *options = json_get(c, STR("options")), *seq = json_get(json_get(c, STR("data")), STR("seq"));
        struct jinja_options jinja = { option(options, STR("trim_blocks")), option(options, STR("lstrip_blocks")) };
        struct jinja_var var = { .name = STR("seq"), .kind = seq ? JINJA_JSON : JINJA_NONE, .json = seq };
        struct jinja_template *tmpl;
        struct strbuf out;
        struct err err;
        strbuf_init(&out, 0);
        assert_int_equal(jinja_compile(json_get(c, STR("template"))->text, &jinja, &tmpl, &err), 0);
        assert_int_equal(jinja_render(tmpl, &(struct jinja_input){ &var, 1, 0 }, &out, &err), 0);
        assert_int_equal(out.len, json_get(c, STR("target"))->text.len);
        assert_memory_equal(out.ptr, json_get(c, STR("target"))->text.ptr, out.len);
        jinja_free(tmpl);
        strbuf_deinit(&out);
    }
    assert_true(list->n_children > 10);
    template_cases_close(&cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_template_goldens_all_match),
        cmocka_unit_test(test_template_unit_cases_all_match),
        cmocka_unit_test(test_template_whitespace_options_match),
    };
    data_dir = test_data_dir_or_skip();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
