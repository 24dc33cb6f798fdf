// Workload score: from a chat request to the scores of many peers.
//
// A chat of about --prompt tokens in turns of 50 words, with --nodes peers that all hold its first part and half of
// which hold more: template, tokens, hashes and match, as for /score_chat_completions, on one thread. Every round is
// another chat behind the same first half, since tokenizers remember words.
#include "engine/base/loop.h"
#include "engine/base/str.h"
#include "tools/bench/bench.h"
#include "tools/kv/score.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS     500
#define TURN_WORDS 50

struct run {
    struct scorer *scorer;
    const struct tokfs_text *text;
    struct strbuf body;
    double *text_us, *keys_us, *match_us, *total_us; // [ROUNDS]
    size_t n_tokens, n_found;
};

static uint32_t next_random(uint64_t *state, uint32_t n)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33) % n;
}

static void add_words(struct strbuf *out, uint64_t *state, unsigned n)
{
    static const char *const syllables[] = { "the", "in", "er", "on", "and", "re",  "at",  "is",  "to",  "of",
                                             "ta",  "lo", "me", "nu", "ver", "com", "pro", "ble", "str", "qui" };
    for (unsigned i = 0; i < n; i++) {
        for (uint32_t k = 1 + next_random(state, 3); k > 0; k--) {
            strbuf_append(out, str_from(syllables[next_random(state, 20)]));
        }
        strbuf_append(out, i % 12 == 11 ? STR(". ") : STR(" "));
    }
}

// The first half of the turns is the same for every seed.
static void make_chat(struct strbuf *out, unsigned n_turns, uint64_t seed)
{
    uint64_t state = 1;
    strbuf_reset(out);
    strbuf_append(out, STR("{\"messages\":["));
    for (unsigned i = 0; i < n_turns; i++) {
        state = i == n_turns / 2 ? seed + 2 : state;
        strbuf_printf(out, "%s{\"role\":\"%s\",\"content\":\"", i > 0 ? "," : "", i % 2 == 0 ? "user" : "assistant");
        add_words(out, &state, TURN_WORDS);
        strbuf_append(out, STR("\"}"));
    }
    strbuf_append(out, STR("]}"));
}

static int make_prompts(const struct run *run, struct tokfs_prompts *ret, struct err *err)
{
    struct tokfs_error error;
    int r = tokfs_text_prompts(run->text, TOKFS_PROMPT_CHAT, run->body.ptr, run->body.len, 0, ret, &error);
    return r < 0 ? err_set(err, r, "%s", error.msg) : 0;
}

// As many turns as give the wanted tokens, an odd number, so that the user speaks last.
static int find_length(struct run *run, size_t n_tokens, unsigned *ret_turns, struct err *err)
{
    struct tokfs_prompts prompts;
    make_chat(&run->body, 9, 0);
    int r = make_prompts(run, &prompts, err);
    if (r == 0) {
        *ret_turns = (unsigned)(9 * n_tokens / prompts.items[0].n_tokens) | 1;
        tokfs_prompts_deinit(&prompts);
    }
    return r;
}

static int add_peers(struct run *run, unsigned n_nodes, struct err *err)
{
    struct tokfs_prompts prompts;
    uint64_t *hashes = NULL;
    int r = make_prompts(run, &prompts, err);
    if (r < 0) {
        return r;
    }
    const struct tokfs_prompt *prompt = &prompts.items[0];
    hashes = calloc(prompt->n_tokens / 16 + 1, sizeof(*hashes));
    r = hashes ? 0 : err_set(err, -ENOMEM, "out of memory");
    size_t n = hashes ? tokfs_text_blocks(prompt->tokens, prompt->n_tokens, 16, prompts.salt, hashes) : 0;
    for (unsigned i = 0; i < n_nodes && r == 0; i++) {
        char name[32];
        struct score_source *source;
        struct kv_message message = { .kind = KV_MESSAGE_STORED, .hashes = hashes, .block_size = 16 };
        message.n_blocks = i % 2 == 0 ? n : n / 2; // the first half of a chat is every chat's
        snprintf(name, sizeof(name), "10.0.%u.%u:8000", i / 256, i % 256);
        int peer = scorer_add_peer(run->scorer, str_from(name));
        r = peer < 0 ? peer
                     : scorer_add_source(run->scorer, (unsigned)peer, str_from(tokfs_text_model(run->text)), &source);
        r = r < 0 ? err_set(err, r, "out of memory") : score_source_apply(source, &message, err);
    }
    free(hashes);
    tokfs_prompts_deinit(&prompts);
    return r;
}

static int run_round(struct run *run, unsigned i, unsigned n_turns, struct err *err)
{
    struct tokfs_prompts prompts;
    struct score_sizes sizes;
    struct score_keys keys;
    const struct score_row *rows;
    struct str model = str_from(tokfs_text_model(run->text));
    make_chat(&run->body, n_turns, i);
    uint64_t t0 = clock_monotonic_ns();
    int r = make_prompts(run, &prompts, err);
    if (r < 0) {
        return r;
    }
    uint64_t t1 = clock_monotonic_ns();
    scorer_sizes(run->scorer, model, &sizes);
    r = score_keys_make(&prompts, &sizes, &keys);
    uint64_t t2 = clock_monotonic_ns();
    if (r == 0) {
        run->n_found = scorer_rank(run->scorer, model, &keys, &(struct score_options){ 0 }, &rows);
        uint64_t t3 = clock_monotonic_ns();
        run->text_us[i] = (double)(t1 - t0) * 1e-3;
        run->keys_us[i] = (double)(t2 - t1) * 1e-3;
        run->match_us[i] = (double)(t3 - t2) * 1e-3;
        run->total_us[i] = (double)(t3 - t0) * 1e-3;
        run->n_tokens = keys.n_tokens;
        score_keys_deinit(&keys);
    }
    tokfs_prompts_deinit(&prompts);
    return r < 0 ? err_set(err, r, "out of memory") : 0;
}

static void report_run(struct run *run, unsigned n_nodes, struct bench_report *report)
{
    bench_report_add(report, "score_us_p50", bench_quantile(run->total_us, ROUNDS, 0.5), "us");
    bench_report_add(report, "score_us_p99", bench_quantile(run->total_us, ROUNDS, 0.99), "us");
    bench_report_add(report, "text_us_p50", bench_quantile(run->text_us, ROUNDS, 0.5), "us");
    bench_report_add(report, "hash_us_p50", bench_quantile(run->keys_us, ROUNDS, 0.5), "us");
    bench_report_add(report, "match_us_p50", bench_quantile(run->match_us, ROUNDS, 0.5), "us");
    bench_report_add(report, "prompt_tokens", (double)run->n_tokens, "tokens");
    bench_report_add(report, "nodes", n_nodes, "");
}

int bench_score(const struct bench_options *options, struct bench_report *report, struct err *err)
{
    struct bench_model model;
    struct tokfs_text *text = NULL;
    struct tokfs_error error;
    unsigned n_turns = 1;
    double *times = calloc(4 * ROUNDS, sizeof(*times));
    struct run run = {
        .text_us = times, .keys_us = times + ROUNDS, .match_us = times + 2 * ROUNDS, .total_us = times + 3 * ROUNDS
    };
    int r = times ? bench_model_prepare(options, &model, err) : err_set(err, -ENOMEM, "out of memory");
    if (r < 0) {
        free(times);
        return r;
    }
    strbuf_init(&run.body, 0);
    r = tokfs_text_open(model.dir, NULL, &text, &error);
    r = r < 0 ? err_set(err, r, "%s", error.msg) : scorer_new(0, &run.scorer);
    run.text = text;
    r = r < 0 ? r : scorer_add_text(run.scorer, text);
    r = r < 0 ? r : find_length(&run, options->prompt_tokens, &n_turns, err);
    make_chat(&run.body, n_turns, 0);
    r = r < 0 ? r : add_peers(&run, options->n_nodes, err);
    for (unsigned i = 0; i < ROUNDS && r == 0; i++) {
        r = run_round(&run, i, n_turns, err);
    }
    if (r == 0) {
        snprintf(report->model, sizeof(report->model), "%s", options->model ? options->model : options->shape);
        snprintf(report->backend, sizeof(report->backend), "one thread");
        report_run(&run, options->n_nodes, report);
    }
    scorer_free(run.scorer);
    strbuf_deinit(&run.body);
    bench_model_remove(&model);
    free(times);
    return r;
}
