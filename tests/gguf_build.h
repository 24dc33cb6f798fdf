// Small GGUF files for tests, put together in a buffer: begin, keys, tensors, end.
#ifndef TOKFS_TESTS_GGUF_BUILD_H
#define TOKFS_TESTS_GGUF_BUILD_H

#include "engine/base/gguf.h"

struct gguf_build {
    struct strbuf out;
    uint64_t n_entries, n_tensors;
};

static inline void build_le(struct gguf_build *b, uint64_t value, unsigned n_bytes)
{
    for (unsigned i = 0; i < n_bytes; i++) {
        strbuf_append_byte(&b->out, (char)(value >> 8 * i));
    }
}

static inline void build_str(struct gguf_build *b, const char *s)
{
    build_le(b, str_from(s).len, 8);
    strbuf_append(&b->out, str_from(s));
}

static inline void build_begin(struct gguf_build *b)
{
    *b = (struct gguf_build){ 0 };
    strbuf_append(&b->out, STR("GGUF"));
    build_le(b, 3, 4);
    build_le(b, 0, 8);
    build_le(b, 0, 8);
}

static inline void build_key(struct gguf_build *b, const char *key, enum gguf_type type)
{
    b->n_entries++;
    build_str(b, key);
    build_le(b, type, 4);
}

// A number of any type but the floating ones.
static inline void build_number(struct gguf_build *b, const char *key, enum gguf_type type, uint64_t value)
{
    build_key(b, key, type);
    build_le(b, value, gguf_type_bytes(type));
}

static inline void build_text(struct gguf_build *b, const char *key, const char *text)
{
    build_key(b, key, GGUF_STRING);
    build_str(b, text);
}

static inline void build_array(struct gguf_build *b, const char *key, enum gguf_type item_type, uint64_t n)
{
    build_key(b, key, GGUF_ARRAY);
    build_le(b, item_type, 4);
    build_le(b, n, 8);
}

// The items end with NULL.
static inline void build_strs(struct gguf_build *b, const char *key, const char *const *items)
{
    uint64_t n = 0;
    while (items[n]) {
        n++;
    }
    build_array(b, key, GGUF_STRING, n);
    for (uint64_t i = 0; i < n; i++) {
        build_str(b, items[i]);
    }
}

static inline void build_f32(struct gguf_build *b, float value)
{
    union {
        float f;
        uint32_t bits;
    } number = { .f = value };
    build_le(b, number.bits, 4);
}

// All keys come before the first tensor.
static inline void build_tensor(struct gguf_build *b, const char *name, uint32_t type, uint64_t rows, uint64_t columns,
                                uint64_t offset)
{
    b->n_tensors++;
    build_str(b, name);
    build_le(b, 2, 4);
    build_le(b, columns, 8);
    build_le(b, rows, 8);
    build_le(b, type, 4);
    build_le(b, offset, 8);
}

// Counts and n_data bytes of data from the next multiple of 32 on. The bytes are the builder's: strbuf_deinit(&b->out).
static inline struct str build_end(struct gguf_build *b, size_t n_data)
{
    while (n_data > 0 && b->out.len % 32 != 0) {
        strbuf_append_byte(&b->out, 0);
    }
    for (size_t i = 0; i < n_data; i++) {
        strbuf_append_byte(&b->out, 0);
    }
    for (unsigned i = 0; i < 8; i++) {
        b->out.ptr[8 + i] = (char)(b->n_tensors >> 8 * i);
        b->out.ptr[16 + i] = (char)(b->n_entries >> 8 * i);
    }
    return strbuf_str(&b->out);
}

#endif
