// The safetensors format: an 8-byte little-endian header length, a JSON header, then the tensors' bytes.
// https://huggingface.co/docs/safetensors (format section)
//
// Everything is validated before a byte of data is used: offsets against shapes, dtypes and the file's size, and
// against each other (no overlap, no hole). Reading is by io_uring in large direct reads (tensor_stream.h).
#ifndef TOKFS_MODEL_SAFETENSORS_H
#define TOKFS_MODEL_SAFETENSORS_H

#include "engine/model/tensor_stream.h"

struct safetensors;

// Opens DIR/model.safetensors, or every shard of DIR/model.safetensors.index.json. -ENOENT, -EINVAL (err names file and
// tensor), -EOPNOTSUPP (a dtype or rank that the format has no meaning for here), -ENOMEM.
int safetensors_open(const char *dir, struct safetensors **ret, struct err *err);
void safetensors_close(struct safetensors *st);
size_t safetensors_n_tensors(const struct safetensors *st);
// Tensors in the order of (file_idx, offset): an array, so that a pointer's distance from tensor 0 is its index.
struct tensor_info *safetensors_tensor(struct safetensors *st, size_t idx);
struct tensor_info *safetensors_find(struct safetensors *st, struct str name); // NULL when absent
const char *safetensors_file_name(const struct safetensors *st, uint32_t file_idx);
uint64_t safetensors_file_bytes(const struct safetensors *st); // of all files together

// Reads the tensors that have is_used set, in file order.
int safetensors_read_all(struct safetensors *st, const struct tensor_read *read, struct err *err);

#endif
