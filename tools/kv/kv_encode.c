// vLLM's event batches, written. Fields that have a default and come last are left out, as vLLM leaves them out;
// group_idx is never told.
#include "tools/kv/kv_message.h"
#include <msgpack.h>
#include <stdio.h>
#include <string.h>

struct encoder {
    msgpack_packer packer;
    const struct kv_encoding *encoding;
};

static int append(void *data, const char *bytes, size_t n)
{
    return strbuf_append(data, (struct str){ bytes, n });
}

static void put_text(struct encoder *e, struct str text)
{
    msgpack_pack_str(&e->packer, text.len);
    msgpack_pack_str_body(&e->packer, text.ptr, text.len);
}

// Texts that are not told are nil.
static void put_text_or_nil(struct encoder *e, struct str text)
{
    if (text.len > 0) {
        put_text(e, text);
    } else {
        msgpack_pack_nil(&e->packer);
    }
}

// The name of what follows, in a map.
static void put_name(struct encoder *e, const char *name)
{
    if (e->encoding->as_maps) {
        put_text(e, str_from(name));
    }
}

static void put_event(struct encoder *e, const char *tag, size_t n_fields)
{
    if (e->encoding->as_maps) {
        msgpack_pack_map(&e->packer, n_fields + 1);
    } else {
        msgpack_pack_array(&e->packer, n_fields + 1);
    }
    put_name(e, "type");
    put_text(e, str_from(tag));
}

static void put_hashes(struct encoder *e, const struct kv_message *message)
{
    put_name(e, "block_hashes");
    msgpack_pack_array(&e->packer, message->n_blocks);
    for (size_t i = 0; i < message->n_blocks; i++) {
        msgpack_pack_fix_uint64(&e->packer, message->hashes[i]);
    }
}

static void put_tokens(struct encoder *e, const struct kv_message *message)
{
    size_t n = message->tokens && e->encoding->has_tokens ? message->n_blocks * message->block_size : 0;
    put_name(e, "token_ids");
    msgpack_pack_array(&e->packer, n);
    for (size_t i = 0; i < n; i++) {
        msgpack_pack_uint32(&e->packer, message->tokens[i]);
    }
}

static void put_extras(struct encoder *e, const struct kv_message *message)
{
    put_name(e, "extra_keys");
    msgpack_pack_array(&e->packer, message->n_blocks);
    for (size_t i = 0; i < message->n_blocks; i++) {
        char digits[17];
        if (message->extras[i] == 0) {
            msgpack_pack_nil(&e->packer);
            continue;
        }
        snprintf(digits, sizeof(digits), "%016llx", (unsigned long long)message->extras[i]);
        msgpack_pack_array(&e->packer, 1);
        put_text(e, (struct str){ digits, 16 });
    }
}

static void put_stored(struct encoder *e, const struct kv_message *message)
{
    put_event(e, "BlockStored", message->extras ? 8 : 7);
    put_hashes(e, message);
    put_name(e, "parent_block_hash");
    if (message->has_parent) {
        msgpack_pack_fix_uint64(&e->packer, message->parent);
    } else {
        msgpack_pack_nil(&e->packer);
    }
    put_tokens(e, message);
    put_name(e, "block_size");
    msgpack_pack_uint32(&e->packer, message->block_size);
    put_name(e, "lora_id");
    msgpack_pack_nil(&e->packer);
    put_name(e, "medium");
    put_text_or_nil(e, message->medium);
    put_name(e, "lora_name");
    put_text_or_nil(e, message->lora_name);
    if (message->extras) {
        put_extras(e, message);
    }
}

static void put_message(struct encoder *e, const struct kv_message *message)
{
    switch (message->kind) {
    case KV_MESSAGE_STORED: put_stored(e, message); break;
    case KV_MESSAGE_REMOVED:
        put_event(e, "BlockRemoved", 2);
        put_hashes(e, message);
        put_name(e, "medium");
        put_text_or_nil(e, message->medium);
        break;
    case KV_MESSAGE_CLEARED: put_event(e, "AllBlocksCleared", 0); break;
    }
}

void kv_batch_encode(const struct kv_batch *batch, const struct kv_encoding *encoding, struct strbuf *out)
{
    struct encoder e = { .encoding = encoding };
    msgpack_packer_init(&e.packer, out, append);
    msgpack_pack_array(&e.packer, 3);
    msgpack_pack_double(&e.packer, batch->time_s);
    msgpack_pack_array(&e.packer, batch->n_messages);
    for (size_t i = 0; i < batch->n_messages; i++) {
        put_message(&e, &batch->messages[i]);
    }
    if (batch->rank < 0) {
        msgpack_pack_nil(&e.packer);
    } else {
        msgpack_pack_int64(&e.packer, batch->rank);
    }
}
