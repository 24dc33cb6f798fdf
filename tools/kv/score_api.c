// The C API of score.h, both halves of a score in one call.
#include "engine/base/json.h"
#include "tools/kv/score.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <tokfs/score.h>

struct tokfs_scorer {
    struct scorer *scorer;
    struct arena arena; // of the batch or body in hand
};

static int export_error(struct tokfs_error *ret, const struct err *err)
{
    if (ret) {
        ret->code = err->code;
        memcpy(ret->param, err->param, sizeof(ret->param));
        memcpy(ret->msg, err->msg, sizeof(ret->msg));
    }
    return err->code;
}

int tokfs_scorer_open(uint64_t index_bytes_max, struct tokfs_scorer **ret, struct tokfs_error *err)
{
    struct err why = { 0 };
    struct tokfs_scorer *s = calloc(1, sizeof(*s));
    int r = s ? scorer_new(index_bytes_max, &s->scorer) : -ENOMEM;
    if (r < 0) {
        free(s);
        err_set(&why, r, r == -EINVAL ? "index_bytes_max: %llu is below %u" : "out of memory for an index",
                (unsigned long long)index_bytes_max, KV_INDEX_BYTES_MIN);
        return export_error(err, &why);
    }
    arena_init(&s->arena, 0);
    *ret = s;
    return 0;
}

void tokfs_scorer_close(struct tokfs_scorer *s)
{
    if (s) {
        scorer_free(s->scorer);
        arena_deinit(&s->arena);
        free(s);
    }
}

int tokfs_scorer_add_model(struct tokfs_scorer *s, const char *dir, const char *served_name, struct tokfs_error *err)
{
    struct err why = { 0 };
    struct tokfs_text *text;
    int r = tokfs_text_open(dir, served_name, &text, err);
    if (r < 0) {
        return r;
    }
    r = scorer_add_text(s->scorer, text);
    return r == 0 ? 0
                  : export_error(
                        err,
                        (err_set(&why, r,
                                 r == -EEXIST ? "%s: a model of this name is there already" : "%s: out of memory", dir),
                         &why));
}

// ---- what engines hold ---------------------------------------------------------------------------------------------

static int source_of(struct tokfs_scorer *s, const char *peer, const char *model, struct score_source **ret,
                     struct err *err)
{
    int p = scorer_add_peer(s->scorer, str_from(peer));
    struct score_source *known = p < 0 ? NULL : scorer_find_source(s->scorer, (unsigned)p, str_from(model));
    if (known) {
        *ret = known;
        return 0;
    }
    int r = p < 0 ? p : scorer_add_source(s->scorer, (unsigned)p, str_from(model), ret);
    return r < 0 ? err_set(err, r, r == -ENFILE ? "too many peers" : "out of memory for a peer") : 0;
}

static int apply_event(struct score_source *source, enum tokfs_tier tier, const struct tokfs_kv_event *event,
                       struct err *err)
{
    static const struct str media[] = {
        [TOKFS_TIER_GPU] = STR("gpu"), [TOKFS_TIER_CPU] = STR("cpu"), [TOKFS_TIER_DISK] = STR("disk")
    };
    if (event->kind == TOKFS_KV_EPOCH || event->kind == TOKFS_KV_SNAPSHOT_BEGIN) {
        score_source_clear(source);
        return 0;
    }
    if (event->kind == TOKFS_KV_SNAPSHOT_END) {
        return 0;
    }
    const struct kv_message message = {
        .kind = event->kind == TOKFS_KV_REMOVED ? KV_MESSAGE_REMOVED : KV_MESSAGE_STORED,
        .n_blocks = 1,
        .hashes = &event->hash,
        .has_parent = true, // the salt's name where it is the first
        .parent = event->parent,
        .block_size = (uint32_t)event->n_tokens,
        .medium = media[tier],
    };
    return score_source_apply(source, &message, err);
}

int tokfs_scorer_apply_event(struct tokfs_scorer *s, const char *peer, const char *model, enum tokfs_tier tier,
                             const struct tokfs_kv_event *event, struct tokfs_error *err)
{
    struct err why = { 0 };
    struct score_source *source;
    int r = source_of(s, peer, model, &source, &why);
    r = r == 0 ? apply_event(source, tier, event, &why) : r;
    return r < 0 ? export_error(err, &why) : 0;
}

int tokfs_scorer_apply_batch(struct tokfs_scorer *s, const char *peer, const char *model, const void *payload,
                             size_t len, struct tokfs_error *err)
{
    struct err why = { 0 };
    struct score_source *source;
    struct kv_batch batch = { 0 };
    int r = source_of(s, peer, model, &source, &why);
    if (r == 0 && (r = kv_batch_decode(&s->arena, (struct str){ payload, len }, &batch, &why)) < 0 && why.code == 0) {
        err_set(&why, r, "out of memory for a batch");
    }
    for (size_t i = 0; r == 0 && i < batch.n_messages; i++) {
        r = score_source_apply(source, &batch.messages[i], &why);
    }
    arena_reset(&s->arena);
    return r < 0 ? export_error(err, &why) : 0;
}

void tokfs_scorer_clear_peer(struct tokfs_scorer *s, const char *peer)
{
    int p = scorer_find_peer(s->scorer, str_from(peer));
    for (struct score_source *i = scorer_next_source(s->scorer, NULL); p >= 0 && i;
         i = scorer_next_source(s->scorer, i)) {
        if (score_source_peer(i) == (unsigned)p) {
            score_source_clear(i);
        }
    }
}

void tokfs_scorer_remove_peer(struct tokfs_scorer *s, const char *peer)
{
    int p = scorer_find_peer(s->scorer, str_from(peer));
    if (p >= 0) {
        scorer_remove_peer(s->scorer, (unsigned)p);
    }
}

int tokfs_scorer_set_load(struct tokfs_scorer *s, const char *peer, double n_running, double n_waiting)
{
    int p = scorer_find_peer(s->scorer, str_from(peer));
    if (p < 0) {
        return p;
    }
    scorer_set_load(s->scorer, (unsigned)p, (struct scorer_load){ n_running, n_waiting });
    return 0;
}

// ---- scores --------------------------------------------------------------------------------------------------------

static bool has_body(enum tokfs_score_kind kind)
{
    return kind == TOKFS_SCORE_CHAT || kind == TOKFS_SCORE_TEMPLATE || kind == TOKFS_SCORE_COMPLETION;
}

// The request's own, or its body's; ptr NULL: none is named. A body that is ill formed is refused later, with words.
static struct str model_of(struct tokfs_scorer *s, const struct tokfs_score_request *request)
{
    const struct json *body, *model = NULL;
    struct err unused;
    if (request->model || !has_body(request->kind)) {
        return request->model ? str_from(request->model) : (struct str){ 0 };
    }
    if (json_parse(&s->arena, (struct str){ request->text, request->len }, &body, &unused) == 0) {
        model = json_get(body, STR("model"));
    }
    return model && model->type == JSON_STRING ? model->text : (struct str){ 0 };
}

static int make_prompts(const struct tokfs_text *text, const struct tokfs_score_request *request,
                        struct tokfs_prompts *ret, struct tokfs_error *err)
{
    static const enum tokfs_prompt_kind kinds[] = {
        [TOKFS_SCORE_CHAT] = TOKFS_PROMPT_CHAT,
        [TOKFS_SCORE_TEMPLATE] = TOKFS_PROMPT_TEMPLATE,
        [TOKFS_SCORE_COMPLETION] = TOKFS_PROMPT_COMPLETION,
    };
    return has_body(request->kind)
               ? tokfs_text_prompts(text, kinds[request->kind], request->text, request->len, 0, ret, err)
               : tokfs_text_tokens(text, request->text, request->len, ret, err);
}

static bool is_wanted(const struct tokfs_score_request *request, const char *peer)
{
    for (size_t i = 0; i < request->n_peers; i++) {
        if (strcmp(request->peers[i], peer) == 0) {
            return true;
        }
    }
    return !request->peers;
}

static int rank(struct tokfs_scorer *s, const char *model, const struct tokfs_score_request *request,
                const struct tokfs_prompts *prompts, struct tokfs_scores *ret)
{
    const struct score_options options = { request->weights, request->load_cost };
    const struct score_row *rows;
    struct score_sizes sizes;
    struct score_keys keys;
    scorer_sizes(s->scorer, str_from(model), &sizes);
    for (size_t i = 0; i < request->n_cache_scopes; i++) {
        score_sizes_add_scope(&sizes, request->cache_scopes[i]);
    }
    if (score_keys_make(prompts, &sizes, &keys) < 0) {
        return -ENOMEM;
    }
    size_t n = scorer_rank(s->scorer, str_from(model), &keys, &options, &rows);
    *ret = (struct tokfs_scores){ .items = calloc(n + 1, sizeof(*ret->items)), .n_tokens = keys.n_tokens };
    for (size_t i = 0; ret->items && i < n; i++) {
        const char *peer = scorer_peer_name(s->scorer, rows[i].peer);
        if (is_wanted(request, peer)) {
            ret->items[ret->n++] = (struct tokfs_score){ peer, rows[i].score, rows[i].n_cached_tokens };
        }
    }
    score_keys_deinit(&keys);
    return ret->items ? 0 : -ENOMEM;
}

int tokfs_score(struct tokfs_scorer *s, const struct tokfs_score_request *request, struct tokfs_scores *ret,
                struct tokfs_error *err)
{
    struct err why = { 0 };
    const struct tokfs_text *text;
    const struct tokfs_prompt given = { .tokens = request->ids, .n_tokens = request->n_ids };
    struct tokfs_prompts prompts = { .items = &given, .n = 1, .salt = tokfs_text_salt("", 0) };
    bool is_given = request->kind == TOKFS_SCORE_TOKENS;
    int r = scorer_find_text(s->scorer, model_of(s, request), &text, &why);
    arena_reset(&s->arena);
    if (r < 0) {
        return export_error(err, &why);
    }
    r = is_given ? 0 : make_prompts(text, request, &prompts, err);
    if (r < 0) {
        return r;
    }
    r = rank(s, tokfs_text_model(text), request, &prompts, ret);
    const char *rendered = prompts.items[0].rendered;
    if (r == 0 && rendered && !(ret->rendered = str_dup((struct str){ rendered, prompts.items[0].rendered_len }))) {
        tokfs_scores_deinit(ret);
        r = -ENOMEM;
    }
    if (!is_given) {
        tokfs_prompts_deinit(&prompts);
    }
    return r < 0 ? export_error(err, (err_set(&why, r, "out of memory for scores"), &why)) : 0;
}

void tokfs_scores_deinit(struct tokfs_scores *scores)
{
    free(scores->items);
    free(scores->rendered);
    *scores = (struct tokfs_scores){ 0 };
}

int tokfs_score_prompt(struct tokfs_scorer *s, const char *model, const char *text, size_t len,
                       struct tokfs_scores *ret, struct tokfs_error *err)
{
    return tokfs_score(s, &(struct tokfs_score_request){ TOKFS_SCORE_PROMPT, .model = model, .text = text, .len = len },
                       ret, err);
}

int tokfs_score_tokens(struct tokfs_scorer *s, const char *model, const int32_t *ids, size_t n_ids,
                       struct tokfs_scores *ret, struct tokfs_error *err)
{
    return tokfs_score(
        s, &(struct tokfs_score_request){ TOKFS_SCORE_TOKENS, .model = model, .ids = ids, .n_ids = n_ids }, ret, err);
}

int tokfs_score_chat(struct tokfs_scorer *s, const char *json, size_t len, struct tokfs_scores *ret,
                     struct tokfs_error *err)
{
    return tokfs_score(s, &(struct tokfs_score_request){ TOKFS_SCORE_CHAT, .text = json, .len = len }, ret, err);
}
