// The text side of a model without its weights: the same tokens, and the same hashes of blocks, as of the engine.
#include "tests/serve/engine_test.h"
#include <errno.h>
#include <tokfs/kvevent.h>
#include <tokfs/text.h>

static char model[512];
static const char *model_tool;
static struct tokfs_engine *engine;
static struct tokfs_text *text;

static int setup(void **state)
{
    struct tokfs_error error;
    (void)state;
    snprintf(model, sizeof(model), "%s/tools/demo/model", test_source_root());
    engine = engine_test_open((struct tokfs_engine_options){ .model = model, .served_name = "demo" });
    assert_int_equal(tokfs_kv_open(engine), 0);
    assert_int_equal(tokfs_text_open(model, "demo", &text, &error), 0);
    assert_string_equal(tokfs_text_model(text), "demo");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tokfs_text_close(text);
    tokfs_engine_close(engine);
    return 0;
}

typedef int submit_fn(struct tokfs_engine *, const char *, size_t, void *, struct tokfs_completion **,
                      struct tokfs_error *);

static submit_fn *const submits[] = {
    [TOKFS_PROMPT_CHAT] = tokfs_submit_chat,
    [TOKFS_PROMPT_COMPLETION] = tokfs_submit_completion,
    [TOKFS_PROMPT_GENERATE] = tokfs_submit_generate,
};

// Hashes that the engine told as stored, since the last call.
static size_t take_stored(uint64_t *ret, size_t max)
{
    struct tokfs_kv_event event;
    size_t n = 0;
    while (tokfs_kv_poll(engine, &event)) {
        if (event.kind == TOKFS_KV_STORED && n < max) {
            ret[n++] = event.hash;
        }
    }
    return n;
}

// All of its blocks were told, now or before.
static void check_blocks(const struct tokfs_prompts *prompts)
{
    static uint64_t stored[4096];
    static size_t n_stored;
    uint64_t hashes[256];
    n_stored += take_stored(stored + n_stored, 4096 - n_stored);
    for (size_t i = 0; i < prompts->n; i++) {
        size_t n = tokfs_text_blocks(prompts->items[i].tokens, prompts->items[i].n_tokens, 16, prompts->salt, hashes);
        assert_int_equal(n, prompts->items[i].n_tokens / 16);
        for (size_t block = 0; block < n; block++) {
            size_t at = 0;
            while (at < n_stored && stored[at] != hashes[block]) {
                at++;
            }
            assert_true(at < n_stored);
        }
    }
}

// Runs it, and compares what ran with what the text says that will.
static void check(enum tokfs_prompt_kind kind, const char *body, size_t n_prompts, uint64_t scope)
{
    struct tokfs_prompts prompts;
    struct tokfs_error error;
    struct answer *answers = answers_new(4);
    answers[0].more = &answers[1];
    tokfs_set_tenant(engine, &(struct tokfs_tenant){ .cache_scope = scope });
    assert_int_equal(submits[kind](engine, body, strlen(body), &answers[0], &answers[0].completion, &error), 0);
    while (!answer_is_over(&answers[0])) {
        engine_test_next(engine);
    }
    if (answers[0].is_failed) {
        fail_msg("%s: %s", body, answers[0].error.msg);
    }
    if (tokfs_text_prompts(text, kind, body, strlen(body), scope, &prompts, &error) < 0) {
        fail_msg("%s: %s", body, error.msg);
    }
    assert_int_equal(prompts.n, n_prompts);
    for (unsigned i = 0; i < n_prompts; i++) {
        size_t n;
        const int32_t *tokens = tokfs_completion_prompt(answers[0].completion, i, &n);
        assert_int_equal(prompts.items[i].n_tokens, n);
        assert_memory_equal(prompts.items[i].tokens, tokens, n * sizeof(*tokens));
        assert_int_equal(prompts.items[i].rendered != NULL, kind == TOKFS_PROMPT_CHAT);
    }
    check_blocks(&prompts);
    tokfs_prompts_deinit(&prompts);
    tokfs_completion_free(answers[0].completion);
    free(answers);
}

#define LONG                                                                                                           \
    "The quick brown fox jumps over the lazy dog, twice a day. The slow one does not; it sleeps and dreams of it."

static void test_text_prompts_are_those_that_the_engine_runs(void **state)
{
    (void)state;
    check(TOKFS_PROMPT_CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"" LONG "\"}],\"max_tokens\":1}", 1, 0);
    check(TOKFS_PROMPT_CHAT,
          "{\"model\":\"demo\",\"messages\":[{\"role\":\"system\",\"content\":\"Be "
          "terse\"},{\"role\":\"user\",\"content\":"
          "[{\"type\":\"text\",\"text\":\"" LONG "\"}]}],\"max_tokens\":1,\"add_special_tokens\":true,\"tools\":[{"
          "\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\"}}}]}",
          1, 0);
    check(TOKFS_PROMPT_CHAT,
          "{\"messages\":[{\"role\":\"user\",\"content\":\"" LONG "\"}],\"max_tokens\":1,\"cache_salt\":\"s\"}", 1, 0);
    check(TOKFS_PROMPT_CHAT,
          "{\"messages\":[{\"role\":\"user\",\"content\":\"" LONG "\"}],\"max_tokens\":1,\"cache_salt\":\"s\"}", 1,
          1001);
    check(TOKFS_PROMPT_CHAT,
          "{\"messages\":[{\"role\":\"user\",\"content\":\"" LONG "\"}],\"max_tokens\":1,\"chat_template\":"
          "\"{{ messages[0].content }}{{ documents[0].text }}\",\"documents\":[{\"text\":\"" LONG "\"}]}",
          1, 7);
    check(TOKFS_PROMPT_COMPLETION, "{\"prompt\":\"" LONG "\",\"max_tokens\":1}", 1, 0);
    check(TOKFS_PROMPT_COMPLETION, "{\"prompt\":[\"" LONG "\",\"another\"],\"max_tokens\":1}", 2, 0);
    check(TOKFS_PROMPT_COMPLETION, "{\"prompt\":[[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17],[5,6]],\"max_tokens\":1}",
          2, 0);
    check(TOKFS_PROMPT_GENERATE, "{\"text\":\"" LONG "\",\"sampling_params\":{\"max_new_tokens\":1}}", 1, 0);
    check(TOKFS_PROMPT_GENERATE, "{\"input_ids\":[9,8,7],\"sampling_params\":{\"max_new_tokens\":1}}", 1, 0);
}

static void test_text_plain_tokens_are_those_of_a_completion(void **state)
{
    (void)state;
    struct tokfs_prompts a, b;
    struct tokfs_error error;
    const char *body = "{\"prompt\":\"" LONG "\"}";
    assert_int_equal(tokfs_text_tokens(text, LONG, sizeof(LONG) - 1, &a, &error), 0);
    assert_int_equal(tokfs_text_prompts(text, TOKFS_PROMPT_COMPLETION, body, strlen(body), 0, &b, &error), 0);
    assert_int_equal(a.items[0].n_tokens, b.items[0].n_tokens);
    assert_memory_equal(a.items[0].tokens, b.items[0].tokens, a.items[0].n_tokens * sizeof(int32_t));
    assert_true(a.salt == b.salt && a.salt == tokfs_text_salt("", 0));
    tokfs_prompts_deinit(&a);
    tokfs_prompts_deinit(&b);
}

// The form of render_jinja_template gives the text, hence the tokens, of the same chat.
static void test_text_template_request_equals_the_chat(void **state)
{
    (void)state;
    static const char chat[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"" LONG "\"}]}";
    static const char form[] = "{\"conversations\":[[{\"role\":\"user\",\"content\":\"" LONG "\"}],[{\"role\":\"user\","
                               "\"content\":\"Hi\"}]],\"add_generation_prompt\":true}";
    struct tokfs_prompts a, b, c;
    struct tokfs_error error;
    assert_int_equal(tokfs_text_prompts(text, TOKFS_PROMPT_CHAT, chat, strlen(chat), 0, &a, &error), 0);
    assert_int_equal(tokfs_text_prompts(text, TOKFS_PROMPT_TEMPLATE, form, strlen(form), 0, &b, &error), 0);
    assert_int_equal(tokfs_text_prompts(text, TOKFS_PROMPT_TEMPLATE, chat, strlen(chat), 0, &c, &error), 0);
    assert_int_equal(b.n, 2);
    assert_string_equal(a.items[0].rendered, b.items[0].rendered);
    assert_string_equal(a.items[0].rendered, c.items[0].rendered);
    assert_int_equal(a.items[0].n_tokens, b.items[0].n_tokens);
    assert_memory_equal(a.items[0].tokens, b.items[0].tokens, a.items[0].n_tokens * sizeof(int32_t));
    assert_true(b.items[1].n_tokens > 0 && b.items[1].n_tokens < b.items[0].n_tokens);
    tokfs_prompts_deinit(&a);
    tokfs_prompts_deinit(&b);
    tokfs_prompts_deinit(&c);
}

// Writes the built-in model as a GGUF file; the path of its directory goes to `dir`.
static void make_gguf(char dir[64], char path[80])
{
    char command[1200];
    snprintf(dir, 64, "/tmp/tokfs-test-text-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, 80, "%s/file.gguf", dir);
    snprintf(command, sizeof(command), "'%s' quantize --weights q8 '%s' '%s' > /dev/null", model_tool, model, path);
    assert_int_equal(system(command), 0);
}

static void write_files(const struct tokfs_engine *of, const char *dir)
{
    size_t n;
    const struct tokfs_model_file *files = tokfs_engine_model_files(of, &n);
    for (size_t i = 0; i < n; i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/%s", dir, files[i].name);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        assert_int_equal(fwrite(files[i].bytes, 1, files[i].len, file), files[i].len);
        fclose(file);
    }
}

// The prompt of the same chat for each of them.
static void check_same(const struct tokfs_text *a, const struct tokfs_text *b)
{
    static const char chat[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"" LONG "\"}]}";
    struct tokfs_prompts pa, pb;
    struct tokfs_error error;
    assert_int_equal(tokfs_text_prompts(a, TOKFS_PROMPT_CHAT, chat, strlen(chat), 0, &pa, &error), 0);
    assert_int_equal(tokfs_text_prompts(b, TOKFS_PROMPT_CHAT, chat, strlen(chat), 0, &pb, &error), 0);
    assert_string_equal(pa.items[0].rendered, pb.items[0].rendered);
    assert_int_equal(pa.items[0].n_tokens, pb.items[0].n_tokens);
    assert_memory_equal(pa.items[0].tokens, pb.items[0].tokens, pa.items[0].n_tokens * sizeof(int32_t));
    tokfs_prompts_deinit(&pa);
    tokfs_prompts_deinit(&pb);
}

// A GGUF file itself, and what a mount of it shows in models/.
static void test_text_of_a_gguf_file_is_that_of_the_directory(void **state)
{
    (void)state;
    char dir[64], path[80], command[128];
    struct tokfs_error error;
    struct tokfs_text *of_file, *of_mount;
    make_gguf(dir, path);
    struct tokfs_engine *other = engine_test_open((struct tokfs_engine_options){ .model = path });
    assert_int_equal(tokfs_text_open(path, NULL, &of_file, &error), 0);
    assert_string_equal(tokfs_text_model(of_file), "file");
    write_files(other, dir);
    assert_int_equal(tokfs_text_open(dir, "file", &of_mount, &error), 0);
    check_same(text, of_file);
    check_same(text, of_mount);
    tokfs_text_close(of_file);
    tokfs_text_close(of_mount);
    tokfs_engine_close(other);
    snprintf(command, sizeof(command), "rm -r '%s'", dir);
    assert_int_equal(system(command), 0);
}

static void check_refusal(enum tokfs_prompt_kind kind, const char *body, int code, const char *param)
{
    struct tokfs_prompts prompts;
    struct tokfs_error error = { 0 };
    assert_int_equal(tokfs_text_prompts(text, kind, body, strlen(body), 0, &prompts, &error), code);
    assert_int_equal(error.code, code);
    assert_string_equal(error.param, param);
    assert_true(error.msg[0]);
}

static void test_text_what_cannot_be_run_is_refused_with_its_reason(void **state)
{
    (void)state;
    struct tokfs_error error = { 0 };
    struct tokfs_text *none;
    check_refusal(TOKFS_PROMPT_CHAT, "{\"messages\":", -EINVAL, "");
    check_refusal(TOKFS_PROMPT_CHAT, "{\"model\":\"other\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}",
                  -ENOENT, "model");
    check_refusal(TOKFS_PROMPT_CHAT,
                  "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"chat_template\":\"{{ nothing( }}\"}",
                  -EINVAL, "chat_template");
    check_refusal(TOKFS_PROMPT_TEMPLATE, "{\"conversations\":[[{\"role\":\"user\"}]],\"chat_template\":\"{% if %}\"}",
                  -EINVAL, "chat_template");
    check_refusal(TOKFS_PROMPT_TEMPLATE, "{\"conversations\":[]}", -EINVAL, "conversations");
    check_refusal(TOKFS_PROMPT_COMPLETION, "{\"model\":\"demo\"}", -EINVAL, "prompt");
    assert_int_equal(tokfs_text_open("/nonexistent/model", NULL, &none, &error), -ENOENT);
    assert_non_null(strstr(error.msg, "/nonexistent/model"));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_prompts_are_those_that_the_engine_runs),
        cmocka_unit_test(test_text_plain_tokens_are_those_of_a_completion),
        cmocka_unit_test(test_text_template_request_equals_the_chat),
        cmocka_unit_test(test_text_of_a_gguf_file_is_that_of_the_directory),
        cmocka_unit_test(test_text_what_cannot_be_run_is_refused_with_its_reason),
    };
    if (argc != 2) {
        fprintf(stderr, "usage: test-serve_text TOKFS-MODEL\n");
        return 2;
    }
    model_tool = argv[1];
    return cmocka_run_group_tests(tests, setup, teardown);
}
