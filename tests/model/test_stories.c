// A real small model, stories260K: logits and greedy tokens as llama2.c computes them (reference_logits.json).
#include "engine/base/json.h"
#include "engine/model/file.h"
#include "tests/model/model_run.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define VOCAB    512
#define N_GREEDY 64

static char data_dir[3000];

struct reference {
    struct strbuf text;
    struct arena arena;
    const struct json *cases;
};

static void load_reference(struct reference *ref)
{
    struct err err;
    const struct json *root;
    strbuf_init(&ref->text, 0);
    arena_init(&ref->arena, 0);
    assert_int_equal(file_read(data_dir, "reference_logits.json", 8 << 20, &ref->text, &err), 0);
    assert_int_equal(json_parse(&ref->arena, strbuf_str(&ref->text), &root, &err), 0);
    ref->cases = json_get(root, STR("cases"));
    assert_int_equal(ref->cases->n_children, 6);
}

static void free_reference(struct reference *ref)
{
    arena_deinit(&ref->arena);
    strbuf_deinit(&ref->text);
}

static size_t get_ids(const struct json *list, int32_t *ids)
{
    for (size_t i = 0; i < list->n_children; i++) {
        ids[i] = (int32_t)json_get_double(json_at(list, i));
    }
    return list->n_children;
}

static int32_t argmax(const float *logits)
{
    int32_t best = 0;
    for (int32_t i = 1; i < VOCAB; i++) {
        best = logits[i] > logits[best] ? i : best;
    }
    return best;
}

static void open_variant(struct model_run *run, const char *variant, const char *isa)
{
    char dir[4096];
    snprintf(dir, sizeof(dir), "%s/%s", data_dir, variant);
    run_open(run, dir, isa);
    assert_int_equal(run->n_vocab, VOCAB);
}

static double worst_of_last_row(const struct json *expected, const float *row)
{
    double worst = 0;
    for (size_t i = 0; i < VOCAB; i++) {
        worst = fmax(worst, fabs(row[i] - json_get_double(json_at(expected, i))));
    }
    return worst;
}

// Runs a prompt and its greedy continuation; returns the worst difference of the prompt's last logits, *ret_n_equal the
// greedy tokens that agree before the first that does not.
static double run_case(struct model_run *run, const struct json *c, size_t *ret_n_equal)
{
    static float logits[128][VOCAB];
    int32_t tokens[128], greedy[N_GREEDY];
    size_t n = get_ids(json_get(c, STR("prompt_ids")), tokens), n_equal = 0;
    assert_int_equal(get_ids(json_get(c, STR("greedy_ids")), greedy), N_GREEDY);
    struct run_seq seq = { .tokens = tokens, .logits = logits[0] };
    struct run_seq *const seqs[] = { &seq };
    run_step(run, seqs, &n, 1);
    double worst = worst_of_last_row(json_get(c, STR("logits_last_prompt")), logits[n - 1]);
    for (const size_t one = 1; n_equal < N_GREEDY; n_equal++) {
        tokens[n] = argmax(logits[n - 1]);
        if (tokens[n] != greedy[n_equal]) {
            break;
        }
        run_step(run, seqs, &one, 1);
        n++;
    }
    run_seq_end(run, &seq);
    *ret_n_equal = n_equal;
    return worst;
}

static void test_stories_f32_logits_and_greedy_tokens_are_the_reference(void **state)
{
    (void)state;
    static const char *const isas[] = { "scalar", "avx2", "avx2vnni", "avx512", "avx512vnni", "avx512bf16", "amx" };
    struct reference ref;
    load_reference(&ref);
    for (size_t i = 0; i < sizeof(isas) / sizeof(*isas); i++) {
        if (!run_has_isa(isas[i])) {
            continue;
        }
        struct model_run run;
        double worst = 0;
        open_variant(&run, "hf-f32", isas[i]);
        for (size_t j = 0; j < ref.cases->n_children; j++) {
            size_t n_equal;
            worst = fmax(worst, run_case(&run, json_at(ref.cases, j), &n_equal));
            assert_int_equal(n_equal, N_GREEDY);
        }
        print_message("stories260K f32 %-7s largest difference %.3g, all greedy tokens equal\n", isas[i], worst);
        assert_true(worst < 1e-4);
        run_close(&run);
    }
    free_reference(&ref);
}

static void test_stories_gguf_is_near_the_reference(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        double tolerance;
    } files[] = { { "gguf/stories260K-f32.gguf", 1e-4 }, { "gguf/stories260K-f16.gguf", 0.05 } };
    struct reference ref;
    load_reference(&ref);
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        struct model_run run;
        double worst = 0;
        open_variant(&run, files[i].file, NULL);
        for (size_t j = 0; j < ref.cases->n_children; j++) {
            size_t n_equal;
            worst = fmax(worst, run_case(&run, json_at(ref.cases, j), &n_equal));
            assert_int_equal(n_equal, N_GREEDY);
        }
        print_message("%s largest difference %.3g, all greedy tokens equal\n", files[i].file, worst);
        assert_true(worst < files[i].tolerance);
        run_close(&run);
    }
    free_reference(&ref);
}

static void test_stories_bf16_is_near_the_reference(void **state)
{
    (void)state;
    struct reference ref;
    struct model_run run;
    double worst = 0;
    size_t n_total = 0;
    load_reference(&ref);
    open_variant(&run, "hf-bf16", NULL);
    for (size_t j = 0; j < ref.cases->n_children; j++) {
        size_t n_equal;
        worst = fmax(worst, run_case(&run, json_at(ref.cases, j), &n_equal));
        n_total += n_equal;
        assert_true(n_equal > 0);
    }
    print_message("stories260K bf16 largest difference %.3g, %zu of %zu greedy tokens before the first other one\n",
                  worst, n_total, (size_t)6 * N_GREEDY);
    assert_true(worst < 0.5);
    run_close(&run);
    free_reference(&ref);
}

int main(void)
{
    const char *data = getenv("TOKFS_TEST_DATA");
    snprintf(data_dir, sizeof(data_dir), "%s/weights/stories260K", data ? data : "../shared/data");
    if (access(data_dir, R_OK) != 0) {
        printf("skipped: %s is not there\n", data_dir);
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stories_f32_logits_and_greedy_tokens_are_the_reference),
        cmocka_unit_test(test_stories_gguf_is_near_the_reference),
        cmocka_unit_test(test_stories_bf16_is_near_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
