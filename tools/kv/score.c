// Who there is: models and peers, each with the number that is its place in an array.
#include "tools/kv/score_internal.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

// ---- models --------------------------------------------------------------------------------------------------------

int score_find_model(const struct scorer *scorer, struct str name)
{
    for (size_t i = 0; i < scorer->n_models; i++) {
        if (str_eq(str_from(scorer->models[i].name), name)) {
            return (int)i;
        }
    }
    return -ENOENT;
}

int score_add_model(struct scorer *scorer, struct str name)
{
    int found = score_find_model(scorer, name);
    if (found >= 0) {
        return found;
    }
    struct score_model *models = reallocarray(scorer->models, scorer->n_models + 1, sizeof(*models));
    if (!models) {
        return -ENOMEM;
    }
    scorer->models = models;
    models[scorer->n_models] = (struct score_model){ .name = str_dup(name) };
    return models[scorer->n_models].name ? (int)scorer->n_models++ : -ENOMEM;
}

int scorer_add_text(struct scorer *scorer, struct tokfs_text *text)
{
    int model = score_add_model(scorer, str_from(tokfs_text_model(text)));
    if (model >= 0 && !scorer->models[model].text) {
        scorer->models[model].text = text;
        return 0;
    }
    tokfs_text_close(text);
    return model < 0 ? model : -EEXIST;
}

static int refuse_model(const struct scorer *scorer, struct str model, struct err *err)
{
    struct strbuf list;
    strbuf_init(&list, 120);
    for (size_t i = 0; i < scorer->n_models; i++) {
        if (scorer->models[i].text) {
            strbuf_printf(&list, "%s'%s'", list.len > 0 ? ", " : "", scorer->models[i].name);
        }
    }
    int r = model.ptr ? err_set_param(err, -ENOENT, "model", "model '%.*s' is not known here; known: %s",
                                      STR_ARG(str_take(model, 80)), list.len > 0 ? list.ptr : "none")
                      : err_set_param(err, -EINVAL, "model", "a model is to be named; known: %s",
                                      list.len > 0 ? list.ptr : "none");
    strbuf_deinit(&list);
    return r;
}

int scorer_find_text(const struct scorer *scorer, struct str model, const struct tokfs_text **ret, struct err *err)
{
    const struct tokfs_text *found = NULL;
    size_t n = 0;
    for (size_t i = 0; i < scorer->n_models; i++) {
        const struct score_model *m = &scorer->models[i];
        if (m->text && (!model.ptr || str_eq(str_from(m->name), model))) {
            found = m->text;
            n++;
        }
    }
    if (n != 1) {
        return refuse_model(scorer, model, err);
    }
    *ret = found;
    return 0;
}

// ---- peers ---------------------------------------------------------------------------------------------------------

int scorer_find_peer(const struct scorer *scorer, struct str name)
{
    for (size_t i = 0; i < scorer->n_peers; i++) {
        if (scorer->peers[i].name && str_eq(str_from(scorer->peers[i].name), name)) {
            return (int)i;
        }
    }
    return -ENOENT;
}

static int grow_peers(struct scorer *scorer)
{
    if (scorer->n_peers == KV_INDEX_NODES_MAX) {
        return -ENFILE;
    }
    struct score_peer *peers = reallocarray(scorer->peers, scorer->n_peers + 1, sizeof(*peers));
    scorer->peers = peers ? peers : scorer->peers;
    struct score_row *rows = peers ? reallocarray(scorer->rows, scorer->n_peers + 1, sizeof(*rows)) : NULL;
    if (!rows) {
        return -ENOMEM;
    }
    scorer->rows = rows;
    peers[scorer->n_peers++] = (struct score_peer){ 0 };
    return 0;
}

int scorer_add_peer(struct scorer *scorer, struct str name)
{
    int found = scorer_find_peer(scorer, name);
    if (found >= 0) {
        return found;
    }
    size_t i = 0;
    while (i < scorer->n_peers && scorer->peers[i].name) {
        i++;
    }
    int r = i == scorer->n_peers ? grow_peers(scorer) : 0;
    if (r < 0) {
        return r;
    }
    scorer->peers[i] = (struct score_peer){ .name = str_dup(name) };
    return scorer->peers[i].name ? (int)i : -ENOMEM;
}

struct score_peer *score_peer_at(const struct scorer *scorer, unsigned peer)
{
    assert(peer < scorer->n_peers && scorer->peers[peer].name);
    return &scorer->peers[peer];
}

void scorer_remove_peer(struct scorer *scorer, unsigned peer)
{
    struct score_peer *p = score_peer_at(scorer, peer);
    for (struct score_source *source = scorer->sources, *next; source; source = next) {
        next = source->next;
        if (source->peer == peer) {
            source->n_users = 1;
            scorer_remove_source(scorer, source);
        }
    }
    free(p->name);
    p->name = NULL;
}

void scorer_keep_peer(struct scorer *scorer, unsigned peer)
{
    score_peer_at(scorer, peer)->is_kept = true;
}

void scorer_release_peer(struct scorer *scorer, unsigned peer)
{
    for (const struct score_source *source = scorer->sources; source; source = source->next) {
        if (source->peer == peer) {
            return;
        }
    }
    if (!score_peer_at(scorer, peer)->is_kept) {
        scorer_remove_peer(scorer, peer);
    }
}

unsigned scorer_n_peers(const struct scorer *scorer)
{
    return (unsigned)scorer->n_peers;
}

const char *scorer_peer_name(const struct scorer *scorer, unsigned peer)
{
    return peer < scorer->n_peers ? scorer->peers[peer].name : NULL;
}

struct scorer_load scorer_get_load(const struct scorer *scorer, unsigned peer)
{
    return score_peer_at(scorer, peer)->load;
}

void scorer_set_load(struct scorer *scorer, unsigned peer, struct scorer_load load)
{
    score_peer_at(scorer, peer)->load = load;
}

uint64_t scorer_get_scope(const struct scorer *scorer, unsigned peer)
{
    return score_peer_at(scorer, peer)->scope;
}

void scorer_set_scope(struct scorer *scorer, unsigned peer, uint64_t scope)
{
    score_peer_at(scorer, peer)->scope = scope;
}

// ---- life ----------------------------------------------------------------------------------------------------------

int scorer_new(uint64_t index_bytes_max, struct scorer **ret)
{
    struct scorer *scorer = calloc(1, sizeof(*scorer));
    int r = scorer ? kv_index_new(index_bytes_max, &scorer->index) : -ENOMEM;
    if (r < 0) {
        free(scorer);
        return r;
    }
    *ret = scorer;
    return 0;
}

void scorer_free(struct scorer *scorer)
{
    if (!scorer) {
        return;
    }
    while (scorer->sources) {
        scorer->sources->n_users = 1;
        scorer_remove_source(scorer, scorer->sources);
    }
    for (size_t i = 0; i < scorer->n_models; i++) {
        free(scorer->models[i].name);
        tokfs_text_close(scorer->models[i].text);
    }
    for (size_t i = 0; i < scorer->n_peers; i++) {
        free(scorer->peers[i].name);
    }
    kv_index_free(scorer->index);
    free(scorer->models);
    free(scorer->peers);
    free(scorer->groups);
    free(scorer->rows);
    free(scorer);
}

struct kv_index *scorer_index(const struct scorer *scorer)
{
    return scorer->index;
}
