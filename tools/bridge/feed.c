#include "tools/bridge/feed.h"
#include "engine/base/log.h"
#include "tools/bridge/feed_redis.h"
#include "tools/bridge/feed_zmq.h"
#include "tools/bridge/kv_source.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#define LOOK_NS 1000000000u // at the mounts

struct own { // a mount
    struct feed *feed;
    struct kv_source *events;
    struct score_source *source; // NULL: its model is not known yet
    bool is_present;             // as its source was told
    bool is_broken;              // something of the snapshot that is being read made no sense
};

struct feed {
    struct loop_op timer; // looks at the mounts
    struct loop *loop;
    struct exchange_pool *files;
    const struct options *options;
    struct scorer *scorer;
    const struct mounts *mounts;
    struct own own[MOUNTS_MAX];
    int own_peer;
    char own_address[OPTION_ADDRESS_MAX]; // of the peer that they are
    struct feed_redis *redis[FOLLOWED_MAX];
    struct feed_zmq *zmq[FOLLOWED_MAX];
    unsigned n_redis, n_zmq;
    void *zmq_context; // NULL: none
    bool is_stopped;
};

// ---- the bridge's own mounts ---------------------------------------------------------------------------------------

static void own_lost(void *ctx)
{
    struct own *own = ctx;
    own->is_broken = false;
    score_source_clear(own->source);
    kv_source_want_snapshot(own->events);
}

static bool apply(struct own *own, const struct kv_batch *batch)
{
    struct err err = { 0 };
    for (size_t i = 0; i < batch->n_messages; i++) {
        if (score_source_apply(own->source, &batch->messages[i], &err) < 0) {
            log_warn("events of a mount: %s", err.msg);
            return false;
        }
    }
    return true;
}

static void own_step(void *ctx, const struct kv_batch *batch)
{
    struct own *own = ctx;
    if (!apply(own, batch)) {
        own_lost(own);
    }
}

// As it is being read, so that the loop is never held for long.
static void own_part(void *ctx, const struct kv_batch *batch)
{
    struct own *own = ctx;
    own->is_broken = own->is_broken || !apply(own, batch);
}

static void own_snapshot(void *ctx, struct kv_snapshot *snapshot)
{
    struct own *own = ctx;
    (void)snapshot;
    if (own->is_broken) {
        own_lost(own);
    }
}

struct search {
    const char *path;
    char model[256];
};

static void take_model(void *ctx, const char *path, const char *model)
{
    struct search *search = ctx;
    if (strcmp(path, search->path) == 0) {
        snprintf(search->model, sizeof(search->model), "%s", model);
    }
}

// True: its events are being read.
static bool begin_own(struct feed *feed, unsigned idx)
{
    struct own *own = &feed->own[idx];
    struct search search = { .path = mounts_path(feed->mounts, idx) };
    if (own->events) {
        return true;
    }
    mounts_each_model(feed->mounts, take_model, &search);
    if (!search.model[0] ||
        scorer_add_source(feed->scorer, (unsigned)feed->own_peer, str_from(search.model), &own->source) < 0) {
        return false;
    }
    const struct kv_sink sink = {
        .lost = own_lost, .part = own_part, .snapshot = own_snapshot, .step = own_step, .ctx = own
    };
    own->feed = feed;
    return kv_source_new(feed->loop, feed->files, search.path, &sink, 1, &own->events) == 0;
}

// A mount that has gone may come back with another cache.
static void look_at(struct own *own)
{
    bool is_open = kv_source_counts(own->events)->is_open;
    if (is_open && !own->is_present) {
        score_source_arrive(own->source);
    } else if (!is_open && own->is_present) {
        score_source_leave(own->source);
    }
    own->is_present = is_open;
    if (!is_open) {
        score_source_clear(own->source);
    }
}

static void timer_done(struct loop_op *op, int res)
{
    struct feed *feed = (struct feed *)op;
    if (res < 0 || feed->is_stopped) {
        return;
    }
    for (unsigned i = 0; i < mounts_count(feed->mounts); i++) {
        if (begin_own(feed, i)) {
            look_at(&feed->own[i]);
        }
    }
    loop_timer(feed->loop, &feed->timer, LOOK_NS);
}

int feed_follow_mounts(struct feed *feed, const struct mounts *mounts)
{
    feed->mounts = mounts;
    if (mounts_count(mounts) == 0) {
        return 0;
    }
    feed->own_peer = scorer_add_peer(feed->scorer, str_from(feed->own_address));
    if (feed->own_peer < 0) {
        return feed->own_peer;
    }
    scorer_keep_peer(feed->scorer, (unsigned)feed->own_peer);
    scorer_set_scope(feed->scorer, (unsigned)feed->own_peer, 1 + (uint64_t)geteuid());
    loop_timer(feed->loop, &feed->timer, 0);
    return 0;
}

int feed_own_peer(const struct feed *feed)
{
    return feed->own_peer;
}

// ---- others --------------------------------------------------------------------------------------------------------

static bool is_redis(const char *url)
{
    return strncmp(url, "redis://", 8) == 0 || strncmp(url, "unix://", 7) == 0;
}

// What it names is in the one of the two that it is.
static int parse(const char *url, struct redis_url *redis, struct feed_zmq_spec *zmq, struct err *err)
{
    int r = is_redis(url) ? redis_url_parse(url, redis, err) : feed_zmq_parse(url, zmq, err);
    return r < 0 ? err_prefix(err, "--follow%s%s", is_redis(url) ? "" : " ", is_redis(url) ? "" : url)
                 : r; // no password
}

int feed_check(const char *url, struct err *err)
{
    struct redis_url redis;
    struct feed_zmq_spec zmq;
    return parse(url, &redis, &zmq, err);
}

static int follow_zmq(struct feed *feed, const struct feed_zmq_spec *spec, struct err *err)
{
    feed->zmq_context = feed->zmq_context ? feed->zmq_context : zmq_ctx_new();
    int r = feed->zmq_context
                ? feed_zmq_new(feed->loop, feed->zmq_context, spec, feed->scorer, &feed->zmq[feed->n_zmq], err)
                : -ENOMEM;
    feed->n_zmq += feed->zmq[feed->n_zmq] != NULL;
    return r;
}

static int follow(struct feed *feed, const char *url, struct err *err)
{
    struct redis_url redis;
    struct feed_zmq_spec zmq;
    int r = parse(url, &redis, &zmq, err);
    if (r < 0) {
        return r;
    }
    if (is_redis(url)) {
        r = feed_redis_new(feed->loop, &redis, feed->scorer, feed->options->n_mounts > 0 ? feed->own_address : NULL,
                           &feed->redis[feed->n_redis]);
        feed->n_redis += feed->redis[feed->n_redis] != NULL;
    } else {
        r = follow_zmq(feed, &zmq, err);
    }
    if (r < 0 && !err->msg[0]) {
        err_set(err, r, "%s", strerror(-r));
    }
    return r < 0 ? err_prefix(err, "--follow") : 0;
}

int feed_new(struct loop *loop, struct exchange_pool *files, const struct options *options, struct scorer *scorer,
             struct feed **ret, struct err *err)
{
    struct feed *feed = calloc(1, sizeof(*feed));
    int r = 0;
    if (!feed) {
        return err_set(err, -ENOMEM, "out of memory");
    }
    *ret = feed;
    feed->loop = loop;
    feed->files = files;
    feed->options = options;
    feed->scorer = scorer;
    feed->own_peer = -1;
    options_address(options, feed->own_address);
    feed->timer.done = timer_done;
    for (unsigned i = 0; i < options->n_followed && r == 0; i++) {
        r = follow(feed, options->followed[i], err);
    }
    return r;
}

void feed_stop(struct feed *feed)
{
    if (!feed || feed->is_stopped) {
        return;
    }
    feed->is_stopped = true;
    loop_cancel(feed->loop, &feed->timer);
    for (unsigned i = 0; i < MOUNTS_MAX; i++) {
        kv_source_stop(feed->own[i].events);
    }
    for (unsigned i = 0; i < feed->n_redis; i++) {
        feed_redis_stop(feed->redis[i]);
    }
    for (unsigned i = 0; i < feed->n_zmq; i++) {
        feed_zmq_stop(feed->zmq[i]);
    }
}

void feed_free(struct feed *feed)
{
    if (!feed) {
        return;
    }
    for (unsigned i = 0; i < MOUNTS_MAX; i++) {
        kv_source_free(feed->own[i].events);
    }
    for (unsigned i = 0; i < feed->n_redis; i++) {
        feed_redis_free(feed->redis[i]);
    }
    for (unsigned i = 0; i < feed->n_zmq; i++) {
        feed_zmq_free(feed->zmq[i]);
    }
    if (feed->zmq_context) {
        zmq_ctx_term(feed->zmq_context);
    }
    free(feed);
}

// ---- figures -------------------------------------------------------------------------------------------------------

static void write_figure(struct strbuf *out, const char *name, const char *type, const char *help, double value)
{
    strbuf_printf(out, "# HELP tokfs_bridge_%s %s\n# TYPE tokfs_bridge_%s %s\ntokfs_bridge_%s %.17g\n", name, help,
                  name, type, name, value);
}

void feed_write_metrics(const struct feed *feed, struct strbuf *out)
{
    struct kv_index_stats stats;
    uint64_t n_entries = 0, n_snapshots = 0, n_batches = 0, n_gaps = 0, n_bad = 0;
    for (unsigned i = 0; i < feed->n_redis; i++) {
        const struct feed_redis_counts *c = feed_redis_counts(feed->redis[i]);
        n_entries += c->n_entries;
        n_snapshots += c->n_snapshots;
        n_bad += c->n_bad;
    }
    for (unsigned i = 0; i < feed->n_zmq; i++) {
        const struct feed_zmq_counts *c = feed_zmq_counts(feed->zmq[i]);
        n_batches += c->n_batches;
        n_gaps += c->n_gaps;
        n_bad += c->n_bad;
    }
    kv_index_get_stats(scorer_index(feed->scorer), &stats);
    write_figure(out, "index_bytes", "gauge", "Memory of the index of blocks.", (double)stats.n_bytes);
    write_figure(out, "index_blocks", "gauge", "Different blocks in the index.", (double)stats.n_blocks);
    write_figure(out, "index_placements", "gauge", "Blocks at peers.", (double)stats.n_placements);
    write_figure(out, "index_evicted_total", "counter", "Placements forgotten for want of memory.",
                 (double)stats.n_evicted);
    write_figure(out, "followed_entries_total", "counter", "Entries of Redis streams applied.", (double)n_entries);
    write_figure(out, "followed_snapshots_total", "counter", "Snapshots taken from Redis.", (double)n_snapshots);
    write_figure(out, "followed_batches_total", "counter", "Batches heard by ZeroMQ.", (double)n_batches);
    write_figure(out, "followed_gaps_total", "counter", "Times that batches of ZeroMQ were missed.", (double)n_gaps);
    write_figure(out, "followed_bad_total", "counter", "What was told and made no sense.", (double)n_bad);
}
