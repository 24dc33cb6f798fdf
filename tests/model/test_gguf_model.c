// What model_open refuses of GGUF files, by file, key and tensor. Each case is a checked-in file with some bytes
// changed.
#include "engine/model/gguf_sampling.h"
#include "engine/model/model.h"
#include "engine/model/model_text.h"
#include "tests/unit.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define GGUFS "tests/fixtures/gguf"

static char dir[64], path[128];
static char *bytes;
static size_t len;

static void read_fixture(const char *name)
{
    char source[4096];
    snprintf(source, sizeof(source), "%s/" GGUFS "/%s", test_source_root(), name);
    FILE *f = fopen(source, "re");
    assert_non_null(f);
    struct stat st;
    assert_int_equal(fstat(fileno(f), &st), 0);
    len = (size_t)st.st_size;
    free(bytes);
    bytes = malloc(len);
    assert_int_equal(fread(bytes, 1, len, f), len);
    fclose(f);
}

static void write_as(const char *name, size_t n)
{
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

// Behind the text, which is there and is followed by others only where it is another's beginning.
static char *find(const char *text)
{
    char *at = memmem(bytes, len, text, strlen(text));
    assert_non_null(at);
    return at + strlen(text);
}

static void replace(const char *from, const char *to)
{
    assert_int_equal(strlen(from), strlen(to));
    memcpy(find(from) - strlen(from), to, strlen(to));
}

static int try_open(const char *file, struct err *err)
{
    struct backend *b = NULL;
    const struct backend_options backend_options = { .n_threads = 1 };
    assert_int_equal(backend_open("cpu", &backend_options, &b, NULL), 0);
    const struct model_options options = {
        .dir = file, .backend = b, .batch_rows_max = 4, .logit_rows_max = 4, .page_tokens = 16
    };
    struct model *model = NULL;
    int rc = model_open(&options, &model, err);
    model_free(model);
    b->ops->close(b);
    return rc;
}

static void expect_refusal(int code, const char *words)
{
    struct err err = { 0 };
    int rc = try_open(path, &err);
    if (rc != code || !strstr(err.msg, words)) {
        fail_msg("%d \"%s\"; expected %d \"%s\"", rc, err.msg, code, words);
    }
    assert_non_null(strstr(err.msg, ".gguf"));
}

static void expect_edit_refused(const char *from, const char *to, int code, const char *words)
{
    read_fixture("gqa-f32.gguf");
    replace(from, to);
    write_as("m.gguf", len);
    expect_refusal(code, words);
}

static void test_gguf_model_keys_are_checked_by_name(void **state)
{
    (void)state;
    read_fixture("gqa-f32.gguf");
    write_as("m.gguf", len);
    assert_int_equal(try_open(path, NULL), 0);
    read_fixture("gqa-f32.gguf");
    memcpy(find("general.architecture") + 12, "womba", 5);
    write_as("m.gguf", len);
    expect_refusal(-EOPNOTSUPP, "general.architecture \"womba\" is not supported");
    expect_edit_refused("llama.block_count", "llama.block_counX", -EINVAL, "llama.block_count is missing");
}

static void test_gguf_model_values_are_checked_by_key(void **state)
{
    (void)state;
    read_fixture("gqa-f32.gguf");
    memset(find("llama.embedding_length") + 4, 0, 4);
    write_as("m.gguf", len);
    expect_refusal(-EINVAL, "llama.embedding_length");
    read_fixture("gqa-f32.gguf");
    *(find("llama.attention.head_count_kv") + 4) = 3;
    write_as("m.gguf", len);
    expect_refusal(-EINVAL, "is not a multiple of num_key_value_heads 3");
    read_fixture("gqa-f32.gguf");
    *(find("llama.attention.value_length") + 4) = 4;
    write_as("m.gguf", len);
    expect_refusal(-EOPNOTSUPP, "llama.attention.value_length 4 is another than the keys' 8");
    read_fixture("gqa-f32.gguf");
    *find("llama.block_count") = 6; // a float
    write_as("m.gguf", len);
    expect_refusal(-EINVAL, "llama.block_count: whole number expected, float32 found");
    read_fixture("rope-linear-old-config.gguf");
    memcpy(find("llama.rope.scaling.type") + 12, "cubic!", 6);
    write_as("m.gguf", len);
    expect_refusal(-EOPNOTSUPP, "rope_type \"cubic!\" is not supported");
}

static void test_gguf_model_tensors_are_checked_by_name(void **state)
{
    (void)state;
    expect_edit_refused("blk.1.ffn_up.weight", "blk.1.ffn_ux.weight", -EINVAL,
                        "tensor \"blk.1.ffn_up.weight\" is missing");
    expect_edit_refused("token_embd.weight", "token_embX.weight", -EINVAL, "tensor \"token_embd.weight\" is missing");
    read_fixture("gqa-f32.gguf");
    *(find("llama.block_count") + 4) = 1;
    write_as("m.gguf", len);
    expect_refusal(-EOPNOTSUPP, "is not a tensor of LlamaForCausalLM as the metadata describes it (9 such tensors)");
    read_fixture("gqa-f32.gguf");
    char *dims = find("blk.0.ffn_gate.weight") + 4; // [40][36] becomes [36][40]
    dims[0] = 36;
    dims[8] = 40;
    write_as("m.gguf", len);
    expect_refusal(-EINVAL, "\"blk.0.ffn_gate.weight\" has 2 dimensions [40, 36], the metadata asks for [36, 40]");
    read_fixture("blocks-k.gguf");
    find("blk.0.attn_q.weight")[4 + 16] = 23; // Q4_K becomes IQ4_XS, which is smaller
    write_as("m.gguf", len);
    expect_refusal(-EOPNOTSUPP, "\"blk.0.attn_q.weight\" has dtype IQ4_XS, which is not supported");
}

static void test_gguf_model_rope_factors_are_checked(void **state)
{
    (void)state;
    read_fixture("rope-llama3.gguf");
    find("rope_freqs.weight")[4] = 7;
    write_as("m.gguf", len);
    expect_refusal(-EINVAL, "\"rope_freqs.weight\" has 7 elements for 16 dimensions");
    read_fixture("rope-llama3.gguf");
    memset(bytes + len - 32, 0, 32); // it is the file's last tensor
    write_as("m.gguf", len);
    expect_refusal(-EINVAL, "\"rope_freqs.weight\": element 0 is 0, not a factor");
}

static void test_gguf_model_cut_short_is_refused(void **state)
{
    (void)state;
    read_fixture("gqa-f32.gguf");
    static const size_t cuts[] = { 0, 3, 20, 200, 1500, 3000 };
    for (size_t i = 0; i < sizeof(cuts) / sizeof(*cuts); i++) {
        write_as("m.gguf", cuts[i]);
        expect_refusal(-EINVAL, "m.gguf");
    }
    write_as("m.gguf", len - 64);
    expect_refusal(-EINVAL, "ends behind the end of the file");
}

#define PART(n) "blocks-32-0000" n "-of-00003.gguf"

static void copy_parts(void)
{
    static const char *const names[] = { PART("1"), PART("2"), PART("3") };
    for (size_t i = 3; i-- > 0;) {
        read_fixture(names[i]);
        write_as(names[i], len);
    }
}

static void test_gguf_model_in_several_files_is_checked(void **state)
{
    (void)state;
    char first[128];
    copy_parts();
    memcpy(first, path, sizeof(first));
    assert_int_equal(try_open(first, NULL), 0);

    read_fixture(PART("2"));
    write_as(PART("3"), len);
    memcpy(path, first, sizeof(path));
    expect_refusal(-EINVAL, "split.no 1 of split.count 3 where 2 of 3 is expected");
    memcpy(strstr(path, "00001"), "00003", 5);
    unlink(path);
    memcpy(path, first, sizeof(path));
    expect_refusal(-ENOENT, PART("3"));
    copy_parts();
    memcpy(strstr(path, "00001"), "00002", 5);
    expect_refusal(-EINVAL, "give the name of the first file");
    read_fixture(PART("1"));
    write_as("m.gguf", len);
    expect_refusal(-EINVAL, "split.count is 3, but the name does not end in -00001-of-00003.gguf");
    copy_parts();
    read_fixture(PART("1"));
    *(find("split.tensors.count") + 4) = 9;
    write_as(PART("1"), len);
    expect_refusal(-EINVAL, "split.tensors.count is 9, but the 3 files have 11 tensors");
}

static void test_gguf_model_texts_are_those_of_a_directory(void **state)
{
    (void)state;
    struct strbuf text;
    struct err err = { 0 };
    strbuf_init(&text, 0);
    snprintf(path, sizeof(path), "%s/m.gguf", dir);
    read_fixture("qwen2.gguf");
    write_as("m.gguf", len);
    assert_int_equal(model_text_read(path, "config.json", 1 << 20, &text, &err), 0);
    assert_non_null(strstr(text.ptr, "\"architectures\":[\"Qwen2ForCausalLM\"]"));
    strbuf_reset(&text);
    assert_int_equal(model_text_read(path, "tokenizer_config.json", 1 << 20, &text, &err), 0);
    assert_string_equal(text.ptr, "{}");
    assert_int_equal(model_text_read(path, "generation_config.json", 1 << 20, &text, &err), -ENOENT);
    strbuf_deinit(&text);
}

static uint64_t hash_tokenizer(void)
{
    uint64_t hash = 0;
    struct err err = { 0 };
    write_as("m.gguf", len);
    assert_int_equal(model_text_hash_tokenizer(path, &hash, &err), 0);
    assert_true(hash != 0);
    return hash;
}

static void test_gguf_model_another_vocabulary_has_another_hash(void **state)
{
    (void)state;
    read_fixture("qwen2.gguf");
    uint64_t hash = hash_tokenizer();
    replace("blk.0.ffn_up.weight", "blk.0.ffn_uq.weight");
    assert_true(hash_tokenizer() == hash);
    replace("no_vocab", "no_vocac");
    assert_true(hash_tokenizer() != hash);
    struct err err = { 0 };
    assert_int_equal(model_text_hash_tokenizer(dir, &hash, &err), -ENOENT);
    assert_non_null(strstr(err.msg, "tokenizer.json"));
}

static void expect_sampling(const char *json, const char *wanted)
{
    struct gguf_writer w;
    struct gguf *g;
    struct strbuf head, text;
    struct err err = { 0 };
    strbuf_init(&head, 0);
    strbuf_init(&text, 0);
    gguf_writer_init(&w);
    assert_int_equal(gguf_sampling_write(str_from(json), &w, &err), 0);
    assert_int_equal(gguf_write_head(&w, &head), 0);
    assert_int_equal(gguf_parse(strbuf_str(&head), head.len, "m.gguf", &g, &err), 0);
    int rc = gguf_sampling_read(g, &text, &err);
    assert_int_equal(rc, wanted ? 0 : -ENOENT);
    if (wanted) {
        assert_string_equal(text.ptr, wanted);
    }
    gguf_free(g);
    gguf_writer_deinit(&w);
    strbuf_deinit(&head);
    strbuf_deinit(&text);
}

static void test_gguf_model_sampling_is_what_was_written(void **state)
{
    (void)state;
    struct gguf_writer w;
    struct err err = { 0 };
    expect_sampling("{\"temperature\":0.7,\"top_p\":0.8,\"top_k\":20,\"min_p\":0.05,\"repetition_penalty\":1.05}",
                    "{\"temperature\":0.7,\"top_k\":20,\"top_p\":0.8,\"min_p\":0.05,\"repetition_penalty\":1.05}");
    expect_sampling("{\"temperature\":0.7,\"do_sample\":false,\"top_k\":0}", "{\"temperature\":0.0}");
    expect_sampling("{\"eos_token_id\":2}", NULL);
    gguf_writer_init(&w);
    assert_int_equal(gguf_sampling_write(STR("[1]"), &w, &err), -EINVAL);
    gguf_writer_deinit(&w);
}

int main(void)
{
    const char *tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(dir, sizeof(dir), "%s/tokfs-gguf-XXXXXX", tmp);
    if (!mkdtemp(dir)) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gguf_model_keys_are_checked_by_name),
        cmocka_unit_test(test_gguf_model_values_are_checked_by_key),
        cmocka_unit_test(test_gguf_model_tensors_are_checked_by_name),
        cmocka_unit_test(test_gguf_model_rope_factors_are_checked),
        cmocka_unit_test(test_gguf_model_cut_short_is_refused),
        cmocka_unit_test(test_gguf_model_in_several_files_is_checked),
        cmocka_unit_test(test_gguf_model_texts_are_those_of_a_directory),
        cmocka_unit_test(test_gguf_model_another_vocabulary_has_another_hash),
        cmocka_unit_test(test_gguf_model_sampling_is_what_was_written),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    free(bytes);
    return system(command) || rc;
}
