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

struct safetensors {
    struct arena arena; // names
    struct tensor_file *files;
    uint64_t *data_offsets; // [n_files], where a file's data begins
    uint32_t n_files;
    struct tensor_info *tensors; // by (file_idx, offset)
    struct tensor_info **by_name;
    size_t n_tensors, cap_tensors;
};

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
    struct safetensors *st;
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
    t->offset = h->st->data_offsets[h->file_idx] + begin;
    return 0;
}

static int parse_tensor(const struct header *h, struct str name, const struct json *v, struct tensor_info *t)
{
    memset(t, 0, sizeof(*t));
    t->name = name;
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
    struct safetensors *st = h->st;
    if (st->n_tensors == st->cap_tensors) {
        size_t cap = st->cap_tensors ? 2 * st->cap_tensors : 256;
        struct tensor_info *grown = realloc(st->tensors, cap * sizeof(*grown));
        if (!grown) {
            return err_set(h->err, -ENOMEM, "%s: no memory for %zu tensors", h->file, cap);
        }
        st->tensors = grown;
        st->cap_tensors = cap;
    }
    struct str own = arena_copy(&st->arena, name);
    if (!own.ptr) {
        return err_set(h->err, -ENOMEM, "%s: no memory for a tensor's name", h->file);
    }
    int rc = parse_tensor(h, own, v, &st->tensors[st->n_tensors]);
    st->n_tensors += rc == 0;
    return rc;
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

static int read_header(struct safetensors *st, uint32_t file_idx, struct err *err)
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
    st->data_offsets[file_idx] = 8 + len;
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

static int open_file(const char *dir, struct tensor_file *f, struct err *err)
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

// ---- all tensors together ------------------------------------------------------------------------------------------

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

// Tensors lie end to end from the data's beginning to the file's end.
static int check_tiling(const struct safetensors *st, uint32_t file_idx, const struct tensor_info *first, size_t n,
                        struct err *err)
{
    const struct tensor_file *f = &st->files[file_idx];
    uint64_t at = st->data_offsets[file_idx], base = at;
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

static int check_all_tiling(const struct safetensors *st, struct err *err)
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

static int index_names(struct safetensors *st, struct err *err)
{
    st->by_name = malloc((st->n_tensors + 1) * sizeof(*st->by_name));
    if (!st->by_name) {
        return err_set(err, -ENOMEM, "no memory for %zu tensors", st->n_tensors);
    }
    for (size_t i = 0; i < st->n_tensors; i++) {
        st->by_name[i] = &st->tensors[i];
    }
    qsort(st->by_name, st->n_tensors, sizeof(*st->by_name), by_name);
    for (size_t i = 1; i < st->n_tensors; i++) {
        const struct tensor_info *a = st->by_name[i - 1], *b = st->by_name[i];
        if (str_eq(a->name, b->name)) {
            return err_set(err, -EINVAL, "%s: tensor \"%.*s\" is there twice (also in %s)", st->files[b->file_idx].name,
                           TENSOR_ARG(b->name), st->files[a->file_idx].name);
        }
    }
    return 0;
}

static int open_files(struct safetensors *st, const char *dir, struct err *err)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < st->n_files; i++) {
        rc = open_file(dir, &st->files[i], err);
        if (rc == 0) {
            rc = read_header(st, i, err);
        }
    }
    if (rc == 0 && st->n_tensors > 0) {
        qsort(st->tensors, st->n_tensors, sizeof(*st->tensors), by_place);
        rc = index_names(st, err); // before the tiling: a name given twice at one place is not an overlap
    }
    return rc == 0 ? check_all_tiling(st, err) : rc;
}

// ---- index ---------------------------------------------------------------------------------------------------------

static int alloc_files(struct safetensors *st, size_t n_max, struct err *err)
{
    st->files = calloc(n_max, sizeof(*st->files));
    st->data_offsets = calloc(n_max, sizeof(*st->data_offsets));
    if (!st->files || !st->data_offsets) {
        return err_set(err, -ENOMEM, "no memory for %zu shards", n_max);
    }
    for (size_t i = 0; i < n_max; i++) {
        st->files[i].fd = -1;
    }
    return 0;
}

static uint32_t find_file(const struct safetensors *st, struct str name)
{
    uint32_t i = 0;
    while (i < st->n_files && !str_eq(name, str_from(st->files[i].name))) {
        i++;
    }
    return i;
}

static int add_shard(struct safetensors *st, struct str tensor, const struct json *file, struct err *err)
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

static int check_map_entry(struct safetensors *st, struct str tensor, const struct json *file, struct err *err)
{
    const struct tensor_info *t = safetensors_find(st, tensor);
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

static int for_each_entry(struct safetensors *st, const struct json *map,
                          int (*fn)(struct safetensors *, struct str, const struct json *, struct err *),
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

static int open_sharded(struct safetensors *st, const char *dir, struct str text, struct err *err)
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
        rc = alloc_files(st, SHARDS_MAX, err);
    }
    if (rc == 0 && (rc = for_each_entry(st, map, add_shard, err)) == 0 && (rc = open_files(st, dir, err)) == 0) {
        rc = for_each_entry(st, map, check_map_entry, err);
    }
    arena_deinit(&arena);
    return rc;
}

static int open_single(struct safetensors *st, const char *dir, struct err *err)
{
    int rc = alloc_files(st, 1, err);
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

static int open_any(struct safetensors *st, const char *dir, struct err *err)
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

int safetensors_open(const char *dir, struct safetensors **ret, struct err *err)
{
    struct safetensors *st = calloc(1, sizeof(*st));
    if (!st) {
        return err_set(err, -ENOMEM, "%s: no memory", dir);
    }
    arena_init(&st->arena, 0);
    int rc = open_any(st, dir, err);
    if (rc < 0) {
        err_prefix(err, "%s", dir);
        safetensors_close(st);
        return rc;
    }
    *ret = st;
    return 0;
}

void safetensors_close(struct safetensors *st)
{
    if (!st) {
        return;
    }
    for (uint32_t i = 0; i < st->n_files; i++) {
        if (st->files[i].fd >= 0) {
            close(st->files[i].fd);
        }
    }
    free(st->files);
    free(st->data_offsets);
    free(st->tensors);
    free(st->by_name);
    arena_deinit(&st->arena);
    free(st);
}

size_t safetensors_n_tensors(const struct safetensors *st)
{
    return st->n_tensors;
}

struct tensor_info *safetensors_tensor(struct safetensors *st, size_t idx)
{
    return &st->tensors[idx];
}

struct tensor_info *safetensors_find(struct safetensors *st, struct str name)
{
    size_t lo = 0, hi = st->n_tensors;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = str_compare(st->by_name[mid]->name, name);
        if (c == 0) {
            return st->by_name[mid];
        }
        lo = c < 0 ? mid + 1 : lo;
        hi = c < 0 ? hi : mid;
    }
    return NULL;
}

const char *safetensors_file_name(const struct safetensors *st, uint32_t file_idx)
{
    return st->files[file_idx].name;
}

uint64_t safetensors_file_bytes(const struct safetensors *st)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < st->n_files; i++) {
        total += st->files[i].size;
    }
    return total;
}

int safetensors_read_all(struct safetensors *st, const struct tensor_read *read, struct err *err)
{
    return tensor_stream_read(st->files, st->tensors, st->n_tensors, read, err);
}
