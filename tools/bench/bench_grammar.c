// Workload grammar: what it costs to rule the form of an answer.
//
// With the tokenizer alone: schemas are compiled; a document of each is followed token by token as the tokenizer cuts
// it, and the mask of each state is taken, once for the first time and once again. With a model, where there is one:
// the same sequences speak freely, under a grammar without jump-forward, and with it.
#include "engine/text/grammar/grammar.h"
#include "engine/text/grammar/token_mask.h"
#include "engine/text/tokenizer.h"
#include "tools/bench/bench.h"
#include "tools/bench/grammar_cases.h"
#include "tools/bench/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES_MAX      65536
#define N_COMPILATIONS   20
#define MASKS_KEPT       128
#define CTX_TOKENS_SPARE 256

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

// ---- masks ---------------------------------------------------------------------------------------------------------

struct samples {
    double us[SAMPLES_MAX];
    size_t n;
};

static void add_sample(struct samples *samples, double us)
{
    if (samples->n < SAMPLES_MAX) {
        samples->us[samples->n++] = us;
    }
}

struct figures {
    struct samples compile, first, kept, advance;
    size_t n_only; // tokens that were the only ones allowed
};

static int follow(const struct tokenizer *tok, const struct token_trie *trie, struct str text, struct automaton *a,
                  struct token_masks *masks, struct figures *f, struct err *err)
{
    struct automaton_cursor cursor;
    struct token_ids ids = { 0 };
    int rc = tokenizer_encode(tok, text, 0, &ids, err);
    automaton_cursor_init(a, &cursor);
    for (size_t i = 0; rc == 0 && i < ids.len; i++) {
        double t0 = now_us();
        const uint64_t *bits = token_masks_get(masks, &cursor);
        double t1 = now_us();
        bits = token_masks_get(masks, &cursor);
        double t2 = now_us();
        bool is_allowed = (size_t)ids.ids[i] < trie->n_vocab && bits[ids.ids[i] / 64] >> ids.ids[i] % 64 & 1;
        f->n_only += token_masks_only(masks, &cursor) == ids.ids[i];
        double t3 = now_us();
        if (!is_allowed || !automaton_cursor_advance(a, &cursor, tokenizer_token_bytes(tok, ids.ids[i]))) {
            rc = err_set(err, -EINVAL, "token %zu of a document is not allowed", i);
        }
        add_sample(&f->first, t1 - t0);
        add_sample(&f->kept, t2 - t1);
        add_sample(&f->advance, now_us() - t3);
    }
    automaton_cursor_deinit(&cursor);
    token_ids_deinit(&ids);
    return rc;
}

static int run_case(const struct tokenizer *tok, const struct token_trie *trie, const struct grammar_case *c,
                    struct figures *f, struct err *err)
{
    struct grammar *grammar = NULL;
    struct automaton *a = NULL;
    struct token_masks *masks = NULL;
    int rc = 0;
    for (int i = 0; i < N_COMPILATIONS && rc == 0; i++) {
        grammar_free(grammar);
        grammar = NULL;
        double begin = now_us();
        rc = grammar_from_schema(str_from(c->schema), 0, c->name, &grammar, err);
        add_sample(&f->compile, now_us() - begin);
    }
    rc = rc == 0 ? automaton_new(grammar_nfa(grammar), &a) : rc;
    rc = rc == 0 ? token_masks_new(a, trie, MASKS_KEPT, &masks) : rc;
    rc = rc == 0 ? token_masks_cut_forced(masks, tok) : rc;
    rc = rc == 0 ? follow(tok, trie, str_from(c->text), a, masks, f, err) : rc;
    token_masks_free(masks);
    automaton_free(a);
    grammar_free(grammar);
    return rc;
}

static void report_masks(const struct token_trie *trie, struct figures *f, struct bench_report *report)
{
    bench_report_add(report, "vocabulary", (double)trie->n_vocab, "tokens");
    bench_report_add(report, "compile_us_p50", bench_quantile(f->compile.us, f->compile.n, 0.5), "us");
    bench_report_add(report, "compile_us_max", bench_quantile(f->compile.us, f->compile.n, 1), "us");
    bench_report_add(report, "mask_us_p50", bench_quantile(f->first.us, f->first.n, 0.5), "us, first time");
    bench_report_add(report, "mask_us_p99", bench_quantile(f->first.us, f->first.n, 0.99), "us, first time");
    bench_report_add(report, "mask_us_max", bench_quantile(f->first.us, f->first.n, 1), "us, first time");
    bench_report_add(report, "mask_kept_us_p50", bench_quantile(f->kept.us, f->kept.n, 0.5), "us, again");
    bench_report_add(report, "mask_kept_us_p99", bench_quantile(f->kept.us, f->kept.n, 0.99), "us, again");
    bench_report_add(report, "advance_us_p50", bench_quantile(f->advance.us, f->advance.n, 0.5), "us per token");
    bench_report_add(report, "forced_share", (double)f->n_only / (double)f->first.n, "of the documents' tokens");
}

static int run_masks(const char *dir, struct bench_report *report, struct err *err)
{
    struct tokenizer *tok;
    struct token_trie trie;
    struct figures *f = calloc(1, sizeof(*f));
    int rc = f ? tokenizer_open(dir, &tok, err) : err_set(err, -ENOMEM, "out of memory");
    if (rc < 0) {
        free(f);
        return rc;
    }
    double begin = now_us();
    rc = token_trie_init_from_tokenizer(&trie, tok);
    if (rc == 0) {
        bench_report_add(report, "trie_ms", (now_us() - begin) / 1e3, "ms, once");
    }
    for (size_t i = 0; i < N_GRAMMAR_CASES && rc == 0; i++) {
        rc = run_case(tok, &trie, &grammar_cases[i], f, err);
    }
    if (rc == 0) {
        report_masks(&trie, f, report);
    }
    token_trie_deinit(&trie);
    tokenizer_free(tok);
    free(f);
    return rc == -ENOMEM ? err_set(err, rc, "out of memory") : rc;
}

// ---- answers -------------------------------------------------------------------------------------------------------

// No answer comes to its end: all speak as many tokens as they may.
static const char list_of_records[] = "\"ignore_eos\":true,\"guided_json\":{\"type\":\"array\",\"minItems\":5000,"
                                      "\"items\":{\"type\":\"object\",\"properties\":{"
                                      "\"customer_name\":{\"type\":\"string\",\"maxLength\":16},\"quantity\":{\"type\":"
                                      "\"integer\",\"maximum\":9999,\"minimum\":"
                                      "0},\"delivery_status\":{\"enum\":[\"delivered\",\"in_transit\",\"returned_to_"
                                      "sender\"]}},\"required\":[\"customer_name\","
                                      "\"quantity\",\"delivery_status\"],\"additionalProperties\":false}}";

struct answers {
    struct tokfs_engine *engine;
    struct bench_request *requests;
    unsigned n;
};

static int submit(struct answers *s, unsigned i, const char *fields, unsigned max_tokens, struct err *err)
{
    struct bench_request *request = &s->requests[i];
    struct tokfs_error error = { 0 };
    char body[1024];
    int len = snprintf(body, sizeof(body), "{\"prompt\":\"Go on, %u\",\"max_tokens\":%u,\"seed\":%u,%s}", i, max_tokens,
                       i, fields);
    tokfs_completion_free(request->completion);
    request->completion = NULL;
    request->n_sampled = 0;
    request->is_finished = false;
    int rc = tokfs_submit_completion(s->engine, body, (size_t)len, request, &request->completion, &error);
    return rc < 0 ? err_set(err, rc, "%s", error.msg) : 0;
}

// Tokens per second of all answers together: the second of two runs, which finds its grammar compiled.
static int measure(struct answers *s, const char *fields, unsigned max_tokens, double *ret, struct err *err)
{
    int rc = 0;
    for (int run = 0; run < 2 && rc == 0; run++) {
        double begin = now_us();
        size_t n_tokens = 0;
        for (unsigned i = 0; i < s->n && rc == 0; i++) {
            rc = submit(s, i, fields, max_tokens, err);
        }
        rc = rc == 0 ? bench_wait(s->engine, s->requests, s->n, err) : rc;
        for (unsigned i = 0; i < s->n; i++) {
            n_tokens += s->requests[i].n_sampled;
        }
        *ret = (double)n_tokens * 1e6 / (now_us() - begin);
    }
    return rc;
}

static int open_answers(const struct bench_options *options, const char *dir, bool jumps, struct answers *s,
                        struct err *err)
{
    const struct tokfs_engine_options engine_options = {
        .model = dir,
        .served_name = options->model ? NULL : options->shape,
        .isa = options->isa,
        .n_threads = options->n_threads,
        .n_ctx = options->max_tokens + CTX_TOKENS_SPARE,
        .max_sequences = options->n_sequences,
        .no_speculation = true,
        .no_jump_forward = !jumps,
    };
    *s = (struct answers){ .n = options->n_sequences };
    s->requests = calloc(s->n, sizeof(*s->requests));
    int rc = s->requests ? bench_engine_open(&engine_options, &s->engine, err) : err_set(err, -ENOMEM, "out of memory");
    for (unsigned i = 0; i < s->n && rc == 0; i++) {
        rc = bench_request_init(&s->requests[i], options->max_tokens, err);
    }
    return rc;
}

static void close_answers(struct answers *s)
{
    for (unsigned i = 0; s->requests && i < s->n; i++) {
        bench_request_deinit(&s->requests[i]);
    }
    free(s->requests);
    tokfs_engine_close(s->engine);
}

static int run_answers(const struct bench_options *options, const char *dir, struct bench_report *report,
                       struct err *err)
{
    double free_rate = 0, rate[2] = { 0 };
    int rc = 0;
    for (int jumps = 0; jumps < 2 && rc == 0; jumps++) {
        struct answers s;
        struct tokfs_engine_stats stats = { 0 };
        rc = open_answers(options, dir, jumps == 1, &s, err);
        if (rc == 0 && jumps == 0) {
            rc = measure(&s, "\"ignore_eos\":true", options->max_tokens, &free_rate, err);
        }
        rc = rc == 0 ? measure(&s, list_of_records, options->max_tokens, &rate[jumps], err) : rc;
        if (rc == 0) {
            tokfs_engine_get_stats(s.engine, &stats);
        }
        close_answers(&s);
        if (rc == 0 && jumps == 1) {
            bench_report_add(report, "free_tokens_per_s", free_rate, "tokens/s without a grammar");
            bench_report_add(report, "guided_tokens_per_s", rate[0], "tokens/s without jump-forward");
            bench_report_add(report, "jumping_tokens_per_s", rate[1], "tokens/s");
            bench_report_add(report, "jumped_share", (double)stats.n_forced / (double)stats.completion_tokens,
                             "of the tokens not sampled");
            bench_report_add(report, "sequences", options->n_sequences, "together");
        }
    }
    return rc;
}

int bench_grammar(const struct bench_options *options, struct bench_report *report, struct err *err)
{
    struct bench_model model;
    char config[sizeof(model.dir) + 16];
    int rc = bench_model_prepare(options, &model, err);
    if (rc < 0) {
        return rc;
    }
    snprintf(report->model, sizeof(report->model), "%s", options->model ? options->model : options->shape);
    snprintf(report->backend, sizeof(report->backend), "masks: one thread");
    rc = run_masks(model.dir, report, err);
    snprintf(config, sizeof(config), "%s/config.json", model.dir);
    if (rc == 0 && access(config, R_OK) == 0) {
        rc = run_answers(options, model.dir, report, err);
    }
    bench_model_remove(&model);
    return rc;
}
