// Opens safetensors files and proves, before anything is read, that every byte of data belongs to exactly one tensor.
//
// Steps: open the files (one, or the shards that the index names); parse each header into tensors; sort them by place
// and check that they tile each file; sort their names and check that none is there twice; check the index against what
// was found. Types that the engine does not compute with are kept (is_loadable false): a file may carry tensors nobody
// wants. A type that the format does not have, or a shape that contradicts its bytes, refuses the file by name.
#include "engine/model/safetensors.h"
#include "engine/base/json.h"
#include "engine/model/file.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SINGLE_NAME      "model.safetensors"
#define INDEX_NAME       "model.safetensors.index.json"
#define HEADER_BYTES_MAX (100u << 20) // as the reference implementation
#define INDEX_BYTES_MAX  (64u << 20)
#define SHARDS_MAX       4096

// Sizes in bits, since the format has types of less than a byte.
static const struct format_dtype {
    const char *name;
    unsigned bits;
    int dtype; // enum dtype, or -1: not one that the engine computes with
} format_dtypes[] = {
    { "F32", 32, DTYPE_F32 }, { "F16", 16, DTYPE_F16 }, { "BF16", 16, DTYPE_BF16 },
    { "F64", 64, -1 },        { "BOOL", 8, -1 },        { "U8", 8, -1 },
    { "I8", 8, -1 },          { "U16", 16, -1 },        { "I16", 16, -1 },
    { "U32", 32, -1 },        { "I32", 32, -1 },        { "U64", 64, -1 },
    { "I64", 64, -1 },        { "C64", 64, -1 },        { "F8_E5M2", 8, -1 },
    { "F8_E4M3", 8, -1 },     { "F8_E8M0", 8, -1 },     { "F6_E2M3", 6, -1 },
    { "F6_E3M2", 6, -1 },     { "F4", 4, -1 },
};

// ---- one tensor of a header ----------------------------------------------------------------------------------------

struct header {
    struct checkpoint *st;
    uint32_t file_idx;
    const char *file;
    uint64_t data_bytes;
    struct err *err;
};

#define TENSOR_ARG(name) STR_ARG(str_take(name, 100))

static int bad_tensor(const struct header *h, struct str name, const char *what)
{
    return err_set(h->err, -EINVAL, "%s: tensor \"%.*s\": %s", h->file, TENSOR_ARG(name), what);
}

static const struct format_dtype *find_dtype(struct str name)
{
    for (size_t i = 0; i < sizeof(format_dtypes) / sizeof(*format_dtypes); i++) {
        if (str_eq(name, str_from(format_dtypes[i].name))) {
            return &format_dtypes[i];
        }
    }
    return NULL;
}

static bool get_whole(const struct json *v, uint64_t *ret)
{
    int64_t n;
    if (!v || v->type != JSON_NUMBER || json_get_i64(v, &n) < 0 || n < 0) {
        return false;
    }
    *ret = (uint64_t)n;
    return true;
}

static int parse_shape(const struct header *h, const struct json *shape, unsigned bits, struct tensor_info *t)
{
    if (!shape || shape->type != JSON_ARRAY) {
        return bad_tensor(h, t->name, "shape is not a list");
    }
    if (shape->n_children > TENSOR_DIMS_MAX) {
        return err_set(h->err, -EOPNOTSUPP, "%s: tensor \"%.*s\" has %" PRIu32 " dimensions, more than %d", h->file,
                       TENSOR_ARG(t->name), shape->n_children, TENSOR_DIMS_MAX);
    }
    t->n_dims = shape->n_children;
    t->n_row_dims = t->n_dims > 1 ? 1 : 0;
    uint64_t n_bits = bits;
    for (uint32_t i = 0; i < t->n_dims; i++) {
        if (!get_whole(json_at(shape, i), &t->shape[i])) {
            return bad_tensor(h, t->name, "shape has an element that is not a whole number");
        }
        if (__builtin_mul_overflow(n_bits, t->shape[i], &n_bits)) {
            return bad_tensor(h, t->name, "shape is too large");
        }
    }
    if (n_bits % 8 != 0) {
        return bad_tensor(h, t->name, "shape does not fill whole bytes");
    }
    t->bytes = n_bits / 8;
    return 0;
}

static int parse_offsets(const struct header *h, const struct json *offsets, struct tensor_info *t)
{
    uint64_t begin, end;
    if (!offsets || offsets->type != JSON_ARRAY || offsets->n_children != 2 ||
        !get_whole(json_at(offsets, 0), &begin) || !get_whole(json_at(offsets, 1), &end) || end < begin) {
        return bad_tensor(h, t->name, "data_offsets is not a pair [begin, end]");
    }
    if (end > h->data_bytes) {
        return err_set(h->err, -EINVAL,
                       "%s: tensor \"%.*s\" ends at byte %" PRIu64 " of the data, but the file has %" PRIu64
                       ": truncated?",
                       h->file, TENSOR_ARG(t->name), end, h->data_bytes);
    }
    if (end - begin != t->bytes) {
        return err_set(h->err, -EINVAL,
                       "%s: tensor \"%.*s\": shape and dtype make %" PRIu64 " bytes, data_offsets %" PRIu64, h->file,
                       TENSOR_ARG(t->name), t->bytes, end - begin);
    }
    t->offset = h->st->files[h->file_idx].data_offset + begin;
    return 0;
}

static int parse_tensor(const struct header *h, const struct json *v, struct tensor_info *t)
{
    struct str name = t->name;
    t->file_idx = h->file_idx;
    if (v->type != JSON_OBJECT) {
        return bad_tensor(h, name, "its description is not an object");
    }
    const struct json *dtype = json_get(v, STR("dtype"));
    if (!dtype || dtype->type != JSON_STRING) {
        return bad_tensor(h, name, "dtype is missing");
    }
    const struct format_dtype *known = find_dtype(dtype->text);
    if (!known) {
        return err_set(h->err, -EOPNOTSUPP, "%s: tensor \"%.*s\" has the unknown dtype \"%.*s\"", h->file,
                       TENSOR_ARG(name), STR_ARG(str_take(dtype->text, 32)));
    }
    t->dtype_name = str_from(known->name);
    t->is_loadable = known->dtype >= 0;
    t->dtype = t->is_loadable ? (enum dtype)known->dtype : DTYPE_F32;
    int rc = parse_shape(h, json_get(v, STR("shape")), known->bits, t);
    return rc < 0 ? rc : parse_offsets(h, json_get(v, STR("data_offsets")), t);
}

// ---- one file ------------------------------------------------------------------------------------------------------

static int add_tensor(const struct header *h, struct str name, const struct json *v)
{
    struct tensor_info *t = NULL;
    int rc = checkpoint_add_tensor(h->st, h->file, name, &t, h->err);
    return rc < 0 ? rc : parse_tensor(h, v, t);
}

static int parse_header(const struct header *h, struct str text)
{
    struct arena arena;
    arena_init(&arena, 0);
    const struct json *root;
    int rc = json_parse(&arena, text, &root, h->err);
    if (rc < 0) {
        err_prefix(h->err, "%s: header", h->file);
    } else if (root->type != JSON_OBJECT) {
        rc = err_set(h->err, -EINVAL, "%s: the header is not a JSON object", h->file);
    }
    const struct json *key = rc == 0 ? json_first(root) : NULL;
    for (uint32_t i = 0; rc == 0 && i < root->n_children; i++) {
        const struct json *value = json_next(key);
        if (!str_eq(key->text, STR("__metadata__"))) {
            rc = add_tensor(h, key->text, value);
        }
        key = json_next(value);
    }
    arena_deinit(&arena);
    return rc;
}

static int read_fully(int fd, void *buf, size_t len, uint64_t offset)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = pread(fd, (char *)buf + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n == 0 ? -EIO : -errno;
        }
        done += (size_t)n;
    }
    return 0;
}

static int read_header(struct checkpoint *st, uint32_t file_idx, struct err *err)
{
    const struct tensor_file *f = &st->files[file_idx];
    unsigned char prefix[8];
    if (f->size < sizeof(prefix)) {
        return err_set(err, -EINVAL, "%s: %" PRIu64 " bytes are too few for a safetensors file", f->name, f->size);
    }
    int rc = read_fully(f->fd, prefix, sizeof(prefix), 0);
    if (rc < 0) {
        return err_set(err, rc, "%s: %s", f->name, strerror(-rc));
    }
    uint64_t len = 0;
    for (unsigned i = 0; i < 8; i++) {
        len |= (uint64_t)prefix[i] << (8 * i);
    }
    if (len > HEADER_BYTES_MAX || len > f->size - 8) {
        return err_set(err, -EINVAL,
                       "%s: header length %" PRIu64 " does not fit (file of %" PRIu64
                       " bytes, at most %u): truncated, or "
                       "not a safetensors file",
                       f->name, len, f->size, HEADER_BYTES_MAX);
    }
    char *text = malloc(len + 1);
    if (!text) {
        return err_set(err, -ENOMEM, "%s: no memory for a header of %" PRIu64 " bytes", f->name, len);
    }
    st->files[file_idx].data_offset = 8 + len;
    const struct header h = { st, file_idx, f->name, f->size - 8 - len, err };
    rc = read_fully(f->fd, text, len, 8);
    if (rc < 0) {
        err_set(err, rc, "%s: %s", f->name, strerror(-rc));
    } else {
        rc = parse_header(&h, (struct str){ text, len });
    }
    free(text);
    return rc;
}

// ---- all tensors together ------------------------------------------------------------------------------------------

// Tensors lie end to end from the data's beginning to the file's end.
static int check_tiling(const struct checkpoint *st, uint32_t file_idx, const struct tensor_info *first, size_t n,
                        struct err *err)
{
    const struct tensor_file *f = &st->files[file_idx];
    uint64_t at = st->files[file_idx].data_offset, base = at;
    for (size_t i = 0; i < n; i++) {
        const struct tensor_info *t = &first[i];
        if (t->offset < at) {
            return err_set(
                err, -EINVAL, "%s: tensor \"%.*s\" begins at byte %" PRIu64 " of the data and overlaps tensor \"%.*s\"",
                f->name, STR_ARG(str_take(t->name, 70)), t->offset - base, STR_ARG(str_take(first[i - 1].name, 70)));
        }
        if (t->offset > at) {
            return err_set(err, -EINVAL,
                           "%s: bytes %" PRIu64 " to %" PRIu64
                           " of the data, before tensor \"%.*s\", belong to no tensor",
                           f->name, at - base, t->offset - base, TENSOR_ARG(t->name));
        }
        at += t->bytes;
    }
    if (at != f->size) {
        return err_set(err, -EINVAL, "%s: %" PRIu64 " bytes at the end belong to no tensor", f->name, f->size - at);
    }
    return 0;
}

static int check_all_tiling(const struct checkpoint *st, struct err *err)
{
    size_t first = 0;
    for (uint32_t file_idx = 0; file_idx < st->n_files; file_idx++) {
        size_t end = first;
        while (end < st->n_tensors && st->tensors[end].file_idx == file_idx) {
            end++;
        }
        const struct tensor_info *tensors = end > first ? &st->tensors[first] : NULL;
        int rc = check_tiling(st, file_idx, tensors, end - first, err);
        if (rc < 0) {
            return rc;
        }
        first = end;
    }
    return 0;
}

static int open_files(struct checkpoint *st, const char *dir, struct err *err)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < st->n_files; i++) {
        rc = checkpoint_open_file(dir, &st->files[i], err);
        if (rc == 0) {
            rc = read_header(st, i, err);
        }
    }
    if (rc == 0) {
        rc = checkpoint_sort(st, err); // before the tiling: a name given twice at one place is not an overlap
    }
    return rc == 0 ? check_all_tiling(st, err) : rc;
}

// ---- index ---------------------------------------------------------------------------------------------------------

static uint32_t find_file(const struct checkpoint *st, struct str name)
{
    uint32_t i = 0;
    while (i < st->n_files && !str_eq(name, str_from(st->files[i].name))) {
        i++;
    }
    return i;
}

static int add_shard(struct checkpoint *st, struct str tensor, const struct json *file, struct err *err)
{
    if (file->type != JSON_STRING || file->text.len == 0 || memchr(file->text.ptr, '/', file->text.len) ||
        memchr(file->text.ptr, 0, file->text.len)) {
        return err_set(err, -EINVAL, "%s: weight_map: tensor \"%.*s\" has no plain file name", INDEX_NAME,
                       TENSOR_ARG(tensor));
    }
    if (find_file(st, file->text) < st->n_files) {
        return 0;
    }
    if (st->n_files == SHARDS_MAX) {
        return err_set(err, -EINVAL, "%s: more than %d shards", INDEX_NAME, SHARDS_MAX);
    }
    struct str own = arena_copy(&st->arena, file->text);
    if (!own.ptr) {
        return err_set(err, -ENOMEM, "%s: no memory for a shard's name", INDEX_NAME);
    }
    st->files[st->n_files++].name = own.ptr;
    return 0;
}

static int check_map_entry(struct checkpoint *st, struct str tensor, const struct json *file, struct err *err)
{
    const struct tensor_info *t = checkpoint_find(st, tensor);
    if (!t) {
        return err_set(err, -EINVAL, "%s: weight_map names tensor \"%.*s\", which %.*s does not have", INDEX_NAME,
                       TENSOR_ARG(tensor), STR_ARG(str_take(file->text, 80)));
    }
    if (t->file_idx != find_file(st, file->text)) {
        return err_set(err, -EINVAL, "%s: weight_map looks for tensor \"%.*s\" in %.*s, but %s has it", INDEX_NAME,
                       TENSOR_ARG(tensor), STR_ARG(str_take(file->text, 40)), st->files[t->file_idx].name);
    }
    return 0;
}

static int for_each_entry(struct checkpoint *st, const struct json *map,
                          int (*fn)(struct checkpoint *, struct str, const struct json *, struct err *),
                          struct err *err)
{
    const struct json *key = json_first(map);
    for (uint32_t i = 0; i < map->n_children; i++) {
        const struct json *value = json_next(key);
        int rc = fn(st, key->text, value, err);
        if (rc < 0) {
            return rc;
        }
        key = json_next(value);
    }
    return 0;
}

static int open_sharded(struct checkpoint *st, const char *dir, struct str text, struct err *err)
{
    struct arena arena;
    arena_init(&arena, 0);
    const struct json *root, *map = NULL;
    int rc = json_parse(&arena, text, &root, err);
    if (rc < 0) {
        err_prefix(err, "%s", INDEX_NAME);
    } else {
        map = json_get(root, STR("weight_map"));
        if (!map || map->type != JSON_OBJECT || map->n_children == 0) {
            rc = err_set_param(err, -EINVAL, "weight_map", "%s: weight_map is missing, empty or not an object",
                               INDEX_NAME);
        }
    }
    if (rc == 0) {
        rc = checkpoint_alloc_files(st, SHARDS_MAX, err);
    }
    if (rc == 0 && (rc = for_each_entry(st, map, add_shard, err)) == 0 && (rc = open_files(st, dir, err)) == 0) {
        rc = for_each_entry(st, map, check_map_entry, err);
    }
    arena_deinit(&arena);
    return rc;
}

static int open_single(struct checkpoint *st, const char *dir, struct err *err)
{
    int rc = checkpoint_alloc_files(st, 1, err);
    if (rc < 0) {
        return rc;
    }
    st->n_files = 1;
    st->files[0].name = SINGLE_NAME;
    return open_files(st, dir, err);
}

// ---- public --------------------------------------------------------------------------------------------------------

static bool exists(const char *dir, const char *name)
{
    char path[PATH_MAX];
    return snprintf(path, sizeof(path), "%s/%s", dir, name) < (int)sizeof(path) && access(path, F_OK) == 0;
}

static int open_any(struct checkpoint *st, const char *dir, struct err *err)
{
    if (exists(dir, SINGLE_NAME)) {
        return open_single(st, dir, err);
    }
    if (!exists(dir, INDEX_NAME)) {
        return err_set(err, -ENOENT, "neither %s nor %s is there", SINGLE_NAME, INDEX_NAME);
    }
    struct strbuf text;
    strbuf_init(&text, INDEX_BYTES_MAX);
    struct err read_err;
    int rc = file_read(dir, INDEX_NAME, INDEX_BYTES_MAX, &text, &read_err);
    if (rc < 0) {
        err_set(err, rc, "%s: %s", INDEX_NAME, strerror(-rc));
    } else {
        rc = open_sharded(st, dir, strbuf_str(&text), err);
    }
    strbuf_deinit(&text);
    return rc;
}

int safetensors_open(const char *dir, struct checkpoint **ret, struct err *err)
{
    struct checkpoint *st = checkpoint_new(CHECKPOINT_SAFETENSORS);
    if (!st) {
        return err_set(err, -ENOMEM, "%s: no memory", dir);
    }
    int rc = open_any(st, dir, err);
    if (rc < 0) {
        err_prefix(err, "%s", dir);
        checkpoint_close(st);
        return rc;
    }
    *ret = st;
    return 0;
}
