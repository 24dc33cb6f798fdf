// Logits of tiny random models against those that transformers computed (tests/oracle/gen_models.py), on every path
// that this machine has, and the batch invariance of a step. The same models as GGUF files, and files of quantized
// types, are from tests/oracle/gen_gguf.py.
#include "engine/base/json.h"
#include "engine/model/file.h"
#include "engine/model/safetensors.h"
#include "tests/model/model_run.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FIXTURES    "tests/fixtures/models"
#define GGUFS       "tests/fixtures/gguf"
#define PROMPTS_MAX 4
#define TOKENS_MAX  128
#define VOCAB       61

static const char *const isas[] = { "scalar", "avx2", "avx2vnni", "avx512", "avx512vnni", "avx512bf16", "amx" };

// K and V are stored in the type of the weights, hence the width of the half-precision ones.
#define F32_TOLERANCE 1e-4

struct fixture {
    const char *name;
    double tolerance;
    bool is_cut;    // with its own way through the kernels: also cut and mixed with others
    uint32_t n_ctx; // that the engine serves; 0: all
    // Where the model and the logits are, when not at FIXTURES/NAME. The first n_prompts of these are compared; 0: all.
    const char *path, *expected;
    size_t n_prompts;
};

static const struct fixture fixtures[] = {
    { "gqa-f32", F32_TOLERANCE, true, 0 },
    { "gqa-f16", 0.02, true, 0 },
    { "gqa-bf16", 0.15, true, 0 },
    { "mha-tied-old-config", F32_TOLERANCE, false, 0 },
    { "mqa-biases-wide-heads", F32_TOLERANCE, true, 0 },
    { "rope-llama3", F32_TOLERANCE, false, 0 },
    { "rope-linear-old-config", F32_TOLERANCE, false, 0 },
    { "llama-yarn", F32_TOLERANCE, false, 0 },
    { "sharded", F32_TOLERANCE, false, 0 },
    { "qwen2", F32_TOLERANCE, false, 0 },
    { "qwen2-window", F32_TOLERANCE, false, 0 },
    { "mistral", F32_TOLERANCE, false, 0 },
    { "mistral-window", F32_TOLERANCE, true, 0 },
    { "qwen3", F32_TOLERANCE, true, 0 },
    { "qwen3-biases-window", 0.15, false, 0 },
    { "smollm3", F32_TOLERANCE, true, 0 },
    { "phi3-window", F32_TOLERANCE, false, 0 },
    { "phi3-longrope", F32_TOLERANCE, true, 0 },
    { "mixtral", F32_TOLERANCE, true, 0 },
    { "qwen3-moe", F32_TOLERANCE, true, 0 },
    { "qwen3-moe-sparse", F32_TOLERANCE, false, 0 },
    { "gpt-oss", 0.15, true, 0 }, // experts in bf16
    { "f8-blocks", 0.15, true, 0 },
    { "f8-tensor", 0.15, false, 0 },
    { "f8-rows", 0.3, false, 0 }, // inputs in bf16; the bits of a checkpoint in bf16 of the same values
    { "f8-fbgemm", 0.15, false, 0 },
    { "f8-experts", 0.15, false, 0 },
    { "f8-whole", 0.15, false, 0 },
    { "f8-whole-experts", 0.15, false, 0 },
    { "gemma", F32_TOLERANCE, false, 0 },
    { "gemma2", F32_TOLERANCE, true, 0 },
    { "gemma3", F32_TOLERANCE, true, 0 },
    { "gemma3-old-config", F32_TOLERANCE, false, 0 },
    { "phi3-longrope-short", F32_TOLERANCE, false, 32 },
};
#define N_FIXTURES (sizeof(fixtures) / sizeof(*fixtures))

#define AS_GGUF(name, tolerance, n_prompts)                                                                            \
    {                                                                                                                  \
        name ".gguf", tolerance, false, 0, GGUFS "/" name ".gguf", FIXTURES "/" name, n_prompts                        \
    }
// K and V are bf16 where weights are quantized, and inputs of products have 8 bits.
#define OF_BLOCKS(name, file)                                                                                          \
    {                                                                                                                  \
        name, 0.2, true, 0, GGUFS "/" file, GGUFS "/" name                                                             \
    }

static const struct fixture gguf_fixtures[] = {
    AS_GGUF("gqa-f32", F32_TOLERANCE, 0),
    AS_GGUF("gqa-f16", 0.02, 0),
    AS_GGUF("gqa-bf16", 0.15, 0),
    AS_GGUF("mqa-biases-wide-heads", F32_TOLERANCE, 0),
    AS_GGUF("rope-llama3", F32_TOLERANCE, 0),
    AS_GGUF("rope-linear-old-config", F32_TOLERANCE, 0),
    AS_GGUF("llama-yarn", F32_TOLERANCE, 0),
    AS_GGUF("qwen2", F32_TOLERANCE, 0),
    AS_GGUF("qwen3", F32_TOLERANCE, 0),
    AS_GGUF("qwen3-moe", F32_TOLERANCE, 0),
    AS_GGUF("mixtral", F32_TOLERANCE, 1), // the other one is longer than its window, which such a file cannot say
    AS_GGUF("smollm3", F32_TOLERANCE, 0),
    AS_GGUF("phi3-window", F32_TOLERANCE, 0),
    AS_GGUF("phi3-longrope", F32_TOLERANCE, 0),
    AS_GGUF("gemma", F32_TOLERANCE, 0),
    AS_GGUF("gemma2", F32_TOLERANCE, 0),
    AS_GGUF("gemma3", F32_TOLERANCE, 0),
    AS_GGUF("gpt-oss", 0.2, 0), // inputs of experts in 8 bits
    OF_BLOCKS("blocks-k", "blocks-k.gguf"),
    OF_BLOCKS("blocks-32", "blocks-32-00001-of-00003.gguf"),
};
#define N_GGUF_FIXTURES (sizeof(gguf_fixtures) / sizeof(*gguf_fixtures))

struct expected {
    size_t n_prompts;
    size_t n_tokens[PROMPTS_MAX];
    int32_t tokens[PROMPTS_MAX][TOKENS_MAX];
    float logits[PROMPTS_MAX][TOKENS_MAX][VOCAB];
};

// ---- recorded logits -----------------------------------------------------------------------------------------------

static void load_prompts(const char *dir, struct expected *e)
{
    struct strbuf text;
    struct arena arena;
    struct err err;
    const struct json *list;
    strbuf_init(&text, 0);
    arena_init(&arena, 0);
    assert_int_equal(file_read(dir, "prompts.json", 1 << 20, &text, &err), 0);
    assert_int_equal(json_parse(&arena, strbuf_str(&text), &list, &err), 0);
    assert_in_range(list->n_children, 1, PROMPTS_MAX);
    e->n_prompts = list->n_children;
    for (size_t i = 0; i < e->n_prompts; i++) {
        const struct json *prompt = json_at(list, i);
        assert_in_range(prompt->n_children, 1, TOKENS_MAX);
        e->n_tokens[i] = prompt->n_children;
        for (size_t j = 0; j < e->n_tokens[i]; j++) {
            e->tokens[i][j] = (int32_t)json_get_double(json_at(prompt, j));
        }
    }
    arena_deinit(&arena);
    strbuf_deinit(&text);
}

static int take_logits(void *ctx, const struct tensor_run *run, struct err *err)
{
    (void)err;
    struct expected *e = ctx;
    memcpy(e->logits[run->tensor->user_idx][run->row], run->data, run->n_rows * VOCAB * sizeof(float));
    return 0;
}

static const char *fixture_path(const struct fixture *fixture, bool of_expected, char ret[64])
{
    const char *path = of_expected ? fixture->expected : fixture->path;
    snprintf(ret, 64, "%s%s", path ? path : FIXTURES "/", path ? "" : fixture->name);
    return ret;
}

static struct expected *load_expected(const struct fixture *fixture)
{
    struct expected *e = calloc(1, sizeof(*e));
    struct checkpoint *st;
    struct err err;
    char base[64], path[80], dir[4096];
    assert_non_null(e);
    snprintf(path, sizeof(path), "%s/expected", fixture_path(fixture, true, base));
    source_path(dir, sizeof(dir), path);
    load_prompts(dir, e);
    assert_int_equal(safetensors_open(dir, &st, &err), 0);
    for (uint32_t i = 0; i < e->n_prompts; i++) {
        snprintf(path, sizeof(path), "logits.%u", i);
        struct tensor_info *t = checkpoint_find(st, str_from(path));
        assert_true(t && t->shape[0] == e->n_tokens[i] && t->shape[1] == VOCAB && t->dtype == DTYPE_F32);
        t->is_used = true;
        t->user_idx = i;
    }
    const struct tensor_read read = { take_logits, NULL, e };
    assert_int_equal(checkpoint_read(st, &read, &err), 0);
    checkpoint_close(st);
    return e;
}

static void open_fixture(struct model_run *run, const struct fixture *fixture, const char *isa)
{
    char path[64], dir[4096];
    run_open_ctx(run, source_path(dir, sizeof(dir), fixture_path(fixture, false, path)), isa, fixture->n_ctx);
    assert_int_equal(run->n_vocab, VOCAB);
}

// ---- against transformers ------------------------------------------------------------------------------------------

struct difference {
    double worst;   // of any logit
    size_t n_other; // positions at which another token is the likeliest
    double scale;   // largest logit
};

static size_t likeliest(const float *logits)
{
    size_t best = 0;
    for (size_t k = 1; k < VOCAB; k++) {
        best = logits[k] > logits[best] ? k : best;
    }
    return best;
}

static struct difference compare(const struct expected *e, struct model_run *run, size_t n_prompts)
{
    static float logits[TOKENS_MAX][VOCAB];
    struct difference diff = { 0 };
    for (size_t i = 0; i < n_prompts; i++) {
        run_prompt(run, e->tokens[i], e->n_tokens[i], 16, logits[0]);
        for (size_t j = 0; j < e->n_tokens[i]; j++) {
            diff.n_other += likeliest(logits[j]) != likeliest(e->logits[i][j]);
            for (size_t k = 0; k < VOCAB; k++) {
                double want = (double)e->logits[i][j][k], d = fabs((double)logits[j][k] - want);
                diff.worst = d > diff.worst || isnan(d) ? d : diff.worst;
                diff.scale = fabs(want) > diff.scale ? fabs(want) : diff.scale;
            }
        }
    }
    return diff;
}

static void compare_all(const struct fixture *fixture)
{
    struct expected *e = load_expected(fixture);
    size_t n_prompts = fixture->n_prompts ? fixture->n_prompts : e->n_prompts;
    for (size_t i = 0; i < sizeof(isas) / sizeof(*isas); i++) {
        if (!run_has_isa(isas[i]) || (i == 0 && !fixture->is_cut)) { // scalar is slow
            continue;
        }
        struct model_run run;
        open_fixture(&run, fixture, isas[i]);
        struct difference diff = compare(e, &run, n_prompts);
        print_message("%-24s %-7s largest difference %.3g of %.3g\n", fixture->name, isas[i], diff.worst, diff.scale);
        assert_true(diff.worst < fixture->tolerance);
        if (fixture->tolerance <= F32_TOLERANCE) {
            assert_int_equal(diff.n_other, 0);
        }
        run_close(&run);
    }
    free(e);
}

static void test_model_logits_and_choices_equal_transformers(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_FIXTURES; i++) {
        compare_all(&fixtures[i]);
    }
}

static void test_model_from_gguf_has_the_logits_of_its_checkpoint(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_GGUF_FIXTURES; i++) {
        compare_all(&gguf_fixtures[i]);
    }
}

static void test_model_of_another_fixture_differs(void **state)
{
    (void)state;
    struct expected *e = load_expected(&fixtures[0]);
    struct model_run run;
    const struct fixture other = { "rope-linear-old-config", F32_TOLERANCE, false, 0 };
    open_fixture(&run, &other, NULL);
    struct difference diff = compare(e, &run, e->n_prompts);
    assert_true(diff.worst > 0.1 && diff.n_other > 0);
    run_close(&run);
    free(e);
}

// ---- batch invariance ----------------------------------------------------------------------------------------------

static void fill_tokens(int32_t *tokens, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        tokens[i] = (int32_t)((seed >> 8) % VOCAB);
    }
}

static void check_invariance(const struct fixture *fixture, const char *isa)
{
    static const size_t chunks[] = { 1, 3, 7, 16 };
    enum { N = 41 };
    static int32_t tokens[RUN_SEQS_MAX][TOKENS_MAX];
    static float alone[N][VOCAB], again[N][VOCAB], other[RUN_SEQS_MAX][TOKENS_MAX][VOCAB];
    for (uint32_t i = 0; i < RUN_SEQS_MAX; i++) {
        fill_tokens(tokens[i], TOKENS_MAX, i);
    }
    struct model_run run;
    open_fixture(&run, fixture, isa);
    run_prompt(&run, tokens[0], N, N, alone[0]);
    for (size_t i = 0; i < sizeof(chunks) / sizeof(*chunks); i++) {
        memset(again, 0, sizeof(again));
        run_prompt(&run, tokens[0], N, chunks[i], again[0]);
        assert_memory_equal(again, alone, sizeof(alone));
    }
    // Among others that are further on or further back, at the ends and inside of the batch.
    static const size_t places[] = { 0, 3, RUN_SEQS_MAX - 1 };
    for (size_t p = 0; p < sizeof(places) / sizeof(*places); p++) {
        size_t place = places[p];
        struct run_seq seqs[RUN_SEQS_MAX] = { 0 }, *list[RUN_SEQS_MAX];
        for (size_t i = 0; i < RUN_SEQS_MAX; i++) {
            seqs[i] = (struct run_seq){ .tokens = tokens[(i + RUN_SEQS_MAX - place) % RUN_SEQS_MAX],
                                        .logits = i == place ? again[0] : other[i][0] };
            list[i] = &seqs[i];
        }
        memset(again, 0, sizeof(again));
        for (size_t turn = 0; seqs[place].n_done < N; turn++) {
            size_t n_new[RUN_SEQS_MAX];
            for (size_t i = 0; i < RUN_SEQS_MAX; i++) {
                n_new[i] = 1 + (turn * 5 + i * 3) % 9;
            }
            size_t left = N - seqs[place].n_done;
            n_new[place] = n_new[place] < left ? n_new[place] : left;
            run_step(&run, list, n_new, RUN_SEQS_MAX);
        }
        for (size_t i = 0; i < RUN_SEQS_MAX; i++) {
            run_seq_end(&run, &seqs[i]);
        }
        assert_memory_equal(again, alone, sizeof(alone));
    }
    assert_memory_not_equal(other[0][0], alone[0], sizeof(alone[0])); // other prompts do give other bits
    run_close(&run);
}

static void test_model_step_is_bit_identical_in_any_cut_and_company(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_FIXTURES; i++) {
        if (fixtures[i].is_cut) {
            check_invariance(&fixtures[i], NULL);
        }
    }
    for (size_t i = 0; i < N_GGUF_FIXTURES; i++) {
        if (gguf_fixtures[i].is_cut) {
            check_invariance(&gguf_fixtures[i], NULL);
        }
    }
    for (size_t i = 0; i < sizeof(isas) / sizeof(*isas); i++) {
        if (run_has_isa(isas[i])) {
            check_invariance(&fixtures[0], isas[i]);
            check_invariance(&fixtures[2], isas[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model_logits_and_choices_equal_transformers),
        cmocka_unit_test(test_model_from_gguf_has_the_logits_of_its_checkpoint),
        cmocka_unit_test(test_model_of_another_fixture_differs),
        cmocka_unit_test(test_model_step_is_bit_identical_in_any_cut_and_company),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
