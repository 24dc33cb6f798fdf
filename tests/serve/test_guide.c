// Answers that a request rules the form of: whatever a random model says, a completed answer has the form, a cut one is
// a beginning of it, and neither company, nor guesses, nor what is not sampled because it is forced changes it.
#include "engine/base/arena.h"
#include "engine/base/json.h"
#include "engine/serve/guide.h"
#include "tests/byte_tokenizer.h"
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
    char body[4096];
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
        { "\"guided_json\":\"{\"", -EINVAL, "guided_json", "guided_json" },
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

// ---- tools ---------------------------------------------------------------------------------------------------------

#define TEMPLATE(form) "\"chat_template\":\"{# " form " #}{% for m in messages %}{{ m.content }}{% endfor %}\""
#define WEATHER_TOOL                                                                                                   \
    "{\"type\":\"function\",\"function\":{\"name\":\"get_weather\",\"strict\":true,\"parameters\":{\"type\":"          \
    "\"object\","                                                                                                      \
    "\"properties\":{\"city\":{\"enum\":[\"Rome\",\"Oslo\"]},\"days\":{\"type\":\"integer\",\"minimum\":1,"            \
    "\"maximum\":"                                                                                                     \
    "9}},\"required\":[\"city\",\"days\"],\"additionalProperties\":false}}}"
#define TOOLS   "\"tools\":[" WEATHER_TOOL ",{\"type\":\"function\",\"function\":{\"name\":\"now\"}}]"
#define WEATHER "get_weather[{][ \n\t]*\"city\":[ \n\t]*\"(Rome|Oslo)\",[ \n\t]*\"days\":[ \n\t]*[1-9][ \n\t]*[}]"

// A demanded call, in every form that can be demanded. The text of an answer is that of its parts.
static void test_guide_demanded_calls_are_made(void **state)
{
    (void)state;
    static const char *const templates[] = {
        TEMPLATE("<tool_call>"),         TEMPLATE("ipython \\\"parameters\\\":"),
        TEMPLATE("[TOOL_CALLS]"),        TEMPLATE("[TOOL_CALLS][ARGS]"),
        TEMPLATE("<function="),          TEMPLATE("<TOOLCALL>"),
        TEMPLATE("<tool_call></think>"),
    };
    static const struct {
        const char *choice, *form;
    } choices[] = {
        { "\"required\"", "^(now[{][}]|" WEATHER ")+$" },
        { "\"required\",\"parallel_tool_calls\":false", "^(now[{][}]|" WEATHER ")$" },
        { "{\"type\":\"function\",\"function\":{\"name\":\"get_weather\"}}", "^" WEATHER "$" },
        { "{\"type\":\"function\",\"function\":{\"name\":\"now\"}}", "^now[{][}]$" },
    };
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){ .model = model_dir });
    for (size_t t = 0; t < sizeof(templates) / sizeof(*templates); t++) {
        for (size_t i = 0; i < 3 * sizeof(choices) / sizeof(*choices); i++) {
            struct answer *a = answers_new(1);
            char fields[2048];
            snprintf(fields, sizeof(fields), "%s," TOOLS ",\"seed\":%zu,\"temperature\":1.5,\"tool_choice\":%s",
                     templates[t], i, choices[i / 3].choice);
            submit(engine, fields, ",\"max_tokens\":400", a);
            engine_test_finish(engine, a, 1);
            bool is_whole = strcmp(a->reason, "tool_calls") == 0;
            if (!a->is_finished || (!is_whole && strcmp(a->reason, "length") != 0) ||
                (is_whole && !is_of_form((struct str){ a->text, a->text_len }, choices[i / 3].form))) {
                fail_msg("%s: %s %s%s", fields, a->reason, a->text, a->error.msg);
            }
            free(a);
        }
    }
    tokfs_engine_close(engine);
}

static void test_guide_calls_that_cannot_be_demanded_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        int code;
        const char *param;
    } refused[] = {
        { "\"tool_choice\":\"required\"", -EINVAL, "tool_choice" },
        { TOOLS ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"nope\"}}", -EINVAL,
          "tool_choice.function.name" },
        { TOOLS ",\"tool_choice\":{\"type\":\"function\"}", -EINVAL, "tool_choice.function.name" },
        { TOOLS ",\"tool_choice\":{\"type\":\"allowed_tools\"}", -EOPNOTSUPP, "tool_choice.type" },
        { TOOLS ",\"tool_choice\":\"required\",\"regex\":\"a\"", -EINVAL, "tool_choice" },
        { TOOLS ",\"tool_choice\":\"required\"", -EOPNOTSUPP, "tool_choice" }, // the model's template has no form
        { TOOLS, -EOPNOTSUPP, "tools" },                                       // neither strict ones
        { TEMPLATE("<tool_call>") "," TOOLS, -EOPNOTSUPP, "tools" },           // where the mark is no token
        { TEMPLATE(
              "<tool_call>") ",\"tool_choice\":\"required\",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":"
                             "\"f\",\"parameters\":{\"properties\":{\"a\":{\"if\":1}}}}}]",
          -EOPNOTSUPP, "tools[0].function.parameters.properties.a" },
        { TEMPLATE("<|channel|><|message|><|call|>") ",\"regex\":\"a\"", -EOPNOTSUPP, "regex" },
    };
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){ .model = model_dir });
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        struct answer *a = answers_new(1);
        submit(engine, refused[i].fields, "", a);
        engine_test_finish(engine, a, 1);
        if (!a->is_failed || a->error.code != refused[i].code || strcmp(a->error.param, refused[i].param) != 0) {
            fail_msg("%s: %d at '%s': %s %s", refused[i].fields, a->error.code, a->error.param, a->error.msg, a->text);
        }
        free(a);
    }
    tokfs_engine_close(engine);
}

static void test_guide_bare_strict_calls_are_ruled_once_begun(void **state)
{
    (void)state;
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){ .model = model_dir });
    struct answer *a = answers_new(1);
    // A bias makes the answer begin as a call does.
    submit(engine, TEMPLATE("ipython \\\"parameters\\\":") ",\"tools\":[" WEATHER_TOOL "]",
           ",\"logit_bias\":{\"123\":100},\"max_tokens\":200,\"temperature\":1", a);
    engine_test_finish(engine, a, 1);
    if (!is_of_form((struct str){ a->text, a->text_len }, "^" WEATHER)) {
        fail_msg("%s %s %s", a->text, a->reason, a->error.msg);
    }
    tokfs_engine_close(engine);
    free(a);
}

// ---- states --------------------------------------------------------------------------------------------------------

enum { END = 257, THINK, END_THINK, CALL, N_IDS };
static const char *const specials[] = { "[THINK]", "[/THINK]", "[CALL]", NULL };

struct machine {
    struct tokenizer *tok;
    struct grammar_store store;
    struct guide_plan plan;
    struct guide guide;
};

static void machine_init(struct machine *m, const char *regex, unsigned flags)
{
    const struct answer_rule rule = { ANSWER_RULE_REGEX, flags, str_from(regex), "regex" };
    struct err err;
    m->tok = byte_tokenizer_new_with(specials);
    grammar_store_init(&m->store, GRAMMAR_STORE_BYTES_MAX);
    m->store.tok = m->tok;
    m->plan = (struct guide_plan){ .free_begin = THINK, .free_end = END_THINK, .call_begin = CALL };
    assert_int_equal(grammar_store_take(&m->store, &rule, &m->plan.grammar, &err), 0);
    guide_begin(&m->guide, &m->plan);
}

static void machine_deinit(struct machine *m)
{
    guide_end(&m->guide);
    guide_end(&m->guide);
    grammar_store_give(&m->store, m->plan.grammar);
    grammar_store_deinit(&m->store);
    tokenizer_free(m->tok);
}

// What may come, as characters: those of `letters`, T for reasoning's begin, C for a call, . for the end.
static void check_next(struct machine *m, const char *expected)
{
    static const char letters[] = "abx\n";
    static const int32_t ends[] = { END };
    const struct token_set set = { ends, 1 };
    float logits[N_IDS] = { 0 }, row[N_IDS];
    char got[16];
    size_t n = 0;
    memcpy(row, logits, sizeof(row));
    if (guide_restricts(&m->guide)) {
        guide_restrict(&m->guide, &set, 1, logits, N_IDS, row);
    }
    for (const char *c = letters; *c; c++) {
        if (row[(unsigned char)*c] == 0) {
            got[n++] = *c;
        }
    }
    const struct {
        int32_t id;
        char name;
    } others[] = { { THINK, 'T' }, { CALL, 'C' }, { END, '.' } };
    for (size_t i = 0; i < 3; i++) {
        if (row[others[i].id] == 0) {
            got[n++] = others[i].name;
        }
    }
    got[n] = '\0';
    assert_string_equal(got, expected);
}

static void take_all(struct machine *m, const int32_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert_true(guide_take(&m->guide, ids[i]));
    }
}

static void test_guide_reasoning_is_free_and_comes_first(void **state)
{
    (void)state;
    struct machine m;
    machine_init(&m, "ab", GRAMMAR_SPACED);
    check_next(&m, "a\nTC");
    take_all(&m, (int32_t[]){ THINK, 'x', 'a' }, 3);
    check_next(&m, "abx\nTC"); // anything but the end
    take_all(&m, (int32_t[]){ END_THINK }, 1);
    check_next(&m, "a\nC"); // once is enough
    assert_int_equal(guide_forced(&m.guide), -1);
    take_all(&m, (int32_t[]){ '\n' }, 1);
    check_next(&m, "a\nC");
    take_all(&m, (int32_t[]){ 'a' }, 1);
    check_next(&m, "b");
    assert_int_equal(guide_forced(&m.guide), 'b');
    assert_false(guide_take(&m.guide, 'x'));
    assert_int_equal(guide_count_allowed(&m.guide, (int32_t[]){ 'b', 'b' }, 2), 1);
    assert_false(guide_is_over(&m.guide));
    take_all(&m, (int32_t[]){ 'b' }, 1);
    assert_true(guide_is_over(&m.guide));
    check_next(&m, ".");
    machine_deinit(&m);
}

static void test_guide_calls_stand_in_place_of_the_form(void **state)
{
    (void)state;
    struct machine m;
    machine_init(&m, "ab", 0);
    take_all(&m, (int32_t[]){ CALL, 'x', 'x' }, 3);
    check_next(&m, "abx\nTC.");
    assert_false(guide_is_over(&m.guide));
    machine_deinit(&m);
}

static void test_guide_optional_calls_are_ruled_from_their_mark_to_their_end(void **state)
{
    (void)state;
    struct machine m;
    machine_init(&m, "a+x", 0);
    m.plan.is_optional = true;
    guide_end(&m.guide);
    guide_begin(&m.guide, &m.plan);
    for (int round = 0; round < 2; round++) {
        check_next(&m, "abx\nTC.");
        take_all(&m, (int32_t[]){ 'b', CALL }, 2);
        check_next(&m, "a");
        take_all(&m, (int32_t[]){ 'a' }, 1);
        check_next(&m, "ax");
        take_all(&m, (int32_t[]){ 'x' }, 1);
    }
    machine_deinit(&m);
}

static void test_guide_stores_are_bounded(void **state)
{
    (void)state;
    struct tokenizer *tok = byte_tokenizer_new_with(specials);
    struct grammar_store store;
    struct answer_grammar *first, *again, *other, *none;
    struct answer_rule rule = { ANSWER_RULE_REGEX, 0, STR("a"), "regex" };
    struct err err = { 0 };
    grammar_store_init(&store, GRAMMAR_STORE_BYTES_MAX);
    store.tok = tok;
    assert_int_equal(grammar_store_take(&store, &rule, &first, &err), 0);
    assert_int_equal(grammar_store_take(&store, &rule, &again, &err), 0);
    assert_ptr_equal(again, first);
    store.n_bytes_max = first->n_bytes * 5 / 2;
    rule.source = STR("b");
    assert_int_equal(grammar_store_take(&store, &rule, &other, &err), 0);
    rule.source = STR("c"); // both are held
    assert_int_equal(grammar_store_take(&store, &rule, &none, &err), -EAGAIN);
    grammar_store_give(&store, other);
    assert_int_equal(grammar_store_take(&store, &rule, &other, &err), 0);
    grammar_store_give(&store, other);
    grammar_store_give(&store, first);
    grammar_store_give(&store, again);
    grammar_store_deinit(&store);
    tokenizer_free(tok);
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
        cmocka_unit_test(test_guide_demanded_calls_are_made),
        cmocka_unit_test(test_guide_calls_that_cannot_be_demanded_are_refused),
        cmocka_unit_test(test_guide_bare_strict_calls_are_ruled_once_begun),
        cmocka_unit_test(test_guide_reasoning_is_free_and_comes_first),
        cmocka_unit_test(test_guide_calls_stand_in_place_of_the_form),
        cmocka_unit_test(test_guide_optional_calls_are_ruled_from_their_mark_to_their_end),
        cmocka_unit_test(test_guide_stores_are_bounded),
    };
    return cmocka_run_group_tests_name("guide", tests, NULL, NULL);
}
