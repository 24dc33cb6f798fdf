#include "tools/bridge/publisher.h"
#include "tools/bridge/redis_sink.h"
#include "tools/bridge/zmq_sink.h"
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#define BEAT_NS     2000000000u
#define METRICS_MAX (4u << 20)
#define NAME_MAX_   240

struct node {
    struct publisher *publisher;
    unsigned idx;
    struct kv_source *source;
    struct redis_sink *redis; // NULL: not wanted
    struct zmq_sink *zmq;     // NULL: not wanted
    struct exchange *asking;  // the mount's metrics are being read
    struct strbuf metrics;
    uint64_t n_running, n_waiting, n_pages, n_pages_free;
    char name[NAME_MAX_];
    char path[PATH_MAX];
};

struct publisher {
    struct loop_op beat;
    struct loop *loop;
    struct exchange_pool *files;
    const struct options *options;
    const struct mounts *mounts; // NULL: not started
    struct redis_link *link;     // NULL: not wanted
    void *zmq_context;
    char address[OPTION_ADDRESS_MAX]; // under which others reach the bridge
    bool is_stopped;
    unsigned n;
    struct node nodes[];
};

// ---- the load ------------------------------------------------------------------------------------------------------

static void take_figure(struct node *node, struct str line)
{
    static const char *const names[] = { "tokfs_requests_running", "tokfs_requests_queued", "tokfs_kv_pages",
                                         "tokfs_kv_pages_free" };
    uint64_t *const places[] = { &node->n_running, &node->n_waiting, &node->n_pages, &node->n_pages_free };
    struct str name, value = str_cut(line, ' ', &name);
    double number;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (str_eq(name, str_from(names[i])) && str_parse_double(value, &number) == 0 && number >= 0) {
            *places[i] = (uint64_t)number;
        }
    }
}

static void metrics_data(void *ctx, struct str bytes)
{
    struct node *node = ctx;
    strbuf_append(&node->metrics, bytes);
    exchange_go_on(node->asking);
}

static void metrics_ended(void *ctx, const struct exchange_ends *ends)
{
    struct node *node = ctx;
    struct str line, rest = strbuf_str(&node->metrics);
    (void)ends;
    node->asking = NULL;
    while (rest.len > 0) {
        rest = str_cut(rest, '\n', &line);
        take_figure(node, line);
    }
}

static void ask_load(struct node *node)
{
    struct exchange_sink sink = { .data = metrics_data, .ended = metrics_ended, .ctx = node };
    if (!node->asking && mounts_is_up(node->publisher->mounts, node->idx)) {
        strbuf_reset(&node->metrics);
        node->asking = exchange_start(node->publisher->files, node->path, NULL, 0, 0, &sink);
    }
}

// ---- beats ---------------------------------------------------------------------------------------------------------

static void beat_node(struct node *node)
{
    struct publisher *p = node->publisher;
    char model[256];
    mounts_model(p->mounts, node->idx, model, sizeof(model));
    const struct node_state state = { .address = p->address,
                                      .model = model,
                                      .block_size = kv_source_block_size(node->source),
                                      .n_running = node->n_running,
                                      .n_waiting = node->n_waiting,
                                      .n_pages = node->n_pages,
                                      .n_pages_free = node->n_pages_free };
    if (node->zmq) {
        zmq_sink_beat(node->zmq, p->address, model);
    }
    // Of a mount that does not answer there is no news, and its entry of the registry ends.
    if (node->redis && mounts_is_up(p->mounts, node->idx)) {
        redis_sink_beat(node->redis, &state);
    }
    if (p->link) {
        ask_load(node);
    }
}

static void beat_done(struct loop_op *op, int res)
{
    struct publisher *p = (struct publisher *)op;
    if (res < 0 || p->is_stopped) {
        return;
    }
    for (unsigned i = 0; i < p->n; i++) {
        beat_node(&p->nodes[i]);
    }
    loop_timer(p->loop, &p->beat, BEAT_NS);
}

// ---- Redis ---------------------------------------------------------------------------------------------------------

static void link_up(void *ctx)
{
    struct publisher *p = ctx;
    for (unsigned i = 0; i < p->n && p->mounts; i++) { // otherwise publisher_start does
        redis_sink_up(p->nodes[i].redis);
        beat_node(&p->nodes[i]);
    }
}

static void link_down(void *ctx)
{
    struct publisher *p = ctx;
    for (unsigned i = 0; i < p->n; i++) {
        redis_sink_down(p->nodes[i].redis);
    }
}

// ---- life ----------------------------------------------------------------------------------------------------------

static int node_new(struct publisher *p, unsigned idx, struct err *err)
{
    const struct options *o = p->options;
    struct node *node = &p->nodes[idx];
    int r = 0;
    node->publisher = p;
    node->idx = idx;
    strbuf_init(&node->metrics, METRICS_MAX);
    snprintf(node->path, sizeof(node->path), "%s/metrics", o->mounts[idx]);
    snprintf(node->name, sizeof(node->name), o->n_mounts > 1 ? "%s.%u" : "%s", o->node, idx);
    if (o->redis) {
        const struct redis_sink_options options = { .link = p->link,
                                                    .node = node->name,
                                                    .n_entries = o->redis_entries,
                                                    .waiting_max = o->redis_bytes,
                                                    .has_tokens = !o->no_event_tokens };
        r = redis_sink_new(&options, &node->redis);
    }
    if (r == 0 && o->zmq) {
        const struct zmq_sink_options options = { .loop = p->loop,
                                                  .context = p->zmq_context,
                                                  .endpoint = o->zmq,
                                                  .replay = o->zmq_replay,
                                                  .node_idx = idx,
                                                  .hwm = o->zmq_hwm,
                                                  .as_maps = o->zmq_map_events,
                                                  .has_tokens = !o->no_event_tokens };
        r = zmq_sink_new(&options, &node->zmq, err);
    }
    return r;
}

static int connect_redis(struct publisher *p, struct err *err)
{
    const struct redis_link_owner owner = { .up = link_up, .down = link_down, .ctx = p };
    struct redis_url url;
    int r = redis_url_parse(p->options->redis, &url, err);
    return r < 0 ? r : redis_link_new(p->loop, &url, &owner, &p->link);
}

int publisher_new(struct loop *loop, struct exchange_pool *files, const struct options *options, struct publisher **ret,
                  struct err *err)
{
    static_assert(offsetof(struct publisher, beat) == 0, "beat_done");
    struct publisher *p = calloc(1, sizeof(*p) + options->n_mounts * sizeof(p->nodes[0]));
    if (!p) {
        return err_set(err, -ENOMEM, "out of memory");
    }
    *ret = p; // freed by the caller, whatever happens
    p->loop = loop;
    p->files = files;
    p->options = options;
    p->beat.done = beat_done;
    options_address(options, p->address);
    int r = options->redis ? connect_redis(p, err) : 0;
    if (r == 0 && options->zmq && !(p->zmq_context = zmq_ctx_new())) {
        r = -errno;
    }
    for (; p->n < options->n_mounts && r == 0; p->n++) {
        r = node_new(p, p->n, err);
    }
    return r < 0 && !(err->msg[0]) ? err_set(err, r, "%s", strerror(-r)) : r;
}

int publisher_start(struct publisher *p, const struct mounts *mounts)
{
    int r = 0;
    p->mounts = mounts;
    for (unsigned i = 0; i < p->n && r == 0; i++) {
        struct node *node = &p->nodes[i];
        struct kv_sink sinks[KV_SINKS_MAX];
        unsigned n_sinks = 0;
        if (node->redis) {
            sinks[n_sinks++] = redis_sink_calls(node->redis);
        }
        if (node->zmq) {
            sinks[n_sinks++] = zmq_sink_calls(node->zmq);
        }
        r = kv_source_new(p->loop, p->files, p->options->mounts[i], sinks, n_sinks, &node->source);
        if (r == 0 && node->redis) {
            redis_sink_attach(node->redis, node->source);
        }
        if (r == 0 && node->zmq) {
            zmq_sink_attach(node->zmq, node->source);
        }
    }
    if (r == 0 && p->link && redis_link_is_up(p->link)) {
        link_up(p);
    }
    loop_timer(p->loop, &p->beat, 0);
    return r;
}

void publisher_stop(struct publisher *p)
{
    if (!p || p->is_stopped) {
        return;
    }
    p->is_stopped = true;
    redis_link_stop(p->link);
    loop_cancel(p->loop, &p->beat);
    for (unsigned i = 0; i < p->n; i++) {
        kv_source_stop(p->nodes[i].source);
        zmq_sink_stop(p->nodes[i].zmq);
        if (p->nodes[i].asking) {
            exchange_cancel(p->nodes[i].asking);
            p->nodes[i].asking = NULL;
        }
    }
}

void publisher_free(struct publisher *p)
{
    if (!p) {
        return;
    }
    for (unsigned i = 0; i < p->options->n_mounts; i++) {
        kv_source_free(p->nodes[i].source);
        redis_sink_free(p->nodes[i].redis);
        zmq_sink_free(p->nodes[i].zmq);
        strbuf_deinit(&p->nodes[i].metrics);
    }
    redis_link_free(p->link);
    if (p->zmq_context) {
        zmq_ctx_term(p->zmq_context);
    }
    free(p);
}

// ---- figures -------------------------------------------------------------------------------------------------------

struct figure {
    const char *name, *type, *help;
    uint64_t (*value)(const struct node *node);
};

#define FIGURE(function, expression)                                                                                   \
    static uint64_t function(const struct node *node)                                                                  \
    {                                                                                                                  \
        return expression;                                                                                             \
    }

FIGURE(batches, kv_source_counts(node->source)->n_batches)
FIGURE(losses, kv_source_counts(node->source)->n_losses)
FIGURE(snapshots, kv_source_counts(node->source)->n_snapshots)
FIGURE(redis_live, node->redis ? redis_sink_counts(node->redis)->is_live : 0)
FIGURE(redis_entries, node->redis ? redis_sink_counts(node->redis)->n_entries : 0)
FIGURE(redis_dropped, node->redis ? redis_sink_counts(node->redis)->n_dropped : 0)
FIGURE(redis_epochs, node->redis ? redis_sink_counts(node->redis)->n_epochs : 0)
FIGURE(zmq_batches, node->zmq ? zmq_sink_counts(node->zmq)->n_batches : 0)
FIGURE(zmq_replayed, node->zmq ? zmq_sink_counts(node->zmq)->n_replayed : 0)

static const struct figure figures[] = {
    { "kv_batches_total", "counter", "Batches of changes read from the mount.", batches },
    { "kv_losses_total", "counter", "Times that events of the mount were missed, its first opening included.", losses },
    { "kv_snapshots_total", "counter", "Snapshots read from the mount.", snapshots },
    { "redis_live", "gauge", "Whether the stream in Redis is without a gap now.", redis_live },
    { "redis_entries_total", "counter", "Entries added to the stream.", redis_entries },
    { "redis_dropped_total", "counter", "Batches that Redis was too slow for.", redis_dropped },
    { "redis_epochs_total", "counter", "Epochs of the stream: snapshots after a gap.", redis_epochs },
    { "zmq_batches_total", "counter", "Batches published by ZeroMQ.", zmq_batches },
    { "zmq_replayed_total", "counter", "Batches sent again to those who asked.", zmq_replayed },
};

void publisher_write_metrics(const struct publisher *p, struct strbuf *out)
{
    for (size_t k = 0; k < sizeof(figures) / sizeof(figures[0]) && p->mounts; k++) {
        const struct figure *f = &figures[k];
        strbuf_printf(out, "# HELP tokfs_bridge_%s %s\n# TYPE tokfs_bridge_%s %s\n", f->name, f->help, f->name,
                      f->type);
        for (unsigned i = 0; i < p->n; i++) {
            strbuf_printf(out, "tokfs_bridge_%s{node=\"%s\"} %" PRIu64 "\n", f->name, p->nodes[i].name,
                          f->value(&p->nodes[i]));
        }
    }
}
