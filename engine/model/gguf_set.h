// The GGUF files that one model is in: one, or several named NAME-00001-of-00003.gguf, of which the first has the
// metadata.
#ifndef TOKFS_MODEL_GGUF_SET_H
#define TOKFS_MODEL_GGUF_SET_H

#include "engine/base/gguf.h"

struct gguf_set {
    char *dir; // of all of them
    struct gguf_file {
        char *name; // without its directory
        struct gguf *gguf;
    } * files; // [n_files]
    size_t n_files;
};

// By the path of the first file. Errors of gguf_open; -EINVAL where the files do not belong together, -ENOENT where one
// is missing: err names it.
int gguf_set_open(const char *path, struct gguf_set **ret, struct err *err);
void gguf_set_free(struct gguf_set *set);                     // NULL is accepted
const struct gguf *gguf_set_head(const struct gguf_set *set); // with the metadata
// NULL: absent. *ret_file_idx, unless NULL, is the file that has it.
const struct gguf_tensor *gguf_set_find(const struct gguf_set *set, const char *name, size_t *ret_file_idx);

#endif
