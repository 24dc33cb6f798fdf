// Workload `chat`: what the prefix cache is worth to users who talk.
//
// Users share a system prompt and write at the same time, turn after turn; each prompt is all that was said before and
// a new message. The same chats are held with an engine that caches and with one that does not; after each turn of the
// one comes the same turn of the other, so that both see the same drift of the machine, and who is first alternates.
// The answers must be the same, which is checked.
#include "tools/bench/bench.h"
#include "tools/bench/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_TURNS          10
#define CTX_TOKENS_SPARE 64

enum { OFF, ON, N_ENGINES };

struct chat {
    const struct bench_options *options;
    struct bench_model model;
    struct tokfs_engine *engines[N_ENGINES];
    struct tokfs_engine_info info;
    struct bench_request *requests[N_ENGINES]; // [n_sequences]
    int32_t *timelines;                        // [n_sequences][n_ctx]
    size_t n_tokens;                           // of each timeline
    size_t n_ctx;
    double *ttft_ms[N_ENGINES][N_TURNS]; // [n_rounds * n_sequences]
    size_t n_values;                     // of each of these, in this round
    uint64_t prompt_tokens, cached_tokens;
    uint64_t random;
};

static int open_engine(struct chat *c, int which, struct err *err)
{
    const struct bench_options *o = c->options;
    struct tokfs_engine_options options = {
        .model = c->model.dir,
        .served_name = o->model ? NULL : o->shape,
        .isa = o->isa,
        .weights = o->weights,
        .kv_dtype = o->kv_dtype,
        .n_threads = o->n_threads,
        .n_ctx = c->n_ctx,
        .max_sequences = o->n_sequences,
        .batch_tokens = o->batch_tokens,
        .no_prefix_cache = which == OFF,
    };
    return bench_engine_open(&options, &c->engines[which], err);
}

static int allocate(struct chat *c, struct err *err)
{
    size_t n = c->options->n_sequences;
    int rc = 0;

    c->timelines = calloc(n * c->n_ctx, sizeof(c->timelines[0]));
    bool is_done = c->timelines != NULL;
    for (int e = 0; e < N_ENGINES; e++) {
        c->requests[e] = calloc(n, sizeof(c->requests[e][0]));
        is_done = is_done && c->requests[e];
        for (size_t i = 0; is_done && rc == 0 && i < n; i++) {
            rc = bench_request_init(&c->requests[e][i], c->options->max_tokens, err);
        }
        for (int turn = 0; turn < N_TURNS; turn++) {
            c->ttft_ms[e][turn] = calloc(n * c->options->n_rounds, sizeof(double));
            is_done = is_done && c->ttft_ms[e][turn];
        }
    }
    return is_done ? rc : err_set(err, -ENOMEM, "out of memory for %zu users", n);
}

static int chat_open(struct chat *c, const struct bench_options *options, struct err *err)
{
    *c = (struct chat){ .options = options, .random = 0x9e3779b97f4a7c15u };
    c->n_ctx = options->prompt_tokens + (size_t)2 * N_TURNS * options->max_tokens + CTX_TOKENS_SPARE;
    int rc = bench_model_prepare(options, &c->model, err);
    rc = rc == 0 ? allocate(c, err) : rc;
    rc = rc == 0 ? open_engine(c, OFF, err) : rc;
    rc = rc == 0 ? open_engine(c, ON, err) : rc;
    if (rc == 0) {
        tokfs_engine_get_info(c->engines[ON], &c->info);
    }
    return rc;
}

static void chat_close(struct chat *c)
{
    for (int e = 0; e < N_ENGINES; e++) {
        for (size_t i = 0; c->requests[e] && i < c->options->n_sequences; i++) {
            bench_request_deinit(&c->requests[e][i]);
        }
        free(c->requests[e]);
        for (int turn = 0; turn < N_TURNS; turn++) {
            free(c->ttft_ms[e][turn]);
        }
        tokfs_engine_close(c->engines[e]);
    }
    free(c->timelines);
    bench_model_remove(&c->model);
}

// All users write, and all answers are awaited.
static int take_turn(struct chat *c, int which, struct err *err)
{
    size_t n = c->options->n_sequences;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = bench_request_submit(&c->requests[which][i], c->engines[which], c->timelines + i * c->n_ctx, c->n_tokens,
                                  err);
    }
    return rc == 0 ? bench_wait(c->engines[which], c->requests[which], n, err) : rc;
}

// The answers join the timelines.
static int append_answers(struct chat *c, struct err *err)
{
    size_t n_answer = c->options->max_tokens;

    for (size_t i = 0; i < c->options->n_sequences; i++) {
        const struct bench_request *on = &c->requests[ON][i], *off = &c->requests[OFF][i];

        if (on->n_sampled != n_answer || off->n_sampled != n_answer ||
            memcmp(on->token_ids, off->token_ids, n_answer * sizeof(on->token_ids[0])) != 0) {
            return err_set(err, -EIO, "user %zu got another answer with the prefix cache than without", i);
        }
        memcpy(c->timelines + i * c->n_ctx + c->n_tokens, on->token_ids, n_answer * sizeof(on->token_ids[0]));
        c->prompt_tokens += on->usage.prompt_tokens;
        c->cached_tokens += on->usage.cached_tokens;
    }
    c->n_tokens += n_answer;
    return 0;
}

static void begin_chats(struct chat *c)
{
    bench_random_prompt(&c->random, c->info.n_vocab, c->timelines, c->options->prompt_tokens);
    for (size_t i = 1; i < c->options->n_sequences; i++) {
        memcpy(c->timelines + i * c->n_ctx, c->timelines, c->options->prompt_tokens * sizeof(c->timelines[0]));
    }
    c->n_tokens = c->options->prompt_tokens;
}

static int run_turn(struct chat *c, int turn, int first, struct err *err)
{
    size_t n_message = c->options->max_tokens;

    for (size_t i = 0; i < c->options->n_sequences; i++) {
        bench_random_prompt(&c->random, c->info.n_vocab, c->timelines + i * c->n_ctx + c->n_tokens, n_message);
    }
    c->n_tokens += n_message;
    int rc = take_turn(c, first, err);
    rc = rc == 0 ? take_turn(c, !first, err) : rc;
    for (int e = 0; e < N_ENGINES; e++) {
        for (size_t i = 0; i < c->options->n_sequences; i++) {
            c->ttft_ms[e][turn][c->n_values + i] = (double)c->requests[e][i].usage.ttft_ns / 1e6;
        }
    }
    return rc == 0 ? append_answers(c, err) : rc;
}

static int run_rounds(struct chat *c, struct err *err)
{
    begin_chats(c); // a turn to warm up, whose figures are overwritten
    int rc = run_turn(c, 0, OFF, err);

    c->prompt_tokens = c->cached_tokens = 0;
    for (unsigned round = 0; rc == 0 && round < c->options->n_rounds; round++) {
        begin_chats(c);
        for (int turn = 0; rc == 0 && turn < N_TURNS; turn++) {
            rc = run_turn(c, turn, (int)(round + (unsigned)turn) % 2, err);
        }
        c->n_values += c->options->n_sequences;
    }
    return rc;
}

static void report_turns(struct chat *c, struct bench_report *report)
{
    double ttft_ms[N_ENGINES][N_TURNS];
    char key[40];

    for (int turn = 0; turn < N_TURNS; turn++) {
        for (int e = 0; e < N_ENGINES; e++) {
            ttft_ms[e][turn] = bench_quantile(c->ttft_ms[e][turn], c->n_values, 0.5);
            snprintf(key, sizeof(key), "ttft_ms_turn_%d_%s", turn + 1, e == ON ? "on" : "off");
            bench_report_add(report, key, ttft_ms[e][turn], e == ON ? "ms, with the cache" : "ms, without");
        }
    }
    bench_report_add(report, "ttft_saved_turn_2", 1 - ttft_ms[ON][1] / ttft_ms[OFF][1], "of the time to first token");
    bench_report_add(report, "ttft_saved_turn_5", 1 - ttft_ms[ON][4] / ttft_ms[OFF][4], "of the time to first token");
}

int bench_chat(const struct bench_options *options, struct bench_report *report, struct err *err)
{
    struct chat chat;
    int rc = chat_open(&chat, options, err);

    rc = rc == 0 ? run_rounds(&chat, err) : rc;
    if (rc == 0) {
        snprintf(report->model, sizeof(report->model), "%s", chat.info.model);
        snprintf(report->backend, sizeof(report->backend), "%s", chat.info.backend);
        bench_report_add(report, "hit_rate", (double)chat.cached_tokens / (double)chat.prompt_tokens,
                         "of the prompt tokens");
        report_turns(&chat, report);
        bench_report_add(report, "users", options->n_sequences, "at the same time");
        bench_report_add(report, "system_tokens", options->prompt_tokens, "shared");
        bench_report_add(report, "message_tokens", options->max_tokens, "and as many per answer");
    }
    chat_close(&chat);
    return rc;
}
