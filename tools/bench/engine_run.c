// Runs token sequences through the C API and keeps when each token was sampled.
#include "tools/bench/engine_run.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tokfs/measure.h>

#define CTX_TOKENS_SPARE 64 // what the engine wants at least, however short the run

static int take_error(struct err *err, const struct tokfs_error *from)
{
    return err_set(err, from->code, "%s", from->msg);
}

int engine_run_open(const struct bench_options *options, size_t n_sequences, size_t max_tokens, struct engine_run *run,
                    struct err *err)
{
    struct tokfs_error error = { 0 };

    *run = (struct engine_run){
        .n_sequences = n_sequences,
        .max_tokens = max_tokens,
        .prompt_tokens = options->prompt_tokens,
        .random = 0x9e3779b97f4a7c15u,
    };
    int rc = bench_model_prepare(options, &run->model, err);
    if (rc < 0) {
        return rc;
    }
    run->sequences = calloc(n_sequences, sizeof(run->sequences[0]));
    if (!run->sequences) {
        engine_run_close(run);
        return err_set(err, -ENOMEM, "out of memory for %zu sequences", n_sequences);
    }
    for (size_t i = 0; i < n_sequences; i++) {
        run->sequences[i].sampled_ns = calloc(max_tokens, sizeof(uint64_t));
        if (!run->sequences[i].sampled_ns) {
            engine_run_close(run);
            return err_set(err, -ENOMEM, "out of memory for %zu tokens", max_tokens);
        }
    }
    struct tokfs_engine_options engine_options = {
        .model = run->model.dir,
        .served_name = options->model ? NULL : options->shape,
        .isa = options->isa,
        .n_threads = options->n_threads,
        .n_ctx = options->prompt_tokens + max_tokens + CTX_TOKENS_SPARE,
        .max_sequences = (unsigned)n_sequences,
    };
    if (tokfs_engine_open(&engine_options, &run->engine, &error) < 0) {
        engine_run_close(run);
        return take_error(err, &error);
    }
    tokfs_engine_get_info(run->engine, &run->info);
    return 0;
}

void engine_run_close(struct engine_run *run)
{
    tokfs_engine_close(run->engine);
    for (size_t i = 0; run->sequences && i < run->n_sequences; i++) {
        free(run->sequences[i].sampled_ns);
    }
    free(run->sequences);
    bench_model_remove(&run->model);
}

// xorshift64* (Vigna 2016): prompts that no cache has seen before, the same in every run of the program.
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1du;
}

static int submit_one(struct engine_run *run, struct run_sequence *seq, struct tokfs_completion **ret, struct err *err)
{
    struct tokfs_sampling sampling = { .top_p = 1, .max_tokens = (int64_t)run->max_tokens, .ignore_eos = true };
    struct tokfs_error error = { 0 };
    int32_t *ids = malloc(run->prompt_tokens * sizeof(ids[0]));

    if (!ids) {
        return err_set(err, -ENOMEM, "out of memory for a prompt of %zu tokens", run->prompt_tokens);
    }
    for (size_t i = 0; i < run->prompt_tokens; i++) {
        ids[i] = (int32_t)(next_random(&run->random) % run->info.n_vocab);
    }
    seq->n_sampled = 0;
    seq->is_finished = false;
    int rc = tokfs_submit_tokens(run->engine, ids, run->prompt_tokens, &sampling, seq, ret, &error);
    free(ids);
    return rc < 0 ? take_error(err, &error) : 0;
}

static int take_event(struct engine_run *run, const struct tokfs_event *event, size_t *n_left, struct err *err)
{
    struct run_sequence *seq = event->user;

    switch (event->kind) {
    case TOKFS_EVENT_TOKEN:
        if (event->token_id >= 0 && seq->n_sampled < run->max_tokens) {
            seq->sampled_ns[seq->n_sampled++] = event->sampled_ns;
        }
        break;
    case TOKFS_EVENT_FINISHED:
        seq->usage = event->usage;
        seq->is_finished = true;
        *n_left -= 1;
        break;
    case TOKFS_EVENT_FAILED: return take_error(err, event->error);
    case TOKFS_EVENT_ACCEPTED:
    case TOKFS_EVENT_STARTED:
    case TOKFS_EVENT_CHOICE_FINISHED: break;
    }
    return 0;
}

static int wait_all(struct engine_run *run, struct err *err)
{
    struct pollfd pfd = { .fd = tokfs_engine_fd(run->engine), .events = POLLIN };
    size_t n_left = run->n_sequences;

    while (n_left > 0) {
        struct tokfs_event event;

        while (n_left > 0 && tokfs_poll(run->engine, &event) == 1) {
            int rc = take_event(run, &event, &n_left, err);
            if (rc < 0) {
                return rc;
            }
        }
        if (n_left > 0 && poll(&pfd, 1, -1) < 0 && errno != EINTR) {
            return err_set(err, -errno, "poll: %s", strerror(errno));
        }
    }
    return 0;
}

int engine_run_once(struct engine_run *run, struct err *err)
{
    struct tokfs_completion **completions = calloc(run->n_sequences, sizeof(completions[0]));
    int rc = completions ? 0 : err_set(err, -ENOMEM, "out of memory for %zu requests", run->n_sequences);

    for (size_t i = 0; rc == 0 && i < run->n_sequences; i++) {
        rc = submit_one(run, &run->sequences[i], &completions[i], err);
    }
    if (rc == 0) {
        rc = wait_all(run, err);
    }
    for (size_t i = 0; completions && i < run->n_sequences; i++) {
        tokfs_completion_free(completions[i]);
    }
    free(completions);
    return rc;
}

int engine_run_bandwidth(const struct bench_options *options, double *ret, struct err *err)
{
    struct tokfs_error error = { 0 };

    return tokfs_measure_memory_read(options->n_threads, 0.5, ret, &error) < 0 ? take_error(err, &error) : 0;
}

void engine_run_describe(const struct engine_run *run, struct bench_report *report)
{
    snprintf(report->model, sizeof(report->model), "%s", run->info.model);
    snprintf(report->backend, sizeof(report->backend), "%s", run->info.backend);
}
