// From the directories of GGUF files (engine/base/gguf.h has checked them) to that of a checkpoint.
#include "engine/model/gguf_checkpoint.h"
#include "engine/model/gguf_set.h"
#include <errno.h>
#include <inttypes.h>

// GGUF's names of types, by enum dtype.
static const char *const type_names[DTYPE_F8] = {
    [DTYPE_F32] = "F32",   [DTYPE_F16] = "F16",   [DTYPE_BF16] = "BF16", [DTYPE_Q8_0] = "Q8_0",
    [DTYPE_Q4_0] = "Q4_0", [DTYPE_Q4_K] = "Q4_K", [DTYPE_Q5_K] = "Q5_K", [DTYPE_Q6_K] = "Q6_K",
    [DTYPE_Q4_1] = "Q4_1", [DTYPE_Q5_0] = "Q5_0", [DTYPE_Q5_1] = "Q5_1", [DTYPE_MXFP4] = "MXFP4",
};

static void set_dtype(struct tensor_info *t, const struct gguf_tensor *source)
{
    t->dtype_name = str_from(source->storage->name);
    for (int dtype = 0; dtype < DTYPE_F8; dtype++) {
        if (str_eq(t->dtype_name, str_from(type_names[dtype]))) {
            t->is_loadable = true;
            t->dtype = (enum dtype)dtype;
        }
    }
}

static int add_tensor(struct checkpoint *cp, uint32_t file_idx, const struct gguf_tensor *source, struct err *err)
{
    const struct tensor_file *f = &cp->files[file_idx];
    struct tensor_info *t = NULL;
    int rc = checkpoint_add_tensor(cp, f->name, source->name, &t, err);
    if (rc < 0) {
        return rc;
    }
    set_dtype(t, source);
    t->n_dims = source->n_dims;
    t->n_row_dims = t->n_dims > 1 ? t->n_dims - 1 : 0;
    for (uint32_t i = 0; i < t->n_dims; i++) {
        t->shape[i] = source->shape[t->n_dims - 1 - i];
    }
    t->file_idx = file_idx;
    t->offset = source->offset;
    t->bytes = source->bytes;
    if (t->offset > f->size || t->bytes > f->size - t->offset) { // since its head was read
        return err_set(err, -EINVAL, "%s: tensor \"%.*s\" ends behind the end of the file (%" PRIu64 " bytes)", f->name,
                       STR_ARG(str_take(t->name, 80)), f->size);
    }
    return 0;
}

static int add_file(struct checkpoint *cp, const struct gguf_set *set, size_t idx, struct err *err)
{
    struct str name = arena_copy(&cp->arena, str_from(set->files[idx].name));
    if (!name.ptr) {
        return err_set(err, -ENOMEM, "%s: no memory", set->files[idx].name);
    }
    cp->files[idx].name = name.ptr;
    cp->n_files++;
    int rc = checkpoint_open_file(set->dir, &cp->files[idx], err);
    const struct gguf *g = set->files[idx].gguf;
    for (size_t i = 0; rc == 0 && i < g->n_tensors; i++) {
        rc = add_tensor(cp, (uint32_t)idx, &g->tensors[i], err);
    }
    return rc;
}

static int fill(struct checkpoint *cp, const struct gguf_set *set, struct err *err)
{
    int rc = checkpoint_alloc_files(cp, set->n_files, err);
    for (size_t i = 0; rc == 0 && i < set->n_files; i++) {
        rc = add_file(cp, set, i, err);
    }
    return rc < 0 ? rc : checkpoint_sort(cp, err);
}

int gguf_checkpoint_open(const char *path, struct checkpoint **ret, struct err *err)
{
    struct gguf_set *set = NULL;
    int rc = gguf_set_open(path, &set, err);
    if (rc < 0) {
        return rc;
    }
    struct checkpoint *cp = checkpoint_new(CHECKPOINT_GGUF);
    rc = cp ? fill(cp, set, err) : err_set(err, -ENOMEM, "%s: no memory", path);
    gguf_set_free(set);
    if (rc < 0) {
        checkpoint_close(cp);
        return rc;
    }
    *ret = cp;
    return 0;
}
