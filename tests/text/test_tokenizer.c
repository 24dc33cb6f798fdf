// Tiny tokenizers of every kind (tests/fixtures/tokenizers), against ids and decodings recorded from Hugging Face's
// library; the streaming detokenizer against decoding as a whole; and what a malformed file is answered with.
#include "engine/base/json.h"
#include "engine/base/utf8.h"
#include "engine/text/detokenizer.h"
#include "engine/text/tokenizer.h"
#include "tests/unit.h"

#include "tests/read_file.h"

#include <errno.h>
#include <glob.h>
#include <pthread.h>
#include <string.h>

static void ids_from_json(const struct json *list, struct token_ids *ids)
{
    const struct json *item = json_first(list);
    ids->len = 0;
    for (size_t i = 0; i < list->n_children; i++, item = json_next(item)) {
        int64_t id;
        assert_int_equal(json_get_i64(item, &id), 0);
        assert_int_equal(token_ids_append(ids, (int32_t)id), 0);
    }
}

static void ids_to_text(const struct token_ids *ids, struct strbuf *out)
{
    strbuf_reset(out);
    for (size_t i = 0; i < ids->len; i++) {
        strbuf_printf(out, i ? ",%d" : "%d", ids->ids[i]);
    }
}

static void check_encode(const struct tokenizer *tok, struct str text, unsigned flags, const struct json *want,
                         const char *file)
{
    struct token_ids ids = { 0 };
    struct err err = { 0 };
    struct strbuf got;
    strbuf_init(&got, 0);
    if (tokenizer_encode(tok, text, flags, &ids, &err) < 0) {
        fail_msg("%s: encode: %s", file, err.msg);
    }
    ids_to_text(&ids, &got);
    struct str body = { want->text.ptr + 1, want->text.len - 2 };
    if (!str_eq(strbuf_str(&got), body)) {
        fail_msg("%s: \"%.*s\" flags %u:\nwant %.*s\ngot  %.*s", file, STR_ARG(text), flags, STR_ARG(body),
                 STR_ARG(strbuf_str(&got)));
    }
    strbuf_deinit(&got);
    token_ids_deinit(&ids);
}

static void check_decode(const struct tokenizer *tok, const struct json *list, bool skip, struct str want,
                         const char *file)
{
    struct token_ids ids = { 0 };
    struct strbuf whole, pieces;
    struct detokenizer d;
    strbuf_init(&whole, 0);
    strbuf_init(&pieces, 0);
    ids_from_json(list, &ids);
    assert_int_equal(tokenizer_decode(tok, ids.ids, ids.len, skip, &whole), 0);
    if (!str_eq(strbuf_str(&whole), want)) {
        fail_msg("%s: %.*s skip %d:\nwant \"%.*s\"\ngot  \"%.*s\"", file, STR_ARG(list->text), skip, STR_ARG(want),
                 STR_ARG(strbuf_str(&whole)));
    }
    detokenizer_init(&d, tok, skip);
    for (size_t i = 0; i < ids.len; i++) {
        size_t before = pieces.len;
        assert_int_equal(detokenizer_push(&d, ids.ids[i], &pieces), 0);
        struct str piece = str_skip(strbuf_str(&pieces), before);
        assert_int_equal(utf8_valid_len(piece), piece.len); // never half a character
    }
    assert_int_equal(detokenizer_finish(&d, &pieces), 0);
    assert_true(str_eq(strbuf_str(&pieces), strbuf_str(&whole)));
    detokenizer_deinit(&d);
    strbuf_deinit(&whole);
    strbuf_deinit(&pieces);
    token_ids_deinit(&ids);
}

static void check_fixture(const struct json *root, const char *file)
{
    struct tokenizer *tok;
    struct err err = { 0 };
    if (tokenizer_from_json(json_get(root, STR("tokenizer"))->text, &tok, &err) < 0) {
        fail_msg("%s: %s", file, err.msg);
    }
    const struct json *cases = json_get(root, STR("cases")), *item = json_first(cases);
    for (size_t i = 0; i < cases->n_children; i++, item = json_next(item)) {
        struct str text = json_get(item, STR("text"))->text;
        check_encode(tok, text, 0, json_get(item, STR("ids")), file);
        check_encode(tok, text, TOKENIZER_ADD_SPECIAL, json_get(item, STR("ids_special")), file);
        check_encode(tok, text, TOKENIZER_PLAIN_SPECIAL, json_get(item, STR("ids_plain")), file);
    }
    const struct json *decodings = json_get(root, STR("decodings"));
    item = json_first(decodings);
    for (size_t i = 0; i < decodings->n_children; i++, item = json_next(item)) {
        check_decode(tok, json_get(item, STR("ids")), false, json_get(item, STR("text"))->text, file);
        check_decode(tok, json_get(item, STR("ids")), true, json_get(item, STR("skipped"))->text, file);
    }
    tokenizer_free(tok);
}

static void with_fixture(const char *path, void (*fn)(const struct json *root, const char *file))
{
    struct arena arena;
    struct strbuf buf;
    struct err err = { 0 };
    const struct json *root;
    arena_init(&arena, 0);
    assert_int_equal(json_parse(&arena, test_read_whole(path, &buf), &root, &err), 0);
    fn(root, strrchr(path, '/') + 1);
    arena_deinit(&arena);
    strbuf_deinit(&buf);
}

static void for_each_fixture(void (*fn)(const struct json *root, const char *file))
{
    char pattern[512];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/tests/fixtures/tokenizers/*.json", test_source_root());
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_true(found.gl_pathc >= 20);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        with_fixture(found.gl_pathv[i], fn);
    }
    globfree(&found);
}

static void test_tokenizer_fixtures_equal_recorded(void **state)
{
    (void)state;
    for_each_fixture(check_fixture);
}

// ---- properties that need no record --------------------------------------------------------------------------------

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

// Random ids, among them ones that do not exist and ones that cut characters: pieces add up to the whole.
static void check_streaming(const struct json *root, const char *file)
{
    struct tokenizer *tok;
    struct err err = { 0 };
    uint32_t seed = 7;
    (void)file;
    assert_int_equal(tokenizer_from_json(json_get(root, STR("tokenizer"))->text, &tok, &err), 0);
    for (int round = 0; round < 300; round++) {
        struct strbuf whole, pieces;
        struct detokenizer d;
        int32_t ids[40];
        size_t n = next_random(&seed) % 40;
        strbuf_init(&whole, 0);
        strbuf_init(&pieces, 0);
        detokenizer_init(&d, tok, round % 2);
        for (size_t i = 0; i < n; i++) {
            ids[i] = (int32_t)(next_random(&seed) % (tokenizer_n_vocab(tok) + 4)) - 2;
            size_t before = pieces.len;
            assert_int_equal(detokenizer_push(&d, ids[i], &pieces), 0);
            struct str piece = str_skip(strbuf_str(&pieces), before);
            assert_int_equal(utf8_valid_len(piece), piece.len);
        }
        assert_int_equal(detokenizer_finish(&d, &pieces), 0);
        assert_int_equal(tokenizer_decode(tok, ids, n, round % 2, &whole), 0);
        assert_true(str_eq(strbuf_str(&whole), strbuf_str(&pieces)));
        detokenizer_deinit(&d);
        strbuf_deinit(&whole);
        strbuf_deinit(&pieces);
    }
    tokenizer_free(tok);
}

static void test_detokenizer_random_ids_pieces_equal_whole(void **state)
{
    (void)state;
    for_each_fixture(check_streaming);
}

static struct tokenizer *open_fixture(const char *name, struct arena *arena, struct strbuf *buf)
{
    char path[512];
    const struct json *root;
    struct err err = { 0 };
    struct tokenizer *tok;
    snprintf(path, sizeof path, "%s/tests/fixtures/tokenizers/%s.json", test_source_root(), name);
    arena_init(arena, 0);
    assert_int_equal(json_parse(arena, test_read_whole(path, buf), &root, &err), 0);
    assert_int_equal(tokenizer_from_json(json_get(root, STR("tokenizer"))->text, &tok, &err), 0);
    arena_deinit(arena);
    strbuf_deinit(buf);
    return tok;
}

static void test_tokenizer_lookups_known_and_unknown(void **state)
{
    (void)state;
    struct arena arena;
    struct strbuf buf;
    struct tokenizer *tok = open_fixture("llama2", &arena, &buf);
    int32_t bos = tokenizer_find(tok, STR("<s>")), byte = tokenizer_find(tok, STR("<0xE4>"));
    assert_true(bos >= 0 && byte >= 0);
    assert_true(tokenizer_is_special(tok, bos));
    assert_false(tokenizer_is_special(tok, byte));
    assert_false(tokenizer_is_special(tok, -1));
    assert_false(tokenizer_is_special(tok, 1 << 30));
    assert_int_equal(tokenizer_find(tok, STR("no such token")), -1);
    assert_true(str_eq(tokenizer_token_bytes(tok, bos), STR("<s>")));
    assert_true(str_eq(tokenizer_token_bytes(tok, byte), STR("\xe4")));
    assert_true(str_eq(tokenizer_token_bytes(tok, tokenizer_find(tok, STR("▁the"))), STR(" the")));
    assert_int_equal(tokenizer_token_bytes(tok, 1 << 30).len, 0);
    tokenizer_free(tok);
    tok = open_fixture("gpt2", &arena, &buf);
    assert_true(str_eq(tokenizer_token_bytes(tok, tokenizer_find(tok, STR("Ġthe"))), STR(" the")));
    assert_true(str_eq(tokenizer_token_bytes(tok, tokenizer_find(tok, STR("ä"))), STR("\xe4")));
    tokenizer_free(tok);
}

static void test_detokenizer_continued_keeps_leading_space(void **state)
{
    (void)state;
    struct arena arena;
    struct strbuf buf, out;
    struct tokenizer *tok = open_fixture("llama2", &arena, &buf);
    int32_t the = tokenizer_find(tok, STR("▁the"));
    struct detokenizer d;
    strbuf_init(&out, 0);
    detokenizer_init_continued(&d, tok, false);
    assert_int_equal(detokenizer_push(&d, the, &out), 0);
    assert_int_equal(detokenizer_finish(&d, &out), 0);
    assert_true(str_eq(strbuf_str(&out), STR(" the")));
    detokenizer_deinit(&d);
    strbuf_reset(&out);
    detokenizer_init(&d, tok, false); // the control: a text of its own
    assert_int_equal(detokenizer_push(&d, the, &out), 0);
    assert_int_equal(detokenizer_finish(&d, &out), 0);
    assert_true(str_eq(strbuf_str(&out), STR("the")));
    detokenizer_deinit(&d);
    strbuf_deinit(&out);
    tokenizer_free(tok);
}

static void test_tokenizer_encode_ill_formed_utf8_refused(void **state)
{
    (void)state;
    struct arena arena;
    struct strbuf buf;
    struct tokenizer *tok = open_fixture("gpt2", &arena, &buf);
    struct token_ids ids = { 0 };
    struct err err = { 0 };
    assert_int_equal(token_ids_append(&ids, 5), 0);
    assert_int_equal(tokenizer_encode(tok, STR("ab\xff"), 0, &ids, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "byte 2"));
    assert_int_equal(ids.len, 1);
    token_ids_deinit(&ids);
    tokenizer_free(tok);
}

static void *encode_in_thread(void *arg)
{
    const struct tokenizer *tok = arg;
    struct token_ids ids = { 0 };
    struct err err;
    for (int i = 0; i < 200; i++) {
        tokenizer_encode(tok, STR("the quick brown fox jumps over the lazy dog, isn't it? 12345"), 0, &ids, &err);
    }
    size_t n = ids.len;
    token_ids_deinit(&ids);
    return (void *)n;
}

// What a tokenizer learns about its tokens while it works is shared; ThreadSanitizer watches.
static void test_tokenizer_encode_by_threads_at_once_same_ids(void **state)
{
    (void)state;
    struct arena arena;
    struct strbuf buf;
    struct tokenizer *tok = open_fixture("gpt2", &arena, &buf);
    pthread_t threads[4];
    void *n[4];
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, encode_in_thread, tok), 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], &n[i]), 0);
    }
    assert_ptr_equal(n[0], encode_in_thread(tok));
    assert_true(n[0] == n[1] && n[0] == n[2] && n[0] == n[3] && n[0] != NULL);
    tokenizer_free(tok);
}

// A long run of one letter is merged in far less than quadratic time (that would be minutes, past the test's limit).
static void test_tokenizer_encode_long_run_of_one_letter(void **state)
{
    (void)state;
    struct arena arena;
    struct strbuf buf;
    static const char *const names[] = { "gpt2", "llama2" };
    static char text[1 << 18];
    for (int i = 0; i < 2; i++) {
        struct tokenizer *tok = open_fixture(names[i], &arena, &buf);
        struct token_ids ids = { 0 };
        struct err err = { 0 };
        memset(text, i == 0 ? 'a' : ' ', sizeof text);
        assert_int_equal(tokenizer_encode(tok, (struct str){ text, sizeof text }, 0, &ids, &err), 0);
        assert_true(ids.len > 0 && ids.len <= sizeof text + 1);
        token_ids_deinit(&ids);
        tokenizer_free(tok);
    }
}

// One letter with a quarter of a million marks, in the wrong order: put into order in linear time.
static void test_tokenizer_encode_long_run_of_marks_normalized(void **state)
{
    enum { N = 1 << 17 };
    (void)state;
    struct arena arena;
    struct strbuf buf, text, want, got;
    struct tokenizer *tok = open_fixture("qwen2", &arena, &buf);
    struct token_ids ids = { 0 };
    struct err err = { 0 };
    strbuf_init(&text, 0);
    strbuf_init(&want, 0);
    strbuf_init(&got, 0);
    strbuf_append(&text, STR("a"));
    strbuf_append(&want, STR("\xc3\xa1")); // composed with the first acute
    for (int i = 0; i < N; i++) {
        strbuf_append(&text, STR("\xcc\x81\xcc\xa7")); // U+0301 U+0327
        strbuf_append(&want, STR("\xcc\xa7"));
    }
    for (int i = 1; i < N; i++) {
        strbuf_append(&want, STR("\xcc\x81"));
    }
    assert_int_equal(tokenizer_encode(tok, strbuf_str(&text), 0, &ids, &err), 0);
    assert_int_equal(tokenizer_decode(tok, ids.ids, ids.len, false, &got), 0);
    assert_int_equal(got.len, want.len);
    assert_memory_equal(got.ptr, want.ptr, want.len);
    token_ids_deinit(&ids);
    strbuf_deinit(&text);
    strbuf_deinit(&want);
    strbuf_deinit(&got);
    tokenizer_free(tok);
}

// ---- malformed files -----------------------------------------------------------------------------------------------

#define MODEL(rest) "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]}" rest "}"

static void test_tokenizer_malformed_files_named_entry(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        int code;
        const char *part;
    } cases[] = {
        { MODEL(""), 0, "" }, // the control
        { MODEL(",\"truncation\":{\"max_length\":1},\"padding\":{}"), 0, "" },
        { "[]", -EINVAL, "object expected" },
        { "{}", -EINVAL, "tokenizer.model is missing" },
        { "{\"model\":{\"type\":\"Unigram\",\"vocab\":[]}}", -EOPNOTSUPP, "model: type Unigram" },
        { "{\"model\":{\"type\":\"BPE\",\"merges\":[]}}", -EINVAL, "model.vocab is missing" },
        { "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1},\"merges\":[]}}", -EINVAL, "model.vocab[\"a\"]: -1" },
        { "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]}}", -EINVAL, "same id 0" },
        { "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a\"]}}", -EINVAL, "model.merges[0]" },
        { "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a a\",\"a c\"]}}", -EINVAL,
          "model.merges[0]" },
        { "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]}}", -EINVAL, "model.merges[0]" },
        { "{\"model\":{\"type\":\"BPE\",\"dropout\":0.1,\"vocab\":{},\"merges\":[]}}", -EOPNOTSUPP, "model.dropout" },
        { MODEL(",\"version\":\"2.0\""), -EOPNOTSUPP, "version" },
        { MODEL(",\"normalizer\":{\"type\":\"Foo\"}"), -EOPNOTSUPP, "normalizer: type Foo" },
        { MODEL(",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},{\"type\":\"Prepend\"}]}"),
          -EINVAL, "normalizer.normalizers[1].prepend is missing" },
        { MODEL(",\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"}"), -EOPNOTSUPP,
          "pre_tokenizer: type UnicodeScripts" },
        { MODEL(",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(\"},\"behavior\":\"Isolated\","
                "\"invert\":false}"),
          -EINVAL, "pre_tokenizer.pattern" },
        { MODEL(",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[a&&&&b]\"},\"behavior\":\"Isolated\","
                "\"invert\":false}"),
          -EOPNOTSUPP, "intersection" },
        { MODEL(",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[[:alpha:]]\"},\"behavior\":"
                "\"Isolated\","
                "\"invert\":false}"),
          -EOPNOTSUPP, "POSIX" },
        { MODEL(",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\"x\"},\"behavior\":\"Odd\",\"invert\":"
                "false}"),
          -EINVAL, "\"Odd\"" },
        { MODEL(",\"decoder\":{\"type\":\"Odd\"}"), -EOPNOTSUPP, "decoder: type Odd" },
        { MODEL(",\"decoder\":{\"type\":\"CTC\"}"), -EINVAL, "decoder.pad_token is missing" },
        { MODEL(",\"decoder\":{\"type\":\"Strip\",\"content\":\"ab\",\"start\":1,\"stop\":0}"), -EINVAL,
          "decoder.content" },
        { MODEL(",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\"}}],"
                "\"special_tokens\":{}}"),
          -EINVAL, "\"<s>\" is missing" },
        { MODEL(",\"added_tokens\":[{\"id\":3,\"content\":\"<s>\"}]"), -EINVAL,
          "added_tokens[0].single_word is missing" },
        { MODEL(",\"added_tokens\":[{\"id\":9,\"content\":\"<s>\",\"single_word\":false,\"lstrip\":false,\"rstrip\":"
                "false,"
                "\"normalized\":false,\"special\":true}]"),
          -EINVAL, "added_tokens[0].id: 9" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tokenizer *tok = NULL;
        struct err err = { 0 };
        int r = tokenizer_from_json(str_from(cases[i].json), &tok, &err);
        if (r != cases[i].code || (r < 0 && !strstr(err.msg, cases[i].part))) {
            fail_msg("%s: code %d, \"%s\"", cases[i].json, r, err.msg);
        }
        assert_true((r == 0) == (tok != NULL));
        tokenizer_free(tok);
    }
}

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

// Ids of "a x ab", "-" between them; or what the error ends in.
static void check_config(const char *dir, const char *config, const char *want)
{
    struct tokenizer *tok = NULL;
    struct err err = { 0 };
    struct token_ids ids = { 0 };
    struct strbuf got = { 0 };
    write_file(dir, "tokenizer_config.json", config);
    if (tokenizer_open(dir, &tok, &err) < 0) {
        if (!str_ends_with(str_from(err.msg), str_from(want))) {
            fail_msg("\"%s\" does not end in \"%s\"", err.msg, want);
        }
        return;
    }
    assert_int_equal(tokenizer_encode(tok, STR("a x ab"), TOKENIZER_ADD_SPECIAL, &ids, &err), 0);
    for (size_t i = 0; i < ids.len; i++) {
        strbuf_printf(&got, "%s%d", i ? "-" : "", ids.ids[i]);
    }
    if (!str_eq(strbuf_str(&got), str_from(want))) {
        fail_msg("%s: want %s, got %.*s", config, want, STR_ARG(strbuf_str(&got)));
    }
    token_ids_deinit(&ids);
    strbuf_deinit(&got);
    tokenizer_free(tok);
}

static void test_tokenizer_open_config_adds_tokens(void **state)
{
    (void)state;
    char dir[] = "/tmp/tokfs-test-XXXXXX", path[256];
    assert_non_null(mkdtemp(dir));
    write_file(
        dir, "tokenizer.json",
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\" \":3,\"x\":4},\"merges\":[\"a b\"]},"
        "\"added_tokens\":[{\"id\":4,\"content\":\"x\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"
        "\"normalized\":false,\"special\":true}]}");
    check_config(dir, "{}", "0-3-4-3-2");
    check_config(dir, "{\"added_tokens_decoder\":{\"4\":{\"content\":\"x\",\"lstrip\":true,\"rstrip\":true}}}",
                 "0-4-2");
    check_config(dir, "{\"added_tokens_decoder\":{\"5\":{\"content\":\" x\",\"special\":true}}}", "0-5-3-2");
    check_config(dir, "{\"eos_token\":\"a\"}", "0-3-4-3-0-1");                     // now cut out before merging
    check_config(dir, "{\"pad_token\":{\"content\":\"b\"}}", "0-3-4-3-0-1");       // likewise
    check_config(dir, "{\"extra_special_tokens\":[\" \",\"none\"]}", "0-3-4-3-2"); // unknown ones left out
    check_config(dir, "{\"bos_token\":\"x\",\"add_bos_token\":true,\"eos_token\":null}",
                 "0-3-4-3-2"); // as transformers
    check_config(dir, "{\"added_tokens_decoder\":{\"9\":{\"content\":\" x\"}}}",
                 "added_tokens_decoder[\"9\"].id: 9, but \" x\" has id 5 (the next one after the vocabulary)");
    check_config(dir, "{\"added_tokens_decoder\":{\"one\":{}}}", "[\"one\"]: not a token by its id");
    check_config(dir, "{\"added_tokens_decoder\":{\"4\":{\"content\":\"x\",\"lstrip\":1}}}",
                 "tokenizer_config.json: added_tokens_decoder[\"4\"].lstrip: boolean expected, number found");
    static const char *const names[] = { "tokenizer.json", "tokenizer_config.json" };
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokenizer_fixtures_equal_recorded),
        cmocka_unit_test(test_detokenizer_random_ids_pieces_equal_whole),
        cmocka_unit_test(test_tokenizer_lookups_known_and_unknown),
        cmocka_unit_test(test_detokenizer_continued_keeps_leading_space),
        cmocka_unit_test(test_tokenizer_encode_ill_formed_utf8_refused),
        cmocka_unit_test(test_tokenizer_encode_by_threads_at_once_same_ids),
        cmocka_unit_test(test_tokenizer_encode_long_run_of_one_letter),
        cmocka_unit_test(test_tokenizer_encode_long_run_of_marks_normalized),
        cmocka_unit_test(test_tokenizer_malformed_files_named_entry),
        cmocka_unit_test(test_tokenizer_open_config_adds_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
