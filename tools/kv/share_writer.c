// What the scorer tells becomes blocks of nodes; every two seconds the nodes are tended, and what others left there is
// swept up.
#include "tools/kv/foreign_hash.h"
#include "tools/kv/share_writer_internal.h"
#include <assert.h>
#include <errno.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define TICK_NS 2000000000u

// ---- every two seconds ---------------------------------------------------------------------------------------------

static bool has_blocks(const struct shared *shared)
{
    return shared->keys[0].n + shared->keys[1].n + shared->keys[2].n > 0;
}

static bool is_wanted(const struct shared *shared)
{
    return has_blocks(shared) || score_source_is_present(shared->source);
}

static void tend(struct shared *shared)
{
    const struct share_writer *writer = shared->writer;
    size_t waiting = redis_link_waiting_bytes(writer->link);
    if ((shared->state == SHARED_IDLE && is_wanted(shared)) ||
        (shared->state == SHARED_BEHIND && waiting <= writer->options.waiting_max / 8)) {
        shared_claim(shared);
    } else if (shared->state >= SHARED_SWEEPING) {
        shared_beat(shared);
    }
}

static void free_gone(struct share_writer *writer)
{
    for (struct shared **at = &writer->all; *at;) {
        struct shared *shared = *at;
        if (!shared->source && shared->n_answers == 0) {
            *at = shared->next;
            strbuf_deinit(&shared->batch.text);
            free(shared);
        } else {
            at = &shared->next;
        }
    }
}

static void collect(struct share_writer *writer);

static void collected(void *ctx, const struct redisReply *reply)
{
    struct share_writer *writer = ctx;
    writer->is_collecting = false;
    if (reply && reply->type == REDIS_REPLY_INTEGER && reply->integer > 0 && !writer->is_stopped) {
        collect(writer);
    }
}

// What nodes that have gone left there, also those of other bridges.
static void collect(struct share_writer *writer)
{
    bool is_llm_d = writer->options.kind == SHARE_LLMD;
    char first[80], second[80], time[SHARE_NUMBER_MAX];
    snprintf(first, sizeof(first), "%s%s", writer->schema->prefix.ptr, is_llm_d ? "nodes" : "slots");
    snprintf(second, sizeof(second), "%s%s", writer->schema->prefix.ptr, is_llm_d ? "pods" : "free");
    const struct str args[] = { STR("EVAL"),
                                writer->schema->collect,
                                STR("2"),
                                str_from(first),
                                str_from(second),
                                writer->schema->prefix,
                                share_number(time, share_now_ms()) };
    if (!writer->is_collecting) {
        writer->is_collecting =
            redis_link_send(writer->link, args, sizeof(args) / sizeof(args[0]), collected, writer) == 0;
    }
}

static void tick_done(struct loop_op *op, int res)
{
    struct share_writer *writer = (struct share_writer *)op;
    if (res < 0 || writer->is_stopped) {
        return;
    }
    free_gone(writer);
    if (redis_link_is_up(writer->link)) {
        for (struct shared *shared = writer->all; shared; shared = shared->next) {
            if (shared->source) {
                tend(shared);
            }
        }
        collect(writer);
    }
    loop_timer(writer->loop, &writer->tick, TICK_NS);
}

// ---- what the scorer tells -----------------------------------------------------------------------------------------

// As a text of JSON that Go writes, without the quotes.
static void write_pod(const char *name, char ret[SHARED_NAME_MAX])
{
    size_t n = 0;
    for (const unsigned char *c = (const unsigned char *)name; *c && n + 8 < SHARED_NAME_MAX; c++) {
        bool is_plain = *c >= 0x20 && !strchr("\"\\<>&", *c);
        n += (size_t)snprintf(ret + n, SHARED_NAME_MAX - n,
                              is_plain                  ? "%c"
                              : *c == '"' || *c == '\\' ? "\\%c"
                                                        : "\\u%04x",
                              *c);
    }
}

static struct shared *shared_of(struct share_writer *writer, struct score_source *source)
{
    struct shared *shared = score_source_data(source);
    if (shared) {
        return shared;
    }
    shared = calloc(1, sizeof(*shared));
    if (shared) {
        const char *peer = scorer_peer_name(writer->scorer, score_source_peer(source));
        shared->writer = writer;
        shared->source = source;
        shared->next = writer->all;
        writer->all = shared;
        strbuf_init(&shared->batch.text, 0);
        snprintf(shared->name, sizeof(shared->name), "%.290s@%.290s", peer, score_source_model(source));
        write_pod(peer, shared->pod);
        score_source_set_data(source, shared);
    }
    return shared;
}

static bool known_key(const struct shared *shared, uint64_t ours, uint64_t *ret)
{
    return index_names_get(&shared->keys[0], ours, ret) || index_names_get(&shared->keys[1], ours, ret) ||
           index_names_get(&shared->keys[2], ours, ret);
}

// llm-d's name of a block: an adapter stands in the model's place. False: it has none.
static bool make_key(const struct shared *shared, const struct score_change *change, uint64_t *ret)
{
    struct score_source_stats stats;
    struct str model = change->lora_name.len > 0 ? change->lora_name : str_from(score_source_model(shared->source));
    uint64_t parent;
    score_source_get_stats(shared->source, &stats);
    const struct block_text block = { .tokens = change->tokens, .n_tokens = stats.block_size };
    if (!change->tokens || !change->is_plain) {
        return false;
    }
    bool has_parent = change->has_parent ? known_key(shared, change->parent, &parent)
                                         : request_key_root(REQUEST_KEY_FNV, STR(""), model, &parent) == 0;
    return has_parent && request_key_block(REQUEST_KEY_FNV, parent, &block, ret) == 0 && *ret != 0;
}

static void changed(void *ctx, struct score_source *source, const struct score_change *change)
{
    struct share_writer *writer = ctx;
    struct shared *shared = shared_of(writer, source);
    uint64_t key = change->ours;
    if (!shared || (shared_is_llmd(shared) && !known_key(shared, change->ours, &key) && change->tiers == 0)) {
        return;
    }
    if (shared_is_llmd(shared) && !known_key(shared, change->ours, &key) && !make_key(shared, change, &key)) {
        writer->counts.n_unnamed++;
        return;
    }
    if (change->theirs != change->ours && change->tiers != 0) {
        index_names_put(&shared->engines, change->ours, change->theirs);
    }
    for (unsigned t = 0; t < KV_N_TIERS; t++) {
        uint64_t there;
        bool is_here = change->tiers >> t & 1, was_here = index_names_get(&shared->keys[t], change->ours, &there);
        if (is_here != was_here) {
            if (is_here && index_names_put(&shared->keys[t], change->ours, key) < 0) {
                continue; // out of memory: a block less is told
            }
            shared_add(shared, !is_here, (enum kv_tier)t, change->ours, key);
        }
        if (!is_here) {
            index_names_take(&shared->keys[t], change->ours);
        }
    }
    if (change->tiers == 0) {
        index_names_take(&shared->engines, change->ours);
    }
    if (!shared_is_llmd(shared) && shared->state != SHARED_IDLE && (change->tiers & ~shared->tiers) != 0) {
        shared_claim(shared); // a tier that has no group yet
    }
}

static void applied(void *ctx, struct score_source *source)
{
    struct share_writer *writer = ctx;
    struct shared *shared = score_source_data(source);
    struct score_source_stats stats;
    if (!shared || !redis_link_is_up(writer->link)) {
        return;
    }
    if (shared->state == SHARED_IDLE && shared->life == 0 && is_wanted(shared)) {
        shared_claim(shared); // for the first time; later ones are the tick's
    }
    score_source_get_stats(source, &stats);
    if (shared->state >= SHARED_FILLING && stats.block_size != shared->block_size) {
        shared_beat(shared); // it was not known while there were no blocks
    }
    shared_flush(shared);
}

static void forget_blocks(struct shared *shared)
{
    for (unsigned t = 0; t < KV_N_TIERS; t++) {
        index_names_clear(&shared->keys[t]);
    }
    index_names_clear(&shared->engines);
}

static void cleared(void *ctx, struct score_source *source)
{
    struct shared *shared = score_source_data(source);
    (void)ctx;
    if (!shared) {
        return;
    }
    bool had_blocks = has_blocks(shared) || shared->state == SHARED_CLAIMING;
    forget_blocks(shared);
    shared->tiers = 0;
    if (shared->state != SHARED_IDLE && had_blocks) {
        shared_claim(shared);
    }
}

// A node that holds nothing is one that routers can send requests to all the same.
static void present(void *ctx, struct score_source *source)
{
    struct share_writer *writer = ctx;
    struct shared *shared = score_source_is_present(source) ? shared_of(writer, source) : score_source_data(source);
    if (!shared || !redis_link_is_up(writer->link)) {
        return;
    }
    if (!score_source_is_present(source)) {
        shared_release(shared); // with blocks, of which somebody else tells, the next tick claims it
    } else if (shared->state == SHARED_IDLE) {
        shared_claim(shared);
    }
}

static void removed(void *ctx, struct score_source *source)
{
    struct shared *shared = score_source_data(source);
    (void)ctx;
    if (!shared) {
        return;
    }
    shared_release(shared);
    forget_blocks(shared);
    score_source_set_data(source, NULL);
    shared->source = NULL;
}

// ---- life ----------------------------------------------------------------------------------------------------------

static void link_up(void *ctx)
{
    struct share_writer *writer = ctx;
    writer->counts.is_up = true;
    for (struct shared *shared = writer->all; shared; shared = shared->next) {
        if (shared->source) {
            tend(shared);
        }
    }
    collect(writer);
}

static void link_down(void *ctx)
{
    struct share_writer *writer = ctx;
    writer->counts.is_up = false;
    for (struct shared *shared = writer->all; shared; shared = shared->next) {
        shared->life++;
        shared_become(shared, SHARED_IDLE);
    }
}

int share_writer_new(struct loop *loop, const struct share_writer_options *options, struct scorer *scorer,
                     struct share_writer **ret)
{
    static_assert(offsetof(struct share_writer, tick) == 0, "tick_done");
    struct share_writer *writer = calloc(1, sizeof(*writer));
    uint64_t id[2];
    if (!writer) {
        return -ENOMEM;
    }
    const struct redis_link_owner owner = { .up = link_up, .down = link_down, .ctx = writer };
    *ret = writer;
    writer->last = &writer->first;
    writer->loop = loop;
    writer->options = *options;
    writer->schema = &share_schemas[options->kind];
    writer->scorer = scorer;
    writer->tick.done = tick_done;
    if (getrandom(id, sizeof(id), 0) != sizeof(id)) {
        return -EIO;
    }
    snprintf(writer->id, sizeof(writer->id), "%016" PRIx64 "%016" PRIx64, id[0], id[1]);
    scorer_listen(scorer, &(struct scorer_listener){ changed, applied, cleared, removed, present, writer });
    loop_timer(loop, &writer->tick, TICK_NS);
    return redis_link_new(loop, &options->url, &owner, &writer->link);
}

void share_writer_stop(struct share_writer *writer)
{
    if (writer && !writer->is_stopped) {
        writer->is_stopped = true;
        scorer_listen(writer->scorer, &(struct scorer_listener){ 0 });
        loop_cancel(writer->loop, &writer->tick);
        redis_link_stop(writer->link);
    }
}

void share_writer_free(struct share_writer *writer)
{
    if (!writer) {
        return;
    }
    while (writer->all) {
        struct shared *shared = writer->all;
        writer->all = shared->next;
        if (shared->source) {
            score_source_set_data(shared->source, NULL);
        }
        shared_become(shared, SHARED_IDLE);
        forget_blocks(shared);
        strbuf_deinit(&shared->batch.text);
        free(shared);
    }
    while (writer->first) {
        share_asked_done(writer);
    }
    redis_link_free(writer->link);
    free(writer);
}

const struct share_writer_counts *share_writer_counts(const struct share_writer *writer)
{
    return &writer->counts;
}
