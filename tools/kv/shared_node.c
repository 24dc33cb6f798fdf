// One node in Redis: what is asked of Redis for it, and in which order (share_writer.h draws it). An answer that was
// asked for in an earlier life of the node is not listened to.
#include "engine/base/log.h"
#include "tools/kv/share_writer_internal.h"
#include <assert.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEY_MAX 700

struct key {
    char text[KEY_MAX];
};

static struct str key_of(const struct shared *shared, const char *what, const char *name, struct key *ret)
{
    int n = snprintf(ret->text, sizeof(ret->text), "%s%s%s", shared->writer->schema->prefix.ptr, what, name);
    return (struct str){ ret->text, (size_t)n };
}

struct str share_number(char ret[SHARE_NUMBER_MAX], uint64_t value)
{
    int n = snprintf(ret, SHARE_NUMBER_MAX, "%" PRIu64, value);
    return (struct str){ ret, (size_t)n };
}

uint64_t share_now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

bool shared_is_llmd(const struct shared *shared)
{
    return shared->writer->options.kind == SHARE_LLMD;
}

// ---- asking --------------------------------------------------------------------------------------------------------

void shared_become(struct shared *shared, enum shared_state state)
{
    shared->state = state;
    shared->batch.n = 0;
    strbuf_reset(&shared->batch.text);
    if (state != SHARED_FILLING) {
        free(shared->fill);
        shared->fill = NULL;
        shared->n_fill = shared->n_filled = 0;
    }
}

void share_asked_done(struct share_writer *writer)
{
    struct asked *asked = writer->first;
    writer->first = asked->next;
    writer->last = writer->first ? writer->last : &writer->first;
    free(asked);
}

static void answered(void *ctx, const struct redisReply *reply)
{
    struct asked *asked = ctx;
    struct shared *shared = asked->shared;
    assert(asked == shared->writer->first);
    shared->n_answers--;
    if (reply && asked->life == shared->life && shared->source) {
        if (reply->type != REDIS_REPLY_ERROR) {
            asked->answered(shared, reply);
        } else {
            shared->writer->counts.n_failed++;
            if (strncmp(reply->str, "LEASE", 5) != 0) {
                log_warn("shared index, node %s: %s", shared->name, reply->str);
            }
            shared->life++;
            shared_become(shared, SHARED_IDLE); // and the next tick claims it
        }
    }
    share_asked_done(shared->writer);
}

// EVAL of a script with its keys and other arguments. False: the connection is down, or memory is out.
static bool ask(struct shared *shared, struct str script, const struct str *args, size_t n_keys, size_t n_args,
                void (*on_answer)(struct shared *shared, const struct redisReply *reply))
{
    struct str all[3 + 16 + SHARE_MEMBERS] = { STR("EVAL"), script };
    char number[SHARE_NUMBER_MAX];
    struct asked *asked = malloc(sizeof(*asked));
    if (!asked || n_args > sizeof(all) / sizeof(all[0]) - 3) {
        free(asked);
        return false;
    }
    *asked = (struct asked){ NULL, shared, shared->life, on_answer };
    all[2] = share_number(number, n_keys);
    memcpy(all + 3, args, n_args * sizeof(*args));
    if (redis_link_send(shared->writer->link, all, 3 + n_args, answered, asked) < 0) {
        free(asked);
        return false;
    }
    *shared->writer->last = asked;
    shared->writer->last = &asked->next;
    shared->n_answers++;
    return true;
}

// ---- blocks --------------------------------------------------------------------------------------------------------

static struct str held_key(const struct shared *shared, struct key *ret)
{
    char slot[SHARE_NUMBER_MAX];
    share_number(slot, shared->slot);
    return key_of(shared, "held:", shared_is_llmd(shared) ? shared->name : slot, ret);
}

static void fill_on(struct shared *shared);

static void changed_there(struct shared *shared, const struct redisReply *reply)
{
    (void)reply;
    if (shared->state == SHARED_FILLING) {
        fill_on(shared);
    }
}

// What a script on blocks begins with: its KEYS, and its ARGV up to the members.
static void begin_args(const struct shared *shared, struct key keys[2], char slot[SHARE_NUMBER_MAX], struct key *blocks,
                       struct str ret[5])
{
    ret[0] = key_of(shared, "writer:", shared->name, &keys[0]);
    ret[1] = held_key(shared, &keys[1]);
    ret[2] = str_from(shared->writer->id);
    ret[3] = shared_is_llmd(shared) ? str_from(shared->pod) : share_number(slot, shared->slot);
    ret[4] = key_of(shared, "b:", "", blocks);
}

void shared_flush(struct shared *shared)
{
    struct share_writer *writer = shared->writer;
    struct batch *batch = &shared->batch;
    struct str args[5 + SHARE_MEMBERS];
    struct key keys[2], blocks;
    char slot[SHARE_NUMBER_MAX];
    if (batch->n == 0) {
        return;
    }
    begin_args(shared, keys, slot, &blocks, args);
    for (unsigned i = 0, from = 0; i < batch->n; from = batch->ends[i++]) {
        args[5 + i] = (struct str){ batch->text.ptr + from, batch->ends[i] - from };
    }
    bool is_sent = !batch->text.error && redis_link_waiting_bytes(writer->link) <= writer->options.waiting_max &&
                   ask(shared, batch->is_take ? writer->schema->take : writer->schema->store, args, 2, 5 + batch->n,
                       changed_there);
    if (!is_sent) {
        log_warn("shared index, node %s: Redis answers too slowly; all is told anew later", shared->name);
        shared_become(shared, SHARED_BEHIND);
        return;
    }
    *(batch->is_take ? &writer->counts.n_removed : &writer->counts.n_stored) += batch->n;
    batch->n = 0;
    strbuf_reset(&batch->text);
}

void shared_add(struct shared *shared, bool is_take, enum kv_tier tier, uint64_t ours, uint64_t key)
{
    struct batch *batch = &shared->batch;
    uint64_t engine = ours;
    if (batch->n == SHARE_MEMBERS || (batch->n > 0 && batch->is_take != is_take)) {
        shared_flush(shared);
    }
    if (shared->state != SHARED_FILLING && shared->state != SHARED_LIVE) {
        return;
    }
    if (shared_is_llmd(shared)) {
        index_names_get(&shared->engines, ours, &engine);
        strbuf_printf(&batch->text, "%s:%" PRIu64 ":%" PRIu64, kv_tier_names[tier], engine, key);
    } else {
        strbuf_printf(&batch->text, "%u:%016" PRIx64, shared->groups[tier], key);
    }
    batch->is_take = is_take;
    batch->ends[batch->n++] = (uint32_t)batch->text.len;
}

// ---- from its beginning --------------------------------------------------------------------------------------------

static void fill_on(struct shared *shared)
{
    struct share_writer *writer = shared->writer;
    while (shared->state == SHARED_FILLING && shared->n_filled < shared->n_fill &&
           redis_link_waiting_bytes(writer->link) < writer->options.waiting_max / 2) {
        for (unsigned i = 0; i < SHARE_MEMBERS && shared->n_filled < shared->n_fill && shared->state == SHARED_FILLING;
             i++) {
            const struct placed placed = shared->fill[shared->n_filled++];
            uint64_t key;
            if (index_names_get(&shared->keys[placed.tier], placed.ours, &key)) { // it may have gone meanwhile
                shared_add(shared, false, placed.tier, placed.ours, key);
            }
        }
        shared_flush(shared);
    }
    if (shared->state == SHARED_FILLING && shared->n_filled == shared->n_fill) {
        shared_become(shared, SHARED_LIVE);
        writer->counts.n_refills++;
        shared_beat(shared);
    }
}

static void begin_fill(struct shared *shared)
{
    size_t n = 0, n_max = shared->keys[0].n + shared->keys[1].n + shared->keys[2].n;
    struct placed *fill = calloc(n_max + 1, sizeof(*fill));
    for (unsigned t = 0; t < KV_N_TIERS && fill; t++) {
        for (size_t i = 0; i < shared->keys[t].cap; i++) {
            if (shared->keys[t].slots[i].ours != 0) {
                fill[n++] = (struct placed){ shared->keys[t].slots[i].theirs, (enum kv_tier)t };
            }
        }
    }
    shared_become(shared, fill ? SHARED_FILLING : SHARED_IDLE);
    shared->fill = fill;
    shared->n_fill = n;
    if (fill) {
        shared_beat(shared); // so that routers see what is there already
        fill_on(shared);
    }
}

static void sweep(struct shared *shared);

static void swept(struct shared *shared, const struct redisReply *reply)
{
    if (reply->integer < SHARE_MEMBERS) {
        begin_fill(shared);
    } else {
        sweep(shared);
    }
}

static void sweep(struct shared *shared)
{
    struct str args[5];
    struct key keys[2], blocks;
    char slot[SHARE_NUMBER_MAX];
    begin_args(shared, keys, slot, &blocks, args);
    if (!ask(shared, shared->writer->schema->sweep, args, 2, 4, swept)) {
        shared_become(shared, SHARED_IDLE);
    }
}

static void claimed(struct shared *shared, const struct redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0 || reply->element[0]->integer < 0) {
        shared_become(shared, SHARED_IDLE); // another bridge writes it: asked again with the next tick
        return;
    }
    shared->slot = (unsigned)reply->element[0]->integer;
    for (unsigned t = 0, i = 1; t < KV_N_TIERS && i < reply->elements; t++) {
        shared->groups[t] = shared->tiers >> t & 1 ? (unsigned)reply->element[i++]->integer : 0;
    }
    if (shared->writer->schema->sweep.len > 0) {
        shared->state = SHARED_SWEEPING;
        sweep(shared);
    } else {
        begin_fill(shared);
    }
}

void shared_claim(struct shared *shared)
{
    static const char *const key_names[] = { "writer:", "node:", "slots", "free", "last", NULL };
    struct share_writer *writer = shared->writer;
    struct score_source_stats stats;
    struct key keys[6];
    struct str args[10 + KV_N_TIERS];
    char groups[KV_N_TIERS][400];
    size_t n = 0;
    for (; key_names[n]; n++) {
        args[n] = key_of(shared, key_names[n], n < 2 ? shared->name : "", &keys[n]);
    }
    args[n] = key_of(shared, shared_is_llmd(shared) ? "pods" : "groups", "", &keys[n]);
    n++;
    args[n++] = str_from(writer->id);
    args[n++] = STR(SHARE_TTL_MS);
    args[n++] = str_from(shared->name);
    args[n++] = str_from(shared->pod);
    score_source_get_stats(shared->source, &stats);
    for (unsigned t = 0; t < KV_N_TIERS; t++) {
        shared->tiers |= shared->keys[t].n > 0 ? 1u << t : 0;
        if (shared->tiers >> t & 1) {
            snprintf(groups[t], sizeof(groups[t]), "%" PRIu32 " %s %.300s", stats.block_size, kv_tier_names[t],
                     score_source_model(shared->source));
            args[n++] = str_from(groups[t]);
        }
    }
    shared->life++;
    shared_become(shared, SHARED_CLAIMING);
    if (!ask(shared, writer->schema->claim, args, 6, n, claimed)) {
        shared_become(shared, SHARED_IDLE);
    }
}

// ---- heartbeats ----------------------------------------------------------------------------------------------------

static void beaten(struct shared *shared, const struct redisReply *reply)
{
    if (reply->type == REDIS_REPLY_INTEGER && reply->integer == 0 && shared->state != SHARED_CLAIMING) {
        shared->life++;
        shared_become(shared, SHARED_IDLE); // the lease has lapsed
    }
}

void shared_beat(struct shared *shared)
{
    struct share_writer *writer = shared->writer;
    struct score_source_stats stats;
    struct scorer_load load = scorer_get_load(writer->scorer, score_source_peer(shared->source));
    struct key keys[3];
    char time[SHARE_NUMBER_MAX], size[SHARE_NUMBER_MAX], slot[SHARE_NUMBER_MAX], running[SHARE_NUMBER_MAX],
        waiting[SHARE_NUMBER_MAX], scope[SHARE_NUMBER_MAX];
    score_source_get_stats(shared->source, &stats);
    shared->block_size = stats.block_size;
    const struct str args[] = {
        key_of(shared, "writer:", shared->name, &keys[0]),
        key_of(shared, "node:", shared->name, &keys[1]),
        key_of(shared, "nodes", "", &keys[2]),
        str_from(writer->id),
        STR(SHARE_TTL_MS),
        str_from(shared->name),
        share_number(time, share_now_ms()),
        STR("time_ms"),
        str_from(time),
        STR("address"),
        str_from(scorer_peer_name(writer->scorer, score_source_peer(shared->source))),
        STR("model"),
        str_from(score_source_model(shared->source)),
        STR("block_size"),
        share_number(size, stats.block_size),
        STR("slot"),
        share_number(slot, shared->slot),
        STR("is_whole"),
        shared->state == SHARED_LIVE ? STR("1") : STR("0"),
        STR("requests_running"),
        share_number(running, (uint64_t)load.n_running),
        STR("requests_waiting"),
        share_number(waiting, (uint64_t)load.n_waiting),
        STR("cache_scope"),
        share_number(scope, scorer_get_scope(writer->scorer, score_source_peer(shared->source))),
    };
    static_assert(sizeof(args) / sizeof(args[0]) <= 16 + SHARE_MEMBERS, "ask");
    ask(shared, share_beat, args, 3, sizeof(args) / sizeof(args[0]), beaten);
}

void shared_release(struct shared *shared)
{
    struct key keys[2];
    const struct str args[] = { key_of(shared, "writer:", shared->name, &keys[0]),
                                key_of(shared, "node:", shared->name, &keys[1]), str_from(shared->writer->id) };
    shared->life++;
    shared_become(shared, SHARED_IDLE);
    ask(shared, share_release, args, 2, 3, changed_there);
}
