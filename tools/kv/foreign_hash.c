#include "tools/kv/foreign_hash.h"
#include <errno.h>
#include <gnutls/crypto.h>
#include <xxhash.h>

#define FNV64_OFFSET UINT64_C(0xcbf29ce484222325)
#define FNV64_PRIME  UINT64_C(0x100000001b3)

static uint64_t fnv1a64(struct str bytes)
{
    uint64_t hash = FNV64_OFFSET;
    for (size_t i = 0; i < bytes.len; i++) {
        hash = (hash ^ (uint8_t)bytes.ptr[i]) * FNV64_PRIME;
    }
    return hash;
}

// ---- CBOR ----------------------------------------------------------------------------------------------------------

enum cbor_major { CBOR_UINT = 0, CBOR_BYTES = 2, CBOR_TEXT = 3, CBOR_ARRAY = 4 };
#define CBOR_NULL 0xf6

static void append_be(struct strbuf *out, uint64_t value, unsigned n_bytes)
{
    for (unsigned i = n_bytes; i-- > 0;) {
        strbuf_append_byte(out, (char)(value >> (8 * i)));
    }
}

// The shortest form.
static void cbor_head(struct strbuf *out, enum cbor_major major, uint64_t value)
{
    unsigned top = (unsigned)major << 5;
    if (value < 24) {
        strbuf_append_byte(out, (char)(top | value));
        return;
    }
    unsigned size = value <= UINT8_MAX ? 0 : value <= UINT16_MAX ? 1 : value <= UINT32_MAX ? 2 : 3;
    strbuf_append_byte(out, (char)(top | (24 + size)));
    append_be(out, value, 1u << size);
}

static void cbor_string(struct strbuf *out, enum cbor_major major, struct str bytes)
{
    cbor_head(out, major, bytes.len);
    strbuf_append(out, bytes);
}

// The rest of [parent, tokens, extra].
static void cbor_block(struct strbuf *out, const struct block_text *block)
{
    cbor_head(out, CBOR_ARRAY, block->n_tokens);
    for (size_t i = 0; i < block->n_tokens; i++) {
        cbor_head(out, CBOR_UINT, block->tokens[i]);
    }
    if (block->n_extras == 0) {
        strbuf_append_byte(out, (char)CBOR_NULL);
        return;
    }
    cbor_head(out, CBOR_ARRAY, block->n_extras);
    for (size_t i = 0; i < block->n_extras; i++) {
        cbor_string(out, CBOR_TEXT, block->extras[i]);
    }
}

// ---- vLLM ----------------------------------------------------------------------------------------------------------

// Frees what was hashed.
static int sha256(struct strbuf *bytes, struct vllm_hash *ret)
{
    int r = bytes->error;
    if (r == 0 && gnutls_hash_fast(GNUTLS_DIG_SHA256, bytes->ptr, bytes->len, ret->bytes) < 0) {
        r = -ENOMEM; // the library has no other reason
    }
    strbuf_deinit(bytes);
    return r;
}

int vllm_hash_root(struct str seed, struct vllm_hash *ret)
{
    struct strbuf bytes;
    strbuf_init(&bytes, 0);
    cbor_string(&bytes, CBOR_TEXT, seed);
    return sha256(&bytes, ret);
}

int vllm_hash_block(const struct vllm_hash *parent, const struct block_text *block, struct vllm_hash *ret)
{
    struct strbuf bytes;
    strbuf_init(&bytes, 0);
    cbor_head(&bytes, CBOR_ARRAY, 3);
    cbor_string(&bytes, CBOR_BYTES, (struct str){ (const char *)parent->bytes, sizeof(parent->bytes) });
    cbor_block(&bytes, block);
    return sha256(&bytes, ret);
}

uint64_t vllm_hash_wire(const struct vllm_hash *hash)
{
    uint64_t value = 0;
    for (size_t i = sizeof(hash->bytes) - 8; i < sizeof(hash->bytes); i++) {
        value = value << 8 | hash->bytes[i];
    }
    return value;
}

// ---- llm-d ---------------------------------------------------------------------------------------------------------

static void append_le(struct strbuf *out, uint64_t value, unsigned n_bytes)
{
    for (unsigned i = 0; i < n_bytes; i++) {
        strbuf_append_byte(out, (char)(value >> (8 * i)));
    }
}

static void append_prefixed(struct strbuf *out, struct str text)
{
    append_le(out, text.len, 4);
    strbuf_append(out, text);
}

static uint64_t hash_bytes(enum request_key_kind kind, struct str bytes)
{
    return kind == REQUEST_KEY_FNV ? fnv1a64(bytes) : XXH64(bytes.ptr, bytes.len, 0);
}

// Frees what was hashed.
static int end_key(enum request_key_kind kind, struct strbuf *bytes, uint64_t *ret)
{
    int r = bytes->error;
    if (r == 0) {
        *ret = hash_bytes(kind, strbuf_str(bytes));
    }
    strbuf_deinit(bytes);
    return r;
}

int request_key_root(enum request_key_kind kind, struct str seed, struct str model, uint64_t *ret)
{
    uint64_t init = hash_bytes(kind, seed);
    struct strbuf bytes;
    strbuf_init(&bytes, 0);
    if (kind == REQUEST_KEY_FNV) {
        cbor_head(&bytes, CBOR_ARRAY, 3);
        cbor_head(&bytes, CBOR_UINT, init);
        strbuf_append_byte(&bytes, (char)CBOR_NULL);
        cbor_string(&bytes, CBOR_TEXT, model);
    } else {
        append_le(&bytes, init, 8);
        append_prefixed(&bytes, model);
    }
    return end_key(kind, &bytes, ret);
}

int request_key_block(enum request_key_kind kind, uint64_t parent, const struct block_text *block, uint64_t *ret)
{
    struct strbuf bytes;
    strbuf_init(&bytes, 0);
    if (kind == REQUEST_KEY_FNV) {
        cbor_head(&bytes, CBOR_ARRAY, 3);
        cbor_head(&bytes, CBOR_UINT, parent);
        cbor_block(&bytes, block);
        return end_key(kind, &bytes, ret);
    }
    append_le(&bytes, parent, 8);
    for (size_t i = 0; i < block->n_tokens; i++) {
        append_le(&bytes, block->tokens[i], 4);
    }
    for (size_t i = 0; i < block->n_extras; i++) {
        append_prefixed(&bytes, block->extras[i]);
    }
    return end_key(kind, &bytes, ret);
}
