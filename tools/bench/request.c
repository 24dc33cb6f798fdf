// Requests of token ids through the C API, each with its own prompt, and when each of their tokens was sampled.
#include "tools/bench/request.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

static int take_error(struct err *err, const struct tokfs_error *from)
{
    return err_set(err, from->code, "%s", from->msg);
}

int bench_engine_open(const struct tokfs_engine_options *options, struct tokfs_engine **ret, struct err *err)
{
    struct tokfs_error error = { 0 };
    return tokfs_engine_open(options, ret, &error) < 0 ? take_error(err, &error) : 0;
}

int bench_request_init(struct bench_request *request, size_t max_tokens, struct err *err)
{
    *request = (struct bench_request){ .max_tokens = max_tokens };
    request->token_ids = calloc(max_tokens, sizeof(request->token_ids[0]));
    request->sampled_ns = calloc(max_tokens, sizeof(request->sampled_ns[0]));
    if (!request->token_ids || !request->sampled_ns) {
        bench_request_deinit(request);
        return err_set(err, -ENOMEM, "out of memory for %zu tokens", max_tokens);
    }
    return 0;
}

void bench_request_deinit(struct bench_request *request)
{
    tokfs_completion_free(request->completion);
    free(request->token_ids);
    free(request->sampled_ns);
    *request = (struct bench_request){ 0 };
}

int bench_request_submit(struct bench_request *request, struct tokfs_engine *engine, const int32_t *prompt,
                         size_t n_prompt, struct err *err)
{
    struct tokfs_sampling sampling = { .top_p = 1, .max_tokens = (int64_t)request->max_tokens, .ignore_eos = true };
    struct tokfs_error error = { 0 };

    tokfs_completion_free(request->completion);
    request->completion = NULL;
    request->n_sampled = 0;
    request->is_finished = false;
    int rc = tokfs_submit_tokens(engine, prompt, n_prompt, &sampling, request, &request->completion, &error);
    return rc < 0 ? take_error(err, &error) : 0;
}

static int take_event(const struct tokfs_event *event, struct err *err)
{
    struct bench_request *request = event->user;

    switch (event->kind) {
    case TOKFS_EVENT_TOKEN:
        if (event->token_id >= 0 && request->n_sampled < request->max_tokens) {
            request->token_ids[request->n_sampled] = event->token_id;
            request->sampled_ns[request->n_sampled++] = event->sampled_ns;
        }
        break;
    case TOKFS_EVENT_FINISHED:
        request->usage = event->usage;
        request->is_finished = true;
        break;
    case TOKFS_EVENT_FAILED: return take_error(err, event->error);
    case TOKFS_EVENT_ACCEPTED:
    case TOKFS_EVENT_STARTED:
    case TOKFS_EVENT_CHOICE_FINISHED: break;
    }
    return 0;
}

int bench_poll(struct tokfs_engine *engine, struct err *err)
{
    struct pollfd pfd = { .fd = tokfs_engine_fd(engine), .events = POLLIN };
    struct tokfs_event event;

    if (poll(&pfd, 1, -1) < 0 && errno != EINTR) {
        return err_set(err, -errno, "poll: %s", strerror(errno));
    }
    while (tokfs_poll(engine, &event) == 1) {
        int rc = take_event(&event, err);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

int bench_wait(struct tokfs_engine *engine, const struct bench_request *requests, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        while (!requests[i].is_finished) {
            int rc = bench_poll(engine, err);
            if (rc < 0) {
                return rc;
            }
        }
    }
    return 0;
}

uint64_t bench_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1du;
}

void bench_random_prompt(uint64_t *state, size_t n_vocab, int32_t *ids, size_t n_ids)
{
    for (size_t i = 0; i < n_ids; i++) {
        ids[i] = (int32_t)(bench_random(state) % n_vocab);
    }
}
