#include "tools/kv/share_writer.h"
#include "engine/base/log.h"
#include "tools/kv/foreign_hash.h"
#include "tools/kv/index_names.h"
#include <assert.h>
#include <errno.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define TICK_NS    2000000000u
#define KEY_MAX    700
#define NAME_MAX_  600
#define NUMBER_MAX 24

enum state { IDLE, CLAIMING, SWEEPING, FILLING, LIVE, BEHIND };

struct placed { // a block in a tier
    uint64_t ours;
    enum kv_tier tier;
};

struct batch { // of members, for one script
    bool is_take;
    unsigned n;
    uint32_t ends[SHARE_MEMBERS]; // in the text
    struct strbuf text;
};

struct shared { // a source
    struct share_writer *writer;
    struct shared *next;
    struct score_source *source; // NULL: it has gone
    enum state state;
    unsigned life;                       // what was asked in an earlier one is not listened to
    unsigned n_answers;                  // that will come: it stays until then
    unsigned slot, tiers;                // tiers: that have a group
    uint32_t block_size;                 // as told last
    unsigned groups[KV_N_TIERS];         // tokfs
    struct index_names keys[KV_N_TIERS]; // ours -> what the schema calls it, of what it holds in each tier
    struct index_names engines;          // ours -> theirs, where they differ
    struct placed *fill;                 // [n_fill] FILLING: what is to be told
    size_t n_fill, n_filled;
    struct batch batch;
    char name[NAME_MAX_], pod[NAME_MAX_]; // pod: the peer's name, as in a text of JSON
};

struct asked {
    struct asked *next;
    struct shared *shared;
    unsigned life;
    void (*answered)(struct shared *shared, const struct redisReply *reply); // neither NULL nor an error
};

struct share_writer {
    struct loop_op tick;
    struct loop *loop;
    struct share_writer_options options;
    const struct share_schema *schema;
    struct scorer *scorer;
    struct redis_link *link;
    struct shared *all;
    struct asked *first, **last; // not answered, in their order: of a link that stops they never are
    bool is_collecting, is_stopped;
    struct share_writer_counts counts;
    char id[33]; // of the leases
};

struct key {
    char text[KEY_MAX];
};

static struct str key_of(const struct shared *shared, const char *what, const char *name, struct key *ret)
{
    int n = snprintf(ret->text, sizeof(ret->text), "%s%s%s", shared->writer->schema->prefix.ptr, what, name);
    return (struct str){ ret->text, (size_t)n };
}

static struct str number_str(char ret[NUMBER_MAX], uint64_t value)
{
    int n = snprintf(ret, NUMBER_MAX, "%" PRIu64, value);
    return (struct str){ ret, (size_t)n };
}

static uint64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static bool is_llmd(const struct shared *shared)
{
    return shared->writer->options.kind == SHARE_LLMD;
}

static const char *const tier_names[KV_N_TIERS] = { "gpu", "cpu", "disk" };

// ---- asking --------------------------------------------------------------------------------------------------------

static void become(struct shared *shared, enum state state)
{
    shared->state = state;
    shared->batch.n = 0;
    strbuf_reset(&shared->batch.text);
    if (state != FILLING) {
        free(shared->fill);
        shared->fill = NULL;
        shared->n_fill = shared->n_filled = 0;
    }
}

static void asked_done(struct share_writer *writer)
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
            become(shared, IDLE); // and the next tick claims it
        }
    }
    asked_done(shared->writer);
}

// EVAL of a script with its keys and other arguments. False: the connection is down, or memory is out.
static bool ask(struct shared *shared, struct str script, const struct str *args, size_t n_keys, size_t n_args,
                void (*on_answer)(struct shared *shared, const struct redisReply *reply))
{
    struct str all[3 + 16 + SHARE_MEMBERS] = { STR("EVAL"), script };
    char number[NUMBER_MAX];
    struct asked *asked = malloc(sizeof(*asked));
    if (!asked || n_args > sizeof(all) / sizeof(all[0]) - 3) {
        free(asked);
        return false;
    }
    *asked = (struct asked){ NULL, shared, shared->life, on_answer };
    all[2] = number_str(number, n_keys);
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
    char slot[NUMBER_MAX];
    number_str(slot, shared->slot);
    return key_of(shared, "held:", is_llmd(shared) ? shared->name : slot, ret);
}

static void fill_on(struct shared *shared);

static void changed_there(struct shared *shared, const struct redisReply *reply)
{
    (void)reply;
    if (shared->state == FILLING) {
        fill_on(shared);
    }
}

// What a script on blocks begins with: its KEYS, and its ARGV up to the members.
static void begin_args(const struct shared *shared, struct key keys[2], char slot[NUMBER_MAX], struct key *blocks,
                       struct str ret[5])
{
    ret[0] = key_of(shared, "writer:", shared->name, &keys[0]);
    ret[1] = held_key(shared, &keys[1]);
    ret[2] = str_from(shared->writer->id);
    ret[3] = is_llmd(shared) ? str_from(shared->pod) : number_str(slot, shared->slot);
    ret[4] = key_of(shared, "b:", "", blocks);
}

static void flush(struct shared *shared)
{
    struct share_writer *writer = shared->writer;
    struct batch *batch = &shared->batch;
    struct str args[5 + SHARE_MEMBERS];
    struct key keys[2], blocks;
    char slot[NUMBER_MAX];
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
        become(shared, BEHIND);
        return;
    }
    *(batch->is_take ? &writer->counts.n_removed : &writer->counts.n_stored) += batch->n;
    batch->n = 0;
    strbuf_reset(&batch->text);
}

static void add_member(struct shared *shared, bool is_take, enum kv_tier tier, uint64_t ours, uint64_t key)
{
    struct batch *batch = &shared->batch;
    uint64_t engine = ours;
    if (batch->n == SHARE_MEMBERS || (batch->n > 0 && batch->is_take != is_take)) {
        flush(shared);
    }
    if (shared->state != FILLING && shared->state != LIVE) {
        return;
    }
    if (is_llmd(shared)) {
        index_names_get(&shared->engines, ours, &engine);
        strbuf_printf(&batch->text, "%s:%" PRIu64 ":%" PRIu64, tier_names[tier], engine, key);
    } else {
        strbuf_printf(&batch->text, "%u:%016" PRIx64, shared->groups[tier], key);
    }
    batch->is_take = is_take;
    batch->ends[batch->n++] = (uint32_t)batch->text.len;
}

// ---- from its beginning --------------------------------------------------------------------------------------------

static void beat(struct shared *shared);

static void fill_on(struct shared *shared)
{
    struct share_writer *writer = shared->writer;
    while (shared->state == FILLING && shared->n_filled < shared->n_fill &&
           redis_link_waiting_bytes(writer->link) < writer->options.waiting_max / 2) {
        for (unsigned i = 0; i < SHARE_MEMBERS && shared->n_filled < shared->n_fill && shared->state == FILLING; i++) {
            const struct placed placed = shared->fill[shared->n_filled++];
            uint64_t key;
            if (index_names_get(&shared->keys[placed.tier], placed.ours, &key)) { // it may have gone meanwhile
                add_member(shared, false, placed.tier, placed.ours, key);
            }
        }
        flush(shared);
    }
    if (shared->state == FILLING && shared->n_filled == shared->n_fill) {
        become(shared, LIVE);
        writer->counts.n_refills++;
        beat(shared);
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
    become(shared, fill ? FILLING : IDLE);
    shared->fill = fill;
    shared->n_fill = n;
    if (fill) {
        beat(shared); // so that routers see what is there already
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
    char slot[NUMBER_MAX];
    begin_args(shared, keys, slot, &blocks, args);
    if (!ask(shared, shared->writer->schema->sweep, args, 2, 4, swept)) {
        become(shared, IDLE);
    }
}

static void claimed(struct shared *shared, const struct redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0 || reply->element[0]->integer < 0) {
        become(shared, IDLE); // another bridge writes it: asked again with the next tick
        return;
    }
    shared->slot = (unsigned)reply->element[0]->integer;
    for (unsigned t = 0, i = 1; t < KV_N_TIERS && i < reply->elements; t++) {
        shared->groups[t] = shared->tiers >> t & 1 ? (unsigned)reply->element[i++]->integer : 0;
    }
    if (shared->writer->schema->sweep.len > 0) {
        shared->state = SWEEPING;
        sweep(shared);
    } else {
        begin_fill(shared);
    }
}

static void claim(struct shared *shared)
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
    args[n] = key_of(shared, is_llmd(shared) ? "pods" : "groups", "", &keys[n]);
    n++;
    args[n++] = str_from(writer->id);
    args[n++] = STR(SHARE_TTL_MS);
    args[n++] = str_from(shared->name);
    args[n++] = str_from(shared->pod);
    score_source_get_stats(shared->source, &stats);
    for (unsigned t = 0; t < KV_N_TIERS; t++) {
        shared->tiers |= shared->keys[t].n > 0 ? 1u << t : 0;
        if (shared->tiers >> t & 1) {
            snprintf(groups[t], sizeof(groups[t]), "%" PRIu32 " %s %.300s", stats.block_size, tier_names[t],
                     score_source_model(shared->source));
            args[n++] = str_from(groups[t]);
        }
    }
    shared->life++;
    become(shared, CLAIMING);
    if (!ask(shared, writer->schema->claim, args, 6, n, claimed)) {
        become(shared, IDLE);
    }
}

// ---- heartbeats ----------------------------------------------------------------------------------------------------

static void beaten(struct shared *shared, const struct redisReply *reply)
{
    if (reply->type == REDIS_REPLY_INTEGER && reply->integer == 0 && shared->state != CLAIMING) {
        shared->life++;
        become(shared, IDLE); // the lease has lapsed
    }
}

static void beat(struct shared *shared)
{
    struct share_writer *writer = shared->writer;
    struct score_source_stats stats;
    struct scorer_load load = scorer_get_load(writer->scorer, score_source_peer(shared->source));
    struct key keys[3];
    char time[NUMBER_MAX], size[NUMBER_MAX], slot[NUMBER_MAX], running[NUMBER_MAX], waiting[NUMBER_MAX],
        scope[NUMBER_MAX];
    score_source_get_stats(shared->source, &stats);
    shared->block_size = stats.block_size;
    const struct str args[] = {
        key_of(shared, "writer:", shared->name, &keys[0]),
        key_of(shared, "node:", shared->name, &keys[1]),
        key_of(shared, "nodes", "", &keys[2]),
        str_from(writer->id),
        STR(SHARE_TTL_MS),
        str_from(shared->name),
        number_str(time, now_ms()),
        STR("time_ms"),
        str_from(time),
        STR("address"),
        str_from(scorer_peer_name(writer->scorer, score_source_peer(shared->source))),
        STR("model"),
        str_from(score_source_model(shared->source)),
        STR("block_size"),
        number_str(size, stats.block_size),
        STR("slot"),
        number_str(slot, shared->slot),
        STR("is_whole"),
        shared->state == LIVE ? STR("1") : STR("0"),
        STR("requests_running"),
        number_str(running, (uint64_t)load.n_running),
        STR("requests_waiting"),
        number_str(waiting, (uint64_t)load.n_waiting),
        STR("cache_scope"),
        number_str(scope, scorer_get_scope(writer->scorer, score_source_peer(shared->source))),
    };
    static_assert(sizeof(args) / sizeof(args[0]) <= 16 + SHARE_MEMBERS, "ask");
    ask(shared, share_beat, args, 3, sizeof(args) / sizeof(args[0]), beaten);
}

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
    if ((shared->state == IDLE && is_wanted(shared)) ||
        (shared->state == BEHIND && waiting <= writer->options.waiting_max / 8)) {
        claim(shared);
    } else if (shared->state >= SWEEPING) {
        beat(shared);
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
    char first[80], second[80], time[NUMBER_MAX];
    snprintf(first, sizeof(first), "%s%s", writer->schema->prefix.ptr, is_llm_d ? "nodes" : "slots");
    snprintf(second, sizeof(second), "%s%s", writer->schema->prefix.ptr, is_llm_d ? "pods" : "free");
    const struct str args[] = { STR("EVAL"),
                                writer->schema->collect,
                                STR("2"),
                                str_from(first),
                                str_from(second),
                                writer->schema->prefix,
                                number_str(time, now_ms()) };
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
static void write_pod(const char *name, char ret[NAME_MAX_])
{
    size_t n = 0;
    for (const unsigned char *c = (const unsigned char *)name; *c && n + 8 < NAME_MAX_; c++) {
        bool is_plain = *c >= 0x20 && !strchr("\"\\<>&", *c);
        n += (size_t)snprintf(ret + n, NAME_MAX_ - n,
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
    if (!shared || (is_llmd(shared) && !known_key(shared, change->ours, &key) && change->tiers == 0)) {
        return;
    }
    if (is_llmd(shared) && !known_key(shared, change->ours, &key) && !make_key(shared, change, &key)) {
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
            add_member(shared, !is_here, (enum kv_tier)t, change->ours, key);
        }
        if (!is_here) {
            index_names_take(&shared->keys[t], change->ours);
        }
    }
    if (change->tiers == 0) {
        index_names_take(&shared->engines, change->ours);
    }
    if (!is_llmd(shared) && shared->state != IDLE && (change->tiers & ~shared->tiers) != 0) {
        claim(shared); // a tier that has no group yet
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
    if (shared->state == IDLE && shared->life == 0 && is_wanted(shared)) {
        claim(shared); // for the first time; later ones are the tick's
    }
    score_source_get_stats(source, &stats);
    if (shared->state >= FILLING && stats.block_size != shared->block_size) {
        beat(shared); // it was not known while there were no blocks
    }
    flush(shared);
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
    bool had_blocks = has_blocks(shared) || shared->state == CLAIMING;
    forget_blocks(shared);
    shared->tiers = 0;
    if (shared->state != IDLE && had_blocks) {
        claim(shared);
    }
}

static void release(struct shared *shared)
{
    struct key keys[2];
    const struct str args[] = { key_of(shared, "writer:", shared->name, &keys[0]),
                                key_of(shared, "node:", shared->name, &keys[1]), str_from(shared->writer->id) };
    shared->life++;
    become(shared, IDLE);
    ask(shared, share_release, args, 2, 3, changed_there);
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
        release(shared); // with blocks, of which somebody else tells, the next tick claims it
    } else if (shared->state == IDLE) {
        claim(shared);
    }
}

static void removed(void *ctx, struct score_source *source)
{
    struct shared *shared = score_source_data(source);
    (void)ctx;
    if (!shared) {
        return;
    }
    release(shared);
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
        become(shared, IDLE);
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
        become(shared, IDLE);
        forget_blocks(shared);
        strbuf_deinit(&shared->batch.text);
        free(shared);
    }
    while (writer->first) {
        asked_done(writer);
    }
    redis_link_free(writer->link);
    free(writer);
}

const struct share_writer_counts *share_writer_counts(const struct share_writer *writer)
{
    return &writer->counts;
}
