// What all formats of weights have in common: open files, a directory of tensors in file order and one by name.
#include "engine/model/checkpoint.h"
#include "engine/model/gguf_checkpoint.h"
#include "engine/model/safetensors.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// ---- for the formats -----------------------------------------------------------------------------------------------

struct checkpoint *checkpoint_new(enum checkpoint_format format)
{
    struct checkpoint *cp = calloc(1, sizeof(*cp));
    if (cp) {
        cp->format = format;
        arena_init(&cp->arena, 0);
    }
    return cp;
}

int checkpoint_alloc_files(struct checkpoint *cp, size_t n, struct err *err)
{
    cp->files = calloc(n, sizeof(*cp->files));
    if (!cp->files) {
        return err_set(err, -ENOMEM, "no memory for %zu files", n);
    }
    for (size_t i = 0; i < n; i++) {
        cp->files[i].fd = -1;
    }
    return 0;
}

int checkpoint_open_file(const char *dir, struct tensor_file *f, struct err *err)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof(path), "%s/%s", dir, f->name) >= (int)sizeof(path)) {
        return err_set(err, -ENAMETOOLONG, "%s: %s", f->name, strerror(ENAMETOOLONG));
    }
    f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a pipe in its place must not block
    if (f->fd < 0) {
        return err_set(err, -errno, "%s: %s", f->name, strerror(errno));
    }
    struct stat sb;
    if (fstat(f->fd, &sb) < 0) {
        return err_set(err, -errno, "%s: %s", f->name, strerror(errno));
    }
    if (!S_ISREG(sb.st_mode)) {
        return err_set(err, -EINVAL, "%s: not a regular file", f->name);
    }
    f->size = (uint64_t)sb.st_size;
    return 0;
}

int checkpoint_add_tensor(struct checkpoint *cp, const char *file, struct str name, struct tensor_info **ret,
                          struct err *err)
{
    if (cp->n_tensors == cp->cap_tensors) {
        size_t cap = cp->cap_tensors ? 2 * cp->cap_tensors : 256;
        struct tensor_info *grown = realloc(cp->tensors, cap * sizeof(*grown));
        if (!grown) {
            return err_set(err, -ENOMEM, "%s: no memory for %zu tensors", file, cap);
        }
        cp->tensors = grown;
        cp->cap_tensors = cap;
    }
    struct str own = arena_copy(&cp->arena, name);
    if (!own.ptr) {
        return err_set(err, -ENOMEM, "%s: no memory for a tensor's name", file);
    }
    *ret = &cp->tensors[cp->n_tensors++];
    **ret = (struct tensor_info){ .name = own };
    return 0;
}

static int by_place(const void *a, const void *b)
{
    const struct tensor_info *x = a, *y = b;
    if (x->file_idx != y->file_idx) {
        return x->file_idx < y->file_idx ? -1 : 1;
    }
    if (x->offset != y->offset) {
        return x->offset < y->offset ? -1 : 1;
    }
    return (x->bytes > y->bytes) - (x->bytes < y->bytes); // empty ones first
}

static int str_compare(struct str a, struct str b)
{
    int c = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
    return c ? c : (a.len > b.len) - (a.len < b.len);
}

static int by_name(const void *a, const void *b)
{
    return str_compare((*(struct tensor_info *const *)a)->name, (*(struct tensor_info *const *)b)->name);
}

int checkpoint_sort(struct checkpoint *cp, struct err *err)
{
    if (cp->n_tensors == 0) {
        return 0;
    }
    qsort(cp->tensors, cp->n_tensors, sizeof(*cp->tensors), by_place);
    cp->by_name = malloc(cp->n_tensors * sizeof(*cp->by_name));
    if (!cp->by_name) {
        return err_set(err, -ENOMEM, "no memory for %zu tensors", cp->n_tensors);
    }
    for (size_t i = 0; i < cp->n_tensors; i++) {
        cp->by_name[i] = &cp->tensors[i];
    }
    qsort(cp->by_name, cp->n_tensors, sizeof(*cp->by_name), by_name);
    for (size_t i = 1; i < cp->n_tensors; i++) {
        const struct tensor_info *a = cp->by_name[i - 1], *b = cp->by_name[i];
        if (str_eq(a->name, b->name)) {
            return err_set(err, -EINVAL, "%s: tensor \"%.*s\" is there twice (also in %s)", cp->files[b->file_idx].name,
                           STR_ARG(str_take(b->name, 100)), cp->files[a->file_idx].name);
        }
    }
    return 0;
}

// ---- for everybody -------------------------------------------------------------------------------------------------

int checkpoint_open(const char *path, struct checkpoint **ret, struct err *err)
{
    struct stat st;
    bool is_file = stat(path, &st) == 0 && !S_ISDIR(st.st_mode);
    return is_file ? gguf_checkpoint_open(path, ret, err) : safetensors_open(path, ret, err);
}

void checkpoint_close(struct checkpoint *cp)
{
    if (!cp) {
        return;
    }
    for (uint32_t i = 0; i < cp->n_files; i++) {
        if (cp->files[i].fd >= 0) {
            close(cp->files[i].fd);
        }
    }
    free(cp->files);
    free(cp->tensors);
    free(cp->by_name);
    arena_deinit(&cp->arena);
    free(cp);
}

size_t checkpoint_n_tensors(const struct checkpoint *cp)
{
    return cp->n_tensors;
}

struct tensor_info *checkpoint_tensor(struct checkpoint *cp, size_t idx)
{
    return &cp->tensors[idx];
}

struct tensor_info *checkpoint_find(const struct checkpoint *cp, struct str name)
{
    size_t lo = 0, hi = cp->n_tensors;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = str_compare(cp->by_name[mid]->name, name);
        if (c == 0) {
            return cp->by_name[mid];
        }
        lo = c < 0 ? mid + 1 : lo;
        hi = c < 0 ? hi : mid;
    }
    return NULL;
}

const char *checkpoint_file_name(const struct checkpoint *cp, uint32_t file_idx)
{
    return cp->files[file_idx].name;
}

uint64_t checkpoint_file_bytes(const struct checkpoint *cp)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < cp->n_files; i++) {
        total += cp->files[i].size;
    }
    return total;
}

int checkpoint_read(struct checkpoint *cp, const struct tensor_read *read, struct err *err)
{
    return tensor_stream_read(cp->files, cp->tensors, cp->n_tensors, read, err);
}
