// The safetensors format: an 8-byte little-endian header length, a JSON header, then the tensors' bytes.
// https://huggingface.co/docs/safetensors (format section)
//
// Everything is validated before a byte of data is used: offsets against shapes, dtypes and the file's size, and against each
// other (no overlap, no hole). Reading is by io_uring in large direct reads (O_DIRECT where the file system has it).
#ifndef TOKFS_MODEL_SAFETENSORS_H
#define TOKFS_MODEL_SAFETENSORS_H

#include "engine/base/err.h"
#include "engine/base/str.h"
#include "kernels/dtype.h"
#include <stdbool.h>
#include <stdint.h>

struct tensor_info {
    struct str name;
    enum dtype dtype;
    uint32_t n_dims;
    uint64_t shape[4];
    uint32_t file_idx;      // shard
    uint64_t offset, bytes; // in that file, from its beginning
    bool is_used;           // for the loader: tensors nobody asked for are reported
};

struct safetensors;

// Opens DIR/model.safetensors, or every shard of DIR/model.safetensors.index.json.
int safetensors_open(const char *dir, struct safetensors **ret, struct err *err);
void safetensors_close(struct safetensors *st);
size_t safetensors_n_tensors(const struct safetensors *st);
struct tensor_info *safetensors_tensor(struct safetensors *st, size_t idx);
struct tensor_info *safetensors_find(struct safetensors *st, struct str name); // NULL when absent
const char *safetensors_file_name(const struct safetensors *st, uint32_t file_idx);

// Reads tensors in file order and hands each one out in runs of whole rows ([shape[1]] elements; one row for a 1-d tensor)
// as they arrive. `sink` returning non-zero stops with that value. `progress` (or NULL) is told bytes done of all.
struct tensor_run {
    const struct tensor_info *tensor;
    uint64_t row, n_rows;
    const void *data; // [n_rows][row length] in the tensor's dtype, aligned to the dtype
};
struct safetensors_read {
    int (*sink)(void *ctx, const struct tensor_run *run, struct err *err);
    void (*progress)(void *ctx, uint64_t bytes_done, uint64_t bytes_total);
    void *ctx;
};
// Only tensors with is_used set are read.
int safetensors_read_all(struct safetensors *st, const struct safetensors_read *read, struct err *err);

#endif
