// The tensors of a model's files, whatever their format: a directory of them, and reading them.
#ifndef TOKFS_MODEL_CHECKPOINT_H
#define TOKFS_MODEL_CHECKPOINT_H

#include "engine/base/arena.h"
#include "engine/model/tensor_stream.h"

enum checkpoint_format { CHECKPOINT_SAFETENSORS, CHECKPOINT_GGUF };

// Filled by those who know a format (safetensors.h, gguf_checkpoint.h); others use the functions.
struct checkpoint {
    enum checkpoint_format format;
    struct arena arena; // names
    struct tensor_file *files;
    uint32_t n_files;
    struct tensor_info *tensors; // by (file_idx, offset)
    struct tensor_info **by_name;
    size_t n_tensors, cap_tensors;
};

// Opens what is at `path`: a file (GGUF; one of several, all of them), else a directory (safetensors). Errors of both.
int checkpoint_open(const char *path, struct checkpoint **ret, struct err *err);
void checkpoint_close(struct checkpoint *cp); // NULL is accepted
size_t checkpoint_n_tensors(const struct checkpoint *cp);
// Tensors in the order of (file_idx, offset): an array, so that a pointer's distance from tensor 0 is its index.
struct tensor_info *checkpoint_tensor(struct checkpoint *cp, size_t idx);
struct tensor_info *checkpoint_find(const struct checkpoint *cp, struct str name); // NULL when absent
const char *checkpoint_file_name(const struct checkpoint *cp, uint32_t file_idx);
uint64_t checkpoint_file_bytes(const struct checkpoint *cp); // of all files together
// Reads the tensors that have is_used set, in file order.
int checkpoint_read(struct checkpoint *cp, const struct tensor_read *read, struct err *err);

// For the formats. A checkpoint of no files; room for n of them, none open; their opening; one more tensor, whose name
// is copied; and, when all are there, their order, in which no name may be there twice.
struct checkpoint *checkpoint_new(enum checkpoint_format format); // NULL: no memory
int checkpoint_alloc_files(struct checkpoint *cp, size_t n, struct err *err);
int checkpoint_open_file(const char *dir, struct tensor_file *f, struct err *err);
int checkpoint_add_tensor(struct checkpoint *cp, const char *file, struct str name, struct tensor_info **ret,
                          struct err *err);
int checkpoint_sort(struct checkpoint *cp, struct err *err);

#endif
