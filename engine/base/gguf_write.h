// Writing GGUF files, version 3: keys and tensors are named one by one, then the head is put together; the tensors'
// bytes follow it in the same order, each padded to GGUF_WRITE_ALIGNMENT.
#ifndef TOKFS_BASE_GGUF_WRITE_H
#define TOKFS_BASE_GGUF_WRITE_H

#include "engine/base/gguf.h"

#define GGUF_WRITE_ALIGNMENT 32

// A failure to allocate is remembered in the buffers' error and told by gguf_write_head.
struct gguf_writer {
    struct strbuf keys, tensors;
    uint64_t n_keys, n_tensors, data_bytes;
};

void gguf_writer_init(struct gguf_writer *w);
void gguf_writer_deinit(struct gguf_writer *w);
void gguf_write_u32(struct gguf_writer *w, const char *key, uint32_t value);
void gguf_write_f32(struct gguf_writer *w, const char *key, float value);
void gguf_write_bool(struct gguf_writer *w, const char *key, bool value);
void gguf_write_str(struct gguf_writer *w, const char *key, struct str value);
void gguf_write_entry(struct gguf_writer *w, const struct gguf_entry *entry); // of another file, as it is there
// Exactly n items of that type must follow.
void gguf_write_array(struct gguf_writer *w, const char *key, enum gguf_type item_type, uint64_t n);
void gguf_write_item_str(struct gguf_writer *w, struct str value);
void gguf_write_item_i32(struct gguf_writer *w, int32_t value);
void gguf_write_item_f32(struct gguf_writer *w, float value);
// `shape` as GGUF has it: the contiguous dimension first. `type` is one of the format's (gguf_tensor_type_find).
void gguf_write_tensor(struct gguf_writer *w, const char *name, uint32_t type, uint32_t n_dims, const uint64_t *shape,
                       uint64_t bytes);
// Appends what stands before the data. 0 or -ENOMEM.
int gguf_write_head(struct gguf_writer *w, struct strbuf *out);

#endif
