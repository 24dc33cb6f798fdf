// Published chat templates as the oracle of the answer formats: a template shows an assistant's message with two tool
// calls; what it shows, read as an answer, is those two calls again.
#include "engine/text/answer_parser.h"
#include "engine/text/chat_form.h"
#include "tests/text/template_cases.h"
#include "tests/unit.h"
#include <string.h>

static const char tools_json[] = "[{\"type\":\"function\",\"function\":{\"name\":\"get_w\",\"description\":\"d\","
                                 "\"parameters\":{\"type\":\"object\","
                                 "\"properties\":{\"city\":{\"type\":\"string\"},\"n\":{\"type\":\"integer\"}}}}}]";

#define CALL(id, arguments)                                                                                            \
    "{\"id\":\"abcdefgh" id "\",\"type\":\"function\",\"function\":{\"name\":\"get_w\",\"arguments\":" arguments "}}"
#define MESSAGES(calls)                                                                                                \
    "[{\"role\":\"user\",\"content\":\"QUESTION\"},{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[" calls    \
    "]}]"

// As clients send them, two calls at a time or one.
static const char *const chats[] = {
    MESSAGES(CALL("0", "{\"city\":\"Par\\\"is\",\"n\":0}") "," CALL("1", "{\"city\":\"Rome\",\"n\":1}")),
    MESSAGES(CALL("0", "{\"city\":\"Par\\\"is\",\"n\":0}")),
};

// Renders the chat; false when the template refuses it or shows no call. *ret is what follows the question.
static bool render(struct arena *arena, struct str source, const char *messages, const struct json *tools,
                   struct strbuf *out, struct str *ret)
{
    struct chat_template *tmpl;
    struct chat_template_input input = { .tools = tools, .bos_token = STR("<s>"), .eos_token = STR("</s>") };
    struct err err = { 0 };
    strbuf_reset(out);
    assert_int_equal(json_parse(arena, str_from(messages), &input.messages, NULL), 0);
    if (chat_template_compile(source, &tmpl, &err) < 0) {
        return false;
    }
    assert_int_equal(chat_form_apply(chat_form_probe(tmpl), arena, input.messages, &input.messages, &err), 0);
    int r = chat_template_render(tmpl, &input, out, &err);
    chat_template_free(tmpl);
    ptrdiff_t at = r == 0 ? str_find(strbuf_str(out), STR("QUESTION")) : -1;
    if (at < 0) {
        return false;
    }
    *ret = str_skip(strbuf_str(out), (size_t)at + strlen("QUESTION"));
    return str_find(*ret, STR("get_w")) >= 0;
}

// mistral-common's templates escape the quotes of a call as HTML does; the models do not.
static struct str without_html(struct arena *arena, struct str shown)
{
    struct str quote = STR("&#34;");
    char *text = arena_alloc(arena, shown.len + 1);
    size_t len = 0;
    assert_non_null(text);
    while (shown.len > 0) {
        bool is_quote = str_starts_with(shown, quote);
        text[len++] = is_quote ? '"' : shown.ptr[0];
        shown = str_skip(shown, is_quote ? quote.len : 1);
    }
    return (struct str){ text, len };
}

// Some formats begin where the prompt ends, which is not seen in a rendering: from where an answer would begin.
static struct str answer_of(const struct call_syntax *calls, struct str shown)
{
    bool has_headers = calls->body == CALL_CHANNELS || calls->header_end.len > 0;
    struct str begin = calls->begins_there                              ? calls->begin
                       : has_headers                                    ? STR(" to=")
                       : calls->is_bare && calls->body == CALL_LITERALS ? STR("[")
                       : calls->is_bare                                 ? STR("{")
                                                                        : STR("");
    ptrdiff_t at = str_find(shown, begin);
    assert_true(at >= 0);
    return str_skip(shown, (size_t)at + (calls->begins_there ? begin.len : 0));
}

static void check_arguments(const struct strbuf *arguments, unsigned idx)
{
    static const char *const cities[] = { "Par\"is", "Rome" };
    struct arena arena;
    const struct json *object;
    int64_t n = -1;
    arena_init(&arena, 0);
    assert_int_equal(json_parse(&arena, strbuf_str(arguments), &object, NULL), 0);
    assert_int_equal(object->n_children, 2);
    assert_true(str_eq(json_get(object, STR("city"))->text, str_from(cities[idx])));
    assert_int_equal(json_get_i64(json_get(object, STR("n")), &n), 0);
    assert_int_equal(n, idx);
    arena_deinit(&arena);
}

// How many calls the parser reads; their names and arguments are those of the chat.
static unsigned read_calls(struct answer_parser *parser, const struct answer_request *request, struct str answer)
{
    struct answer_parts parts;
    struct answer_part part;
    struct strbuf arguments[2];
    unsigned n = 0;
    answer_parts_init(&parts);
    strbuf_init(&arguments[0], 0);
    strbuf_init(&arguments[1], 0);
    answer_parser_begin(parser, request, &parts);
    assert_int_equal(answer_parser_feed(parser, answer), 0);
    assert_int_equal(answer_parser_finish(parser), 0);
    for (; answer_parts_first(&parts, &part); answer_parts_take(&parts, part.text.len)) {
        if (part.kind == ANSWER_CALL) {
            assert_true(str_eq(part.text, STR("get_w")) && part.call_idx == n++ && n <= 2);
        } else if (part.kind == ANSWER_ARGUMENTS) {
            strbuf_append(&arguments[part.call_idx], part.text);
        }
    }
    for (unsigned i = 0; i < n; i++) {
        check_arguments(&arguments[i], i);
    }
    strbuf_deinit(&arguments[0]);
    strbuf_deinit(&arguments[1]);
    answer_parts_deinit(&parts);
    return n;
}

// True: the template shows calls.
static bool check_template(struct arena *arena, struct str name, struct str source)
{
    struct answer_request request = { .format = answer_format_detect(source), .n_calls_max = ANSWER_CALLS_MAX };
    struct answer_parser parser;
    struct strbuf out;
    struct str shown;
    bool shows_calls = false;
    strbuf_init(&out, 0);
    assert_int_equal(answer_parser_init(&parser, 0), 0);
    assert_int_equal(json_parse(arena, str_from(tools_json), &request.tools, NULL), 0);
    for (size_t i = 0; i < sizeof(chats) / sizeof(chats[0]) && !shows_calls; i++) {
        if (render(arena, source, chats[i], request.tools, &out, &shown)) {
            shows_calls = true;
            bool is_read = request.format.calls != NULL;
            unsigned n =
                is_read ? read_calls(&parser, &request, answer_of(request.format.calls, without_html(arena, shown)))
                        : 0;
            unsigned n_shown = str_find(shown, STR("Rome")) >= 0 ? 2 : 1; // gpt-oss shows the first alone
            if (n != n_shown) {
                fail_msg("%.*s: %u calls of\n%.*s", STR_ARG(name), n, STR_ARG(shown));
            }
        }
    }
    answer_parser_deinit(&parser);
    strbuf_deinit(&out);
    return shows_calls;
}

static void test_answers_are_read_as_templates_show_them(void **state)
{
    struct template_cases cases;
    unsigned n = 0;
    (void)state;
    template_cases_open(&cases, getenv("TOKFS_TEST_DATA"), "templates/templates.json");
    const struct json *item = json_first(cases.root);
    for (size_t i = 0; i < cases.root->n_children; i++, item = json_next(item)) {
        n += check_template(&cases.arena, json_get(item, STR("name"))->text, json_get(item, STR("template"))->text);
    }
    printf("%u templates of %u show calls\n", n, cases.root->n_children);
    assert_true(n > 30);
    template_cases_close(&cases);
}

int main(void)
{
    test_data_dir_or_skip();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_are_read_as_templates_show_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
