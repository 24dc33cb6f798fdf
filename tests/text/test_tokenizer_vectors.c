// Ids and decodings of the recorded vectors (vectors/tokenizers/*.json of the test data), made by Hugging Face's
// library; and ids of vocabularies from GGUF files (gguf-vocab/NAME.gguf, .inp: texts, .out: ids without special
// tokens).
#include "engine/base/json.h"
#include "engine/text/tokenizer.h"
#include "tests/unit.h"

#include "tests/read_file.h"

#include <errno.h>
#include <glob.h>
#include <string.h>
#include <sys/stat.h>

static const char *data_dir;

static bool ids_equal(const struct json *want, const struct token_ids *got)
{
    const struct json *item = json_first(want);
    if (want->n_children != got->len) {
        return false;
    }
    for (size_t i = 0; i < got->len; i++, item = json_next(item)) {
        int64_t id;
        assert_int_equal(json_get_i64(item, &id), 0);
        if (id != got->ids[i]) {
            return false;
        }
    }
    return true;
}

static void check_encode(const struct tokenizer *tok, struct str text, unsigned flags, const struct json *want)
{
    struct token_ids ids = { 0 };
    struct err err = { 0 };
    if (tokenizer_encode(tok, text, flags, &ids, &err) < 0) {
        fail_msg("encode: %s", err.msg);
    }
    if (!ids_equal(want, &ids)) {
        fail_msg("ids differ for \"%.*s\" (flags %u): want %.*s, got %zu ids", STR_ARG(text), flags,
                 STR_ARG(want->text), ids.len);
    }
    token_ids_deinit(&ids);
}

static void check_decode(const struct tokenizer *tok, const struct json *ids, struct str want)
{
    struct strbuf out;
    int32_t list[4096];
    const struct json *item = json_first(ids);
    assert_true(ids->n_children <= 4096);
    for (size_t i = 0; i < ids->n_children; i++, item = json_next(item)) {
        int64_t id;
        assert_int_equal(json_get_i64(item, &id), 0);
        list[i] = (int32_t)id;
    }
    strbuf_init(&out, 0);
    assert_int_equal(tokenizer_decode(tok, list, ids->n_children, false, &out), 0);
    if (!str_eq(strbuf_str(&out), want)) {
        fail_msg("decoding of %.*s: want \"%.*s\", got \"%.*s\"", STR_ARG(ids->text), STR_ARG(want),
                 STR_ARG(strbuf_str(&out)));
    }
    strbuf_deinit(&out);
}

static void check_vectors(const char *path)
{
    struct arena arena;
    struct strbuf buf;
    struct err err = { 0 };
    const struct json *root;
    arena_init(&arena, 0);
    struct str text = test_read_whole(path, &buf);
    assert_int_equal(json_parse(&arena, text, &root, &err), 0);
    struct tokenizer *tok;
    struct str name = json_get(root, STR("tokenizer"))->text;
    char file[512];
    snprintf(file, sizeof file, "%s/tokenizers/%.*s", data_dir, STR_ARG(name));
    if (tokenizer_open(file, &tok, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    const struct json *cases = json_get(root, STR("cases")), *item = json_first(cases);
    printf("%.*s: %u cases\n", STR_ARG(name), cases->n_children);
    assert_true(cases->n_children > 100);
    for (size_t i = 0; i < cases->n_children; i++, item = json_next(item)) {
        const struct json *ids = json_get(item, STR("ids")), *special = json_get(item, STR("ids_special"));
        struct str input = json_get(item, STR("text"))->text;
        const struct json *decoded = json_get(item, STR("decoded"));
        check_encode(tok, input, 0, ids);
        check_encode(tok, input, TOKENIZER_ADD_SPECIAL, special ? special : ids);
        check_decode(tok, ids, decoded ? decoded->text : input);
    }
    tokenizer_free(tok);
    arena_deinit(&arena);
    strbuf_deinit(&buf);
}

static void test_tokenizer_vectors_all_equal(void **state)
{
    (void)state;
    char pattern[512];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/vectors/tokenizers/*.json", data_dir);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        check_vectors(found.gl_pathv[i]);
    }
    globfree(&found);
}

// The prompts of the small reference model, tokenized by its own C program.
static void test_tokenizer_vectors_stories260k_prompts_equal(void **state)
{
    (void)state;
    struct arena arena;
    struct strbuf buf;
    struct err err = { 0 };
    const struct json *root;
    char path[512];
    struct tokenizer *tok;
    arena_init(&arena, 0);
    snprintf(path, sizeof path, "%s/weights/stories260K/reference_logits.json", data_dir);
    assert_int_equal(json_parse(&arena, test_read_whole(path, &buf), &root, &err), 0);
    snprintf(path, sizeof path, "%s/weights/stories260K/hf-f32", data_dir);
    assert_int_equal(tokenizer_open(path, &tok, &err), 0);
    const struct json *cases = json_get(root, STR("cases")), *item = json_first(cases);
    assert_true(cases->n_children > 0);
    for (size_t i = 0; i < cases->n_children; i++, item = json_next(item)) {
        struct str prompt = json_get(item, STR("prompt"))->text;
        check_encode(tok, prompt, TOKENIZER_ADD_SPECIAL, json_get(item, STR("prompt_ids")));
    }
    tokenizer_free(tok);
    arena_deinit(&arena);
    strbuf_deinit(&buf);
}

static struct str read_beside(const char *path, const char *suffix, struct strbuf *buf)
{
    char name[512];
    snprintf(name, sizeof name, "%s%s", path, suffix);
    return test_read_whole(name, buf);
}

static void check_gguf_text(const struct tokenizer *tok, struct str text, struct str want)
{
    struct token_ids ids = { 0 };
    struct strbuf got = { 0 };
    struct err err = { 0 };
    assert_int_equal(tokenizer_encode(tok, text, 0, &ids, &err), 0);
    for (size_t i = 0; i < ids.len; i++) {
        strbuf_printf(&got, " %d", ids.ids[i]);
    }
    if (!str_eq(strbuf_str(&got), want)) {
        fail_msg("\"%.*s\": want%.*s, got%.*s", STR_ARG(text), STR_ARG(want), STR_ARG(strbuf_str(&got)));
    }
    strbuf_deinit(&got);
    token_ids_deinit(&ids);
}

// Each text ends in a separating line, each list of ids in a line break.
static void check_gguf(const char *path)
{
    static const struct str separator = STR("\n__ggml_vocab_test__\n");
    struct tokenizer *tok = NULL;
    struct err err = { 0 };
    struct strbuf texts_buf, ids_buf;
    if (tokenizer_open(path, &tok, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    struct str texts = read_beside(path, ".inp", &texts_buf), lists = read_beside(path, ".out", &ids_buf);
    size_t n = 0;
    for (ptrdiff_t len; (len = str_find(texts, separator)) >= 0; n++) {
        struct str want;
        lists = str_cut(lists, '\n', &want);
        check_gguf_text(tok, str_take(texts, (size_t)len), want);
        texts = str_skip(texts, (size_t)len + separator.len);
    }
    printf("%s: %zu texts\n", strrchr(path, '/') + 1, n);
    assert_true(n > 40);
    strbuf_deinit(&texts_buf);
    strbuf_deinit(&ids_buf);
    tokenizer_free(tok);
}

static void test_tokenizer_vectors_gguf_equal(void **state)
{
    (void)state;
    char pattern[512];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/gguf-vocab/*.gguf", data_dir);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        check_gguf(found.gl_pathv[i]);
    }
    globfree(&found);
}

static void check_refused(const char *name, int code, const char *part)
{
    struct tokenizer *tok = NULL;
    struct err err = { 0 };
    char path[512];
    snprintf(path, sizeof path, "%s/tokenizers/%s", data_dir, name);
    assert_int_equal(tokenizer_open(path, &tok, &err), code);
    assert_null(tok);
    if (!strstr(err.msg, part)) {
        fail_msg("%s", err.msg);
    }
}

static void test_tokenizer_vectors_bad_files_refused(void **state)
{
    (void)state;
    check_refused("negative-added-tokens", -EINVAL, "model.merges: array expected, object found");
    check_refused("negative-llm-d-test-model", -EOPNOTSUPP, "only BPE models");
    check_refused("negative-ollama-mini-llama", -EINVAL, "added_tokens[0].single_word is missing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokenizer_vectors_all_equal),
        cmocka_unit_test(test_tokenizer_vectors_stories260k_prompts_equal),
        cmocka_unit_test(test_tokenizer_vectors_gguf_equal),
        cmocka_unit_test(test_tokenizer_vectors_bad_files_refused),
    };
    data_dir = test_data_dir_or_skip();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
