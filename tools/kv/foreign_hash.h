// Names that other systems give to blocks of tokens, computed where somebody asks for them: inside tokfs a block's name
// is the XXH3 of its tokens, seeded with the name of the block before.
//
//   vLLM, sha256_cbor   NONE = sha256(cbor(PYTHONHASHSEED)), H = sha256(cbor([parent, tokens, extra])), chained on all
//   32
//                       bytes; an event tells the last 64 bits
//   llm-d, fnv          init = fnv1a64(hashSeed), root = fnv1a64(cbor([init, null, model])),
//                       key = fnv1a64(cbor([parent, tokens, extra]))
//   llm-d, xxh64        the same chain of xxh64 over parent (8 bytes), tokens (4 bytes each), extras (length in 4
//   bytes, then
//                       the text), all little endian; root over init and the model as an extra
//
// `extra` of a block is what it depends on beside tokens: texts, none for most. CBOR is canonical (RFC 8949, 4.2.1).
#ifndef TOKFS_KV_FOREIGN_HASH_H
#define TOKFS_KV_FOREIGN_HASH_H

#include "engine/base/str.h"

struct block_text {
    const uint32_t *tokens;
    size_t n_tokens;
    const struct str *extras; // UTF-8
    size_t n_extras;
};

struct vllm_hash {
    uint8_t bytes[32];
};

// Each: 0 or -ENOMEM.
int vllm_hash_root(struct str seed, struct vllm_hash *ret);
int vllm_hash_block(const struct vllm_hash *parent, const struct block_text *block, struct vllm_hash *ret);
uint64_t vllm_hash_wire(const struct vllm_hash *hash); // what an event tells

enum request_key_kind { REQUEST_KEY_FNV, REQUEST_KEY_XXH64 };

int request_key_root(enum request_key_kind kind, struct str seed, struct str model, uint64_t *ret);
int request_key_block(enum request_key_kind kind, uint64_t parent, const struct block_text *block, uint64_t *ret);

#endif
