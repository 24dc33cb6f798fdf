// Batches of events: what other engines write is read, what is written is read back and is byte for byte vLLM's form,
// and what makes no sense is named. The bytes of strangers come from Python's msgpack.
#include "tests/unit.h"
#include "tools/kv/kv_message.h"
#include <errno.h>
#include <string.h>
#include <tokfs/text.h>

struct bench {
    struct arena arena;
    struct err err;
};

static int setup(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));
    arena_init(&b->arena, 0);
    *state = b;
    return b ? 0 : -1;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    arena_deinit(&b->arena);
    free(b);
    return 0;
}

#define HASH_A "\xcf\x12\x34\x56\x78\x9a\xbc\xde\xf0"
#define HASH_1 "\xcf\0\0\0\0\0\0\0\1"
#define TIME   "\xcb\x3f\xf8\0\0\0\0\0\0" // 1.5

static const uint64_t two_hashes[] = { 0x123456789abcdef0, 1 };
static const uint32_t four_tokens[] = { 1, 300, 70000, 127 };
static const uint64_t salted[] = { 0xfeed, 0 };

static void test_batch_written_is_vllms_form(void **state)
{
    struct kv_message messages[] = {
        { .kind = KV_MESSAGE_STORED,
          .n_blocks = 2,
          .hashes = two_hashes,
          .block_size = 2,
          .tokens = four_tokens,
          .medium = STR("gpu") },
        { .kind = KV_MESSAGE_REMOVED, .n_blocks = 1, .hashes = two_hashes, .medium = STR("gpu") },
        { .kind = KV_MESSAGE_CLEARED },
    };
    struct kv_batch batch = { .time_s = 1.5, .rank = -1, .n_messages = 3, .messages = messages };
    struct str wanted = STR("\x93" TIME "\x93"
                            "\x98\xab"
                            "BlockStored"
                            "\x92" HASH_A HASH_1 "\xc0"
                            "\x94\x01\xcd\x01\x2c\xce\0\1\x11\x70\x7f"
                            "\x02\xc0\xa3"
                            "gpu"
                            "\xc0"
                            "\x93\xac"
                            "BlockRemoved"
                            "\x91" HASH_A "\xa3"
                            "gpu"
                            "\x91\xb0"
                            "AllBlocksCleared"
                            "\xc0");
    struct strbuf out;
    (void)state;
    strbuf_init(&out, 0);
    kv_batch_encode(&batch, &(struct kv_encoding){ .has_tokens = true }, &out);
    assert_int_equal(out.len, wanted.len);
    assert_memory_equal(out.ptr, wanted.ptr, wanted.len);
    strbuf_deinit(&out);
}

static void check_same(const struct kv_message *a, const struct kv_message *b, bool has_tokens)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->n_blocks, b->n_blocks);
    if (a->n_blocks > 0) {
        assert_memory_equal(a->hashes, b->hashes, a->n_blocks * sizeof(*a->hashes));
    }
    assert_true(str_eq(a->medium, b->medium) && str_eq(a->lora_name, b->lora_name));
    assert_true(a->has_parent == b->has_parent && a->parent == b->parent && a->block_size == b->block_size);
    assert_true((has_tokens && a->tokens) == (b->tokens != NULL) && !a->extras == !b->extras);
    if (b->tokens) {
        assert_memory_equal(a->tokens, b->tokens, a->n_blocks * a->block_size * sizeof(*a->tokens));
    }
    if (a->extras) {
        assert_memory_equal(a->extras, b->extras, a->n_blocks * sizeof(*a->extras));
    }
}

static void test_batch_written_is_read_back(void **state)
{
    struct bench *b = *state;
    struct kv_message messages[] = {
        { .kind = KV_MESSAGE_STORED,
          .n_blocks = 2,
          .hashes = two_hashes,
          .has_parent = true,
          .parent = 7,
          .block_size = 2,
          .tokens = four_tokens,
          .medium = STR("cpu"),
          .lora_name = STR("style") },
        { .kind = KV_MESSAGE_STORED,
          .n_blocks = 2,
          .hashes = two_hashes,
          .block_size = 2,
          .tokens = four_tokens,
          .extras = salted },
        { .kind = KV_MESSAGE_REMOVED, .n_blocks = 2, .hashes = two_hashes, .medium = STR("gpu") },
        { .kind = KV_MESSAGE_CLEARED },
    };
    struct kv_batch batch = { .time_s = 1.5, .rank = 3, .n_messages = 4, .messages = messages }, back;
    for (unsigned form = 0; form < 4; form++) {
        struct kv_encoding encoding = { .as_maps = form & 1, .has_tokens = form & 2 };
        struct strbuf out;
        strbuf_init(&out, 0);
        kv_batch_encode(&batch, &encoding, &out);
        assert_int_equal(out.error, 0);
        assert_int_equal(kv_batch_decode(&b->arena, strbuf_str(&out), &back, &b->err), 0);
        assert_true(back.time_s == 1.5 && back.rank == 3 && back.n_messages == 4);
        for (size_t i = 0; i < 4; i++) {
            check_same(&messages[i], &back.messages[i], encoding.has_tokens);
        }
        strbuf_deinit(&out);
    }
}

// What vLLM's newer versions add, and hashes in every form that is seen.
static void test_batch_of_strangers_is_read(void **state)
{
    struct bench *b = *state;
    struct kv_batch batch;
    struct str map = STR("\x83\xa2"
                         "ts" TIME "\xa6"
                         "events"
                         "\x91\x8a\xa4"
                         "type"
                         "\xab"
                         "BlockStored"
                         "\xac"
                         "block_hashes"
                         "\x93\x05\xd0\xff\xc4\x0a"
                         "\1\2\0\0\0\0\0\0\1\0"
                         "\xb1"
                         "parent_block_hash"
                         "\x00"
                         "\xa9"
                         "token_ids"
                         "\x93\1\2\3"
                         "\xaa"
                         "block_size"
                         "\1"
                         "\xa7"
                         "lora_id"
                         "\2"
                         "\xa6"
                         "medium"
                         "\xa3"
                         "GPU"
                         "\xa9"
                         "group_idx"
                         "\0"
                         "\xa6"
                         "future"
                         "\x81\xa1"
                         "x"
                         "\x91\xc3"
                         "\xaa"
                         "extra_keys"
                         "\x93\xc0\x91\x92\xa5"
                         "image"
                         "\0\xc0"
                         "\xb2"
                         "data_parallel_rank"
                         "\2");
    assert_int_equal(kv_batch_decode(&b->arena, map, &batch, &b->err), 0);
    const struct kv_message *m = &batch.messages[0];
    assert_true(batch.rank == 2 && batch.n_messages == 1 && m->n_blocks == 3);
    assert_true(m->hashes[0] == 5 && m->hashes[1] == UINT64_MAX && m->hashes[2] == 0x100);
    assert_true(!m->has_parent && m->block_size == 1 && m->tokens[2] == 3 && str_eq(m->medium, STR("gpu")));
    assert_true(m->extras[0] == 0 && m->extras[1] != 0 && m->extras[2] == 0);

    struct str array = STR("\x92" TIME "\x91\x9c\xab"
                           "BlockStored"
                           "\x91" HASH_1 HASH_A "\x92\1\2\2\xc0\xc0\xc0\xc0\0\1\2");
    assert_int_equal(kv_batch_decode(&b->arena, array, &batch, &b->err), 0);
    m = &batch.messages[0];
    assert_true(batch.rank == -1 && m->has_parent && m->parent == two_hashes[0] && m->medium.len == 0 && !m->extras);
}

// vLLM tells a cache_salt as it is, tokfs by its hash.
static void test_batch_salt_of_vllm_is_named_as_ours(void **state)
{
    struct bench *b = *state;
    struct kv_batch batch;
    struct str array = STR("\x92" TIME "\x91\x99\xab"
                           "BlockStored"
                           "\x92" HASH_1 HASH_A "\xc0\x92\1\2\1\xc0\xc0\xc0\x92\x91\xa6"
                           "pepper"
                           "\xc0");
    assert_int_equal(kv_batch_decode(&b->arena, array, &batch, &b->err), 0);
    assert_true(batch.messages[0].extras[0] == tokfs_text_salt("pepper", 6) && batch.messages[0].extras[1] == 0);
}

static void test_batch_of_nonsense_is_named(void **state)
{
#define STORED                                                                                                         \
    "\x93" TIME "\x91\x98\xab"                                                                                         \
    "BlockStored"
    static const struct {
        struct str bytes;
        const char *wanted;
    } cases[] = {
        { STR(""), "ends" },
        { STR("\x93"), "ends" },
        { STR("\xdd\xff\xff\xff\xff"), "ends" },
        { STR("\xdf\xff\xff\xff\xff\1"), "ends" },
        { STR("\xc6\xff\xff\xff\xff\1"), "ends" },
        { STR("\xc1"), "ends" },
        { STR("\x01\x01"), "after the end" },
        { STR("\x01"), "array or a map" },
        { STR("\x93\xa1t\x90\xc0"), "ts" },
        { STR("\x93" TIME "\x01\xc0"), "events" },
        { STR("\x93" TIME "\x90\xa1x"), "data_parallel_rank" },
        { STR("\x93" TIME "\x91\x01\xc0"), "events[0]" },
        { STR("\x93" TIME "\x91\x91\xa4"
              "Gone"
              "\xc0"),
          "\"Gone\"" },
        { STR("\x93" TIME "\x91\x90\xc0"), "type of event" },
        { STR(STORED "\1\xc0\x90\x02\xc0\xc0\xc0\xc0"), "block_hashes" },
        { STR(STORED "\x91\xa1x\xc0\x90\x02\xc0\xc0\xc0\xc0"), "block_hashes" },
        { STR(STORED "\x91\xc4\0\xc0\x90\x02\xc0\xc0\xc0\xc0"), "block_hashes" },
        { STR(STORED "\x91\1\xa1x\x90\x02\xc0\xc0\xc0\xc0"), "parent_block_hash" },
        { STR(STORED "\x91\1\xc0\x91\1\x02\xc0\xc0\xc0\xc0"), "1 ids for 1 blocks of 2" },
        { STR(STORED "\x91\1\xc0\x91\xff\x01\xc0\xc0\xc0\xc0"), "token_ids" },
        { STR(STORED "\x91\1\xc0\x90\0\xc0\xc0\xc0\xc0"), "block_size" },
        { STR(STORED "\x91\1\xc0\x90\xce\xff\xff\xff\xff\xc0\xc0\xc0\xc0"), "block_size" },
        { STR(STORED "\x91\1\xc0\x90\2\xc0\1\xc0\xc0"), "medium" },
        { STR(STORED "\x91\1\xc0\x90\2\xc0\xc0\1\xc0"), "lora_name" },
        { STR("\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91"
              "\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91"
              "\x90"),
          "deeply" },
    };
    struct bench *b = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct kv_batch batch;
        b->err = (struct err){ 0 };
        assert_int_equal(kv_batch_decode(&b->arena, cases[i].bytes, &batch, &b->err), -EINVAL);
        if (!strstr(b->err.msg, cases[i].wanted)) {
            fail_msg("case %zu: %s", i, b->err.msg);
        }
    }
}

static void test_batch_beyond_the_arena_is_refused(void **state)
{
    struct bench *b = *state;
    struct arena small;
    struct kv_batch batch;
    struct str bytes = STR("\x93" TIME "\x91\x92\xac"
                           "BlockRemoved"
                           "\x98\1\2\3\4\5\6\7\x08\xc0");
    arena_init(&small, 64);
    assert_int_equal(kv_batch_decode(&small, bytes, &batch, &b->err), -ENOMEM);
    assert_int_equal(kv_batch_decode(&b->arena, bytes, &batch, &b->err), 0);
    arena_deinit(&small);
}

static void test_entry_and_topic_are_read(void **state)
{
    struct bench *b = *state;
    const struct str fields[] = { STR("seq"),     STR("12"),
                                  STR("new"),     STR("?"),
                                  STR("epoch"),   STR("1700000000000"),
                                  STR("payload"), STR("\x93" TIME "\x90\xc0") };
    struct kv_entry entry;
    assert_int_equal(kv_entry_decode(&b->arena, fields, 8, &entry, &b->err), 0);
    assert_true(entry.epoch == 1700000000000 && entry.seq == 12 && entry.batch.n_messages == 0);
    assert_int_equal(kv_entry_decode(&b->arena, fields, 6, &entry, &b->err), -EINVAL);
    assert_non_null(strstr(b->err.msg, "payload"));
    const struct str bad[] = { STR("seq"), STR("-1"), STR("epoch"), STR("2"), STR("payload"), STR("") };
    assert_int_equal(kv_entry_decode(&b->arena, bad, 6, &entry, &b->err), -EINVAL);
    assert_non_null(strstr(b->err.msg, "seq \"-1\""));

    struct str address, model;
    assert_int_equal(kv_topic_parse(STR("kv@10.0.0.1:8000@org/model"), &address, &model, &b->err), 0);
    assert_true(str_eq(address, STR("10.0.0.1:8000")) && str_eq(model, STR("org/model")));
    const struct str none[] = { STR(""), STR("kv@a"), STR("kv@a@"), STR("kv@@m"), STR("kv@a@b@c"), STR("kx@a@b") };
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        assert_int_equal(kv_topic_parse(none[i], &address, &model, &b->err), -EINVAL);
    }
}

static void test_lines_of_a_mount_are_read(void **state)
{
    struct bench *b = *state;
    struct kv_line line;
    struct str stored =
        STR("{\"seq\":5,\"epoch\":9,\"type\":\"stored\",\"tier\":\"cpu\",\"block_size\":2,\"blocks\":["
            "{\"hash\":\"00000000000000aa\",\"parent\":null,\"salt\":\"000000000000feed\",\"tokens\":[1,2]},"
            "{\"hash\":\"00000000000000ab\",\"parent\":\"00000000000000aa\",\"tokens\":[3,4]},"
            "{\"hash\":\"00000000000000ac\",\"parent\":\"00000000000000aa\",\"tokens\":[5,6]}]}\n");
    assert_int_equal(kv_line_decode(&b->arena, stored, &line, &b->err), 0);
    assert_true(line.kind == KV_LINE_STORED && line.seq == 5 && line.epoch == 9 && line.n_messages == 2);
    const struct kv_message *m = line.messages;
    assert_true(m[0].n_blocks == 2 && !m[0].has_parent && m[0].extras[0] == 0xfeed && m[0].extras[1] == 0);
    assert_true(m[1].n_blocks == 1 && m[1].has_parent && m[1].parent == 0xaa && m[1].hashes[0] == 0xac && !m[1].extras);
    assert_true(m[0].tokens[3] == 4 && m[1].tokens[0] == 5 && str_eq(m[1].medium, STR("cpu")));

    assert_int_equal(kv_line_decode(&b->arena,
                                    STR("{\"seq\":6,\"epoch\":9,\"type\":\"removed\",\"tier\":\"cpu\",\"blocks\":["
                                        "\"00000000000000ac\",\"00000000000000ab\"]}"),
                                    &line, &b->err),
                     0);
    assert_true(line.kind == KV_LINE_REMOVED && line.messages[0].n_blocks == 2 && line.messages[0].hashes[1] == 0xab);
    assert_int_equal(kv_line_decode(&b->arena, STR("{\"seq\":6,\"epoch\":9,\"type\":\"lost\"}"), &line, &b->err), 0);
    assert_int_equal(line.kind, KV_LINE_LOST);
    assert_int_equal(
        kv_line_decode(&b->arena, STR("{\"seq\":6,\"epoch\":9,\"type\":\"end\",\"blocks\":3}"), &line, &b->err), 0);
    assert_true(line.kind == KV_LINE_END && line.n_blocks == 3);
}

static void test_lines_of_nonsense_are_named(void **state)
{
#define HEAD "{\"seq\":5,\"epoch\":9,\"type\":\"stored\",\"block_size\":2,\"blocks\":["
    static const struct {
        struct str line;
        const char *wanted;
    } cases[] = {
        { STR("{"), "line 1" },
        { STR("[]"), "object" },
        { STR("{\"seq\":1,\"epoch\":1,\"type\":\"moved\"}"), "moved" },
        { STR("{\"seq\":-1,\"epoch\":1,\"type\":\"lost\"}"), "seq" },
        { STR("{\"seq\":1,\"type\":\"lost\"}"), "epoch" },
        { STR("{\"seq\":1,\"epoch\":1,\"type\":\"stored\",\"block_size\":0}"), "block_size" },
        { STR("{\"seq\":1,\"epoch\":1,\"type\":\"stored\",\"block_size\":1}"), "blocks" },
        { STR(HEAD "{\"hash\":\"aa\",\"parent\":null,\"tokens\":[1,2]}]}"), "hexadecimal" },
        { STR(HEAD "7]}"), "hexadecimal" },
        { STR(HEAD "{\"hash\":\"00000000000000aa\",\"parent\":null,\"tokens\":[1]}]}"), "2 ids" },
        { STR(HEAD "{\"hash\":\"00000000000000aa\",\"parent\":null,\"tokens\":[1,-1]}]}"), "tokens[1]" },
        { STR("{\"seq\":1,\"epoch\":1,\"type\":\"removed\",\"blocks\":[1]}"), "blocks[0]" },
        { STR("{\"seq\":1,\"epoch\":1,\"type\":\"end\"}"), "blocks" },
    };
    struct bench *b = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct kv_line line;
        b->err = (struct err){ 0 };
        assert_int_equal(kv_line_decode(&b->arena, cases[i].line, &line, &b->err), -EINVAL);
        if (!strstr(b->err.msg, cases[i].wanted)) {
            fail_msg("case %zu: %s", i, b->err.msg);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batch_written_is_vllms_form),
        cmocka_unit_test_setup_teardown(test_batch_written_is_read_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_batch_of_strangers_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_batch_salt_of_vllm_is_named_as_ours, setup, teardown),
        cmocka_unit_test_setup_teardown(test_batch_of_nonsense_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(test_batch_beyond_the_arena_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_entry_and_topic_are_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lines_of_a_mount_are_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lines_of_nonsense_are_named, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
