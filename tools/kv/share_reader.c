// A match walks the blocks of each prompt for each block size, one walk after the other. Its candidates are the nodes
// that can hold them (tokfs: those of the registry; llm-d: the pods of the first block); each block leaves some of
// them.
#include "engine/base/log.h"
#include "tools/kv/share_reader_internal.h"
#include <assert.h>
#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_NS 1000000000u

// ---- looks ---------------------------------------------------------------------------------------------------------

static void nodes_came(void *ctx, const struct redisReply *reply)
{
    struct share_reader *reader = ctx;
    reader->is_looking = false;
    if (reply && reply->type == REDIS_REPLY_ARRAY && !reader->is_stopped) {
        share_registry_take_nodes(&reader->registry, reply);
        reader->counts.is_up = true;
    }
}

static void groups_came(void *ctx, const struct redisReply *reply)
{
    struct share_reader *reader = ctx;
    if (reply && reply->type == REDIS_REPLY_ARRAY && !reader->is_stopped) {
        share_registry_take_groups(&reader->registry, reply);
    }
}

static void look(struct share_reader *reader)
{
    char nodes[64];
    snprintf(nodes, sizeof(nodes), "%snodes", reader->schema->prefix.ptr);
    const struct str ask[] = { STR("EVAL"), share_nodes, STR("1"), str_from(nodes), reader->schema->prefix };
    if (reader->is_looking || !redis_link_is_up(reader->link)) {
        return;
    }
    if (reader->options.kind == SHARE_TOKFS) {
        redis_link_send(reader->link, (const struct str[]){ STR("HGETALL"), STR("tokfs:index:groups") }, 2, groups_came,
                        reader);
    }
    reader->is_looking = redis_link_send(reader->link, ask, 5, nodes_came, reader) == 0;
}

void share_reader_sizes(const struct share_reader *reader, struct str model, struct score_sizes *ret)
{
    share_registry_sizes(&reader->registry, model, ret);
}

// ---- matches -------------------------------------------------------------------------------------------------------

static void tell_failing(struct share_reader *reader, int result)
{
    bool is_failing = result < 0;
    if (is_failing && !reader->is_failing) {
        log_warn("shared index in Redis %s: %s; until it answers again requests are scored without it",
                 redis_link_name(reader->link), result == -ETIMEDOUT ? "it answers too slowly" : strerror(-result));
    } else if (!is_failing && reader->is_failing) {
        log_info("shared index in Redis %s: it answers again", redis_link_name(reader->link));
    }
    reader->is_failing = is_failing;
}

void share_match_finish(struct share_reader *reader, struct share_match *match, int result)
{
    struct share_match **at = &reader->first;
    while (*at && *at != match) {
        at = &(*at)->next;
    }
    if (*at) {
        *at = match->next;
        reader->last = match->next ? reader->last : at;
    }
    if (match->walk) {
        match->walk->match = NULL; // freed when all that it asked for has come
        match->walk = NULL;
    }
    match->result = result;
    reader->counts.n_matches++;
    reader->counts.n_failed += result < 0;
    if (result != -ECANCELED) {
        tell_failing(reader, result);
    }
    match->done(match);
}

static void arm_deadline(struct share_reader *reader)
{
    if (reader->first && !reader->deadline.is_pending && !reader->is_stopped) {
        uint64_t now = clock_monotonic_ns(), at = reader->first->deadline_ns;
        loop_timer(reader->loop, &reader->deadline, at > now ? at - now : 0);
    }
}

static void deadline_done(struct loop_op *op, int res)
{
    struct share_reader *reader = (struct share_reader *)((char *)op - offsetof(struct share_reader, deadline));
    uint64_t now = clock_monotonic_ns();
    while (res == 0 && reader->first && reader->first->deadline_ns <= now) {
        reader->counts.is_up = false; // until a look is answered: others need not wait as long
        share_match_finish(reader, reader->first, -ETIMEDOUT);
    }
    arm_deadline(reader);
}

void share_reader_match(struct share_reader *reader, struct share_match *match)
{
    match->found = NULL;
    match->n_found = 0;
    match->next = NULL;
    match->walk = NULL;
    match->deadline_ns = clock_monotonic_ns() + 1000000ull * reader->options.timeout_ms;
    bool is_up = redis_link_is_up(reader->link) && reader->counts.is_up && !reader->is_stopped;
    struct share_walk *walk = is_up ? share_walk_take(reader) : NULL;
    if (!walk) {
        share_match_finish(reader, match, is_up ? -ENOMEM : -ENOTCONN);
        return;
    }
    *reader->last = match;
    reader->last = &match->next;
    share_walk_start(walk, match);
    arm_deadline(reader);
}

void share_match_deinit(struct share_match *match)
{
    free(match->found);
    match->found = NULL;
    match->n_found = 0;
}

// ---- life ----------------------------------------------------------------------------------------------------------

static void tick_done(struct loop_op *op, int res)
{
    struct share_reader *reader = (struct share_reader *)op;
    if (res == 0 && !reader->is_stopped) {
        look(reader);
        loop_timer(reader->loop, &reader->tick, LOOK_NS);
    }
}

static void link_up(void *ctx)
{
    look(ctx);
}

static void link_down(void *ctx)
{
    struct share_reader *reader = ctx;
    reader->counts.is_up = false;
    reader->is_looking = false;
}

int share_reader_new(struct loop *loop, const struct share_reader_options *options, struct scorer *scorer,
                     struct share_reader **ret)
{
    static_assert(offsetof(struct share_reader, tick) == 0, "tick_done");
    struct share_reader *reader = calloc(1, sizeof(*reader));
    if (!reader) {
        return -ENOMEM;
    }
    const struct redis_link_owner owner = { .up = link_up, .down = link_down, .ctx = reader };
    *ret = reader;
    reader->loop = loop;
    reader->options = *options;
    reader->schema = &share_schemas[options->kind];
    reader->registry.scorer = scorer;
    reader->registry.kind = options->kind;
    reader->last = &reader->first;
    reader->tick.done = tick_done;
    reader->deadline.done = deadline_done;
    loop_timer(loop, &reader->tick, LOOK_NS);
    return redis_link_new(loop, &options->url, &owner, &reader->link);
}

void share_reader_stop(struct share_reader *reader)
{
    if (!reader || reader->is_stopped) {
        return;
    }
    reader->is_stopped = true;
    loop_cancel(reader->loop, &reader->tick);
    loop_cancel(reader->loop, &reader->deadline);
    redis_link_stop(reader->link);
    while (reader->first) {
        share_match_finish(reader, reader->first, -ECANCELED);
    }
}

void share_reader_free(struct share_reader *reader)
{
    if (!reader) {
        return;
    }
    share_walks_free(reader);
    share_registry_deinit(&reader->registry);
    redis_link_free(reader->link);
    free(reader);
}

const struct share_reader_counts *share_reader_counts(const struct share_reader *reader)
{
    return &reader->counts;
}
