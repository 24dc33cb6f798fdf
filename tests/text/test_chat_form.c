// The form in which a template takes the calls of earlier turns: found by trying, applied to messages.
#include "engine/text/chat_form.h"
#include "engine/text/chat_request.h"
#include "tests/unit.h"

#define SHOW(condition, arguments)                                                                                     \
    "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% elif " condition " %}"                          \
    "{{ '<' + m.tool_calls[0].function.name + ' ' + " arguments " + '>' }}{% endif %}{% endfor %}"
#define ARGUMENTS "m.tool_calls[0].function.arguments"

// A request as clients send it, shown by the template in the form that it wants.
static const struct {
    const char *source;
    bool text_arguments, null_content;
    const char *shown;
} cases[] = {
    { SHOW("m.tool_calls", ARGUMENTS " | tojson"), false, false, "hi<f {\"b\": 1, \"a\": [2]}>" },
    { SHOW("m.tool_calls", ARGUMENTS), true, false, "hi<f {\"b\":1,  \"a\":[2]}>" },
    { SHOW("m.content is none", ARGUMENTS " | tojson"), false, true, "hi<f {\"b\": 1, \"a\": [2]}>" },
    { SHOW("m.content is none", ARGUMENTS), true, true, "hi<f {\"b\":1,  \"a\":[2]}>" },
    { "{{ messages[0].content }}", false, false, "hi" },
};

static const char body[] =
    "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{"
    "\"id\":\"1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"b\\\":1,  "
    "\\\"a\\\":[2]}\"}}]}]}";

static void test_chat_form_is_what_the_template_wants(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct chat_template_input input = { 0 };
        struct chat_request request;
        struct chat_template *tmpl;
        struct arena arena;
        struct strbuf out;
        struct err err;
        arena_init(&arena, 0);
        strbuf_init(&out, 0);
        assert_int_equal(chat_template_compile(str_from(cases[i].source), &tmpl, &err), 0);
        struct chat_form form = chat_form_probe(tmpl);
        assert_int_equal(form.text_arguments, cases[i].text_arguments);
        assert_int_equal(form.null_content, cases[i].null_content);
        assert_int_equal(chat_request_parse(&arena, str_from(body), NULL, &request, &err), 0);
        assert_int_equal(chat_form_apply(form, &arena, request.messages, &input.messages, &err), 0);
        assert_int_equal(chat_template_render(tmpl, &input, &out, &err), 0);
        assert_string_equal(out.ptr, cases[i].shown);
        chat_template_free(tmpl);
        strbuf_deinit(&out);
        arena_deinit(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chat_form_is_what_the_template_wants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
