// Properties of what tells of prefix caches, on any bytes: an error has words, nothing is read or taken beyond what the
// bytes warrant, and what was understood is understood alike after it was written in either form.
#include "tests/fuzz/fuzz.h"
#include "tools/kv/kv_message.h"
#include <assert.h>
#include <errno.h>
#include <string.h>

#define TIME "\xcb\x3f\xf8\0\0\0\0\0\0"
#define STORED                                                                                                         \
    "\xab"                                                                                                             \
    "BlockStored"

const struct str fuzz_seeds[] = {
    STR("\x93" TIME "\x93\x98" STORED "\x92\xcf\1\2\3\4\5\6\7\x08\1\xc0\x94\1\xcd\1\2\x70\x7f\2\xc0\xa3gpu\xc0"
        "\x93\xac"
        "BlockRemoved"
        "\x91\5\xa3gpu\x91\xb0"
        "AllBlocksCleared"
        "\xc0"),
    STR("\x83\xa2ts" TIME "\xa6"
        "events"
        "\x91\x88\xa4type" STORED "\xac"
        "block_hashes"
        "\x92\xd0\xff\xc4\x0a"
        "0123456789"
        "\xb1parent_block_hash\5\xa9token_ids\x92\1\2\xaa"
        "block_size"
        "\1\xa6medium\xa3GPU"
        "\xa9lora_name\xa1x\xaa"
        "extra_keys"
        "\x92\xc0\x91\x92\xa5"
        "image"
        "\0\xb2"
        "data_parallel_rank"
        "\2"),
    STR("\x92\1\x91\x99" STORED "\x91\5\0\x91\1\1\xc0\xc0\xc0\x91\x91\xb0"
        "0123456789abcdef"),
    STR("{\"seq\":5,\"epoch\":9,\"type\":\"stored\",\"tier\":\"cpu\",\"block_size\":2,\"blocks\":["
        "{\"hash\":\"00000000000000aa\",\"parent\":null,\"salt\":\"000000000000feed\",\"tokens\":[1,2]},"
        "{\"hash\":\"00000000000000ab\",\"parent\":\"00000000000000aa\",\"tokens\":[3,4]}]}\n"),
    STR("{\"seq\":6,\"epoch\":9,\"type\":\"removed\",\"tier\":\"cpu\",\"blocks\":[\"00000000000000ac\"]}"),
    STR("{\"seq\":6,\"epoch\":9,\"type\":\"end\",\"blocks\":3}"),
    STR("kv@10.0.0.1:8000@org/model"),
    { NULL, 0 },
};

const struct str fuzz_words[] = {
    STR("\x91"),
    STR("\xdc\0\x10"),
    STR("\xdd\0\0\0\1"),
    STR("\xdf\xff\xff\xff\xff"),
    STR("\xc4\4"),
    STR("\xc0"),
    STR("\xd9\3"),
    STR("\xc7\0\1"),
    STR("\xd8\1"),
    STR("\xa6medium"),
    STR("\xaa"
        "block_size"),
    STR("\xa9token_ids"),
    STR("\"tokens\":[]"),
    STR("\"salt\":"),
    STR("null"),
    STR("@"),
    STR(STORED),
    { NULL, 0 },
};

static void check_message(const struct kv_message *a, const struct kv_message *b)
{
    assert(a->kind == b->kind && a->n_blocks == b->n_blocks && a->block_size == b->block_size);
    assert(a->has_parent == b->has_parent && a->parent == b->parent);
    assert(str_eq(a->medium, b->medium) && str_eq(a->lora_name, b->lora_name));
    assert(!a->tokens == !b->tokens);
    for (size_t i = 0; i < a->n_blocks; i++) {
        assert(a->hashes[i] == b->hashes[i]);
        assert((a->extras ? a->extras[i] : 0) == (b->extras ? b->extras[i] : 0));
    }
    for (size_t i = 0; a->tokens && i < a->n_blocks * a->block_size; i++) {
        assert(a->tokens[i] == b->tokens[i]);
    }
}

static void check_again(const struct kv_batch *batch, bool as_maps)
{
    struct arena arena;
    struct strbuf bytes;
    struct kv_batch back;
    arena_init(&arena, 0);
    strbuf_init(&bytes, 0);
    kv_batch_encode(batch, &(struct kv_encoding){ .as_maps = as_maps, .has_tokens = true }, &bytes);
    int r = kv_batch_decode(&arena, strbuf_str(&bytes), &back, NULL);
    assert(r == 0 && back.n_messages == batch->n_messages && back.rank == batch->rank);
    for (size_t i = 0; i < batch->n_messages; i++) {
        check_message(&batch->messages[i], &back.messages[i]);
    }
    strbuf_deinit(&bytes);
    arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = { (const char *)data, size }, address, model;
    struct arena arena;
    struct err err = { 0 };
    struct kv_batch batch;
    struct kv_line line;
    arena_init(&arena, 64 * size + 64);
    int r = kv_batch_decode(&arena, bytes, &batch, &err);
    assert(r == 0 || ((r == -EINVAL || r == -ENOMEM) && err.msg[0]));
    if (r == 0) {
        check_again(&batch, false);
        check_again(&batch, true);
    }
    arena_reset(&arena);
    err = (struct err){ 0 };
    r = kv_line_decode(&arena, bytes, &line, &err);
    assert(r == 0 || ((r == -EINVAL || r == -ENOMEM) && err.msg[0]));
    if (r == 0) {
        batch = (struct kv_batch){ .rank = -1, .n_messages = line.n_messages, .messages = line.messages };
        check_again(&batch, size % 2);
    }
    (void)kv_topic_parse(bytes, &address, &model, &err);
    arena_deinit(&arena);
    return 0;
}
