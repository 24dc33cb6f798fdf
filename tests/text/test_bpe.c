// Merging against its definition, on random models: the lowest rank first, the leftmost of its places first, one merge
// after the other. Ranks are drawn at random, so that a merge may bring up a lower rank than its own, which the models
// that people train do not have.
#include "engine/text/bpe.h"
#include "tests/unit.h"

#include <stdlib.h>
#include <string.h>

#define N_TOKENS 80

static uint32_t next_random(uint32_t *state, uint32_t n)
{
    *state = *state * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)(*state >> 8) * n >> 24);
}

// Letters a to d, and tokens made of two earlier ones; their merges in an order of their own.
static void make_model(uint32_t *state, struct bpe *bpe)
{
    char tokens[N_TOKENS][64], merges[N_TOKENS][140];
    size_t n = 4, n_merges = 0;
    struct strbuf text;
    strbuf_init(&text, 0);
    strbuf_append(&text, STR("{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"c\":2,\"d\":3"));
    for (size_t i = 0; i < 4; i++) {
        snprintf(tokens[i], sizeof tokens[i], "%c", (int)('a' + i));
    }
    while (n < N_TOKENS) {
        const char *left = tokens[next_random(state, (uint32_t)n)], *right = tokens[next_random(state, (uint32_t)n)];
        bool is_new = strlen(left) + strlen(right) < sizeof tokens[0];
        char joined[128];
        snprintf(joined, sizeof joined, "%.63s%.63s", left, right);
        for (size_t i = 0; i < n && is_new; i++) {
            is_new = strcmp(tokens[i], joined) != 0;
        }
        if (is_new) {
            snprintf(merges[n_merges++], sizeof merges[0], "%s %s", left, right);
            strbuf_printf(&text, ",\"%s\":%zu", joined, n);
            snprintf(tokens[n++], sizeof tokens[0], "%.63s", joined);
        }
    }
    strbuf_append(&text, STR("},\"merges\":["));
    for (size_t i = n_merges; i > 0; i--) {
        size_t k = next_random(state, (uint32_t)i);
        strbuf_printf(&text, i == n_merges ? "\"%s\"" : ",\"%s\"", merges[k]);
        memmove(merges[k], merges[i - 1], sizeof merges[0]);
    }
    strbuf_append(&text, STR("]}"));
    struct arena arena;
    const struct json *model;
    struct err err = { 0 };
    arena_init(&arena, 0);
    assert_int_equal(json_parse(&arena, strbuf_str(&text), &model, &err), 0);
    if (bpe_init(bpe, model, false, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    arena_deinit(&arena);
    strbuf_deinit(&text);
}

static size_t merge_by_definition(const struct bpe *bpe, uint32_t *ids, size_t n)
{
    for (;;) {
        const struct bpe_merge *best = NULL;
        size_t at = 0;
        for (size_t i = 0; i + 1 < n; i++) {
            const struct bpe_merge *m = bpe_find_merge(bpe, ids[i], ids[i + 1]);
            if (m && (!best || m->rank < best->rank)) {
                best = m;
                at = i;
            }
        }
        if (!best) {
            return n;
        }
        ids[at] = best->new_id;
        memmove(ids + at + 1, ids + at + 2, (n - at - 2) * sizeof *ids);
        n--;
    }
}

static void check_text(const struct bpe *bpe, struct bpe_scratch *scratch, const char *text, size_t len)
{
    uint32_t want[2000];
    struct token_ids got = { 0 };
    struct err err = { 0 };
    for (size_t i = 0; i < len; i++) {
        want[i] = (uint32_t)(text[i] - 'a');
    }
    size_t n = merge_by_definition(bpe, want, len);
    assert_int_equal(bpe_encode(bpe, scratch, (struct str){ text, len }, &got, &err), 0);
    assert_int_equal(got.len, n);
    assert_memory_equal(got.ids, want, n * sizeof *want);
    token_ids_deinit(&got);
}

static void test_bpe_any_length_merges_by_definition(void **state)
{
    (void)state;
    uint32_t random = 1;
    for (int model = 0; model < 20; model++) {
        struct bpe bpe;
        struct bpe_scratch scratch = { 0 };
        make_model(&random, &bpe);
        for (int i = 0; i < 60; i++) {
            char text[2000];
            size_t len = 1 + next_random(&random, i < 50 ? 120 : sizeof text), n_letters = 1 + (size_t)i % 4;
            for (size_t k = 0; k < len; k++) {
                text[k] = (char)('a' + next_random(&random, (uint32_t)n_letters));
            }
            check_text(&bpe, &scratch, text, len);
        }
        bpe_scratch_deinit(&scratch);
        bpe_deinit(&bpe);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bpe_any_length_merges_by_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
