// Keys and tensors grow in two buffers, whose counts stand before them.
#include "engine/base/gguf_write.h"
#include <assert.h>
#include <string.h>

#define VERSION 3

static void put_le(struct strbuf *out, uint64_t value, unsigned n_bytes)
{
    for (unsigned i = 0; i < n_bytes; i++) {
        strbuf_append_byte(out, (char)(value >> 8 * i));
    }
}

static void put_str(struct strbuf *out, struct str s)
{
    put_le(out, s.len, 8);
    strbuf_append(out, s);
}

static void put_f32(struct strbuf *out, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    put_le(out, bits, 4);
}

static void put_key(struct gguf_writer *w, struct str key, enum gguf_type type)
{
    w->n_keys++;
    put_str(&w->keys, key);
    put_le(&w->keys, type, 4);
}

void gguf_writer_init(struct gguf_writer *w)
{
    *w = (struct gguf_writer){ 0 };
    strbuf_init(&w->keys, 0);
    strbuf_init(&w->tensors, 0);
}

void gguf_writer_deinit(struct gguf_writer *w)
{
    strbuf_deinit(&w->keys);
    strbuf_deinit(&w->tensors);
}

void gguf_write_u32(struct gguf_writer *w, const char *key, uint32_t value)
{
    put_key(w, str_from(key), GGUF_U32);
    put_le(&w->keys, value, 4);
}

void gguf_write_f32(struct gguf_writer *w, const char *key, float value)
{
    put_key(w, str_from(key), GGUF_F32);
    put_f32(&w->keys, value);
}

void gguf_write_bool(struct gguf_writer *w, const char *key, bool value)
{
    put_key(w, str_from(key), GGUF_BOOL);
    put_le(&w->keys, value, 1);
}

void gguf_write_str(struct gguf_writer *w, const char *key, struct str value)
{
    put_key(w, str_from(key), GGUF_STRING);
    put_str(&w->keys, value);
}

void gguf_write_entry(struct gguf_writer *w, const struct gguf_entry *entry)
{
    put_key(w, entry->key, entry->type);
    if (entry->type == GGUF_STRING) {
        put_le(&w->keys, entry->bytes.len, 8);
    } else if (entry->type == GGUF_ARRAY) {
        put_le(&w->keys, entry->item_type, 4);
        put_le(&w->keys, entry->n_items, 8);
    }
    strbuf_append(&w->keys, entry->bytes);
}

void gguf_write_array(struct gguf_writer *w, const char *key, enum gguf_type item_type, uint64_t n)
{
    put_key(w, str_from(key), GGUF_ARRAY);
    put_le(&w->keys, item_type, 4);
    put_le(&w->keys, n, 8);
}

void gguf_write_item_str(struct gguf_writer *w, struct str value)
{
    put_str(&w->keys, value);
}

void gguf_write_item_i32(struct gguf_writer *w, int32_t value)
{
    put_le(&w->keys, (uint32_t)value, 4);
}

void gguf_write_item_f32(struct gguf_writer *w, float value)
{
    put_f32(&w->keys, value);
}

void gguf_write_tensor(struct gguf_writer *w, const char *name, uint32_t type, uint32_t n_dims, const uint64_t *shape,
                       uint64_t bytes)
{
    assert(n_dims <= GGUF_DIMS_MAX);
    w->n_tensors++;
    put_str(&w->tensors, str_from(name));
    put_le(&w->tensors, n_dims, 4);
    for (uint32_t i = 0; i < n_dims; i++) {
        put_le(&w->tensors, shape[i], 8);
    }
    put_le(&w->tensors, type, 4);
    put_le(&w->tensors, w->data_bytes, 8);
    w->data_bytes += (bytes + GGUF_WRITE_ALIGNMENT - 1) / GGUF_WRITE_ALIGNMENT * GGUF_WRITE_ALIGNMENT;
}

int gguf_write_head(struct gguf_writer *w, struct strbuf *out)
{
    size_t start = out->len;
    strbuf_append(out, STR("GGUF"));
    put_le(out, VERSION, 4);
    put_le(out, w->n_tensors, 8);
    put_le(out, w->n_keys, 8);
    strbuf_append(out, strbuf_str(&w->keys));
    strbuf_append(out, strbuf_str(&w->tensors));
    while (!out->error && (out->len - start) % GGUF_WRITE_ALIGNMENT != 0) {
        strbuf_append_byte(out, 0);
    }
    return w->keys.error ? w->keys.error : w->tensors.error ? w->tensors.error : out->error;
}
