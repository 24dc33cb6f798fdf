// Work on text: what tokenize, detokenize and apply-template answer, what they refuse, and that they are bounded.
// Results of apply-template are compared with those that transformers gave (tests/oracle/gen_generation_indices.py).
#include "engine/serve/text_task.h"

#include "engine/model/file.h"
#include "tests/byte_tokenizer.h"
#include "tests/unit.h"
#include <errno.h>
#include <string.h>

static struct chat_format format;
static struct text_task_env env;

static int setup(void **state)
{
    struct err err;
    (void)state;
    format.bos_token = str_dup(STR("<s>"));
    sampling_params_default(&format.sampling);
    env = (struct text_task_env){ byte_tokenizer_new(), &format, "m", 100 };
    return chat_template_compile(STR("{{ bos_token }}{% for m in messages %}{{ m.role }}:{{ m.content }}\n{% endfor %}"
                                     "{% if add_generation_prompt %}>{% endif %}"),
                                 &format.tmpl, &err);
}

static int teardown(void **state)
{
    (void)state;
    tokenizer_free((struct tokenizer *)(uintptr_t)env.tok);
    chat_format_deinit(&format);
    return 0;
}

static void expect(enum tokfs_text_kind kind, const char *body, const char *want)
{
    struct err err = { 0 };
    struct strbuf out;
    strbuf_init(&out, 0);
    int rc = text_task_run(&env, kind, str_from(body), &out, &err);
    if (rc < 0) {
        fail_msg("%s: %s", body, err.msg);
    }
    assert_string_equal(out.ptr, want);
    strbuf_deinit(&out);
}

static void expect_refusal(enum tokfs_text_kind kind, const char *body, int code, const char *param, const char *words)
{
    struct err err = { 0 };
    struct strbuf out;
    strbuf_init(&out, 0);
    assert_int_equal(text_task_run(&env, kind, str_from(body), &out, &err), code);
    assert_int_equal(err.code, code);
    assert_string_equal(err.param, param);
    if (!strstr(err.msg, words)) {
        fail_msg("%s: \"%s\" does not say \"%s\"", body, err.msg, words);
    }
    strbuf_deinit(&out);
}

static void test_text_task_tokenize_takes_the_fields_of_both_servers(void **state)
{
    (void)state;
    const enum tokfs_text_kind kind = TOKFS_TEXT_TOKENIZE;
    expect(kind, "{\"prompt\":\"ab\"}",
           "{\"count\":3,\"max_model_len\":100,\"tokens\":[256,97,98],\"token_strs\":null}");
    expect(kind, "{\"model\":\"m\",\"prompt\":\"a </s>\",\"add_special_tokens\":false,\"return_token_strs\":true}",
           "{\"count\":3,\"max_model_len\":100,\"tokens\":[97,32,257],\"token_strs\":[\"a\",\"\xc4\xa0\",\"</s>\"]}");
    expect(kind, "{\"content\":\"ab\"}", "{\"count\":2,\"max_model_len\":100,\"tokens\":[97,98],\"token_strs\":null}");
    expect(kind, "{\"content\":\"a\",\"add_special\":true}",
           "{\"count\":2,\"max_model_len\":100,\"tokens\":[256,97],\"token_strs\":null}");
    expect(kind, "{\"content\":\"<s>\",\"parse_special\":false}",
           "{\"count\":3,\"max_model_len\":100,\"tokens\":[60,115,62],\"token_strs\":null}");
    expect(kind, "{\"content\":\"a\xc3\xa9<s>\",\"with_pieces\":true}",
           "{\"count\":4,\"max_model_len\":100,\"tokens\":[{\"id\":97,\"piece\":\"a\"},{\"id\":195,\"piece\":[195]},"
           "{\"id\":169,\"piece\":[169]},{\"id\":256,\"piece\":\"<s>\"}],\"token_strs\":null}");
    expect(kind, "{\"prompt\":\"\",\"add_special_tokens\":false}",
           "{\"count\":0,\"max_model_len\":100,\"tokens\":[],\"token_strs\":null}");
}

static void test_text_task_tokenize_renders_messages_as_the_template_says(void **state)
{
    (void)state;
    const enum tokfs_text_kind kind = TOKFS_TEXT_TOKENIZE;
    expect(kind, "{\"messages\":[{\"role\":\"u\",\"content\":\"x\"}]}",
           "{\"count\":6,\"max_model_len\":100,\"tokens\":[256,117,58,120,10,62],\"token_strs\":null}");
    expect(kind, "{\"messages\":[{\"role\":\"u\",\"content\":\"x\"}],\"continue_final_message\":true}",
           "{\"count\":4,\"max_model_len\":100,\"tokens\":[256,117,58,120],\"token_strs\":null}");
    expect(kind,
           "{\"messages\":[],\"chat_template\":\"{{ a }}{{ tools | length }}\",\"chat_template_kwargs\":{\"a\":\"z\"},"
           "\"tools\":[{}],\"add_special_tokens\":true}",
           "{\"count\":3,\"max_model_len\":100,\"tokens\":[256,122,49],\"token_strs\":null}");
    expect(kind, "{\"messages\":[{\"role\":\"u\",\"content\":\"x\"}],\"chat_template\":\"\"}",
           "{\"count\":0,\"max_model_len\":100,\"tokens\":[],\"token_strs\":null}");
}

static void test_text_task_detokenize_gives_the_text_under_both_names(void **state)
{
    (void)state;
    expect(TOKFS_TEXT_DETOKENIZE, "{\"tokens\":[256,195,169,34]}",
           "{\"prompt\":\"<s>\xc3\xa9\\\"\",\"content\":\"<s>\xc3\xa9\\\"\"}");
    expect(TOKFS_TEXT_DETOKENIZE, "{\"model\":\"m\",\"tokens\":[]}", "{\"prompt\":\"\",\"content\":\"\"}");
}

static void test_text_task_chat_form_of_apply_template_gives_the_prompt(void **state)
{
    (void)state;
    expect(TOKFS_TEXT_APPLY_TEMPLATE,
           "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"x\"}]}],\"temperature\":0}",
           "{\"prompt\":\"<s>user:x\\n>\"}");
    expect_refusal(TOKFS_TEXT_APPLY_TEMPLATE, "{\"messages\":[]}", -EINVAL, "messages", "empty array");
}

static void test_text_task_refusals_name_the_field(void **state)
{
    static const struct {
        enum tokfs_text_kind kind;
        const char *body;
        int code;
        const char *param, *words;
    } cases[] = {
        { TOKFS_TEXT_TOKENIZE, "{}", -EINVAL, "prompt", "Missing" },
        { TOKFS_TEXT_TOKENIZE, "[]", -EINVAL, "", "JSON object" },
        { TOKFS_TEXT_TOKENIZE, "{\"prompt\":\"\xff\"}", -EINVAL, "", "UTF-8" },
        { TOKFS_TEXT_TOKENIZE, "{\"prompt\":1}", -EINVAL, "prompt", "expected a string" },
        { TOKFS_TEXT_TOKENIZE, "{\"prompt\":\"a\",\"content\":\"a\"}", -EINVAL, "prompt", "exclude" },
        { TOKFS_TEXT_TOKENIZE, "{\"prompt\":\"a\",\"model\":\"other\"}", -ENOENT, "model", "not served" },
        { TOKFS_TEXT_TOKENIZE, "{\"prompt\":\"a\",\"model\":\"\"}", -ENOENT, "model", "model '' is not served" },
        { TOKFS_TEXT_TOKENIZE, "{\"prompt\":\"a\",\"nonsense\":1}", -EINVAL, "nonsense", "Unrecognized" },
        { TOKFS_TEXT_TOKENIZE, "{\"messages\":[1]}", -EINVAL, "messages[0]", "expected an object" },
        { TOKFS_TEXT_TOKENIZE, "{\"messages\":[],\"chat_template\":\"{% if\"}", -EINVAL, "chat_template", "line 1" },
        { TOKFS_TEXT_TOKENIZE, "{\"messages\":[],\"mm_processor_kwargs\":{\"a\":1}}", -EOPNOTSUPP,
          "mm_processor_kwargs", "not supported" },
        { TOKFS_TEXT_DETOKENIZE, "{}", -EINVAL, "tokens", "Missing" },
        { TOKFS_TEXT_DETOKENIZE, "{\"tokens\":[97,-1]}", -EINVAL, "tokens[1]", "not a token id" },
        { TOKFS_TEXT_DETOKENIZE, "{\"tokens\":[\"a\"]}", -EINVAL, "tokens[0]", "expected an integer" },
        { TOKFS_TEXT_DETOKENIZE, "{\"tokens\":[97,258]}", -EINVAL, "tokens[1]", "no token 258" },
        { TOKFS_TEXT_APPLY_TEMPLATE, "{}", -EINVAL, "conversations", "Missing" },
        { TOKFS_TEXT_APPLY_TEMPLATE, "{\"conversations\":[{}]}", -EINVAL, "conversations[0]", "expected an array" },
        { TOKFS_TEXT_APPLY_TEMPLATE, "{\"conversations\":[[1]]}", -EINVAL, "conversations[0][0]", "an object" },
        { TOKFS_TEXT_APPLY_TEMPLATE, "{\"conversations\":[],\"model\":\"x\"}", -ENOENT, "model", "not served" },
        { TOKFS_TEXT_APPLY_TEMPLATE, "{\"conversations\":[[]],\"chat_template\":\"{{ raise_exception('no') }}\"}",
          -EINVAL, "", "conversations[0]: line 1" },
        { TOKFS_TEXT_APPLY_TEMPLATE,
          "{\"conversations\":[],\"continue_final_message\":true,\"add_generation_prompt\":true}", -EINVAL,
          "continue_final_message", "excludes" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_refusal(cases[i].kind, cases[i].body, cases[i].code, cases[i].param, cases[i].words);
    }
}

// The bound on a template's steps is one for all conversations: many cheap ones do not add up to a stall.
static void test_text_task_conversations_share_one_bound(void **state)
{
    struct err err = { 0 };
    struct strbuf body, out;
    (void)state;
    strbuf_init(&body, 0);
    strbuf_init(&out, 0);
    strbuf_append(&body, STR("{\"chat_template\":\"{% for i in range(1000) %}{{ i * 2 }}{% endfor %}\","
                             "\"conversations\":[[]"));
    for (int i = 0; i < 100000; i++) {
        strbuf_append(&body, STR(",[]"));
    }
    strbuf_append(&body, STR("]}"));
    assert_int_equal(text_task_run(&env, TOKFS_TEXT_APPLY_TEMPLATE, strbuf_str(&body), &out, &err), -E2BIG);
    assert_non_null(strstr(err.msg, "too many steps"));
    strbuf_deinit(&body);
    strbuf_deinit(&out);
}

static void test_text_task_result_over_its_limit_is_refused(void **state)
{
    struct err err = { 0 };
    struct strbuf out;
    (void)state;
    strbuf_init(&out, 64);
    struct str body = STR("{\"prompt\":\"more than sixty-four bytes of numbers come of this\"}");
    assert_int_equal(text_task_run(&env, TOKFS_TEXT_TOKENIZE, body, &out, &err), -E2BIG);
    strbuf_deinit(&out);
}

static void test_text_task_apply_template_is_what_transformers_gives(void **state)
{
    struct arena arena;
    struct strbuf file, request, want, out;
    struct err err = { 0 };
    const struct json *cases;
    (void)state;
    arena_init(&arena, 0);
    strbuf_init(&file, 0);
    strbuf_init(&request, 0);
    strbuf_init(&want, 0);
    strbuf_init(&out, 0);
    assert_int_equal(
        file_read(test_source_root(), "tests/fixtures/chat_templates/generation.json", 1 << 20, &file, &err), 0);
    assert_int_equal(json_parse(&arena, strbuf_str(&file), &cases, &err), 0);
    assert_true(cases->n_children > 30);
    const struct json *c = json_first(cases);
    for (size_t i = 0; i < cases->n_children; i++, c = json_next(c)) {
        struct json_writer w;
        strbuf_reset(&request);
        strbuf_reset(&want);
        strbuf_reset(&out);
        json_writer_init(&w, &request);
        json_write_value(&w, json_get(c, STR("request")));
        json_writer_init(&w, &want);
        json_write_value(&w, json_get(c, STR("result")));
        if (text_task_run(&env, TOKFS_TEXT_APPLY_TEMPLATE, strbuf_str(&request), &out, &err) < 0) {
            fail_msg("case %zu: %s", i, err.msg);
        }
        assert_string_equal(out.ptr, want.ptr);
    }
    strbuf_deinit(&file);
    strbuf_deinit(&request);
    strbuf_deinit(&want);
    strbuf_deinit(&out);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_task_tokenize_takes_the_fields_of_both_servers),
        cmocka_unit_test(test_text_task_tokenize_renders_messages_as_the_template_says),
        cmocka_unit_test(test_text_task_detokenize_gives_the_text_under_both_names),
        cmocka_unit_test(test_text_task_chat_form_of_apply_template_gives_the_prompt),
        cmocka_unit_test(test_text_task_refusals_name_the_field),
        cmocka_unit_test(test_text_task_conversations_share_one_bound),
        cmocka_unit_test(test_text_task_result_over_its_limit_is_refused),
        cmocka_unit_test(test_text_task_apply_template_is_what_transformers_gives),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
