// What is accepted, what is refused with which errno and path, and the form in which messages reach the template.
#include "engine/text/chat_request.h"
#include "engine/text/chat_tools.h"
#include "tests/unit.h"

#include "tests/read_file.h"
#include <errno.h>
#include <string.h>

#define HI "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

static int parse(const char *body, struct chat_request *request, struct arena *arena, struct err *err)
{
    arena_init(arena, 64 << 20);
    *err = (struct err){ 0 };
    return chat_request_parse(arena, str_from(body), NULL, request, err);
}

static void test_chat_request_plain_body_gets_defaults(void **state)
{
    struct chat_request request;
    struct arena arena;
    struct err err;
    (void)state;
    assert_int_equal(parse("{" HI "}", &request, &arena, &err), 0);
    assert_int_equal(request.messages->n_children, 1);
    assert_int_equal(request.common.model.len, 0);
    assert_true(request.add_generation_prompt);
    assert_false(request.common.stream || request.continue_final_message || request.tool_choice_none ||
                 request.sampling.has_seed);
    assert_null(request.tools);
    assert_true(request.sampling.temperature == 1 && request.sampling.top_p == 1 && request.sampling.min_p == 0);
    assert_int_equal(request.sampling.max_tokens, -1);
    arena_deinit(&arena);
}

static void test_chat_request_fields_are_taken(void **state)
{
    struct chat_request request;
    struct arena arena;
    struct err err;
    (void)state;
    int rc = parse(
        "{" HI
        ",\"model\":\"m\",\"temperature\":0.5,\"top_p\":0.9,\"top_k\":5,\"min_p\":0.1,\"seed\":-3,\"max_tokens\":7,"
        "\"max_completion_tokens\":9,\"min_tokens\":2,\"timeout\":2.5,\"ignore_eos\":true,\"stop\":[\"a\",\"b\"],"
        "\"stream\":true,"
        "\"stream_options\":{\"include_usage\":true},\"user\":\"u\",\"metadata\":{\"x\":\"y\"},\"store\":false,\"n\":1,"
        "\"logprobs\":false,\"logit_bias\":{},\"frequency_penalty\":0.0,\"presence_penalty\":0,"
        "\"response_format\":{\"type\":\"text\"},\"modalities\":[\"text\"],\"tool_choice\":\"none\",\"temperature\":0."
        "25,"
        "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{}}}],\"audio\":null,"
        "\"chat_template_kwargs\":{\"enable_thinking\":false},\"documents\":[{\"title\":\"t\"}]}",
        &request, &arena, &err);
    assert_int_equal(rc, 0);
    assert_true(str_eq(request.common.model, STR("m")) && request.common.stream && request.common.include_usage &&
                request.tool_choice_none);
    assert_true(request.sampling.temperature == 0.25); // the last of two
    assert_true(request.sampling.top_p == 0.9 && request.sampling.min_p == 0.1 && request.sampling.ignore_eos);
    assert_int_equal(request.sampling.top_k, 5);
    assert_true(request.sampling.has_seed && request.sampling.seed == (uint64_t)-3);
    assert_int_equal(request.sampling.max_tokens, 9);
    assert_int_equal(request.sampling.min_tokens, 2);
    assert_true(request.sampling.timeout_s == 2.5);
    assert_int_equal(request.sampling.n_stop, 2);
    assert_true(str_eq(request.sampling.stop[1], STR("b")));
    assert_int_equal(request.tools->n_children, 1);
    assert_int_equal(request.documents->n_children, 1);
    assert_int_equal(request.template_kwargs->n_children, 1);
    arena_deinit(&arena);
}

static void test_chat_request_extensions_are_taken(void **state)
{
    struct chat_request request;
    struct arena arena;
    struct err err;
    (void)state;
    int rc = parse("{" HI ",\"n\":3,\"logprobs\":true,\"top_logprobs\":20,\"priority\":-4,\"cache_salt\":\"s\","
                   "\"logit_bias\":{\"7\":-100,\"9\":false,\"7\":2.5},\"stop_token_ids\":[4,5],\"typical_p\":0.9,"
                   "\"repetition_penalty\":1.2,\"frequency_penalty\":-1,\"presence_penalty\":0.5,"
                   "\"include_stop_str_in_output\":true,\"skip_special_tokens\":false,\"add_special_tokens\":true,"
                   "\"chat_template\":\"x\",\"n_predict\":5,\"request_id\":\"r\",\"mirostat_tau\":5.0,\"id_slot\":-1}",
                   &request, &arena, &err);
    assert_int_equal(rc, 0);
    const struct sampling_params *s = &request.sampling;
    assert_true(request.n == 3 && request.logprobs && request.top_logprobs == 20 && request.common.priority == -4);
    assert_true(str_eq(request.common.cache_salt, STR("s")) && str_eq(request.chat_template, STR("x")));
    assert_true(request.add_special_tokens && s->include_stop && s->shows_special && s->max_tokens == 5);
    assert_int_equal(s->n_bias, 2);
    assert_true(s->bias[0].id == 7 && s->bias[0].bias == 2.5f && s->bias[1].id == 9 && s->bias[1].bias < -1e30f);
    assert_true(s->n_stop_ids == 2 && s->stop_ids[1] == 5 && s->typical_p == 0.9);
    assert_true(s->repetition_penalty == 1.2 && s->repetition_window == 0 && s->frequency_penalty == -1);
    arena_deinit(&arena);
    const struct {
        const char *fields;
        double penalty;
        int64_t window;
    } cases[] = {
        { "\"repeat_penalty\":1.3", 1.3, 64 },
        { "\"repeat_penalty\":1.3,\"repeat_last_n\":-1", 1.3, 0 },
        { "\"repeat_last_n\":10,\"repetition_penalty\":1.1", 1.1, 10 },
        { "\"repeat_last_n\":0,\"repeat_penalty\":1.1", 1, 64 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char body[200];
        snprintf(body, sizeof(body), "{" HI ",%s,\"logit_bias\":[[3,1],[3,false]]}", cases[i].fields);
        assert_int_equal(parse(body, &request, &arena, &err), 0);
        assert_true(request.sampling.repetition_penalty == cases[i].penalty);
        assert_int_equal(request.sampling.repetition_window, cases[i].window);
        assert_int_equal(request.sampling.n_bias, 1);
        arena_deinit(&arena);
    }
}

static struct str manual; // docs/tokfs.5

static void expect_known(struct str name)
{
    if (str_find(manual, name) < 0) {
        fail_msg("tokfs(5) does not tell of %.*s", STR_ARG(name));
    }
    struct chat_request request;
    struct arena arena;
    struct err err;
    char body[200];
    snprintf(body, sizeof(body), "{" HI ",\"%.*s\":null}", STR_ARG(name));
    int rc = parse(str_eq(name, STR("messages")) ? "{" HI "}" : body, &request, &arena, &err);
    if (rc != 0) {
        fail_msg("%.*s: %s", STR_ARG(name), err.msg);
    }
    arena_deinit(&arena);
}

// Every property of the schema, its parents' included; returns how many.
static size_t expect_properties(const struct json *schemas, struct str name)
{
    const struct json *schema = json_get(schemas, name), *parts = json_get(schema, STR("allOf"));
    size_t n = 0;
    for (size_t i = 0; i == 0 || (parts && i <= parts->n_children); i++) {
        const struct json *part = i == 0 ? schema : json_at(parts, i - 1), *ref = json_get(part, STR("$ref"));
        const struct json *properties = json_get(part, STR("properties"));
        if (ref) {
            n += expect_properties(schemas, str_skip(ref->text, strlen("#/components/schemas/")));
        }
        const struct json *key = properties ? json_first(properties) : NULL;
        for (size_t k = 0; properties && k < properties->n_children; k++, n++) {
            expect_known(key->text);
            key = json_next(json_next(key));
        }
    }
    return n;
}

static void test_chat_request_every_field_of_the_schema_has_a_row(void **state)
{
    char path[512];
    struct strbuf text;
    struct arena arena;
    const struct json *api;
    struct err err;
    (void)state;
    const char *dir = getenv("TOKFS_TEST_DATA");
    snprintf(path, sizeof(path), "%s/api/openapi.chat-completions-models-embeddings.json", dir ? dir : "");
    if (!test_read_file(path, &text)) {
        printf("skipped: \"%s\" is not there\n", path);
        skip();
    }
    arena_init(&arena, 0);
    assert_int_equal(json_parse(&arena, strbuf_str(&text), &api, &err), 0);
    const struct json *schemas = json_get(json_get(api, STR("components")), STR("schemas"));
    assert_true(expect_properties(schemas, STR("CreateChatCompletionRequest")) > 30);
    arena_deinit(&arena);
    strbuf_deinit(&text);
}

// What clients of vLLM, SGLang and llama-server send beyond it.
static const char *const extension_names[] = {
    "add_generation_prompt",
    "add_special_tokens",
    "allowed_token_ids",
    "bad_words",
    "best_of",
    "cache_prompt",
    "cache_salt",
    "chat_template",
    "chat_template_kwargs",
    "continue_final_message",
    "custom_logit_processor",
    "custom_params",
    "documents",
    "dry_allowed_length",
    "dry_base",
    "dry_multiplier",
    "dry_penalty_last_n",
    "dry_sequence_breakers",
    "dynatemp_exponent",
    "dynatemp_range",
    "ebnf",
    "echo",
    "extra_key",
    "grammar",
    "guided_choice",
    "guided_decoding_backend",
    "guided_grammar",
    "guided_json",
    "guided_regex",
    "guided_whitespace_pattern",
    "id_slot",
    "ignore_eos",
    "include_reasoning",
    "include_stop_str_in_output",
    "input_ids",
    "json_schema",
    "kv_transfer_params",
    "length_penalty",
    "logits_processors",
    "lora",
    "lora_path",
    "media_io_kwargs",
    "min_keep",
    "min_p",
    "min_tokens",
    "mirostat",
    "mirostat_eta",
    "mirostat_tau",
    "mm_processor_kwargs",
    "n_discard",
    "n_indent",
    "n_keep",
    "n_predict",
    "n_probs",
    "no_stop_trim",
    "post_sampling_probs",
    "priority",
    "prompt_logprobs",
    "reasoning_format",
    "regex",
    "repeat_last_n",
    "repeat_penalty",
    "repetition_penalty",
    "request_id",
    "response_fields",
    "return_hidden_states",
    "return_progress",
    "return_token_ids",
    "return_tokens",
    "return_tokens_as_token_ids",
    "rid",
    "samplers",
    "separate_reasoning",
    "session_params",
    "skip_special_tokens",
    "spaces_between_special_tokens",
    "stop_regex",
    "stop_token_ids",
    "stream_reasoning",
    "structural_tag",
    "structured_outputs",
    "t_max_predict_ms",
    "thinking_forced_open",
    "thinking_token_budget",
    "timings_per_token",
    "top_a",
    "top_k",
    "top_n_sigma",
    "truncate_prompt_tokens",
    "typical_p",
    "use_beam_search",
    "vllm_xargs",
    "xtc_probability",
    "xtc_threshold",
    "parse_tool_calls",
    "data_parallel_rank",
    "bootstrap_host",
    "bootstrap_port",
    "bootstrap_room",
};

static void test_chat_request_every_extension_has_a_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(extension_names) / sizeof(extension_names[0]); i++) {
        expect_known(str_from(extension_names[i]));
    }
}

static void test_chat_request_messages_take_the_form_templates_expect(void **state)
{
    static const struct {
        const char *message, *expected;
    } cases[] = {
        { "{\"role\":\"user\",\"content\":\"x\",\"name\":\"bob\"}",
          "{\"role\":\"user\",\"content\":\"x\",\"name\":\"bob\"}" },
        { "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]}",
          "{\"role\":\"user\",\"content\":\"a\\nb\"}" },
        { "{\"role\":\"assistant\",\"content\":null,\"refusal\":null,\"audio\":null,\"tool_calls\":[{\"id\":\"1\","
          "\"type\":\"function\","
          "\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\": 1}\"}}]}",
          "{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"1\",\"type\":\"function\",\"function\":{\"name\":\"f\","
          "\"arguments\":"
          "{\"a\":1}}}],\"content\":\"\"}" },
        { "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"1\",\"type\":\"function\",\"function\":{"
          "\"name\":\"f\","
          "\"arguments\":\"oops\"}}]}",
          "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"1\",\"type\":\"function\",\"function\":{"
          "\"name\":\"f\","
          "\"arguments\":\"oops\"}}]}" },
        { "{\"role\":\"function\",\"name\":\"f\",\"content\":null}",
          "{\"role\":\"function\",\"name\":\"f\",\"content\":\"\"}" },
        { "{\"role\":\"tool\",\"tool_call_id\":\"1\",\"content\":\"r\",\"tool_calls\":null}",
          "{\"role\":\"tool\",\"tool_call_id\":\"1\",\"content\":\"r\"}" },
        { "{\"role\":\"assistant\",\"content\":\"x\",\"tool_calls\":[],\"reasoning_content\":\"r\"}",
          "{\"role\":\"assistant\",\"content\":\"x\",\"reasoning_content\":\"r\"}" },
        { "{\"role\":\"assistant\",\"content\":\"x\",\"parsed\":{\"a\":1},\"provider_specific_fields\":{\"refusal\":"
          "null}}",
          "{\"role\":\"assistant\",\"content\":\"x\",\"parsed\":{\"a\":1},\"provider_specific_fields\":{\"refusal\":"
          "null}}" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct chat_request request;
        struct arena arena;
        struct err err = { 0 };
        arena_init(&arena, 0);
        struct str body = arena_printf(&arena, "{\"messages\":[%s]}", cases[i].message);
        if (chat_request_parse(&arena, body, NULL, &request, &err) < 0) {
            fail_msg("%s: %s", cases[i].message, err.msg);
        }
        struct strbuf out;
        struct json_writer w;
        strbuf_init(&out, 0);
        json_writer_init(&w, &out);
        json_write_value(&w, json_at(request.messages, 0));
        assert_string_equal(out.ptr, cases[i].expected);
        strbuf_deinit(&out);
        arena_deinit(&arena);
    }
}

static const struct {
    const char *body;
    int code;
    const char *param, *words;
} bad_bodies[] = {
    { "", -EINVAL, "", "" },
    { "[]", -EINVAL, "", "JSON object" },
    { "{\"messages\":", -EINVAL, "", "could not parse" },
    { "{}", -EINVAL, "messages", "Missing required parameter: 'messages'." },
    { "{\"messages\":null}", -EINVAL, "messages", "Missing" },
    { "{\"messages\":[]}", -EINVAL, "messages", "empty array" },
    { "{\"messages\":\"x\"}", -EINVAL, "messages", "expected an array, but got a string" },
    { "{\"messages\":[1]}", -EINVAL, "messages[0]", "expected an object, but got an integer" },
    { "{\"messages\":[{}]}", -EINVAL, "messages[0].role", "Missing" },
    { "{\"messages\":[{\"role\":\"function\",\"content\":\"x\"}]}", -EINVAL, "messages[0].name", "Missing" },
    { "{\"messages\":[{\"role\":\"function\",\"name\":\"f\"}]}", -EINVAL, "messages[0].content", "Missing" },
    { "{\"messages\":[{\"role\":\"king\",\"content\":\"x\"}]}", -EINVAL, "messages[0].role", "Invalid value: 'king'" },
    { "{\"messages\":[{\"role\":\"user\"}]}", -EINVAL, "messages[0].content", "Missing" },
    { "{\"messages\":[{\"role\":\"user\",\"content\":null}]}", -EINVAL, "messages[0].content", "got a null" },
    { "{\"messages\":[{\"role\":\"user\",\"content\":5}]}", -EINVAL, "messages[0].content", "" },
    { "{\"messages\":[{\"role\":\"user\",\"content\":[]}]}", -EINVAL, "messages[0].content", "empty array" },
    { "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"x\"}]}]}", -EINVAL, "messages[0].content[0].type",
      "Missing" },
    { "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"blob\"}]}]}", -EINVAL, "messages[0].content[0].type",
      "blob" },
    { "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"x\"}}]}]}",
      -EOPNOTSUPP, "messages[0].content[0].type", "image_url" },
    { "{\"messages\":[{\"role\":\"user\",\"content\":\"x\",\"mood\":1}]}", -EINVAL, "messages[0].mood", "" },
    { "{\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]}", -EINVAL, "messages[0].tool_call_id", "Missing" },
    { "{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"arguments\":\"\"}}]}]}", -EINVAL,
      "messages[0].tool_calls[0].function.name", "Missing" },
    { "{" HI ",\"colour\":1}", -EINVAL, "colour", "Unrecognized request argument supplied: colour" },
    { "{" HI ",\"temperature\":\"hot\"}", -EINVAL, "temperature",
      "Invalid type for 'temperature': expected a number, but got a string" },
    { "{" HI ",\"temperature\":2.5}", -EINVAL, "temperature", "<= 2, but got 2.5" },
    { "{" HI ",\"temperature\":-1}", -EINVAL, "temperature", ">= 0" },
    { "{" HI ",\"max_tokens\":-1}", -EINVAL, "max_tokens", ">= 0" },
    { "{" HI ",\"n\":129}", -EINVAL, "n", "<= 128" },
    { "{" HI ",\"logprobs\":5}", -EINVAL, "logprobs", "expected a boolean" },
    { "{" HI ",\"top_logprobs\":3}", -EINVAL, "top_logprobs", "'logprobs' must be true" },
    { "{" HI ",\"logprobs\":true,\"top_logprobs\":21}", -EINVAL, "top_logprobs", "<= 20" },
    { "{" HI ",\"logit_bias\":{\"x\":5}}", -EINVAL, "logit_bias.x", "not a token id" },
    { "{" HI ",\"logit_bias\":{\"-1\":5}}", -EINVAL, "logit_bias.-1", "not a token id" },
    { "{" HI ",\"logit_bias\":{\"1\":101}}", -EINVAL, "logit_bias.1", "from -100 to 100" },
    { "{" HI ",\"logit_bias\":{\"1\":\"5\"}}", -EINVAL, "logit_bias.1", "expected a boolean or a number" },
    { "{" HI ",\"logit_bias\":{\"1\":true}}", -EINVAL, "logit_bias.1", "true" },
    { "{" HI ",\"logit_bias\":[[1]]}", -EINVAL, "logit_bias[0]", "pair" },
    { "{" HI ",\"logit_bias\":[[1,2],[\"a\",1]]}", -EOPNOTSUPP, "logit_bias[1][0]", "token id" },
    { "{" HI ",\"stop_token_ids\":[1,-2]}", -EINVAL, "stop_token_ids[1]", "not a token id" },
    { "{" HI ",\"stop_token_ids\":[1.5]}", -EINVAL, "stop_token_ids[0]", "integer" },
    { "{" HI ",\"repetition_penalty\":0}", -EINVAL, "repetition_penalty", ">= 0.01" },
    { "{" HI ",\"typical_p\":1.5}", -EINVAL, "typical_p", "<= 1" },
    { "{" HI ",\"mirostat\":2}", -EOPNOTSUPP, "mirostat", "Only 0 is supported" },
    { "{" HI ",\"samplers\":[\"top_k\"]}", -EOPNOTSUPP, "samplers", "" },
    { "{" HI ",\"reasoning_effort\":\"huge\"}", -EINVAL, "reasoning_effort", "huge" },
    { "{" HI ",\"cache_salt\":\"\"}", -EINVAL, "cache_salt", "1 to 1024" },
    { "{" HI ",\"priority\":1.5}", -EINVAL, "priority", "integer" },
    { "{" HI ",\"max_tokens\":1.5}", -EINVAL, "max_tokens", "expected an integer, but got a decimal" },
    { "{" HI ",\"seed\":99999999999999999999}", -EINVAL, "seed", "64-bit" },
    { "{" HI ",\"stop\":[1]}", -EINVAL, "stop[0]", "expected a string" },
    { "{" HI ",\"stop\":\"\"}", -EINVAL, "stop", "empty" },
    { "{" HI ",\"stream\":1}", -EINVAL, "stream", "expected a boolean" },
    { "{" HI ",\"stream_options\":{\"include_usage\":true}}", -EINVAL, "stream_options", "only allowed" },
    { "{" HI ",\"tools\":[{\"type\":\"function\"}]}", -EINVAL, "tools[0].function", "Missing" },
    { "{" HI ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"a b\"}}]}", -EINVAL, "tools[0].function.name",
      "a b" },
    { "{" HI ",\"tool_choice\":\"perhaps\"}", -EINVAL, "tool_choice", "perhaps" },
    { "{" HI ",\"tool_choice\":\"required\"}", -EINVAL, "tool_choice", "tools" },
    { "{" HI ",\"n\":0}", -EINVAL, "n", ">= 1" },
    { "{" HI ",\"presence_penalty\":3}", -EINVAL, "presence_penalty", "<= 2" },
    { "{" HI ",\"response_format\":{\"type\":\"json\"}}", -EINVAL, "response_format.type", "json_object" },
    { "{" HI ",\"ebnf\":\"root ::= x\"}", -EOPNOTSUPP, "ebnf", "" },
    { "{" HI ",\"functions\":[{}]}", -EOPNOTSUPP, "functions", "" },
    { "{" HI ",\"min_tokens\":9,\"max_tokens\":3}", -EINVAL, "min_tokens", "" },
    { "{" HI ",\"continue_final_message\":true,\"add_generation_prompt\":true}", -EINVAL, "continue_final_message",
      "" },
    { "{\"messages\":[{\"role\":\"user\",\"content\":\"\xff\"}]}", -EINVAL, "", "UTF-8" },
};

static void test_chat_request_bad_bodies_are_refused_with_path(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad_bodies) / sizeof(bad_bodies[0]); i++) {
        struct chat_request request;
        struct arena arena;
        struct err err;
        int rc = parse(bad_bodies[i].body, &request, &arena, &err);
        if (rc != bad_bodies[i].code || strcmp(err.param, bad_bodies[i].param) != 0 ||
            !strstr(err.msg, bad_bodies[i].words) || err.code != rc) {
            fail_msg("%s: %d \"%s\" %s", bad_bodies[i].body, rc, err.param, err.msg);
        }
        arena_deinit(&arena);
    }
}

static void test_chat_request_ten_megabytes_of_nesting_fail_fast(void **state)
{
    static const char *const units[] = { "[", "{\"a\":", "[{\"a\":" };
    (void)state;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        struct chat_request request;
        struct arena arena;
        struct strbuf body;
        struct err err;
        arena_init(&arena, 64 << 20);
        strbuf_init(&body, 0);
        strbuf_append(&body, STR("{\"messages\":"));
        while (body.len < 10u << 20) {
            strbuf_append(&body, str_from(units[i]));
        }
        assert_int_equal(chat_request_parse(&arena, strbuf_str(&body), NULL, &request, &err), -EINVAL);
        strbuf_deinit(&body);
        arena_deinit(&arena);
    }
}

static void test_sampling_params_lines_and_json_mean_the_same(void **state)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        { "temperature 0.2\n\n# note\n top_k=5\nstop END\nstop [\"a\"]\nignore_eos true\n",
          "{\"temperature\":0.2,\"top_k\":5,\"stop\":\"END\",\"stop\":[\"a\"],\"ignore_eos\":true}" },
        { " {\"temperature\": 0.2, \"seed\": 1} ", "{\"temperature\":0.2,\"seed\":1}" },
        { "regex [a-z]+\n", "{\"regex\":\"[a-z]+\"}" },
        { "{\"response_format\":{\"type\":\"json_object\"}}", "{\"response_format\":{\"type\":\"json_object\"}}" },
        { "", "{}" },
    };
    static const char *const bad[] = {
        "temperature", "temperature hot",    "temperature 3", "messages []", "colour red", "{\"n\":1}", "{",
        "n 2",         "response_format xml"
    };
    struct strbuf out;
    struct err err;
    (void)state;
    strbuf_init(&out, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct arena arena;
        arena_init(&arena, 0);
        strbuf_reset(&out);
        assert_int_equal(sampling_params_parse(&arena, str_from(cases[i].text), &out, &err), 0);
        assert_string_equal(out.ptr, cases[i].expected);
        arena_deinit(&arena);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct arena arena;
        arena_init(&arena, 0);
        strbuf_reset(&out);
        assert_int_equal(sampling_params_parse(&arena, str_from(bad[i]), &out, &err), -EINVAL);
        assert_int_equal(out.len, 0);
        arena_deinit(&arena);
    }
    strbuf_deinit(&out);
}

static void test_chat_tools_one_tool_becomes_a_list(void **state)
{
    const struct json *tools;
    struct arena arena;
    struct err err;
    (void)state;
    arena_init(&arena, 0);
    assert_int_equal(
        chat_tools_parse(&arena, STR(" {\"type\":\"function\",\"function\":{\"name\":\"f\"}}\n"), &tools, &err), 0);
    assert_int_equal(tools->n_children, 1);
    assert_int_equal(chat_tools_parse(&arena, STR("[]"), &tools, &err), 0);
    assert_int_equal(tools->n_children, 0);
    assert_int_equal(chat_tools_parse(&arena, STR("[{\"type\":\"function\"}]"), &tools, &err), -EINVAL);
    assert_string_equal(err.param, "tools[0].function");
    assert_int_equal(chat_tools_parse(&arena, STR("5"), &tools, &err), -EINVAL);
    arena_deinit(&arena);
}

int main(void)
{
    char path[512];
    struct strbuf text;
    snprintf(path, sizeof(path), "%s/docs/tokfs.5", test_source_root());
    if (!test_read_file(path, &text)) {
        fprintf(stderr, "no %s\n", path);
        return 1;
    }
    manual = strbuf_str(&text);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chat_request_plain_body_gets_defaults),
        cmocka_unit_test(test_chat_request_fields_are_taken),
        cmocka_unit_test(test_chat_request_extensions_are_taken),
        cmocka_unit_test(test_chat_request_every_field_of_the_schema_has_a_row),
        cmocka_unit_test(test_chat_request_every_extension_has_a_row),
        cmocka_unit_test(test_chat_request_messages_take_the_form_templates_expect),
        cmocka_unit_test(test_chat_request_bad_bodies_are_refused_with_path),
        cmocka_unit_test(test_chat_request_ten_megabytes_of_nesting_fail_fast),
        cmocka_unit_test(test_sampling_params_lines_and_json_mean_the_same),
        cmocka_unit_test(test_chat_tools_one_tool_becomes_a_list),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    strbuf_deinit(&text);
    return rc;
}
