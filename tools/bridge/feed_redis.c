#include "tools/bridge/feed_redis.h"
#include "engine/base/log.h"
#include "engine/base/loop.h"
#include "tools/kv/redis_link.h"
#include <errno.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK_NS      250000000u
#define LOOK_TICKS   4 // the registry is read every so many
#define BLOCK_MS     "500"
#define ENTRIES_MAX  "200" // of a stream, with one read
#define PARTS_ON_WAY 8
#define NODES_MAX    4096
#define KEY_MAX      320
#define NAME_MAX_    255
#define REGISTRY     "tokfs:nodes"

enum state { FOLLOWING, WANTING, LOADING };

struct head { // of a snapshot
    uint64_t epoch, seq;
    unsigned n_parts;
};

struct node {
    struct feed_redis *feed;
    struct node *next;
    struct score_source *source; // NULL: the registry has not told its model yet
    enum state state;
    bool is_listed, is_gone;
    bool is_asking;      // for the head of a snapshot
    unsigned n_answers;  // that will come: it stays until then
    uint64_t epoch, seq; // of the last entry that was applied, or of the snapshot
    struct head loading;
    unsigned n_asked, n_loaded, n_away; // parts; n_away: on their way, of earlier snapshots as well
    char last[48];                      // id of the entry
    char name[NAME_MAX_ + 1], address[NAME_MAX_ + 1], model[NAME_MAX_ + 1];
};

struct feed_redis {
    struct loop_op tick;
    struct loop *loop;
    struct scorer *scorer;
    struct redis_link *control, *stream;
    const char *own; // the address of who is heard of at first hand; NULL: nobody
    struct node *nodes;
    unsigned n_ticks;
    bool is_reading, is_looking, is_stopped;
    struct arena scratch;
    struct feed_redis_counts counts;
};

static struct str key_of(const struct node *node, const char *what, char ret[KEY_MAX])
{
    int n = snprintf(ret, KEY_MAX, "tokfs:%s:%s", node->name, what);
    return (struct str){ ret, (size_t)n };
}

static bool reply_number(const redisReply *reply, uint64_t *ret)
{
    int64_t value;
    if (reply->type != REDIS_REPLY_STRING || str_parse_i64((struct str){ reply->str, reply->len }, &value) < 0 ||
        value < 0) {
        return false;
    }
    *ret = (uint64_t)value;
    return true;
}

static void reply_text(const redisReply *reply, char *ret, size_t size)
{
    snprintf(ret, size, "%.*s", reply->type == REDIS_REPLY_STRING ? (int)reply->len : 0, reply->str ? reply->str : "");
}

static bool is_array(const redisReply *reply, size_t n_elements)
{
    return reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == n_elements;
}

// ---- nodes ---------------------------------------------------------------------------------------------------------

static struct node *find_node(const struct feed_redis *feed, struct str name)
{
    struct node *node = feed->nodes;
    while (node && (node->is_gone || !str_eq(str_from(node->name), name))) {
        node = node->next;
    }
    return node;
}

static struct node *add_node(struct feed_redis *feed, struct str name)
{
    struct node *node = name.len <= NAME_MAX_ && feed->counts.n_nodes < NODES_MAX ? calloc(1, sizeof(*node)) : NULL;
    if (!node) {
        return NULL;
    }
    node->feed = feed;
    node->next = feed->nodes;
    feed->nodes = node;
    memcpy(node->name, name.ptr, name.len);
    strcpy(node->last, "0");
    feed->counts.n_nodes++;
    return node;
}

static void drop_source(struct node *node)
{
    if (node->source) {
        unsigned peer = score_source_peer(node->source);
        score_source_leave(node->source);
        score_source_clear(node->source); // which stays, where an option names the peer
        scorer_remove_source(node->feed->scorer, node->source);
        scorer_release_peer(node->feed->scorer, peer);
        node->source = NULL;
    }
}

// Its blocks leave at once, its memory when nothing is on its way to it any more.
static void node_gone(struct node *node)
{
    if (!node->is_gone) {
        node->is_gone = true;
        node->feed->counts.n_nodes--;
        drop_source(node);
    }
}

static void free_gone(struct feed_redis *feed)
{
    for (struct node **at = &feed->nodes; *at;) {
        struct node *node = *at;
        if (node->is_gone && node->n_answers == 0) {
            *at = node->next;
            free(node);
        } else {
            at = &node->next;
        }
    }
}

static bool ask(struct node *node, redis_answered *answered, const struct str *args, size_t n)
{
    bool is_sent = redis_link_send(node->feed->control, args, n, answered, node) == 0;
    node->n_answers += is_sent;
    return is_sent;
}

#define ASK(node, answered, ...)                                                                                       \
    ask(node, answered, (const struct str[]){ __VA_ARGS__ },                                                           \
        sizeof((const struct str[]){ __VA_ARGS__ }) / sizeof(struct str))

// ---- events --------------------------------------------------------------------------------------------------------

// False: something in it made no sense, and the source was cleared.
static bool apply(struct node *node, const struct kv_batch *batch)
{
    struct err err = { 0 };
    for (size_t i = 0; i < batch->n_messages; i++) {
        if (score_source_apply(node->source, &batch->messages[i], &err) < 0) {
            log_warn("node %s: %s", node->name, err.msg);
            node->feed->counts.n_bad++;
            return false;
        }
    }
    return true;
}

static void want_snapshot(struct node *node);

// False: nothing more can be applied until there is a snapshot.
static bool take_entry(struct node *node, const struct kv_entry *entry)
{
    if (entry->epoch < node->epoch || (entry->epoch == node->epoch && entry->seq <= node->seq)) {
        return true;
    }
    if (entry->epoch == node->epoch && entry->seq == node->seq + 1) {
        node->seq = entry->seq;
        apply(node, &entry->batch); // if it made no sense, what follows counts still
        return true;
    }
    if (entry->epoch != node->epoch) { // it is another life, or missed too much
        score_source_clear(node->source);
    }
    want_snapshot(node);
    return false;
}

static void take_entries(struct node *node, const redisReply *entries)
{
    struct feed_redis *feed = node->feed;
    for (size_t i = 0; i < entries->elements && node->state == FOLLOWING; i++) {
        const redisReply *entry = entries->element[i];
        if (!is_array(entry, 2) || entry->element[0]->type != REDIS_REPLY_STRING ||
            entry->element[1]->type != REDIS_REPLY_ARRAY) {
            continue;
        }
        const redisReply *fields = entry->element[1];
        struct kv_entry decoded;
        struct err err = { 0 };
        arena_reset(&feed->scratch);
        struct str *texts = arena_alloc_array(&feed->scratch, fields->elements, sizeof(*texts));
        for (size_t k = 0; texts && k < fields->elements; k++) {
            texts[k] = (struct str){ fields->element[k]->str, fields->element[k]->len };
        }
        if (!texts || kv_entry_decode(&feed->scratch, texts, fields->elements, &decoded, &err) < 0) {
            feed->counts.n_bad++; // a gap, which the next entry shows
        } else if (!take_entry(node, &decoded)) {
            return;
        }
        feed->counts.n_entries++;
        reply_text(entry->element[0], node->last, sizeof(node->last));
    }
}

static void read_on(struct feed_redis *feed);

static void entries_came(void *ctx, const struct redisReply *reply)
{
    struct feed_redis *feed = ctx;
    feed->is_reading = false;
    if (!reply || feed->is_stopped) {
        return;
    }
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++) {
        const redisReply *of = reply->element[i];
        struct str name, key = is_array(of, 2) ? (struct str){ of->element[0]->str, of->element[0]->len } : STR("");
        if (!str_starts_with(key, STR("tokfs:")) || !str_ends_with(key, STR(":events"))) {
            continue;
        }
        name = str_take(str_skip(key, strlen("tokfs:")), key.len - strlen("tokfs:") - strlen(":events"));
        struct node *node = find_node(feed, name);
        if (node && node->source) {
            take_entries(node, of->element[1]);
        }
    }
    if (reply->type != REDIS_REPLY_ERROR) {
        read_on(feed); // after an error with the next tick
    }
}

static void read_on(struct feed_redis *feed)
{
    static const struct str head[] = { STR("XREAD"), STR("COUNT"),  STR(ENTRIES_MAX),
                                       STR("BLOCK"), STR(BLOCK_MS), STR("STREAMS") };
    enum { N_HEAD = sizeof(head) / sizeof(head[0]) };
    size_t n = 0, n_max = feed->counts.n_nodes;
    if (feed->is_reading || feed->is_stopped || !redis_link_is_up(feed->stream) || n_max == 0) {
        return;
    }
    struct str *args = calloc(N_HEAD + 2 * n_max, sizeof(*args));
    char(*keys)[KEY_MAX] = calloc(n_max, sizeof(*keys));
    struct str *ids = calloc(n_max, sizeof(*ids));
    if (args && keys && ids) {
        memcpy(args, head, sizeof(head));
        for (const struct node *node = feed->nodes; node; node = node->next) {
            if (!node->is_gone && node->source && node->state == FOLLOWING) {
                args[N_HEAD + n] = key_of(node, "events", keys[n]);
                ids[n++] = str_from(node->last);
            }
        }
        memcpy(args + N_HEAD + n, ids, n * sizeof(*ids));
        feed->is_reading = n > 0 && redis_link_send(feed->stream, args, N_HEAD + 2 * n, entries_came, feed) == 0;
    }
    free(args);
    free(keys);
    free(ids);
}

// ---- snapshots -----------------------------------------------------------------------------------------------------

static bool take_head(const redisReply *reply, struct head *ret)
{
    uint64_t n_parts;
    if (!is_array(reply, 3) || !reply_number(reply->element[0], &ret->epoch) ||
        !reply_number(reply->element[1], &ret->seq) || !reply_number(reply->element[2], &n_parts) ||
        n_parts > UINT32_MAX) {
        return false;
    }
    ret->n_parts = (unsigned)n_parts;
    return true;
}

static bool ask_head(struct node *node, redis_answered *answered)
{
    char key[KEY_MAX];
    return ASK(node, answered, STR("HMGET"), key_of(node, "snapshot", key), STR("epoch"), STR("seq"), STR("parts"));
}

// Whether the answer still matters.
static bool is_due(struct node *node, const redisReply *reply, enum state state)
{
    node->n_answers--;
    if (!reply && node->state == LOADING) {
        node->state = WANTING;
    }
    return reply && !node->is_gone && node->source && node->state == state;
}

static void checked(void *ctx, const struct redisReply *reply)
{
    struct node *node = ctx;
    struct head head;
    if (!is_due(node, reply, LOADING)) {
        return;
    }
    if (!take_head(reply, &head) || head.epoch != node->loading.epoch || head.seq != node->loading.seq) {
        node->state = WANTING;
        return;
    }
    node->epoch = head.epoch;
    node->seq = head.seq;
    node->state = FOLLOWING;
    node->feed->counts.n_snapshots++;
    read_on(node->feed);
}

static void ask_parts(struct node *node);

static void part_came(void *ctx, const struct redisReply *reply)
{
    struct node *node = ctx;
    struct feed_redis *feed = node->feed;
    struct kv_batch batch;
    struct err err = { 0 };
    node->n_away--;
    if (!is_due(node, reply, LOADING)) {
        return;
    }
    arena_reset(&feed->scratch);
    if (reply->type != REDIS_REPLY_STRING ||
        kv_batch_decode(&feed->scratch, (struct str){ reply->str, reply->len }, &batch, &err) < 0 ||
        !apply(node, &batch)) {
        feed->counts.n_bad += reply->type == REDIS_REPLY_STRING;
        node->state = WANTING; // another one has taken its place
        return;
    }
    node->n_loaded++;
    ask_parts(node);
}

static void ask_parts(struct node *node)
{
    char key[KEY_MAX], field[24];
    struct str name = key_of(node, "snapshot", key);
    while (node->n_asked < node->loading.n_parts && node->n_asked - node->n_loaded < PARTS_ON_WAY) {
        snprintf(field, sizeof(field), "%u", node->n_asked++);
        node->n_away += ASK(node, part_came, STR("HGET"), name, str_from(field));
    }
    if ((node->n_loaded == node->loading.n_parts && !ask_head(node, checked)) ||
        (node->n_loaded < node->loading.n_parts && node->n_away == 0)) {
        node->state = WANTING; // the connection is down
    }
}

static void head_came(void *ctx, const struct redisReply *reply)
{
    struct node *node = ctx;
    struct head head;
    node->is_asking = false;
    if (!is_due(node, reply, WANTING) || !take_head(reply, &head)) {
        return;
    }
    if (head.epoch < node->epoch || (head.epoch == node->epoch && head.seq <= node->seq)) {
        return; // an old one: the next tick asks again
    }
    if (node->n_away > 0) {
        return; // parts of the one before are on their way
    }
    node->loading = head;
    node->n_asked = node->n_loaded = 0;
    node->state = LOADING;
    score_source_clear(node->source);
    ask_parts(node);
}

static void want_snapshot(struct node *node)
{
    node->state = WANTING;
    node->is_asking = node->is_asking || ask_head(node, head_came);
}

// ---- the registry --------------------------------------------------------------------------------------------------

// A node that has another address or model is another one.
static void meet(struct node *node, const char *address, const char *model)
{
    struct scorer *scorer = node->feed->scorer;
    if (node->source && strcmp(address, node->address) == 0 && strcmp(model, node->model) == 0) {
        return;
    }
    drop_source(node);
    snprintf(node->address, sizeof(node->address), "%s", address);
    snprintf(node->model, sizeof(node->model), "%s", model);
    if (node->feed->own && strcmp(address, node->feed->own) == 0) {
        return;
    }
    int peer = scorer_add_peer(scorer, str_from(address));
    if (peer < 0 || scorer_add_source(scorer, (unsigned)peer, str_from(model), &node->source) < 0) {
        log_warn("node %s: no room for it", node->name);
        return;
    }
    score_source_arrive(node->source);
    node->epoch = node->seq = 0;
    node->state = FOLLOWING;
    strcpy(node->last, "0");
}

static void node_came(void *ctx, const struct redisReply *reply)
{
    struct node *node = ctx;
    uint64_t n_running = 0, n_waiting = 0, uid = 0;
    char address[NAME_MAX_ + 1], model[NAME_MAX_ + 1];
    node->n_answers--;
    if (!is_array(reply, 5) || node->is_gone) {
        return;
    }
    if (reply->element[0]->type != REDIS_REPLY_STRING) { // its heartbeat has lapsed
        node_gone(node);
        return;
    }
    reply_text(reply->element[0], address, sizeof(address));
    reply_text(reply->element[1], model, sizeof(model));
    if (!address[0] || !model[0]) {
        return; // it does not know itself yet
    }
    meet(node, address, model);
    reply_number(reply->element[2], &n_running);
    reply_number(reply->element[3], &n_waiting);
    int peer = scorer_find_peer(node->feed->scorer, str_from(node->address));
    if (peer >= 0) {
        scorer_set_load(node->feed->scorer, (unsigned)peer,
                        (struct scorer_load){ (double)n_running, (double)n_waiting });
        scorer_set_scope(node->feed->scorer, (unsigned)peer, reply_number(reply->element[4], &uid) ? uid + 1 : 0);
    }
    read_on(node->feed);
}

static void list_came(void *ctx, const struct redisReply *reply)
{
    struct feed_redis *feed = ctx;
    feed->is_looking = false;
    if (!reply || reply->type != REDIS_REPLY_ARRAY || feed->is_stopped) {
        return;
    }
    for (struct node *node = feed->nodes; node; node = node->next) {
        node->is_listed = false;
    }
    for (size_t i = 0; i < reply->elements; i++) {
        struct str name = { reply->element[i]->str, reply->element[i]->len };
        struct node *node = find_node(feed, name);
        char key[KEY_MAX];
        node = node ? node : add_node(feed, name);
        if (node) {
            node->is_listed = true;
            ASK(node, node_came, STR("HMGET"), key_of(node, "node", key), STR("address"), STR("model"),
                STR("requests_running"), STR("requests_waiting"), STR("uid"));
        }
    }
    for (struct node *node = feed->nodes; node; node = node->next) {
        if (!node->is_listed) {
            node_gone(node);
        }
    }
}

static void look(struct feed_redis *feed)
{
    const struct str args[] = { STR("ZRANGE"), STR(REGISTRY), STR("0"), STR("-1") };
    if (!feed->is_looking && redis_link_is_up(feed->control)) {
        feed->is_looking = redis_link_send(feed->control, args, 4, list_came, feed) == 0;
    }
}

// ---- its life ------------------------------------------------------------------------------------------------------

static void tick_done(struct loop_op *op, int res)
{
    struct feed_redis *feed = (struct feed_redis *)op;
    if (res < 0 || feed->is_stopped) {
        return;
    }
    free_gone(feed);
    if (feed->n_ticks++ % LOOK_TICKS == 0) {
        look(feed);
    }
    for (struct node *node = feed->nodes; node; node = node->next) {
        if (!node->is_gone && node->source && node->state == WANTING) {
            want_snapshot(node);
        }
    }
    read_on(feed);
    loop_timer(feed->loop, &feed->tick, TICK_NS);
}

static void control_up(void *ctx)
{
    struct feed_redis *feed = ctx;
    feed->counts.is_up = true;
    look(feed);
}

static void control_down(void *ctx)
{
    ((struct feed_redis *)ctx)->counts.is_up = false;
}

static void stream_up(void *ctx)
{
    read_on(ctx);
}

static void stream_down(void *ctx)
{
    (void)ctx; // reading goes on where it was
}

int feed_redis_new(struct loop *loop, const struct redis_url *url, struct scorer *scorer, const char *own,
                   struct feed_redis **ret)
{
    struct feed_redis *feed = calloc(1, sizeof(*feed));
    if (!feed) {
        return -ENOMEM;
    }
    const struct redis_link_owner control = { control_up, control_down, feed };
    const struct redis_link_owner stream = { stream_up, stream_down, feed };
    feed->loop = loop;
    feed->scorer = scorer;
    feed->own = own;
    feed->tick.done = tick_done;
    arena_init(&feed->scratch, 0);
    int r = redis_link_new(loop, url, &control, &feed->control);
    r = r < 0 ? r : redis_link_new(loop, url, &stream, &feed->stream);
    *ret = feed; // also on an error: it is to be stopped and freed
    loop_timer(loop, &feed->tick, TICK_NS);
    return r;
}

void feed_redis_stop(struct feed_redis *feed)
{
    if (!feed || feed->is_stopped) {
        return;
    }
    feed->is_stopped = true;
    loop_cancel(feed->loop, &feed->tick);
    redis_link_stop(feed->control);
    redis_link_stop(feed->stream);
}

void feed_redis_free(struct feed_redis *feed)
{
    if (!feed) {
        return;
    }
    while (feed->nodes) {
        struct node *node = feed->nodes;
        feed->nodes = node->next;
        free(node);
    }
    redis_link_free(feed->control);
    redis_link_free(feed->stream);
    arena_deinit(&feed->scratch);
    free(feed);
}

const struct feed_redis_counts *feed_redis_counts(const struct feed_redis *feed)
{
    return &feed->counts;
}
