// Scores: what sources tell, and what prompts get, by the C API and below it.
#include "tests/unit.h"
#include "tools/kv/score.h"
#include <errno.h>
#include <string.h>
#include <tokfs/score.h>

static char model[512];

static struct tokfs_scorer *open_scorer(void)
{
    struct tokfs_scorer *scorer;
    struct tokfs_error error;
    assert_int_equal(tokfs_scorer_open(0, &scorer, &error), 0);
    assert_int_equal(tokfs_scorer_add_model(scorer, model, "demo", &error), 0);
    assert_int_equal(tokfs_scorer_add_model(scorer, model, "demo", &error), -EEXIST);
    return scorer;
}

#define N_TOKENS 100
static void make_tokens(int32_t ret[N_TOKENS], int32_t first)
{
    for (int32_t i = 0; i < N_TOKENS; i++) {
        ret[i] = (first + i * 7) % 500;
    }
}

static void tell(struct tokfs_scorer *scorer, const char *peer, enum tokfs_kv_kind kind, enum tokfs_tier tier,
                 const int32_t *ids, size_t from, size_t to)
{
    uint64_t hashes[N_TOKENS], salt = tokfs_text_salt("", 0);
    struct tokfs_error error;
    tokfs_text_blocks(ids, N_TOKENS, 16, salt, hashes);
    for (size_t i = from; i < to; i++) {
        const struct tokfs_kv_event event = { .kind = kind,
                                              .hash = hashes[i],
                                              .parent = i > 0 ? hashes[i - 1] : salt,
                                              .is_first = i == 0,
                                              .tokens = ids + 16 * i,
                                              .n_tokens = 16 };
        assert_int_equal(tokfs_scorer_apply_event(scorer, peer, "demo", tier, &event, &error), 0);
    }
}

static void expect(struct tokfs_scorer *scorer, const int32_t *ids, size_t n_ids, const char *want)
{
    struct tokfs_scores scores;
    struct tokfs_error error;
    char got[256] = "";
    assert_int_equal(tokfs_score_tokens(scorer, "demo", ids, n_ids, &scores, &error), 0);
    assert_int_equal(scores.n_tokens, n_ids);
    for (size_t i = 0; i < scores.n; i++) {
        size_t at = strlen(got);
        snprintf(got + at, sizeof(got) - at, "%s %g/%g, ", scores.items[i].peer, scores.items[i].score,
                 scores.items[i].cached_tokens);
    }
    assert_string_equal(got, want);
    tokfs_scores_deinit(&scores);
}

static void test_score_is_the_longest_prefix_by_weight_of_tiers(void **state)
{
    (void)state;
    struct tokfs_scorer *scorer = open_scorer();
    int32_t ids[N_TOKENS];
    make_tokens(ids, 3);
    tell(scorer, "a", TOKFS_KV_STORED, TOKFS_TIER_GPU, ids, 0, 3);
    tell(scorer, "b", TOKFS_KV_STORED, TOKFS_TIER_CPU, ids, 0, 4);
    tell(scorer, "c", TOKFS_KV_STORED, TOKFS_TIER_GPU, ids, 1, 6); // without the first one
    expect(scorer, ids, N_TOKENS, "b 3.2/64, a 3/48, c 0/0, ");
    expect(scorer, ids, 40, "a 2/32, b 1.6/32, c 0/0, ");
    expect(scorer, ids + 1, 60, "a 0/0, b 0/0, c 0/0, ");
    tell(scorer, "c", TOKFS_KV_STORED, TOKFS_TIER_DISK, ids, 0, 1);
    expect(scorer, ids, N_TOKENS, "c 5.25/96, b 3.2/64, a 3/48, ");
    tell(scorer, "c", TOKFS_KV_REMOVED, TOKFS_TIER_GPU, ids, 2, 3);
    expect(scorer, ids, N_TOKENS, "b 3.2/64, a 3/48, c 1.25/32, ");
    tokfs_scorer_clear_peer(scorer, "b");
    expect(scorer, ids, N_TOKENS, "a 3/48, c 1.25/32, b 0/0, ");
    tokfs_scorer_remove_peer(scorer, "b");
    expect(scorer, ids, N_TOKENS, "a 3/48, c 1.25/32, ");
    tell(scorer, "a", TOKFS_KV_EPOCH, TOKFS_TIER_GPU, ids, 0, 1);
    expect(scorer, ids, N_TOKENS, "c 1.25/32, a 0/0, ");
    tokfs_scorer_close(scorer);
}

static void test_score_load_and_peers_and_weights_are_options(void **state)
{
    (void)state;
    struct tokfs_scorer *scorer = open_scorer();
    struct tokfs_scores scores;
    struct tokfs_error error;
    int32_t ids[N_TOKENS];
    const double weights[] = { 1, 0.1, 0 };
    const char *const peers[] = { "b", "c", "nobody" };
    make_tokens(ids, 3);
    tell(scorer, "a", TOKFS_KV_STORED, TOKFS_TIER_GPU, ids, 0, 6);
    tell(scorer, "b", TOKFS_KV_STORED, TOKFS_TIER_GPU, ids, 0, 4);
    tell(scorer, "c", TOKFS_KV_STORED, TOKFS_TIER_CPU, ids, 0, 5);
    assert_int_equal(tokfs_scorer_set_load(scorer, "a", 3, 2), 0);
    assert_int_equal(tokfs_scorer_set_load(scorer, "x", 3, 2), -ENOENT);
    struct tokfs_score_request request = { TOKFS_SCORE_TOKENS, .ids = ids, .n_ids = N_TOKENS, .load_cost = 0.5,
                                           .weights = weights };
    assert_int_equal(tokfs_score(scorer, &request, &scores, &error), 0);
    assert_int_equal(scores.n, 3);
    assert_string_equal(scores.items[0].peer, "b");
    assert_float_equal(scores.items[0].score, 4, 1e-9);
    assert_string_equal(scores.items[1].peer, "a");
    assert_float_equal(scores.items[1].score, 3.5, 1e-9);
    assert_float_equal(scores.items[2].score, 0.5, 1e-9);
    tokfs_scores_deinit(&scores);
    request.peers = peers;
    request.n_peers = 3;
    assert_int_equal(tokfs_score(scorer, &request, &scores, &error), 0);
    assert_int_equal(scores.n, 2);
    assert_string_equal(scores.items[1].peer, "c");
    tokfs_scores_deinit(&scores);
    tokfs_scorer_close(scorer);
}

static void test_score_forms_of_one_prompt_agree(void **state)
{
    (void)state;
    static const char chat[] = "{\"model\":\"demo\",\"messages\":[{\"role\":\"user\",\"content\":\"What is the capital "
                               "of France, and how far away is it from the sea? And then, what is the capital of "
                               "France, and how far is it from the sea?\"}]}";
    static const char form[] = "{\"conversations\":[[{\"role\":\"user\",\"content\":\"What is the capital of France, "
                               "and how far away is it from the sea? And then, what is the capital of "
                               "France, and how far is it from the sea?\"}]],\"add_generation_prompt\":true}";
    struct tokfs_scorer *scorer = open_scorer();
    struct tokfs_text *text;
    struct tokfs_prompts prompts;
    struct tokfs_error error;
    struct tokfs_scores scores[4];
    uint64_t hashes[64];
    assert_int_equal(tokfs_text_open(model, "demo", &text, &error), 0);
    assert_int_equal(tokfs_text_prompts(text, TOKFS_PROMPT_CHAT, chat, strlen(chat), 0, &prompts, &error), 0);
    const struct tokfs_prompt *prompt = prompts.items;
    size_t n = tokfs_text_blocks(prompt->tokens, prompt->n_tokens, 16, prompts.salt, hashes);
    assert_in_range(n, 2, 64);
    for (size_t i = 0; i < n; i++) {
        const struct tokfs_kv_event event = {
            .kind = TOKFS_KV_SNAPSHOT_BLOCK, .hash = hashes[i], .parent = i ? hashes[i - 1] : 0, .n_tokens = 16
        };
        assert_int_equal(tokfs_scorer_apply_event(scorer, "p", "demo", TOKFS_TIER_GPU, &event, &error), 0);
    }
    assert_int_equal(tokfs_score_chat(scorer, chat, strlen(chat), &scores[0], &error), 0);
    assert_int_equal(
        tokfs_score(scorer, &(struct tokfs_score_request){ TOKFS_SCORE_TEMPLATE, .text = form, .len = strlen(form) },
                    &scores[1], &error),
        0);
    assert_int_equal(tokfs_score_tokens(scorer, NULL, prompt->tokens, prompt->n_tokens, &scores[2], &error), 0);
    assert_int_equal(
        tokfs_score_prompt(scorer, "demo", "something else entirely, that nobody has", 40, &scores[3], &error), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(scores[i].n, 1);
        assert_float_equal(scores[i].items[0].score, n, 1e-9);
        assert_int_equal(scores[i].n_tokens, prompt->n_tokens);
    }
    assert_string_equal(scores[0].rendered, prompt->rendered);
    assert_string_equal(scores[1].rendered, prompt->rendered);
    assert_null(scores[2].rendered);
    assert_float_equal(scores[3].items[0].score, 0, 1e-9);
    for (size_t i = 0; i < 4; i++) {
        tokfs_scores_deinit(&scores[i]);
    }
    tokfs_prompts_deinit(&prompts);
    tokfs_text_close(text);
    tokfs_scorer_close(scorer);
}

static void test_score_what_cannot_be_scored_is_refused(void **state)
{
    (void)state;
    static const char other[] = "{\"model\":\"other\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}";
    static const char bad[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"chat_template\":\"{% if %}\"}";
    struct tokfs_scorer *scorer = open_scorer(), *unused;
    struct tokfs_scores scores;
    struct tokfs_error error = { 0 };
    assert_int_equal(tokfs_score_prompt(scorer, "other", "a", 1, &scores, &error), -ENOENT);
    assert_string_equal(error.param, "model");
    assert_non_null(strstr(error.msg, "'demo'"));
    assert_int_equal(tokfs_score_chat(scorer, other, strlen(other), &scores, &error), -ENOENT);
    assert_int_equal(tokfs_score_chat(scorer, bad, strlen(bad), &scores, &error), -EINVAL);
    assert_string_equal(error.param, "chat_template");
    assert_int_equal(tokfs_score_chat(scorer, "{", 1, &scores, &error), -EINVAL);
    assert_int_equal(tokfs_scorer_open(1000, &unused, &error), -EINVAL);
    tokfs_scorer_close(scorer);
    scorer = open_scorer(); // a model that nobody has told of
    assert_int_equal(tokfs_score_prompt(scorer, "demo", "a", 1, &scores, &error), 0);
    assert_int_equal(scores.n, 0);
    tokfs_scores_deinit(&scores);
    tokfs_scorer_close(scorer);
    assert_int_equal(tokfs_scorer_open(0, &scorer, &error), 0);
    assert_int_equal(tokfs_score_prompt(scorer, NULL, "a", 1, &scores, &error), -EINVAL);
    tokfs_scorer_close(scorer);
}

// ---- engines with names of their own -------------------------------------------------------------------------------

// Blocks [from, to) of a timeline, by names that have nothing to do with ours.
static void tell_foreign(struct tokfs_scorer *scorer, const char *peer, uint64_t salt, const int32_t *ids, size_t from,
                         size_t to, enum kv_message_kind kind)
{
    uint64_t hashes[16];
    struct tokfs_error error;
    struct strbuf bytes;
    for (size_t i = from; i < to; i++) {
        hashes[i - from] = (i + 1) * UINT64_C(0xabcdef123456789) ^ salt;
    }
    struct kv_message message = { .kind = kind,
                                  .n_blocks = to - from,
                                  .hashes = hashes,
                                  .has_parent = from > 0,
                                  .parent = from * UINT64_C(0xabcdef123456789) ^ salt,
                                  .block_size = 16,
                                  .tokens = (const uint32_t *)ids + 16 * from,
                                  .medium = STR("gpu") };
    const struct kv_batch batch = { .rank = -1, .n_messages = 1, .messages = &message };
    strbuf_init(&bytes, 0);
    kv_batch_encode(&batch, &(struct kv_encoding){ .has_tokens = true }, &bytes);
    assert_int_equal(tokfs_scorer_apply_batch(scorer, peer, "demo", bytes.ptr, bytes.len, &error), 0);
    strbuf_deinit(&bytes);
}

static void test_score_other_engines_blocks_get_our_names(void **state)
{
    (void)state;
    struct tokfs_scorer *scorer = open_scorer();
    int32_t ids[N_TOKENS];
    make_tokens(ids, 3);
    tell_foreign(scorer, "v", 77, ids, 0, 2, KV_MESSAGE_STORED);
    tell_foreign(scorer, "v", 77, ids, 2, 5, KV_MESSAGE_STORED);
    tell_foreign(scorer, "w", 78, ids, 0, 3, KV_MESSAGE_STORED); // another seed
    tell(scorer, "t", TOKFS_KV_STORED, TOKFS_TIER_GPU, ids, 0, 4);
    expect(scorer, ids, N_TOKENS, "v 5/80, t 4/64, w 3/48, ");
    tell_foreign(scorer, "v", 77, ids, 2, 5, KV_MESSAGE_STORED); // second copies
    tell_foreign(scorer, "v", 77, ids, 3, 5, KV_MESSAGE_REMOVED);
    expect(scorer, ids, N_TOKENS, "v 5/80, t 4/64, w 3/48, ");
    tell_foreign(scorer, "v", 77, ids, 3, 5, KV_MESSAGE_REMOVED);
    tell_foreign(scorer, "v", 77, ids, 3, 5, KV_MESSAGE_REMOVED); // once too often
    expect(scorer, ids, N_TOKENS, "t 4/64, v 3/48, w 3/48, ");
    tell_foreign(scorer, "v", 77, ids, 4, 5, KV_MESSAGE_STORED); // its parent has gone
    expect(scorer, ids, N_TOKENS, "t 4/64, v 3/48, w 3/48, ");
    tell_foreign(scorer, "w", 78, ids, 0, 1, KV_MESSAGE_CLEARED);
    expect(scorer, ids, N_TOKENS, "t 4/64, v 3/48, w 0/0, ");
    tokfs_scorer_close(scorer);
}

// vLLM's blocks of prompts with a cache_salt are found by requests with the same one, and by no others.
static void test_score_salted_blocks_of_other_engines_match_the_salt(void **state)
{
    (void)state;
    static const char *const bodies[] = { "", ",\"cache_salt\":\"pepper\"", ",\"cache_salt\":\"salt\"" };
    static const double wanted[] = { 0, 3, 0 };
    struct tokfs_scorer *scorer = open_scorer();
    struct tokfs_error error;
    uint64_t hashes[3] = { 101, 102, 103 }, extras[3] = { tokfs_text_salt("pepper", 6), 0, 0 };
    int32_t ids[N_TOKENS];
    struct strbuf bytes;
    make_tokens(ids, 5);
    struct kv_message message = { .kind = KV_MESSAGE_STORED,
                                  .n_blocks = 3,
                                  .hashes = hashes,
                                  .block_size = 16,
                                  .tokens = (const uint32_t *)ids,
                                  .extras = extras,
                                  .medium = STR("gpu") };
    strbuf_init(&bytes, 0);
    kv_batch_encode(&(struct kv_batch){ .rank = -1, .n_messages = 1, .messages = &message },
                    &(struct kv_encoding){ .has_tokens = true }, &bytes);
    assert_int_equal(tokfs_scorer_apply_batch(scorer, "v", "demo", bytes.ptr, bytes.len, &error), 0);
    for (size_t i = 0; i < 3; i++) {
        struct tokfs_scores scores;
        strbuf_reset(&bytes);
        strbuf_append(&bytes, STR("{\"prompt\":["));
        for (size_t k = 0; k < N_TOKENS; k++) {
            strbuf_printf(&bytes, "%s%d", k > 0 ? "," : "", ids[k]);
        }
        strbuf_printf(&bytes, "]%s}", bodies[i]);
        const struct tokfs_score_request request = { TOKFS_SCORE_COMPLETION, .text = bytes.ptr, .len = bytes.len };
        assert_int_equal(tokfs_score(scorer, &request, &scores, &error), 0);
        assert_int_equal(scores.n, 1);
        assert_float_equal(scores.items[0].score, wanted[i], 1e-9);
        tokfs_scores_deinit(&scores);
    }
    strbuf_deinit(&bytes);
    tokfs_scorer_close(scorer);
}

static void test_score_batch_that_makes_no_sense_is_refused(void **state)
{
    (void)state;
    struct tokfs_scorer *scorer = open_scorer();
    struct tokfs_error error;
    assert_int_equal(tokfs_scorer_apply_batch(scorer, "v", "demo", "\x01\x02", 2, &error), -EINVAL);
    assert_true(error.msg[0]);
    tokfs_scorer_close(scorer);
}

// ---- more than one block size --------------------------------------------------------------------------------------

static void test_score_peers_with_other_blocks_are_compared_by_tokens(void **state)
{
    (void)state;
    struct scorer *scorer;
    struct score_source *small, *large;
    struct score_sizes sizes;
    struct score_keys keys;
    const struct score_row *rows;
    struct err err;
    int32_t ids[N_TOKENS];
    uint64_t hashes[N_TOKENS], salt = tokfs_text_salt("", 0);
    make_tokens(ids, 3);
    assert_int_equal(scorer_new(0, &scorer), 0);
    assert_int_equal(scorer_add_peer(scorer, STR("small")), 0);
    assert_int_equal(scorer_add_peer(scorer, STR("large")), 1);
    assert_int_equal(scorer_add_source(scorer, 0, STR("m"), &small), 0);
    assert_int_equal(scorer_add_source(scorer, 1, STR("m"), &large), 0);
    const uint32_t block_tokens[] = { 16, 32 };
    for (unsigned i = 0; i < 2; i++) {
        size_t n = tokfs_text_blocks(ids, N_TOKENS, block_tokens[i], salt, hashes);
        const struct kv_message message = { .kind = KV_MESSAGE_STORED,
                                            .n_blocks = i == 0 ? 5 : n,
                                            .hashes = hashes,
                                            .block_size = block_tokens[i],
                                            .tokens = (const uint32_t *)ids };
        assert_int_equal(score_source_apply(i == 0 ? small : large, &message, &err), 0);
        assert_int_equal(score_source_apply(i == 0 ? small : large, &message, &err), 0); // again: no difference
    }
    const struct tokfs_prompt prompt = { ids, N_TOKENS, NULL, 0 };
    const struct tokfs_prompts prompts = { .items = &prompt, .n = 1, .salt = salt };
    scorer_sizes(scorer, STR("m"), &sizes);
    assert_int_equal(sizes.n, 2);
    assert_int_equal(score_keys_make(&prompts, &sizes, &keys), 0);
    assert_int_equal(scorer_rank(scorer, STR("m"), &keys, &(struct score_options){ 0 }, &rows), 2);
    assert_int_equal(rows[0].peer, 1);
    assert_float_equal(rows[0].score, 6, 1e-9); // three blocks of 32
    assert_float_equal(rows[1].score, 5, 1e-9);
    const struct kv_message changed = {
        .kind = KV_MESSAGE_STORED, .n_blocks = 1, .hashes = hashes, .block_size = 64, .medium = STR("gpu")
    };
    assert_int_equal(score_source_apply(small, &changed, &err), -EINVAL); // and it is cleared
    assert_int_equal(scorer_rank(scorer, STR("m"), &keys, &(struct score_options){ 0 }, &rows), 2);
    assert_float_equal(rows[1].score, 0, 1e-9);
    assert_int_equal(scorer_rank(scorer, STR("other"), &keys, &(struct score_options){ 0 }, &rows), 0);
    score_keys_deinit(&keys);
    scorer_free(scorer);
}

static int tell_size(struct scorer *scorer, unsigned peer, uint32_t block_tokens, struct err *err)
{
    struct score_source *source = scorer_find_source(scorer, peer, STR("m"));
    int32_t ids[64] = { 1 };
    uint64_t hash, salt = tokfs_text_salt("", 0);
    tokfs_text_blocks(ids, block_tokens, block_tokens, salt, &hash);
    const struct kv_message message = { .kind = KV_MESSAGE_STORED,
                                        .n_blocks = 1,
                                        .hashes = &hash,
                                        .block_size = block_tokens,
                                        .tokens = (const uint32_t *)ids };
    return score_source_apply(source, &message, err);
}

static void test_score_sizes_of_blocks_are_all_looked_at_or_refused(void **state)
{
    (void)state;
    struct scorer *scorer;
    struct score_source *source;
    struct score_sizes sizes;
    struct score_keys keys;
    const struct score_row *rows;
    struct err err = { 0 };
    const int32_t ids[64] = { 1 };
    assert_int_equal(scorer_new(0, &scorer), 0);
    for (unsigned i = 0; i <= SCORE_BLOCK_SIZES_MAX; i++) {
        char name[8];
        snprintf(name, sizeof(name), "p%u", i);
        assert_int_equal(scorer_add_peer(scorer, str_from(name)), i);
        assert_int_equal(scorer_add_source(scorer, i, STR("m"), &source), 0);
        assert_int_equal(tell_size(scorer, i, 8 + i, &err), i < SCORE_BLOCK_SIZES_MAX ? 0 : -E2BIG);
    }
    assert_non_null(strstr(err.msg, "24 tokens"));
    scorer_sizes(scorer, STR("m"), &sizes);
    assert_int_equal(sizes.n, SCORE_BLOCK_SIZES_MAX);
    score_sizes_add(&sizes, 16); // is there
    assert_int_equal(sizes.n, SCORE_BLOCK_SIZES_MAX);
    const struct tokfs_prompt prompt = { ids, 64, NULL, 0 };
    const struct tokfs_prompts prompts = { .items = &prompt, .n = 1, .salt = tokfs_text_salt("", 0) };
    assert_int_equal(score_keys_make(&prompts, &sizes, &keys), 0);
    size_t n = scorer_rank(scorer, STR("m"), &keys, &(struct score_options){ 0 }, &rows);
    assert_int_equal(n, SCORE_BLOCK_SIZES_MAX + 1);
    for (unsigned i = 0; i < n; i++) { // the larger the block the better
        assert_float_equal(rows[i].n_cached_tokens, i < SCORE_BLOCK_SIZES_MAX ? (float)(23 - i) : 0, 1e-9);
    }
    score_source_clear(scorer_find_source(scorer, 3, STR("m"))); // makes room
    assert_int_equal(tell_size(scorer, SCORE_BLOCK_SIZES_MAX, 24, &err), 0);
    score_keys_deinit(&keys);
    scorer_free(scorer);
}

// Where users have caches of their own a block has another name for each of them.
static void test_score_caches_of_users_are_found_by_their_scopes(void **state)
{
    (void)state;
    struct tokfs_scorer *scorer = open_scorer();
    struct tokfs_scores scores;
    struct tokfs_error error;
    struct tokfs_text *text;
    struct tokfs_prompts prompts;
    static const char body[] =
        "{\"prompt\":\"The quick brown fox jumps over the lazy dog, twice a day. The slow one does "
        "not; it sleeps and dreams of it.\"}";
    const uint64_t scopes[] = { 1001, 1002 };
    uint64_t hashes[64], salt;
    assert_int_equal(tokfs_text_open(model, "demo", &text, &error), 0);
    assert_int_equal(tokfs_text_prompts(text, TOKFS_PROMPT_COMPLETION, body, sizeof(body) - 1, 1001, &prompts, &error),
                     0);
    assert_int_equal(tokfs_prompts_salt(&prompts, 1001, &salt), 0);
    assert_true(salt == prompts.salt);
    assert_int_equal(tokfs_prompts_salt(&prompts, 0, &salt), 0);
    assert_true(salt == tokfs_text_salt("", 0));
    size_t n = tokfs_text_blocks(prompts.items[0].tokens, prompts.items[0].n_tokens, 16, prompts.salt, hashes);
    assert_in_range(n, 1, 64);
    for (size_t i = 0; i < n; i++) {
        const struct tokfs_kv_event event = { .kind = TOKFS_KV_STORED,
                                              .hash = hashes[i],
                                              .parent = i > 0 ? hashes[i - 1] : prompts.salt,
                                              .is_first = i == 0,
                                              .tokens = prompts.items[0].tokens + 16 * i,
                                              .n_tokens = 16 };
        assert_int_equal(tokfs_scorer_apply_event(scorer, "a", "demo", TOKFS_TIER_GPU, &event, &error), 0);
    }
    struct tokfs_score_request request = { TOKFS_SCORE_COMPLETION, .text = body, .len = sizeof(body) - 1 };
    for (size_t n_scopes = 0; n_scopes <= 2; n_scopes++) {
        request.cache_scopes = scopes;
        request.n_cache_scopes = n_scopes;
        assert_int_equal(tokfs_score(scorer, &request, &scores, &error), 0);
        assert_float_equal(scores.items[0].score, n_scopes > 0 ? (float)n : 0, 1e-9);
        assert_float_equal(scores.items[0].cached_tokens, n_scopes > 0 ? (float)(16 * n) : 0, 1e-9);
        tokfs_scores_deinit(&scores);
    }
    tokfs_prompts_deinit(&prompts);
    tokfs_text_close(text);
    tokfs_scorer_close(scorer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_score_is_the_longest_prefix_by_weight_of_tiers),
        cmocka_unit_test(test_score_load_and_peers_and_weights_are_options),
        cmocka_unit_test(test_score_forms_of_one_prompt_agree),
        cmocka_unit_test(test_score_what_cannot_be_scored_is_refused),
        cmocka_unit_test(test_score_other_engines_blocks_get_our_names),
        cmocka_unit_test(test_score_salted_blocks_of_other_engines_match_the_salt),
        cmocka_unit_test(test_score_batch_that_makes_no_sense_is_refused),
        cmocka_unit_test(test_score_peers_with_other_blocks_are_compared_by_tokens),
        cmocka_unit_test(test_score_sizes_of_blocks_are_all_looked_at_or_refused),
        cmocka_unit_test(test_score_caches_of_users_are_found_by_their_scopes),
    };
    snprintf(model, sizeof(model), "%s/tools/demo/model", test_source_root());
    return cmocka_run_group_tests(tests, NULL, NULL);
}
