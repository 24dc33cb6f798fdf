// Where a model's chat template and special tokens come from, and what is said of files that do not make sense.
#include "engine/serve/chat_format.h"

#include "tests/unit.h"
#include <errno.h>
#include <string.h>

static char dir[] = "/tmp/tokfs-format-XXXXXX";

static void write_file(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    if (!text) {
        unlink(path);
        return;
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int load(const char *config, const char *jinja, struct chat_format *ret, struct err *err)
{
    write_file("tokenizer_config.json", config);
    write_file("chat_template.jinja", jinja);
    return chat_format_load(dir, ret, err);
}

static void expect_rendering(const struct chat_format *format, const char *body, const char *want)
{
    struct arena arena;
    struct chat_request request;
    struct strbuf out;
    struct err err;
    arena_init(&arena, 0);
    strbuf_init(&out, 0);
    assert_int_equal(chat_request_parse(&arena, str_from(body), NULL, &request, &err), 0);
    assert_int_equal(chat_format_render(format, &request, &out, &err), 0);
    assert_string_equal(out.ptr, want);
    strbuf_deinit(&out);
    arena_deinit(&arena);
}

// The rendering of one user message "hi", with a tool when asked for.
static void expect_text(const struct chat_format *format, bool has_tools, const char *want)
{
    expect_rendering(format,
                     has_tools
                         ? "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"tools\":[{\"type\":\"function\","
                           "\"function\":{\"name\":\"f\",\"parameters\":{}}}]}"
                         : "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
                     want);
}

#define ROLES "{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}"
#define TWO   "\"messages\":[{\"role\":\"developer\",\"content\":\"be terse\"},{\"role\":\"user\",\"content\":\"hi\"}]"

static void test_chat_format_developer_is_system_where_it_is_not_known(void **state)
{
    (void)state;
    struct chat_format format;
    struct err err;
    assert_int_equal(load(NULL, ROLES, &format, &err), 0);
    expect_rendering(&format, "{" TWO "}", "system:be terse;user:hi;");
    expect_rendering(&format, "{" TWO ",\"continue_final_message\":true}", "system:be terse;user:hi");
    expect_rendering(&format, "{" TWO ",\"chat_template\":\"{# developer #}" ROLES "\"}",
                     "developer:be terse;user:hi;");
    expect_rendering(&format, "{" TWO ",\"chat_template\":\"\"}", ""); // an empty template is one, as in transformers
    chat_format_deinit(&format);
    assert_int_equal(load(NULL, "{% if messages[0].role == 'developer' %}D{% endif %}", &format, &err), 0);
    expect_rendering(&format, "{" TWO "}", "D");
    chat_format_deinit(&format);
}

static void test_chat_format_an_exception_names_the_messages(void **state)
{
    (void)state;
    struct chat_format format;
    struct chat_request request;
    struct arena arena;
    struct strbuf out;
    struct err err = { 0 };
    arena_init(&arena, 0);
    strbuf_init(&out, 0);
    assert_int_equal(load(NULL, "{{ raise_exception('no system here') }}", &format, &err), 0);
    assert_int_equal(chat_request_parse(&arena, STR("{" TWO "}"), NULL, &request, &err), 0);
    assert_int_equal(chat_format_render(&format, &request, &out, &err), -EINVAL);
    assert_string_equal(err.param, "messages");
    assert_non_null(strstr(err.msg, "chat template"));
    assert_non_null(strstr(err.msg, "no system here"));
    chat_format_deinit(&format);
    strbuf_deinit(&out);
    arena_deinit(&arena);
}

static void test_chat_format_requests_bring_variables(void **state)
{
    (void)state;
    struct chat_format format;
    struct err err;
    assert_int_equal(load(NULL, "{{ reasoning_effort }}/{{ x }}", &format, &err), 0);
    expect_rendering(&format, "{" TWO "}", "/");
    expect_rendering(&format, "{" TWO ",\"reasoning_effort\":\"low\"}", "low/");
    expect_rendering(&format, "{" TWO ",\"reasoning_effort\":\"low\",\"chat_template_kwargs\":{\"x\":[1]}}", "low/[1]");
    expect_rendering(&format, "{" TWO ",\"reasoning_effort\":\"low\",\"chat_template_kwargs\":{}}", "low/");
    expect_rendering(&format,
                     "{" TWO ",\"chat_template_kwargs\":{\"reasoning_effort\":\"own\"},\"reasoning_effort\":\"low\"}",
                     "own/");
    chat_format_deinit(&format);
}

static void test_chat_format_template_and_tokens_come_from_the_config(void **state)
{
    (void)state;
    struct chat_format format;
    struct err err;
    assert_int_equal(
        load("{\"bos_token\":\"<s>\",\"eos_token\":{\"content\":\"</s>\",\"lstrip\":false},\"pad_token\":null,"
             "\"chat_template\":\"{{ bos_token }}{{ messages[0].content }}{{ eos_token }}{{ pad_token }}\"}",
             NULL, &format, &err),
        0);
    assert_string_equal(format.eos_token, "</s>");
    assert_null(format.pad_token);
    expect_text(&format, false, "<s>hi</s>");
    chat_format_deinit(&format);
}

static void test_chat_format_jinja_file_comes_first(void **state)
{
    (void)state;
    struct chat_format format;
    struct err err;
    assert_int_equal(load("{\"eos_token\":\"E\",\"chat_template\":\"config\"}", "file {{ eos_token }}", &format, &err),
                     0);
    expect_text(&format, false, "file E");
    chat_format_deinit(&format);
}

static void test_chat_format_named_templates_are_chosen_by_tools(void **state)
{
    (void)state;
    struct chat_format format;
    struct err err;
    assert_int_equal(
        load("{\"chat_template\":[{\"name\":\"default\",\"template\":\"plain\"},{\"name\":\"rag\",\"template\":"
             "\"{% never compiled\"},{\"name\":\"tool_use\",\"template\":\"with {{ tools[0].function.name }}\"}]}",
             NULL, &format, &err),
        0);
    expect_text(&format, false, "plain");
    expect_text(&format, true, "with f");
    chat_format_deinit(&format);
}

static void test_chat_format_no_template_is_told_at_the_request(void **state)
{
    (void)state;
    struct chat_format format;
    struct chat_request request = { 0 };
    struct strbuf out;
    struct err err;
    strbuf_init(&out, 0);
    assert_int_equal(load(NULL, NULL, &format, &err), 0);
    assert_int_equal(chat_format_render(&format, &request, &out, &err), -EOPNOTSUPP);
    assert_string_equal(err.param, "messages");
    chat_format_deinit(&format);
    strbuf_deinit(&out);
}

static void test_chat_format_sampling_defaults_are_the_models(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double temperature, top_p;
        int64_t top_k;
        double repetition_penalty;
    } cases[] = {
        { NULL, 1, 1, 0, 1 },
        { "{\"eos_token_id\":2,\"temperature\":null}", 1, 1, 0, 1 },
        { "{\"do_sample\":true,\"temperature\":0.6,\"top_p\":0.9,\"top_k\":20}", 0.6, 0.9, 20, 1 },
        { "{\"do_sample\":false,\"temperature\":0.6,\"repetition_penalty\":1.05}", 0, 1, 0, 1.05 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct chat_format format;
        struct err err;
        write_file("generation_config.json", cases[i].text);
        assert_int_equal(load(NULL, NULL, &format, &err), 0);
        assert_true(format.sampling.temperature == cases[i].temperature);
        assert_true(format.sampling.top_p == cases[i].top_p);
        assert_int_equal(format.sampling.top_k, cases[i].top_k);
        assert_true(format.sampling.repetition_penalty == cases[i].repetition_penalty);
        chat_format_deinit(&format);
    }
    struct chat_format format;
    struct err err = { 0 };
    write_file("generation_config.json", "{\"temperature\":-1}");
    assert_int_equal(load(NULL, NULL, &format, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "generation_config.json"));
    assert_non_null(strstr(err.msg, "temperature"));
    write_file("generation_config.json", NULL);
}

static void test_chat_format_bad_files_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *config, *jinja, *word;
    } cases[] = {
        { "{\"chat_template\":", NULL, "tokenizer_config.json" },
        { "[]", NULL, "array" },
        { "{\"chat_template\":5}", NULL, "chat_template is number" },
        { "{\"chat_template\":\"{% if %}\"}", NULL, "chat_template" },
        { "{\"chat_template\":[{\"name\":\"default\"}]}", NULL, "chat_template[0]" },
        { "{\"eos_token\":7}", NULL, "eos_token is number" },
        { "{}", "{% if %}", "chat_template.jinja" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct chat_format format;
        struct err err = { 0 };
        assert_true(load(cases[i].config, cases[i].jinja, &format, &err) < 0);
        assert_non_null(strstr(err.msg, cases[i].word));
        assert_non_null(strstr(err.msg, dir));
    }
}

int main(void)
{
    if (!mkdtemp(dir)) {
        perror("mkdtemp");
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chat_format_template_and_tokens_come_from_the_config),
        cmocka_unit_test(test_chat_format_jinja_file_comes_first),
        cmocka_unit_test(test_chat_format_named_templates_are_chosen_by_tools),
        cmocka_unit_test(test_chat_format_no_template_is_told_at_the_request),
        cmocka_unit_test(test_chat_format_developer_is_system_where_it_is_not_known),
        cmocka_unit_test(test_chat_format_requests_bring_variables),
        cmocka_unit_test(test_chat_format_an_exception_names_the_messages),
        cmocka_unit_test(test_chat_format_sampling_defaults_are_the_models),
        cmocka_unit_test(test_chat_format_bad_files_are_named),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    write_file("tokenizer_config.json", NULL);
    write_file("chat_template.jinja", NULL);
    rmdir(dir);
    return rc;
}
