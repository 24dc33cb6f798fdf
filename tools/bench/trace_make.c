// A made-up trace: users of several tenants who begin chats and go on with them.
//
// Lengths are exponential around their means. A chat's turn is its whole past and a new message; it may come before the
// answer to the last one is there, as real ones do after a disconnect.
#include "tools/bench/request.h"
#include "tools/bench/trace_internal.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define CHATS_PER_TENANT 16

struct chat_line {
    uint64_t stream;
    uint32_t n_tokens; // prompt and answer so far; 0: none yet
};

struct making {
    const struct bench_options *options;
    uint32_t n_ctx;
    uint64_t random;
    struct chat_line *chats; // [n_tenants][CHATS_PER_TENANT]
};

static double uniform(struct making *m) // (0, 1]
{
    return ((double)(bench_random(&m->random) >> 11) + 1) * 0x1p-53;
}

static uint32_t length(struct making *m, double mean)
{
    double n = -log(uniform(m)) * mean;
    return n < 1 ? 1 : n > m->n_ctx ? m->n_ctx : (uint32_t)n;
}

static uint32_t draw_tenant(struct making *m)
{
    unsigned n = m->options->n_tenants;
    double total = 0;
    for (unsigned i = 0; i < n; i++) {
        total += 1.0 / (i + 1);
    }
    double left = uniform(m) * total;
    for (unsigned i = 0; i + 1 < n; i++) {
        left -= 1.0 / (i + 1);
        if (left <= 0) {
            return i;
        }
    }
    return n - 1;
}

static void make_request(struct making *m, uint32_t tenant, struct trace_request *request)
{
    struct chat_line *chat = &m->chats[(size_t)tenant * CHATS_PER_TENANT + bench_random(&m->random) % CHATS_PER_TENANT];
    uint32_t n_system = m->options->prompt_tokens / 2;
    uint32_t n_message = length(m, m->options->prompt_tokens - n_system);

    request->answer_tokens = length(m, m->options->max_tokens);
    if (chat->n_tokens == 0 || bench_random(&m->random) % 2 == 0 ||
        chat->n_tokens + n_message + request->answer_tokens > m->n_ctx) {
        *chat = (struct chat_line){ .stream = bench_random(&m->random), .n_tokens = n_system };
    }
    uint32_t n_room = m->n_ctx - chat->n_tokens - 2;
    n_message = n_message < n_room ? n_message : n_room;
    request->prompt_tokens = chat->n_tokens + n_message;
    n_room = m->n_ctx - request->prompt_tokens;
    request->answer_tokens = request->answer_tokens < n_room ? request->answer_tokens : n_room;
    request->prefix_tokens = n_system;
    request->prefix_stream = trace_mix(tenant + 1);
    request->own_stream = chat->stream;
    chat->n_tokens = request->prompt_tokens + request->answer_tokens;
}

int trace_make(const struct bench_options *options, uint32_t n_ctx, struct trace *ret, struct err *err)
{
    struct making making = { .options = options, .n_ctx = n_ctx, .random = trace_mix(options->seed) | 1 };
    double now_s = 0;
    int rc = 0;

    *ret = (struct trace){ 0 };
    if (options->prompt_tokens / 2 + 3 > n_ctx) {
        return err_set(err, -EINVAL, "--prompt %u: half of it, the system prompt, does not fit in --ctx %u",
                       options->prompt_tokens, n_ctx);
    }
    making.chats = calloc((size_t)options->n_tenants * CHATS_PER_TENANT, sizeof(making.chats[0]));
    rc = making.chats ? 0 : -ENOMEM;
    for (unsigned i = 0; rc == 0 && i < options->n_requests; i++) {
        struct trace_request request = { .arrival_ns = (uint64_t)(now_s * 1e9) };
        uint32_t tenant = draw_tenant(&making);

        make_request(&making, tenant, &request);
        rc = trace_add(ret, &request, tenant);
        now_s += -log(uniform(&making)) / options->rate;
    }
    free(making.chats);
    if (rc < 0) {
        trace_free(ret);
        return err_set(err, rc, "out of memory for %u requests", options->n_requests);
    }
    return 0;
}
