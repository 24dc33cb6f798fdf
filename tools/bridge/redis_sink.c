#include "tools/bridge/redis_sink.h"
#include "engine/base/log.h"
#include <errno.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PART_BLOCKS 256u // of a snapshot's field
#define KEY_MAX     300
#define NODE_TTL_MS "10000"   // of a node that is not heard of any more
#define KEYS_TTL_MS "3600000" // of what it told
#define PART_TTL_MS "600000"  // of a snapshot that is never finished
#define REGISTRY    "tokfs:nodes"

enum state { DOWN, WANTING, LIVE, FULL };

struct redis_sink {
    struct redis_sink_options options;
    struct kv_source *source;
    enum state state;
    bool is_failed;  // FULL after an error: it is left with a beat
    bool is_beating; // the last beat has not been answered
    uint64_t epoch, seq;

    struct kv_snapshot *snapshot; // being written; NULL: none
    size_t n_written;             // of its blocks
    unsigned n_parts;
    unsigned n_naming;               // renamings that were not answered
    uint64_t snapshot_seq;           // what it is the state after
    bool is_wanted;                  // another one, of this epoch
    uint64_t there_epoch, there_seq; // the one that is in Redis, as far as is known
    uint64_t looked_seq;             // the last entry when the stream was last looked at
    char part_key[KEY_MAX];

    struct arena scratch;
    struct strbuf payload;
    struct redis_sink_counts counts;
    char events_key[KEY_MAX], snapshot_key[KEY_MAX], node_key[KEY_MAX];
};

static uint64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

struct number {
    char text[24];
};

static struct str number_str(struct number *to, uint64_t value)
{
    int n = snprintf(to->text, sizeof(to->text), "%" PRIu64, value);
    return (struct str){ to->text, (size_t)n };
}

#define SEND(sink, answered, ...)                                                                                      \
    send_args(sink, answered, (const struct str[]){ __VA_ARGS__ },                                                     \
              sizeof((const struct str[]){ __VA_ARGS__ }) / sizeof(struct str))

static int send_args(struct redis_sink *sink, redis_answered *answered, const struct str *args, size_t n)
{
    return redis_link_send(sink->options.link, args, n, answered, sink);
}

// One command fits whatever its length.
static bool has_room(const struct redis_sink *sink, size_t n_more, size_t max)
{
    size_t n = redis_link_waiting_bytes(sink->options.link);
    return n == 0 || n + n_more <= max;
}

// ---- states --------------------------------------------------------------------------------------------------------

static void forget_snapshot(struct redis_sink *sink)
{
    kv_snapshot_unref(sink->snapshot);
    sink->snapshot = NULL;
}

static void enter(struct redis_sink *sink, enum state state)
{
    sink->state = state;
    sink->counts.is_live = state == LIVE;
    if (state != LIVE) {
        forget_snapshot(sink);
        sink->is_wanted = false;
    }
    if (state == WANTING) {
        kv_source_want_snapshot(sink->source);
    }
}

static void overflow(struct redis_sink *sink, const char *why)
{
    if (sink->state == LIVE) {
        log_warn("Redis %s: %s; events are dropped, a snapshot will follow", redis_link_name(sink->options.link), why);
    }
    enter(sink, FULL);
}

static void fail(struct redis_sink *sink, const char *why)
{
    overflow(sink, why);
    sink->is_failed = true;
}

static void write_on(struct redis_sink *sink);

static void progress(struct redis_sink *sink)
{
    if (sink->state == FULL && !sink->is_failed && has_room(sink, 0, sink->options.waiting_max / 8)) {
        enter(sink, WANTING);
    } else if (sink->state == LIVE && sink->snapshot) {
        write_on(sink);
    }
}

// An entry or a piece of a snapshot. Errors of an epoch that is over come late and change nothing.
static void answered(void *ctx, const struct redisReply *reply)
{
    struct redis_sink *sink = ctx;
    if (reply && reply->type == REDIS_REPLY_ERROR && sink->state == LIVE) {
        fail(sink, reply->str);
    } else if (reply) {
        progress(sink);
    }
}

// ---- the stream ----------------------------------------------------------------------------------------------------

static int encode(struct redis_sink *sink, const struct kv_batch *batch)
{
    struct kv_encoding encoding = { .has_tokens = sink->options.has_tokens };
    strbuf_reset(&sink->payload);
    kv_batch_encode(batch, &encoding, &sink->payload);
    return sink->payload.error;
}

static void step(void *ctx, const struct kv_batch *batch)
{
    struct redis_sink *sink = ctx;
    struct number n_entries, epoch, seq;
    if (sink->state != LIVE) {
        sink->counts.n_dropped += sink->state == FULL;
        return;
    }
    if (encode(sink, batch) < 0 || !has_room(sink, sink->payload.len, sink->options.waiting_max)) {
        sink->counts.n_dropped++;
        overflow(sink, "it answers too slowly");
        return;
    }
    int r =
        SEND(sink, answered, STR("XADD"), str_from(sink->events_key), STR("MAXLEN"), STR("~"),
             number_str(&n_entries, sink->options.n_entries), STR("*"), STR("epoch"), number_str(&epoch, sink->epoch),
             STR("seq"), number_str(&seq, sink->seq + 1), STR("payload"), strbuf_str(&sink->payload));
    if (r < 0) {
        overflow(sink, strerror(-r));
        return;
    }
    sink->seq++;
    sink->counts.n_entries++;
    if (!sink->snapshot && !sink->is_wanted && sink->seq - sink->there_seq > sink->options.n_entries / 2) {
        sink->is_wanted = true; // before the stream forgets what follows the last one
        kv_source_want_snapshot(sink->source);
    }
}

// ---- the snapshot --------------------------------------------------------------------------------------------------

static void named(void *ctx, const struct redisReply *reply)
{
    struct redis_sink *sink = ctx;
    bool is_last = --sink->n_naming == 0; // otherwise it is that of an epoch that is over
    answered(ctx, reply);
    if (reply && reply->type != REDIS_REPLY_ERROR && is_last && sink->state == LIVE && sink->snapshot) {
        sink->there_epoch = sink->epoch;
        sink->there_seq = sink->snapshot_seq;
        forget_snapshot(sink);
    }
}

static int write_part(struct redis_sink *sink)
{
    struct kv_batch batch;
    struct number field;
    size_t left = kv_snapshot_count(sink->snapshot) - sink->n_written, n = left < PART_BLOCKS ? left : PART_BLOCKS;
    arena_reset(&sink->scratch);
    int r = kv_snapshot_take(sink->snapshot, sink->n_written, n, &sink->scratch, &batch);
    r = r < 0 ? r : encode(sink, &batch);
    r = r < 0 ? r
              : SEND(sink, answered, STR("HSET"), str_from(sink->part_key), number_str(&field, sink->n_parts),
                     strbuf_str(&sink->payload));
    sink->n_written += n;
    sink->n_parts++;
    return r;
}

static int write_end(struct redis_sink *sink)
{
    struct number epoch, seq, parts, blocks, size;
    struct str key = str_from(sink->part_key);
    int r = SEND(sink, answered, STR("HSET"), key, STR("epoch"), number_str(&epoch, sink->epoch), STR("seq"),
                 number_str(&seq, sink->snapshot_seq), STR("parts"), number_str(&parts, sink->n_parts), STR("blocks"),
                 number_str(&blocks, kv_snapshot_count(sink->snapshot)), STR("block_size"),
                 number_str(&size, kv_snapshot_block_size(sink->snapshot)));
    r = r < 0 ? r : SEND(sink, NULL, STR("PEXPIRE"), key, STR(KEYS_TTL_MS));
    r = r < 0 ? r : SEND(sink, named, STR("RENAME"), key, str_from(sink->snapshot_key));
    sink->n_naming += r == 0;
    return r;
}

// Half of what may wait is left to events.
static void write_on(struct redis_sink *sink)
{
    size_t n = kv_snapshot_count(sink->snapshot);
    int r = 0;
    while (r == 0 && sink->n_written < n && has_room(sink, 0, sink->options.waiting_max / 2)) {
        r = write_part(sink);
        if (r == 0 && sink->n_parts == 1) {
            r = SEND(sink, NULL, STR("PEXPIRE"), str_from(sink->part_key), STR(PART_TTL_MS));
        }
        if (r == 0 && sink->n_written == n) {
            r = write_end(sink);
        }
    }
    if (r < 0) {
        fail(sink, strerror(-r));
    }
}

static void begin_epoch(struct redis_sink *sink)
{
    uint64_t now = now_ms();
    sink->epoch = now > sink->epoch ? now : sink->epoch + 1;
    sink->seq = 0;
    sink->there_epoch = sink->there_seq = 0;
    sink->counts.n_epochs++;
    enter(sink, LIVE);
    step(sink, &(struct kv_batch){ .time_s = (double)now / 1000, .rank = -1 }); // so that readers hear of it
}

static void snapshot_came(void *ctx, struct kv_snapshot *snapshot)
{
    struct redis_sink *sink = ctx;
    if (sink->state == WANTING) {
        begin_epoch(sink);
    }
    if (sink->state != LIVE || sink->snapshot || (sink->there_epoch == sink->epoch && !sink->is_wanted)) {
        return;
    }
    sink->is_wanted = false;
    sink->snapshot = kv_snapshot_ref(snapshot);
    sink->snapshot_seq = sink->seq;
    sink->n_written = 0;
    sink->n_parts = 0;
    snprintf(sink->part_key, sizeof(sink->part_key), "tokfs:%s:snapshot:%" PRIu64 ":%" PRIu64, sink->options.node,
             sink->epoch, sink->seq);
    if (kv_snapshot_count(snapshot) > 0) {
        write_on(sink);
    } else if (write_end(sink) < 0) {
        fail(sink, "the connection broke");
    }
}

static void lost(void *ctx)
{
    struct redis_sink *sink = ctx;
    if (sink->state == LIVE || sink->state == WANTING) {
        enter(sink, WANTING);
    }
}

// ---- the registry --------------------------------------------------------------------------------------------------

static void beaten(void *ctx, const struct redisReply *reply)
{
    struct redis_sink *sink = ctx;
    (void)reply;
    sink->is_beating = false;
}

static bool is_number(const redisReply *reply, uint64_t value)
{
    struct number number;
    return reply->type == REDIS_REPLY_STRING &&
           str_eq((struct str){ reply->str, reply->len }, number_str(&number, value));
}

static bool is_snapshot_there(const struct redis_sink *sink)
{
    return sink->state == LIVE && !sink->snapshot && !sink->is_wanted && sink->there_epoch == sink->epoch;
}

static void want_another(struct redis_sink *sink)
{
    sink->is_wanted = true;
    kv_source_want_snapshot(sink->source);
}

// Whether the snapshot is the one that was written: somebody may have emptied the database, or an earlier connection's
// commands may have come late.
static void looked_at(void *ctx, const struct redisReply *reply)
{
    struct redis_sink *sink = ctx;
    bool is_due = is_snapshot_there(sink) && reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2;
    if (is_due &&
        (!is_number(reply->element[0], sink->there_epoch) || !is_number(reply->element[1], sink->there_seq))) {
        want_another(sink);
    }
}

static uint64_t field_of(const redisReply *fields, size_t idx)
{
    bool is_there =
        fields->type == REDIS_REPLY_ARRAY && idx < fields->elements && fields->element[idx]->type == REDIS_REPLY_STRING;
    return is_there ? strtoull(fields->element[idx]->str, NULL, 10) : 0;
}

// Whether what follows the snapshot is in the stream: somebody may have cut it, or Redis dropped it for want of memory.
// The reply is the stream's first entry, if it has any.
static void stream_looked_at(void *ctx, const struct redisReply *reply)
{
    struct redis_sink *sink = ctx;
    if (!is_snapshot_there(sink) || !reply || reply->type != REDIS_REPLY_ARRAY) {
        return;
    }
    const redisReply *first = reply->elements > 0 ? reply->element[0] : NULL;
    bool is_cut = first ? first->type == REDIS_REPLY_ARRAY && first->elements == 2 &&
                              field_of(first->element[1], 1) == sink->epoch &&
                              field_of(first->element[1], 3) > sink->there_seq + 1
                        : sink->looked_seq > sink->there_seq;
    if (is_cut) {
        want_another(sink);
    }
}

static void write_node(struct redis_sink *sink, const struct node_state *state)
{
    struct number time, epoch, size, running, waiting, pages, pages_free, uid;
    SEND(sink, NULL, STR("HSET"), str_from(sink->node_key), STR("address"), str_from(state->address), STR("model"),
         str_from(state->model), STR("block_size"), number_str(&size, state->block_size), STR("epoch"),
         number_str(&epoch, sink->state == LIVE ? sink->epoch : 0), STR("time_ms"), number_str(&time, now_ms()),
         STR("requests_running"), number_str(&running, state->n_running), STR("requests_waiting"),
         number_str(&waiting, state->n_waiting), STR("kv_pages"), number_str(&pages, state->n_pages),
         STR("kv_pages_free"), number_str(&pages_free, state->n_pages_free), STR("uid"), number_str(&uid, geteuid()));
    SEND(sink, NULL, STR("PEXPIRE"), str_from(sink->node_key), STR(NODE_TTL_MS));
}

void redis_sink_beat(struct redis_sink *sink, const struct node_state *state)
{
    struct number time, old;
    uint64_t now = now_ms();
    if (sink->state == FULL && (sink->is_failed || has_room(sink, 0, sink->options.waiting_max / 8))) {
        sink->is_failed = false;
        enter(sink, WANTING);
    }
    if (!redis_link_is_up(sink->options.link) || sink->is_beating) {
        return;
    }
    sink->is_beating = true;
    sink->looked_seq = sink->seq;
    SEND(sink, stream_looked_at, STR("XRANGE"), str_from(sink->events_key), STR("-"), STR("+"), STR("COUNT"), STR("1"));
    SEND(sink, NULL, STR("MULTI"));
    write_node(sink, state);
    SEND(sink, NULL, STR("ZADD"), STR(REGISTRY), number_str(&time, now), str_from(sink->options.node));
    SEND(sink, NULL, STR("ZREMRANGEBYSCORE"), STR(REGISTRY), STR("-inf"),
         number_str(&old, now - strtoull(KEYS_TTL_MS, NULL, 10)));
    SEND(sink, NULL, STR("PEXPIRE"), str_from(sink->events_key), STR(KEYS_TTL_MS));
    SEND(sink, NULL, STR("PEXPIRE"), str_from(sink->snapshot_key), STR(KEYS_TTL_MS));
    SEND(sink, beaten, STR("EXEC"));
    SEND(sink, looked_at, STR("HMGET"), str_from(sink->snapshot_key), STR("epoch"), STR("seq"));
}

// ---- life ----------------------------------------------------------------------------------------------------------

int redis_sink_new(const struct redis_sink_options *options, struct redis_sink **ret)
{
    struct redis_sink *sink = calloc(1, sizeof(*sink));
    if (!sink) {
        return -ENOMEM;
    }
    sink->options = *options;
    strbuf_init(&sink->payload, 0);
    arena_init(&sink->scratch, 0);
    snprintf(sink->events_key, sizeof(sink->events_key), "tokfs:%s:events", options->node);
    snprintf(sink->snapshot_key, sizeof(sink->snapshot_key), "tokfs:%s:snapshot", options->node);
    snprintf(sink->node_key, sizeof(sink->node_key), "tokfs:%s:node", options->node);
    *ret = sink;
    return 0;
}

void redis_sink_free(struct redis_sink *sink)
{
    if (sink) {
        forget_snapshot(sink);
        strbuf_deinit(&sink->payload);
        arena_deinit(&sink->scratch);
        free(sink);
    }
}

void redis_sink_attach(struct redis_sink *sink, struct kv_source *source)
{
    sink->source = source;
}

struct kv_sink redis_sink_calls(struct redis_sink *sink)
{
    return (struct kv_sink){ .lost = lost, .snapshot = snapshot_came, .step = step, .ctx = sink };
}

void redis_sink_up(struct redis_sink *sink)
{
    sink->is_beating = sink->is_failed = false;
    enter(sink, WANTING);
}

void redis_sink_down(struct redis_sink *sink)
{
    enter(sink, DOWN);
}

const struct redis_sink_counts *redis_sink_counts(const struct redis_sink *sink)
{
    return &sink->counts;
}
