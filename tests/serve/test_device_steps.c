// Steps of a model on the CUDA backend, over a model of a GPU on the host: recorded and repeated they do what they do
// launch by launch, bit for bit. Random ragged batches: sequences that come and go, with and without guesses, chunks of
// prompts between them, tokens that only the device knows, and page tables in which pages are exchanged.
#include "engine/cache/page_pool.h"
#include "engine/model/model.h"
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/shim/faults.h"
#include "tests/unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define N_SEQS      9
#define N_PAGES_OF  24 // of a sequence
#define PAGE_TOKENS 16
#define N_SHARED    17 // leading pages that several sequences have in common: enough to be read once for all of them
#define N_ROWS_MAX  40
#define N_PAGES     ((N_SEQS + 1) * N_PAGES_OF + N_SEQS)
#define N_VOCAB     61 // of all models here

struct side {
    struct backend *backend;
    struct model *model;
    unsigned char *pool;
};

struct sequence {
    size_t pos;
    uint32_t pages[N_PAGES_OF];
    uint32_t spare; // a page that nobody has
};

struct run {
    struct side sides[2]; // recorded, and launch by launch
    bool has_shared;
    size_t page_bytes;
    struct sequence seqs[N_SEQS];
    uint64_t rng;
    size_t n_last; // rows that the step before drew from
    size_t turn;
};

static uint32_t below(uint64_t *rng, uint32_t n)
{
    *rng = *rng * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*rng >> 33) * n >> 31);
}

static void open_side(struct side *side, const char *name, bool no_graphs, bool is_deterministic)
{
    char dir[512];
    struct err err = { 0 };
    const struct backend_options backend_options = { .n_threads = 1,
                                                     .deterministic = is_deterministic,
                                                     .no_graphs = no_graphs };
    snprintf(dir, sizeof(dir), "%s/tests/fixtures/models/%s", getenv("TOKFS_SOURCE_ROOT"), name);
    assert_int_equal(cuda_backend_open(&backend_options, &side->backend, NULL), 0);
    const struct model_options options = { .dir = dir,
                                           .backend = side->backend,
                                           .batch_rows_max = N_ROWS_MAX,
                                           .logit_rows_max = N_ROWS_MAX,
                                           .page_tokens = PAGE_TOKENS };
    if (model_open(&options, &side->model, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    assert_int_equal(model_get_config(side->model)->n_vocab, N_VOCAB);
    side->pool = side->backend->ops->alloc(side->backend, N_PAGES * model_get_kv_layout(side->model)->page_bytes);
    assert_non_null(side->pool);
}

static void close_side(struct side *side)
{
    side->backend->ops->free(side->backend, side->pool);
    model_free(side->model);
    side->backend->ops->close(side->backend);
}

// Half of them may have their leading pages in common.
static void begin_sequence(struct run *r, size_t s)
{
    bool shares = r->has_shared && below(&r->rng, 2);
    for (uint32_t i = 0; i < N_PAGES_OF; i++) {
        r->seqs[s].pages[i] = (uint32_t)(shares && i < N_SHARED ? N_SEQS : s) * N_PAGES_OF + i;
    }
    r->seqs[s].spare = (uint32_t)((N_SEQS + 1) * N_PAGES_OF + s);
    r->seqs[s].pos = shares ? N_SHARED * PAGE_TOKENS + below(&r->rng, 30) : below(&r->rng, 40);
}

// What it holds is the same in another page.
static void exchange_page(struct run *r, struct sequence *seq)
{
    size_t i = seq->pos / PAGE_TOKENS;
    for (size_t k = 0; k < 2; k++) {
        struct side *side = &r->sides[k];
        side->backend->ops->copy(side->backend, side->pool + seq->spare * r->page_bytes,
                                 side->pool + seq->pages[i] * r->page_bytes, r->page_bytes);
    }
    uint32_t page = seq->pages[i];
    seq->pages[i] = seq->spare;
    seq->spare = page;
}

static struct sample_row random_draw(struct run *r, const uint64_t *mask)
{
    return (struct sample_row){ .seed = below(&r->rng, 1000),
                                .pos = below(&r->rng, 1000),
                                .top_p = below(&r->rng, 2) ? 1 : 0.9,
                                .scale = (float)below(&r->rng, 3),
                                .log_min_p = -INFINITY,
                                .top_k = below(&r->rng, 3) ? 0 : 5,
                                .wants_probs = below(&r->rng, 4) == 0,
                                .n_top = below(&r->rng, 5),
                                .mask = below(&r->rng, 5) ? NULL : mask };
}

static void expect_same_draws(struct run *r, const struct sample_row *draws, size_t n, unsigned turn)
{
    struct sample_results got[2];
    for (size_t k = 0; k < 2; k++) {
        got[k] = model_drawn(r->sides[k].model, turn);
    }
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(got[0].rows[i].id, got[1].rows[i].id);
        assert_memory_equal(&got[0].rows[i].logprob, &got[1].rows[i].logprob, sizeof(float));
        if (draws[i].wants_probs && draws[i].n_top > 0) {
            assert_int_equal(got[0].tops[i].n, got[1].tops[i].n);
            assert_memory_equal(got[0].tops[i].ids, got[1].tops[i].ids, got[0].tops[i].n * sizeof(int32_t));
            assert_memory_equal(got[0].tops[i].logprobs, got[1].tops[i].logprobs, got[0].tops[i].n * sizeof(float));
        }
    }
}

// Some of the sequences, most with one row, some with guesses; now and then a chunk of a prompt, whose logits nobody
// wants but for its last row.
static void random_step(struct run *r, size_t n_seqs_max)
{
    struct batch_seq seqs[N_SEQS];
    int32_t ids[N_ROWS_MAX];
    uint32_t rows[N_ROWS_MAX];
    struct sample_row draws[N_ROWS_MAX];
    const uint64_t mask = 0x0123456789abcdef;
    size_t n_seqs = 0, n_rows = 0, n_logits = 0;
    for (size_t s = 0; s < n_seqs_max; s++) {
        struct sequence *seq = &r->seqs[s];
        bool is_chunk = below(&r->rng, 40) == 0;
        size_t n = is_chunk ? 3 : 1 + (below(&r->rng, 8) == 0);
        if (seq->pos + n > N_PAGES_OF * PAGE_TOKENS || below(&r->rng, 30) == 0) {
            begin_sequence(r, s);
        }
        if (below(&r->rng, 6) == 0) {
            exchange_page(r, seq);
        }
        if (below(&r->rng, 4) == 0) {
            continue;
        }
        seqs[n_seqs++] = (struct batch_seq){ n_rows, n, seq->pos, seq->pages, (uint32_t)s + 1 };
        seq->pos += n;
        for (size_t i = 0; i < n; i++) {
            bool is_drawn = r->n_last > 0 && below(&r->rng, 2);
            ids[n_rows] =
                is_drawn ? -1 - (int32_t)below(&r->rng, (uint32_t)r->n_last) : (int32_t)below(&r->rng, N_VOCAB);
            rows[n_logits] = (uint32_t)n_rows++;
            n_logits += !is_chunk || i + 1 == n;
        }
    }
    for (size_t i = 0; i < n_logits; i++) {
        draws[i] = random_draw(r, &mask);
    }
    if (n_rows == 0) {
        return;
    }
    struct step step = { .token_ids = ids,
                         .map = { .seqs = seqs, .n_seqs = n_seqs, .n_rows = n_rows },
                         .logit_rows = rows,
                         .n_logit_rows = n_logits,
                         .draws = draws,
                         .turn = r->turn++ % 2 };
    for (size_t k = 0; k < 2; k++) {
        step.kv_pool = r->sides[k].pool;
        model_step(r->sides[k].model, &step);
    }
    expect_same_draws(r, draws, n_logits, step.turn);
    r->n_last = n_logits;
}

static void expect_same_pools(struct run *r)
{
    unsigned char *pools[2];
    for (size_t k = 0; k < 2; k++) {
        struct side *side = &r->sides[k];
        pools[k] = malloc(N_PAGES * r->page_bytes);
        assert_non_null(pools[k]);
        side->backend->ops->download(side->backend, pools[k], side->pool, N_PAGES * r->page_bytes);
    }
    assert_memory_equal(pools[0], pools[1], N_PAGES * r->page_bytes);
    free(pools[0]);
    free(pools[1]);
}

// Returns how many graphs were launched.
static uint64_t run_model(const char *name, bool is_deterministic, bool has_shared, uint32_t n_steps)
{
    struct run *r = calloc(1, sizeof(*r));
    uint64_t before = shim_n_graph_launches();
    assert_non_null(r);
    r->rng = n_steps;
    r->has_shared = has_shared;
    open_side(&r->sides[0], name, false, is_deterministic);
    open_side(&r->sides[1], name, true, is_deterministic);
    r->page_bytes = model_get_kv_layout(r->sides[0].model)->page_bytes;
    for (size_t s = 0; s < N_SEQS; s++) {
        begin_sequence(r, s);
    }
    for (uint32_t i = 0; i < n_steps; i++) {
        random_step(r, i < n_steps / 2 ? 3 : N_SEQS);
    }
    expect_same_pools(r);
    close_side(&r->sides[0]);
    close_side(&r->sides[1]);
    free(r);
    return shim_n_graph_launches() - before;
}

static uint32_t n_steps = 14; // fewer under a sanitizer, where the model of a GPU is slow

#define N_STEPS_SHARED 7 // so many that a shape comes for the third time; of mixtures too

static void test_steps_recorded_are_steps_launched(void **state)
{
    (void)state;
    static const char *const names[] = { "gqa-bf16", "qwen3-biases-window", "gqa-f32" };
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        for (int is_deterministic = 0; is_deterministic < 2; is_deterministic++) {
            assert_true(run_model(names[i], is_deterministic, false, n_steps) > 0);
        }
    }
    assert_true(run_model("gqa-bf16", false, true, N_STEPS_SHARED) > 0);
    if (n_steps > N_STEPS_SHARED) { // products of blocks
        assert_true(run_model("f8-whole", false, false, N_STEPS_SHARED) > 0);
    }
}

// Which experts a step takes is planned by the device: the host does not wait for it. Rows that pad a step go to none.
static void test_steps_of_mixtures_are_recorded_too(void **state)
{
    (void)state;
    static const char *const names[] = { "mixtral", "gpt-oss", "qwen3-moe" };
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        assert_true(run_model(names[i], i > 0, false, N_STEPS_SHARED) > 0);
    }
}

static void test_steps_that_cannot_be_recorded_are_launched(void **state)
{
    (void)state;
    uint64_t n_graphs = shim_n_graphs();
    shim_refuse_recording(2);
    assert_int_equal(run_model("gqa-bf16", true, false, n_steps / 2), 0);
    assert_int_equal(shim_n_graphs(), n_graphs); // it was not tried again
}

// A runtime may refuse to keep kernels that begin early: then they are launched plainly, and kept.
static void test_steps_are_recorded_without_overlap_where_that_is_refused(void **state)
{
    (void)state;
    shim_refuse_recording(1);
    assert_true(run_model("gqa-bf16", true, false, n_steps) > 0);
}

static void test_without_overlap_steps_are_the_same(void **state)
{
    (void)state;
    setenv("TOKFS_CUDA_PDL", "off", 1);
    assert_true(run_model("gqa-bf16", false, false, n_steps) > 0);
    unsetenv("TOKFS_CUDA_PDL");
}

int main(int argc, char **argv)
{
    (void)argv;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps_recorded_are_steps_launched),
        cmocka_unit_test(test_steps_of_mixtures_are_recorded_too),
        cmocka_unit_test(test_steps_that_cannot_be_recorded_are_launched),
        cmocka_unit_test(test_steps_are_recorded_without_overlap_where_that_is_refused),
        cmocka_unit_test(test_without_overlap_steps_are_the_same),
    };
    n_steps = argc > 1 ? 6 : n_steps;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
