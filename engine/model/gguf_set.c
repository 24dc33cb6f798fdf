// Opens the first file; what it says of its number tells whether there are others, whose names follow from its own.
#include "engine/model/gguf_set.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILES_MAX  99999
#define SUFFIX_LEN 20 // "-00001-of-00003.gguf"

static int open_one(struct gguf_set *set, const char *name, struct err *err)
{
    struct gguf_file *f = &set->files[set->n_files];
    struct strbuf path;
    strbuf_init(&path, 0);
    f->name = str_dup(str_from(name));
    if (!f->name || strbuf_printf(&path, "%s/%s", set->dir, name) < 0) {
        free(f->name);
        strbuf_deinit(&path);
        return err_set(err, -ENOMEM, "%s: no memory", name);
    }
    int rc = gguf_open(path.ptr, &f->gguf, err);
    strbuf_deinit(&path);
    if (rc < 0) {
        free(f->name);
        return rc;
    }
    set->n_files++;
    return 0;
}

static int read_count(const struct gguf *g, uint64_t *ret_no, uint64_t *ret_count, struct err *err)
{
    *ret_no = 0;
    *ret_count = 1;
    int rc = gguf_get_u64(g, "split.no", ret_no, err);
    return rc < 0 ? rc : gguf_get_u64(g, "split.count", ret_count, err);
}

static int check_part(const struct gguf *g, uint64_t no, uint64_t count, struct err *err)
{
    uint64_t its_no, its_count;
    int rc = read_count(g, &its_no, &its_count, err);
    if (rc == 0 && (its_no != no || its_count != count)) {
        return err_set(err, -EINVAL,
                       "%s: split.no %" PRIu64 " of split.count %" PRIu64 " where %" PRIu64 " of %" PRIu64
                       " is expected",
                       g->file, its_no, its_count, no, count);
    }
    return rc;
}

static int check_n_tensors(const struct gguf_set *set, struct err *err)
{
    const struct gguf *g = gguf_set_head(set);
    uint64_t n = 0, want;
    for (size_t i = 0; i < set->n_files; i++) {
        n += set->files[i].gguf->n_tensors;
    }
    want = n;
    int rc = gguf_get_u64(g, "split.tensors.count", &want, err);
    if (rc == 0 && n != want) {
        return err_set(err, -EINVAL,
                       "%s: split.tensors.count is %" PRIu64 ", but the %zu files have %" PRIu64 " tensors", g->file,
                       want, set->n_files, n);
    }
    return rc;
}

static int open_others(struct gguf_set *set, uint64_t count, struct err *err)
{
    const struct gguf *g = gguf_set_head(set);
    struct str name = str_from(set->files[0].name);
    char suffix[64];
    if (count > FILES_MAX) {
        return err_set(err, -EINVAL, "%s: split.count: %" PRIu64 " files are more than %d", g->file, count, FILES_MAX);
    }
    snprintf(suffix, sizeof(suffix), "-00001-of-%05" PRIu64 ".gguf", count);
    if (!str_ends_with(name, str_from(suffix))) {
        return err_set(err, -EINVAL, "%s: split.count is %" PRIu64 ", but the name does not end in %s", g->file, count,
                       suffix);
    }
    struct gguf_file *files = reallocarray(set->files, (size_t)count, sizeof(*files));
    if (!files) {
        return err_set(err, -ENOMEM, "%s: no memory for %" PRIu64 " files", g->file, count);
    }
    set->files = files;
    for (uint64_t no = 1; no < count; no++) {
        struct strbuf other;
        strbuf_init(&other, 0);
        int rc = strbuf_printf(&other, "%.*s-%05" PRIu64 "-of-%05" PRIu64 ".gguf",
                               STR_ARG(str_take(name, name.len - SUFFIX_LEN)), no + 1, count);
        rc = rc < 0 ? err_set(err, rc, "%s: no memory", g->file) : open_one(set, other.ptr, err);
        rc = rc < 0 ? rc : check_part(set->files[no].gguf, no, count, err);
        strbuf_deinit(&other);
        if (rc < 0) {
            return rc;
        }
    }
    return check_n_tensors(set, err);
}

static int open_all(struct gguf_set *set, const char *name, struct err *err)
{
    uint64_t no, count;
    int rc = open_one(set, name, err);
    if (rc < 0 || (rc = read_count(gguf_set_head(set), &no, &count, err)) < 0) {
        return rc;
    }
    if (no != 0) {
        return err_set(err, -EINVAL,
                       "%s: split.no is %" PRIu64 ": give the name of the first file, ...-00001-of-%05" PRIu64 ".gguf",
                       gguf_set_head(set)->file, no, count);
    }
    return count > 1 ? open_others(set, count, err) : 0;
}

int gguf_set_open(const char *path, struct gguf_set **ret, struct err *err)
{
    struct gguf_set *set = calloc(1, sizeof(*set));
    const char *slash = strrchr(path, '/');
    if (set) {
        set->dir = slash ? str_dup((struct str){ path, slash == path ? 1 : (size_t)(slash - path) }) : strdup(".");
        set->files = calloc(1, sizeof(*set->files));
    }
    if (!set || !set->dir || !set->files) {
        gguf_set_free(set);
        return err_set(err, -ENOMEM, "%s: no memory", path);
    }
    int rc = open_all(set, slash ? slash + 1 : path, err);
    if (rc < 0) {
        gguf_set_free(set);
        return rc;
    }
    *ret = set;
    return 0;
}

void gguf_set_free(struct gguf_set *set)
{
    if (!set) {
        return;
    }
    for (size_t i = 0; i < set->n_files; i++) {
        free(set->files[i].name);
        gguf_free(set->files[i].gguf);
    }
    free(set->files);
    free(set->dir);
    free(set);
}

const struct gguf *gguf_set_head(const struct gguf_set *set)
{
    return set->files[0].gguf;
}

const struct gguf_tensor *gguf_set_find(const struct gguf_set *set, const char *name, size_t *ret_file_idx)
{
    const struct gguf_tensor *t = NULL;
    for (size_t i = 0; i < set->n_files && !t; i++) {
        t = gguf_find_tensor(set->files[i].gguf, str_from(name));
        if (t && ret_file_idx) {
            *ret_file_idx = i;
        }
    }
    return t;
}
