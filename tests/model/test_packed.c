// Packed weights in a file: the same bits as without it, and everything that makes a file stale, damaged or not to be
// trusted.
#include "engine/model/weights_packed.h"
#include "tests/model/model_run.h"
#include "tests/unit.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define N_TOKENS    20
#define FORMAT_AT   8 // bytes of the head: packed_file.c
#define N_VOCAB_MAX 512

static char tmp[64], dir[128], file[160];

static int make_directory(void **state)
{
    (void)state;
    strcpy(tmp, access("/dev/shm", W_OK) == 0 ? "/dev/shm/tokfs-test-XXXXXX" : "/tmp/tokfs-test-XXXXXX");
    if (!mkdtemp(tmp)) {
        return -1;
    }
    snprintf(dir, sizeof(dir), "%s/model", tmp);
    snprintf(file, sizeof(file), "%s/file", tmp);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", tmp);
    return system(command);
}

static void copy_model(const char *name)
{
    char command[8500];
    snprintf(command, sizeof(command), "rm -rf %s && cp -r %s/tests/fixtures/%s %s", dir, test_source_root(), name,
             dir);
    assert_int_equal(system(command), 0);
}

// Opens the model, computes, and gives what became of the file.
static struct packed_note run_model(const struct run_options *options, float *logits)
{
    int32_t tokens[N_TOKENS];
    struct model_run run;
    run_open_with(&run, options);
    assert_true(run.n_vocab <= N_VOCAB_MAX);
    for (int i = 0; i < N_TOKENS; i++) {
        tokens[i] = i + 1;
    }
    run_prompt(&run, tokens, N_TOKENS, N_TOKENS, logits);
    struct packed_note note = *model_packed_note(run.model);
    run_close(&run);
    return note;
}

static float expected[N_TOKENS * N_VOCAB_MAX], got[N_TOKENS * N_VOCAB_MAX];

// With a file, in whatever state it is: the results are the same.
static struct packed_note expect_same(struct run_options options, const char *pack_cache)
{
    memset(expected, 0, sizeof(expected));
    memset(got, 1, sizeof(got));
    options.pack_cache = NULL;
    struct packed_note none = run_model(&options, expected);
    assert_string_equal(none.msg, "");
    options.pack_cache = pack_cache;
    struct packed_note note = run_model(&options, got);
    size_t n = 0;
    while (n < N_TOKENS * N_VOCAB_MAX && expected[n] != 0) {
        n++;
    }
    assert_true(n >= N_TOKENS);
    assert_memory_equal(got, expected, n * sizeof(float));
    return note;
}

static void expect_kept_then_taken(struct run_options options, const char *pack_cache)
{
    struct packed_note note = expect_same(options, pack_cache);
    if (note.is_taken || note.is_bad || !strstr(note.msg, "packed weights kept")) {
        fail_msg("%s", note.msg);
    }
    options.n_threads = 3;
    note = expect_same(options, pack_cache);
    if (!note.is_taken || note.is_bad) {
        fail_msg("%s", note.msg);
    }
}

// What is said, and that it is made anew.
static void expect_stale(struct run_options options, const char *words)
{
    struct packed_note note = expect_same(options, file);
    if (note.is_taken || note.is_bad || !strstr(note.msg, words) || !strstr(note.msg, "made anew")) {
        fail_msg("\"%s\"; expected \"%s\"", note.msg, words);
    }
    assert_true(expect_same(options, file).is_taken);
}

static void expect_bad(struct run_options options, const char *path, const char *words)
{
    struct packed_note note = expect_same(options, path);
    if (note.is_taken || !note.is_bad || !strstr(note.msg, words)) {
        fail_msg("\"%s\"; expected \"%s\"", note.msg, words);
    }
}

static struct run_options make_kept(const char *name)
{
    copy_model(name);
    struct run_options options = { .dir = dir };
    unlink(file);
    expect_kept_then_taken(options, file);
    return options;
}

static void flip(off_t at)
{
    unsigned char byte;
    int fd = open(file, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static off_t file_size(void)
{
    struct stat st;
    assert_int_equal(stat(file, &st), 0);
    return st.st_size;
}

// ---- tests ---------------------------------------------------------------------------------------------------------

static void test_packed_any_model_computes_the_same_bits(void **state)
{
    (void)state;
    static const char *const names[] = { "models/gqa-bf16",  "models/gqa-f16", "models/gemma3",
                                         "models/qwen3-moe", "models/gpt-oss", "models/mqa-biases-wide-heads",
                                         "models/sharded" };
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        make_kept(names[i]);
    }
}

static void test_packed_quantized_weights_have_files_of_their_own(void **state)
{
    (void)state;
    copy_model("models/mqa-biases-wide-heads");
    for (enum weight_form form = WEIGHTS_AS_STORED; form <= WEIGHTS_Q4; form++) {
        expect_kept_then_taken((struct run_options){ .dir = dir, .weights = form }, "auto");
    }
    static const char *const names[] = { "tokfs-cpu-stored.packed", "tokfs-cpu-q8.packed", "tokfs-cpu-q4.packed" };
    for (size_t i = 0; i < 3; i++) {
        char path[256];
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        assert_int_equal(access(path, F_OK), 0);
    }
    expect_kept_then_taken((struct run_options){ .dir = dir, .weights = WEIGHTS_Q8 }, file);
    expect_stale((struct run_options){ .dir = dir, .weights = WEIGHTS_Q4 }, "made for another form of the weights");
}

static void test_packed_gguf_has_its_file_beside_it(void **state)
{
    (void)state;
    char path[256];
    copy_model("gguf/blocks-k.gguf");
    expect_kept_then_taken((struct run_options){ .dir = dir }, "auto");
    snprintf(path, sizeof(path), "%s.cpu-stored.packed", dir);
    assert_int_equal(access(path, F_OK), 0);
}

// All lay weights out alike so far; where one does not, the file is made anew, which is right as well.
static void test_packed_serves_any_instruction_set(void **state)
{
    (void)state;
    struct run_options options = make_kept("models/gqa-bf16");
    static const char *const isas[] = { "scalar", "avx2", "avx512vnni" };
    for (size_t i = 0; i < sizeof(isas) / sizeof(*isas); i++) {
        options.isa = isas[i];
        if (run_has_isa(isas[i])) {
            struct packed_note note = expect_same(options, file);
            assert_true(note.is_taken || strstr(note.msg, "has another layout"));
        }
    }
}

static void test_packed_is_as_readable_as_its_model(void **state)
{
    (void)state;
    struct stat st;
    char weights[256];
    copy_model("models/gqa-f32");
    snprintf(weights, sizeof(weights), "%s/model.safetensors", dir);
    assert_int_equal(chmod(weights, 0640), 0);
    expect_kept_then_taken((struct run_options){ .dir = dir }, file);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
}

static void test_packed_changed_sources_make_it_stale(void **state)
{
    (void)state;
    char path[256];
    struct run_options options = make_kept("models/gqa-f32");
    const struct timespec times[2] = { { 1, 0 }, { 1, 1 } };
    snprintf(path, sizeof(path), "%s/model.safetensors", dir);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    expect_stale(options, "made from other files, or these have changed");
    snprintf(path, sizeof(path), "%s/config.json", dir);
    FILE *f = fopen(path, "ae");
    assert_non_null(f);
    fputs("\n", f);
    fclose(f);
    expect_stale(options, "made from other files, or these have changed");
    copy_model("models/gqa-bf16");
    expect_stale(options, "made from other files, or these have changed");
}

static void test_packed_damage_is_found(void **state)
{
    (void)state;
    struct run_options options = make_kept("models/gqa-f32");
    off_t size = file_size();
    flip(size - 4096 + 3); // in the last piece: pieces begin at multiples of 4096
    expect_stale(options, "is damaged between bytes");
    flip(4096 + 5); // in the first, or in the table
    expect_stale(options, "damaged");
    flip(100); // in the table
    expect_stale(options, "its head is damaged");
    flip(FORMAT_AT);
    expect_stale(options, "format");
    assert_int_equal(truncate(file, size - 1), 0);
    expect_stale(options, "bytes of");
    assert_int_equal(truncate(file, size + 1), 0);
    expect_stale(options, "bytes of");
    assert_int_equal(truncate(file, 200), 0);
    expect_stale(options, "its head is damaged");
    assert_int_equal(truncate(file, 20), 0);
    expect_stale(options, "ends in its head");
    assert_int_equal(truncate(file, 0), 0);
    expect_stale(options, "ends in its head");
}

static void test_packed_what_others_may_write_is_refused(void **state)
{
    (void)state;
    struct run_options options = make_kept("models/gqa-f32");
    assert_int_equal(chmod(file, 0664), 0);
    expect_bad(options, file, "its mode is 664: others may write it");
    assert_int_equal(chmod(file, 0642), 0);
    expect_bad(options, file, "others may write it");
    assert_int_equal(chmod(file, 0400), 0);
    assert_true(expect_same(options, file).is_taken);
    if (geteuid() == 0) {
        assert_int_equal(chown(file, 12345, 0), 0);
        expect_bad(options, file, "it belongs to user 12345, neither to this one nor to root");
        assert_int_equal(chown(file, 0, 0), 0);
        assert_true(expect_same(options, file).is_taken);
    }
    char link[256];
    snprintf(link, sizeof(link), "%s/link", tmp);
    assert_int_equal(symlink(file, link), 0);
    expect_bad(options, link, "link: ");
    expect_bad(options, dir, "not a regular file");
}

static void test_packed_other_peoples_files_are_left_alone(void **state)
{
    (void)state;
    char text[64];
    copy_model("models/gqa-f32");
    FILE *f = fopen(file, "we");
    assert_non_null(f);
    fputs("a letter to somebody", f);
    fclose(f);
    struct run_options options = { .dir = dir };
    expect_bad(options, file, "it is no packed model, and is left as it is");
    f = fopen(file, "re");
    assert_non_null(f);
    assert_non_null(fgets(text, sizeof(text), f));
    assert_string_equal(text, "a letter to somebody");
    fclose(f);
}

static void test_packed_what_cannot_be_kept_is_a_warning(void **state)
{
    (void)state;
    char path[256];
    struct rlimit before, little = { 8192, 8192 };
    copy_model("models/gqa-f32");
    struct run_options options = { .dir = dir };
    snprintf(path, sizeof(path), "%s/none/file", tmp);
    expect_bad(options, path, "packed weights are not kept: ");
    // As a disk that is full.
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    little.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
    expect_bad(options, file, "packed weights are not kept: ");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(access(file, F_OK), -1);
    snprintf(path, sizeof(path), "%s.part", file);
    assert_int_equal(access(path, F_OK), -1);
    expect_kept_then_taken(options, file);
}

static void test_packed_one_process_writes_at_a_time(void **state)
{
    (void)state;
    char part[256];
    copy_model("models/gqa-f32");
    struct run_options options = { .dir = dir };
    snprintf(part, sizeof(part), "%s.part", file);
    int fd = open(part, O_CREAT | O_RDWR, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "half a file", 11), 11);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    expect_bad(options, file, "another process is writing it");
    assert_int_equal(access(part, F_OK), 0);
    close(fd); // as one that was killed
    expect_kept_then_taken(options, file);
    assert_int_equal(access(part, F_OK), -1);
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(test_packed_any_model_computes_the_same_bits),
        IN_DIRECTORY(test_packed_quantized_weights_have_files_of_their_own),
        IN_DIRECTORY(test_packed_gguf_has_its_file_beside_it),
        IN_DIRECTORY(test_packed_serves_any_instruction_set),
        IN_DIRECTORY(test_packed_is_as_readable_as_its_model),
        IN_DIRECTORY(test_packed_changed_sources_make_it_stale),
        IN_DIRECTORY(test_packed_damage_is_found),
        IN_DIRECTORY(test_packed_what_others_may_write_is_refused),
        IN_DIRECTORY(test_packed_other_peoples_files_are_left_alone),
        IN_DIRECTORY(test_packed_what_cannot_be_kept_is_a_warning),
        IN_DIRECTORY(test_packed_one_process_writes_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
