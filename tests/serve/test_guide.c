// Answers that a request rules the form of: whatever a random model says, a completed answer has the form, a cut one is
// a beginning of it, and neither company, nor guesses, nor what is not sampled because it is forced changes it.
#include "engine/base/arena.h"
#include "engine/base/json.h"
#include "engine/serve/guide.h"
#include "tests/serve/engine_test.h"

#include <errno.h>
#include <regex.h>

static const char *model_dir;

#define HI "\"messages\":[{\"role\":\"user\",\"content\":\"Go\"}]"
#define PERSON                                                                                                         \
    "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"maxLength\":12},\"age\":{\"type\":"          \
    "\"integer\",\"minimum\":0,\"maximum\":150},\"tags\":{\"type\":\"array\",\"items\":{\"enum\":[\"new\",\"old\"]},"  \
    "\"maxItems\":3}},\"required\":[\"name\",\"age\",\"tags\"],\"additionalProperties\":false}"
#define PERSON_FORM                                                                                                    \
    "^[{][ \n\t]*\"name\":[ \n\t]*\".*\",[ \n\t]*\"age\":[ \n\t]*[0-9]{1,3},[ \n\t]*\"tags\":[ \n\t]*[[].*[]][ "       \
    "\n\t]*[}]$"

// What is asked for, and a POSIX pattern of what comes of it.
static const struct {
    const char *fields, *form;
    bool is_json;
} rules[] = {
    { "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"p\",\"strict\":true,\"schema\":" PERSON
      "}}",
      PERSON_FORM, true },
    { "\"structured_outputs\":{\"json\":" PERSON ",\"disable_any_whitespace\":true}",
      "^[{]\"name\":\".*\",\"age\":[0-9]{1,3},\"tags\":[[].*[]][}]$", true },
    { "\"guided_json\":" PERSON, PERSON_FORM, true },
    { "\"guided_json\":\"{\\\"const\\\":{\\\"a\\\":[1,true]}}\"", "^[{]\"a\":[[]1,true[]][}]$", true },
    { "\"json_schema\":{\"enum\":[\"yes\",\"no\",null]}", "^(\"yes\"|\"no\"|null)$", true },
    { "\"regex\":\"[a-f]{3}-\\\\d+x\"", "^[a-f]{3}-[0-9]+x$", false },
    { "\"guided_regex\":\"(foo|bar)*\"", "^(foo|bar)*$", false },
    { "\"structured_outputs\":{\"regex\":\"a{2,5}\"}", "^a{2,5}$", false },
    { "\"guided_choice\":[\"positive\",\"negative\",\"pos\"]", "^(positive|negative|pos)$", false },
    { "\"structured_outputs\":{\"choice\":[\"one\",\"two\"]},\"ignore_eos\":true", "^(one|two)$", false },
    { "\"regex\":\"(ab|c)+\",\"ignore_eos\":true", "^(ab|c)+$", false }, // an end token is not among them
    { "\"response_format\":{\"type\":\"json_object\"}", "^[{].*[}]$", true },
    { "\"guided_choice\":[\"positive\"],\"min_tokens\":40", "^positive$", false }, // there is no more to say
    { "\"regex\":\"[ab]{3}\",\"logprobs\":true,\"top_logprobs\":2", "^[ab]{3}$", false },
    { "\"regex\":\"(xyz)+\",\"presence_penalty\":1.5,\"repetition_penalty\":1.3,\"logit_bias\":{\"90\":-5}", "^(xyz)+$",
      false },
};
#define N_RULES (sizeof(rules) / sizeof(*rules))

static void submit(struct tokfs_engine *engine, const char *fields, const char *more, struct answer *a)
{
    char body[2048];
    struct tokfs_error error;
    int len = snprintf(body, sizeof(body), "{" HI ",%s%s}", fields, more);
    assert(len < (int)sizeof(body));
    assert_int_equal(tokfs_submit_chat(engine, body, (size_t)len, a, &a->completion, &error), 0);
}

static void submit_rule(struct tokfs_engine *engine, size_t rule, unsigned seed, struct answer *a)
{
    char more[128];
    snprintf(more, sizeof(more), ",\"seed\":%u,\"temperature\":%s,\"max_tokens\":300", seed,
             seed % 3 == 0 ? "0" : "1.5");
    submit(engine, rules[rule].fields, more, a);
}

static bool is_of_form(struct str text, const char *form)
{
    regex_t re;
    assert_int_equal(regcomp(&re, form, REG_EXTENDED | REG_NOSUB), 0);
    bool is_match = regexec(&re, text.ptr, 0, NULL, 0) == 0;
    regfree(&re);
    return is_match;
}

// A whole answer has the form, a cut one begins well.
static void check_answer(const struct answer *a, size_t rule)
{
    struct str text = { a->text, a->text_len };
    bool is_whole = strcmp(a->reason, "stop") == 0;
    assert_true(a->is_finished && (is_whole || strcmp(a->reason, "length") == 0));
    if (is_whole && !is_of_form(text, rules[rule].form)) {
        fail_msg("%s is not answered by: %s", rules[rule].fields, a->text);
    }
    if (rules[rule].is_json) {
        struct json_scan scan;
        struct err err = { 0 };
        json_scan_init(&scan);
        if (json_scan_feed(&scan, text, &err) < 0 || (is_whole && json_scan_end(&scan, &err) < 0)) {
            fail_msg("%s: %s", err.msg, a->text);
        }
    }
}

enum { N_SEEDS = 6 };

static void run_all(struct tokfs_engine_options options, bool is_one_by_one, struct answer *answers,
                    struct tokfs_engine_stats *ret_stats)
{
    struct tokfs_engine *engine = engine_test_open(options);
    for (size_t i = 0; i < N_RULES * N_SEEDS; i++) {
        submit_rule(engine, i / N_SEEDS, (unsigned)(i % N_SEEDS), &answers[i]);
        if (is_one_by_one) {
            engine_test_finish(engine, &answers[i], 1);
        }
    }
    if (!is_one_by_one) {
        engine_test_finish(engine, answers, N_RULES * N_SEEDS);
    }
    tokfs_engine_get_stats(engine, ret_stats);
    tokfs_engine_close(engine);
}

static void test_guide_answers_have_their_form_whatever_the_engine_does(void **state)
{
    (void)state;
    const struct {
        struct tokfs_engine_options options;
        bool is_one_by_one;
    } passes[] = {
        { { .no_speculation = true, .no_jump_forward = true, .no_prefix_cache = true }, true },
        { { .no_jump_forward = true }, true },
        { { .no_speculation = true }, true },
        { { .n_threads = 0 }, true },
        { { .max_sequences = 64 }, false },
        { { .max_sequences = 7, .batch_tokens = 9 }, false },                 // forced tokens find few rows
        { { .max_sequences = 64, .n_ctx = 512, .kv_bytes = 262144 }, false }, // and few pages
    };
    struct answer *first = answers_new(N_RULES * N_SEEDS);
    struct tokfs_engine_stats stats;
    for (size_t pass = 0; pass < sizeof(passes) / sizeof(*passes); pass++) {
        struct answer *answers = pass == 0 ? first : answers_new(N_RULES * N_SEEDS);
        struct tokfs_engine_options options = passes[pass].options;
        options.model = model_dir;
        options.n_ctx = 512;
        run_all(options, passes[pass].is_one_by_one, answers, &stats);
        assert_int_equal(stats.n_forced > 0, !options.no_jump_forward);
        for (size_t i = 0; i < N_RULES * N_SEEDS; i++) {
            check_answer(&answers[i], i / N_SEEDS);
            answers_equal(&answers[i], &first[i]);
        }
        printf("pass %zu: %llu tokens, %llu forced, %llu steps, %llu of %llu guesses right, %llu preempted\n", pass,
               (unsigned long long)stats.completion_tokens, (unsigned long long)stats.n_forced,
               (unsigned long long)stats.n_steps, (unsigned long long)stats.n_guessed_right,
               (unsigned long long)stats.n_guessed, (unsigned long long)stats.n_preempted);
        if (answers != first) {
            free(answers);
        }
    }
    size_t n_whole = 0;
    for (size_t i = 0; i < N_RULES * N_SEEDS; i++) {
        n_whole += strcmp(first[i].reason, "stop") == 0;
    }
    assert_true(n_whole > N_RULES * N_SEEDS * 3 / 4); // the control: most were not cut
    free(first);
}

static void test_guide_choices_go_their_own_ways(void **state)
{
    (void)state;
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){ .model = model_dir });
    struct answer *a = answers_new(1), *alone = answers_new(5);
    a->more = answers_new(4);
    submit(engine, rules[0].fields, ",\"n\":5,\"seed\":1,\"temperature\":1.5,\"max_tokens\":300", a);
    engine_test_finish(engine, a, 1);
    for (int i = 0; i < 5; i++) {
        char more[96];
        snprintf(more, sizeof(more), ",\"seed\":%d,\"temperature\":1.5,\"max_tokens\":300", i + 1);
        submit(engine, rules[0].fields, more, &alone[i]);
        engine_test_finish(engine, &alone[i], 1);
        const struct answer *choice = i == 0 ? a : &a->more[i - 1];
        check_answer(choice, 0);
        answers_equal(choice, &alone[i]);
    }
    tokfs_engine_close(engine);
    free(a->more);
    free(a);
    free(alone);
}

static void test_guide_plain_completions_are_ruled_too(void **state)
{
    (void)state;
    static const char body[] = "{\"prompt\":[\"a\",\"b\"],\"regex\":\"(ab|cd){2}\",\"temperature\":2}";
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){ .model = model_dir });
    struct answer *a = answers_new(1);
    struct tokfs_error error;
    a->more = answers_new(1);
    assert_int_equal(tokfs_submit_completion(engine, body, strlen(body), a, &a->completion, &error), 0);
    engine_test_finish(engine, a, 1);
    assert_true(is_of_form((struct str){ a->text, a->text_len }, "^(ab|cd){2}$"));
    assert_true(is_of_form((struct str){ a->more->text, a->more->text_len }, "^(ab|cd){2}$"));
    tokfs_engine_close(engine);
    free(a->more);
    free(a);
}

static void test_guide_stop_ids_end_only_where_the_text_may(void **state)
{
    (void)state;
    char fields[512] = "\"regex\":\"[a-z]{5}\",\"temperature\":2,\"stop_token_ids\":[";
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){ .model = model_dir });
    for (int id = 0; id < 100; id++) {
        sprintf(fields + strlen(fields), "%s%d", id > 0 ? "," : "", id);
    }
    struct answer *a = answers_new(1);
    strcat(fields, "]");
    submit(engine, fields, "", a);
    engine_test_finish(engine, a, 1);
    assert_true(a->is_failed || is_of_form((struct str){ a->text, a->text_len }, "^[a-z]{5}$"));
    tokfs_engine_close(engine);
    free(a);
}

static void test_guide_what_cannot_be_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        int code;
        const char *param, *msg;
    } refused[] = {
        { "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"x\",\"schema\":{\"properties\":{"
          "\"a\":{\"if\":{}}}}}}",
          -EOPNOTSUPP, "response_format.json_schema.schema.properties.a", "\"if\"" },
        { "\"guided_json\":{\"type\":\"nope\"}", -EINVAL, "guided_json", "nope" },
        { "\"guided_json\":\"{\"", -EINVAL, "", "" },
        { "\"regex\":\"(a\"", -EINVAL, "regex", "not closed" },
        { "\"regex\":\"a\\\\bc\"", -EOPNOTSUPP, "regex", "\\b" },
        { "\"guided_choice\":[]", -EINVAL, "guided_choice", "members" },
        { "\"guided_choice\":[\"a\",\"\"]", -EINVAL, "guided_choice[1]", "string" },
        { "\"guided_choice\":[1]", -EINVAL, "guided_choice[0]", "string" },
        { "\"regex\":\"a\",\"guided_choice\":[\"a\"]", -EINVAL, "guided_choice", "regex" },
        { "\"regex\":\"a\",\"response_format\":{\"type\":\"json_object\"}", -EINVAL, "response_format", "regex" },
        { "\"response_format\":{\"type\":\"xml\"}", -EINVAL, "response_format.type", "xml" },
        { "\"response_format\":{}", -EINVAL, "response_format.type", "" },
        { "\"response_format\":{\"type\":\"json_schema\"}", -EINVAL, "response_format.json_schema", "" },
        { "\"response_format\":{\"type\":\"structural_tag\"}", -EOPNOTSUPP, "response_format.type", "" },
        { "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"x\",\"strict\":true,\"schema\":{"
          "\"type\":\"object\"}}}",
          -EINVAL, "response_format.json_schema.schema", "strict" },
        { "\"structured_outputs\":{\"grammar\":\"root ::= x\"}", -EOPNOTSUPP, "structured_outputs.grammar", "" },
        { "\"guided_grammar\":\"root ::= x\"", -EOPNOTSUPP, "guided_grammar", "" },
        { "\"guided_json\":false", -EINVAL, "guided_json", "" },
    };
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){ .model = model_dir });
    struct answer *a = answers_new(sizeof(refused) / sizeof(*refused));
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        submit(engine, refused[i].fields, "", &a[i]);
        engine_test_finish(engine, &a[i], 1);
        if (!a[i].is_failed || a[i].error.code != refused[i].code || strcmp(a[i].error.param, refused[i].param) != 0 ||
            !strstr(a[i].error.msg, refused[i].msg)) {
            fail_msg("%s: %d at '%s': %s %s", refused[i].fields, a[i].error.code, a[i].error.param, a[i].error.msg,
                     a[i].text);
        }
    }
    tokfs_engine_close(engine);
    free(a);
}

int main(int argc, char **argv)
{
    assert(argc == 2);
    model_dir = engine_test_model(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guide_answers_have_their_form_whatever_the_engine_does),
        cmocka_unit_test(test_guide_choices_go_their_own_ways),
        cmocka_unit_test(test_guide_plain_completions_are_ruled_too),
        cmocka_unit_test(test_guide_stop_ids_end_only_where_the_text_may),
        cmocka_unit_test(test_guide_what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests_name("guide", tests, NULL, NULL);
}
