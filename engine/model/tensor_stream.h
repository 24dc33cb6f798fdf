// Tensors as they lie in files, and reading them: large direct io_uring reads, handed on in runs of whole rows.
//
// What a file format adds is its header; safetensors.h and gguf_checkpoint.h make these structs from one.
#ifndef TOKFS_MODEL_TENSOR_STREAM_H
#define TOKFS_MODEL_TENSOR_STREAM_H

#include "engine/base/err.h"
#include "engine/base/str.h"
#include "engine/model/f8.h"
#include "kernels/backend.h"
#include <stdbool.h>
#include <stdint.h>

#define TENSOR_DIMS_MAX 8

struct tensor_file {
    const char *name; // without its directory
    int fd;
    uint64_t size;        // bytes, when it was opened
    uint64_t data_offset; // where tensors begin
};

struct tensor_info {
    struct str name;
    struct str dtype_name; // as the file spells it
    bool is_loadable;      // `dtype` holds; otherwise the file's type is one that the engine does not compute with
    enum dtype dtype;
    uint32_t n_dims;
    uint32_t
        n_row_dims; // the first dimensions, of which each element is a row: 0 or 1, or more where runs may end within
    uint64_t shape[TENSOR_DIMS_MAX];
    uint32_t file_idx;                // shard
    uint64_t offset, bytes;           // in that file, from its beginning
    bool is_used;                     // for the loader: wanted; the others are not read
    uint32_t user_idx;                // for the loader: which of its destinations
    bool is_scales;                   // for the loader: not what the destination holds but what that is multiplied with
    struct f8_grid grid;              // what one of these is for
    const struct tensor_info *scales; // for the loader: of a tensor of F8_E4M3; NULL of others
    bool is_kept;                     // for the loader: it stays F8_E4M3, in blocks with their scales
};

// What runs consist of: a 1-d tensor is one row.
static inline uint64_t tensor_n_rows(const struct tensor_info *t)
{
    uint64_t n = 1;
    for (uint32_t i = 0; i < t->n_row_dims; i++) {
        n *= t->shape[i];
    }
    return n;
}

struct tensor_run {
    const struct tensor_info *tensor;
    uint64_t row, n_rows;
    const void *data; // [n_rows][row length] in the tensor's dtype, aligned to the dtype; valid during the call
};

struct tensor_read {
    int (*sink)(void *ctx, const struct tensor_run *run, struct err *err);  // non-zero stops with that value
    void (*progress)(void *ctx, uint64_t bytes_done, uint64_t bytes_total); // or NULL
    void *ctx;
    // That the sink fills matrices of, or NULL. One that can read the buffers by itself is given them, and they are
    // read into again when it has done so.
    struct backend *backend;
};

// Reads the tensors with is_used set; `tensors` are in the order of (file_idx, offset). Memory: a few buffers and one
// row. 0, what `sink` returned, -EIO (also a file that has become shorter; err names file and tensor), -ENOMEM, or why
// there is no io_uring.
int tensor_stream_read(const struct tensor_file *files, const struct tensor_info *tensors, size_t n_tensors,
                       const struct tensor_read *read, struct err *err);

#endif
