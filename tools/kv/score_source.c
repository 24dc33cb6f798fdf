// Sources: one for each peer and model that something tells of, shared by all that tell of it.
#include "tools/kv/score_internal.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct score_source *scorer_find_source(const struct scorer *scorer, unsigned peer, struct str model)
{
    int m = score_find_model(scorer, model);
    struct score_source *source = scorer->sources;
    while (source && (source->peer != peer || source->model != (unsigned)m)) {
        source = source->next;
    }
    return source;
}

int scorer_add_source(struct scorer *scorer, unsigned peer, struct str model, struct score_source **ret)
{
    int m = score_add_model(scorer, model);
    if (m < 0) {
        return m;
    }
    score_peer_at(scorer, peer);
    struct score_source *source = scorer_find_source(scorer, peer, model);
    if (source) {
        source->n_users++;
        *ret = source;
        return 0;
    }
    source = calloc(1, sizeof(*source));
    if (!source) {
        return -ENOMEM;
    }
    *source = (struct score_source){ .scorer = scorer,
                                     .next = scorer->sources,
                                     .n_users = 1,
                                     .peer = peer,
                                     .model = (unsigned)m,
                                     .node = NODE_UNKNOWN };
    scorer->sources = source;
    *ret = source;
    return 0;
}

void score_source_clear(struct score_source *source)
{
    struct scorer *scorer = source->scorer;
    if (source->node != NODE_UNKNOWN) {
        kv_index_remove_node(scorer->index, source->node);
        scorer->of_node[source->node] = NULL;
        source->node = NODE_UNKNOWN;
    }
    index_names_clear(&source->names);
    source->is_foreign = false;
    if (scorer->listener.cleared) {
        scorer->listener.cleared(scorer->listener.ctx, source);
    }
}

static void tell_present(struct score_source *source)
{
    const struct scorer_listener *listener = &source->scorer->listener;
    if (listener->present) {
        listener->present(listener->ctx, source);
    }
}

void score_source_arrive(struct score_source *source)
{
    if (source->n_arrived++ == 0) {
        tell_present(source);
    }
}

void score_source_leave(struct score_source *source)
{
    assert(source->n_arrived > 0);
    if (--source->n_arrived == 0) {
        tell_present(source);
    }
}

bool score_source_is_present(const struct score_source *source)
{
    return source->n_arrived > 0;
}

void scorer_remove_source(struct scorer *scorer, struct score_source *source)
{
    if (--source->n_users > 0) {
        return;
    }
    struct score_source **at = &scorer->sources;
    while (*at != source) {
        at = &(*at)->next;
    }
    *at = source->next;
    score_source_clear(source);
    if (scorer->listener.removed) {
        scorer->listener.removed(scorer->listener.ctx, source);
    }
    free(source);
}

struct score_source *scorer_next_source(const struct scorer *scorer, const struct score_source *before)
{
    return before ? before->next : scorer->sources;
}

const struct score_source *scorer_source_of(const struct scorer *scorer, uint32_t node)
{
    return node < KV_INDEX_NODES_MAX ? scorer->of_node[node] : NULL;
}

unsigned score_source_peer(const struct score_source *source)
{
    return source->peer;
}

const char *score_source_model(const struct score_source *source)
{
    return source->scorer->models[source->model].name;
}

void score_source_get_stats(const struct score_source *source, struct score_source_stats *ret)
{
    *ret = (struct score_source_stats){ .n_orphans = source->n_orphans, .block_size = source->block_size };
    if (source->node != NODE_UNKNOWN) {
        ret->n_blocks = kv_index_node_blocks(source->scorer->index, source->node);
    }
}

void scorer_sizes(const struct scorer *scorer, struct str model, struct score_sizes *ret)
{
    int m = score_find_model(scorer, model);
    *ret = (struct score_sizes){ .n_scopes = 1 };
    for (const struct score_source *source = scorer->sources; source; source = source->next) {
        if (source->model == (unsigned)m && source->node != NODE_UNKNOWN) {
            score_sizes_add(ret, source->block_size);
            score_sizes_add_scope(ret, scorer->peers[source->peer].scope);
        }
    }
}

// ---- the listener --------------------------------------------------------------------------------------------------

void scorer_listen(struct scorer *scorer, const struct scorer_listener *listener)
{
    scorer->listener = *listener;
}

void *score_source_data(const struct score_source *source)
{
    return source->data;
}

void score_source_set_data(struct score_source *source, void *data)
{
    source->data = data;
}
