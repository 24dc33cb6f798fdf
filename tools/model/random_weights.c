// Gaussian weights by table, written through a small ring of io_uring writes.
//
// Each element is a function of (seed, tensor, index): 16 bits of a counter-based generator choose one of 65536
// quantiles of the normal distribution, scaled and rounded to the type once per kind of tensor. So any range of a file
// can be made without what comes before it, and a byte costs less than the disk takes for it.
//
// Scales keep a step's numbers near 1: projections have variance 1 / n_in, those that add to the residual stream are
// smaller by the square root of their number, and embeddings give logits of about unit variance; norms lie around 1.
#include "tools/model/random_weights.h"
#include "engine/base/json.h"
#include "engine/base/loop.h"
#include "engine/model/weights.h"
#include "tools/model/command.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK_BYTES (4u << 20)
#define N_SLOTS     4u
#define N_QUANTILES 65536u

enum kind { KIND_NORM, KIND_BIAS, KIND_EMBED, KIND_IN, KIND_O, KIND_DOWN, N_KINDS };

struct tensor {
    struct weight_spec spec;
    enum kind kind;
    uint64_t key; // of its generator
    uint32_t file_idx;
    uint64_t offset, bytes; // in its file's data
};

union table {
    uint16_t half[N_QUANTILES]; // bf16 or f16
    float full[N_QUANTILES];
};

struct writer {
    const char *dir;
    const struct model_config *config;
    struct err *err;
    struct tensor *tensors; // in file order
    size_t n_tensors, cap_tensors;
    uint32_t n_files;
    uint64_t shard_bytes_max;
    union table tables[N_KINDS];
};

// ---- values --------------------------------------------------------------------------------------------------------

// splitmix64 (Steele, Lea & Flood 2014), as a function of its counter
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint64_t random_word(uint64_t key, uint64_t counter)
{
    return mix(key + (counter + 1) * UINT64_C(0x9e3779b97f4a7c15));
}

static unsigned random_index(uint64_t key, uint64_t element)
{
    return (random_word(key, element / 4) >> 16 * (element % 4)) & 0xffff;
}

// quantiles[i]: where the normal distribution reaches (i + 1/2) / N. Newton, each from the one before; symmetric.
static void fill_quantiles(double quantiles[N_QUANTILES])
{
    double x = 0;
    for (unsigned i = N_QUANTILES / 2; i < N_QUANTILES; i++) {
        double p = (i + 0.5) / N_QUANTILES;
        for (int step = 0; step < 4; step++) {
            double reached = 0.5 * erfc(-x / M_SQRT2), density = exp(-x * x / 2) / sqrt(2 * M_PI);
            x += (p - reached) / density;
        }
        quantiles[i] = x;
        quantiles[N_QUANTILES - 1 - i] = -x;
    }
}

static uint16_t to_half_type(enum dtype dtype, float f)
{
    if (dtype == DTYPE_F16) {
        _Float16 h = (_Float16)f;
        uint16_t half;
        memcpy(&half, &h, 2);
        return half;
    }
    uint32_t bits;
    memcpy(&bits, &f, 4);
    bits += 0x7fff + ((bits >> 16) & 1); // to nearest even
    return (uint16_t)(bits >> 16);
}

static void fill_table(union table *table, enum dtype dtype, double mean, double deviation, const double *quantiles)
{
    for (unsigned i = 0; i < N_QUANTILES; i++) {
        float value = (float)(mean + deviation * quantiles[i]);
        if (dtype == DTYPE_F32) {
            table->full[i] = value;
        } else {
            table->half[i] = to_half_type(dtype, value);
        }
    }
}

static int fill_tables(struct writer *w)
{
    const struct model_config *c = w->config;
    double residual = 1 / sqrt(2.0 * c->n_layers);
    const struct {
        double mean, deviation;
    } scales[N_KINDS] = {
        [KIND_NORM] = { 1, 0.1 },
        [KIND_BIAS] = { 0, 0.1 },
        [KIND_EMBED] = { 0, 1 / sqrt(c->n_embd) },
        [KIND_IN] = { 0, 1 / sqrt(c->n_embd) },
        [KIND_O] = { 0, residual / sqrt((double)c->n_heads * c->head_dim) },
        [KIND_DOWN] = { 0, residual / sqrt(c->n_ff) },
    };
    double *quantiles = malloc(N_QUANTILES * sizeof(*quantiles));
    if (!quantiles) {
        return err_set(w->err, -ENOMEM, "no memory");
    }
    fill_quantiles(quantiles);
    for (int kind = 0; kind < N_KINDS; kind++) {
        fill_table(&w->tables[kind], c->dtype, scales[kind].mean, scales[kind].deviation, quantiles);
    }
    free(quantiles);
    return 0;
}

static void make_halves(const uint16_t *table, uint64_t key, uint64_t first, uint16_t *out, size_t n)
{
    size_t i = 0;
    for (; i < n && (first + i) % 4 != 0; i++) {
        out[i] = table[random_index(key, first + i)];
    }
    for (; i + 4 <= n; i += 4) {
        uint64_t r = random_word(key, (first + i) / 4);
        out[i] = table[r & 0xffff];
        out[i + 1] = table[(r >> 16) & 0xffff];
        out[i + 2] = table[(r >> 32) & 0xffff];
        out[i + 3] = table[r >> 48];
    }
    for (; i < n; i++) {
        out[i] = table[random_index(key, first + i)];
    }
}

static void make_floats(const float *table, uint64_t key, uint64_t first, float *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = table[random_index(key, first + i)];
    }
}

// ---- plan ----------------------------------------------------------------------------------------------------------

static enum kind kind_of(const struct weight_spec *spec)
{
    static const struct {
        const char *suffix;
        enum kind kind;
    } kinds[] = {
        { ".bias", KIND_BIAS },      { "embed_tokens.weight", KIND_EMBED }, { "lm_head.weight", KIND_EMBED },
        { "o_proj.weight", KIND_O }, { "down_proj.weight", KIND_DOWN },     { "norm.weight", KIND_NORM },
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        if (str_ends_with(str_from(spec->name), str_from(kinds[i].suffix))) {
            return kinds[i].kind;
        }
    }
    return KIND_IN;
}

static int plan_tensor(void *ctx, const struct weight_spec *spec)
{
    struct writer *w = ctx;
    if (w->n_tensors == w->cap_tensors) {
        size_t cap = w->cap_tensors ? 2 * w->cap_tensors : 256;
        struct tensor *grown = realloc(w->tensors, cap * sizeof(*grown));
        if (!grown) {
            return err_set(w->err, -ENOMEM, "no memory for %zu tensors", cap);
        }
        w->tensors = grown;
        w->cap_tensors = cap;
    }
    struct tensor t = { .spec = *spec, .kind = kind_of(spec) };
    t.bytes = spec->shape[0] * spec->shape[1] * dtype_bytes(w->config->dtype);
    if (w->n_tensors > 0) {
        const struct tensor *last = &w->tensors[w->n_tensors - 1];
        bool fits = last->offset + last->bytes + t.bytes <= w->shard_bytes_max;
        t.file_idx = fits ? last->file_idx : last->file_idx + 1;
        t.offset = fits ? last->offset + last->bytes : 0;
    }
    w->n_files = t.file_idx + 1;
    w->tensors[w->n_tensors++] = t;
    return 0;
}

static void name_file(const struct writer *w, uint32_t file_idx, char *name, size_t size)
{
    if (w->n_files == 1) {
        snprintf(name, size, "model.safetensors");
    } else {
        snprintf(name, size, "model-%05" PRIu32 "-of-%05" PRIu32 ".safetensors", file_idx + 1, w->n_files);
    }
}

// ---- header --------------------------------------------------------------------------------------------------------

static void write_pair(struct json_writer *j, const char *key, uint64_t a, uint64_t b, unsigned n)
{
    json_write_key(j, key);
    json_write_array_begin(j);
    json_write_u64(j, a);
    if (n > 1) {
        json_write_u64(j, b);
    }
    json_write_array_end(j);
}

static void write_tensor_entry(struct json_writer *j, const struct tensor *t, enum dtype dtype)
{
    json_write_key(j, t->spec.name);
    json_write_object_begin(j);
    json_write_key(j, "dtype");
    json_write_cstr(j, dtype == DTYPE_F32 ? "F32" : dtype == DTYPE_F16 ? "F16" : "BF16");
    write_pair(j, "shape", t->spec.shape[0], t->spec.shape[1], t->spec.n_dims);
    write_pair(j, "data_offsets", t->offset, t->offset + t->bytes, 2);
    json_write_object_end(j);
}

// The length prefix and the JSON header, padded so that data begins at a multiple of 8.
static int make_header(const struct writer *w, uint32_t file_idx, struct strbuf *out)
{
    strbuf_append(out, (struct str){ "\0\0\0\0\0\0\0\0", 8 });
    struct json_writer j;
    json_writer_init(&j, out);
    json_write_object_begin(&j);
    json_write_key(&j, "__metadata__");
    json_write_raw(&j, STR("{\"format\":\"pt\"}")); // what transformers asks for
    for (size_t i = 0; i < w->n_tensors; i++) {
        if (w->tensors[i].file_idx == file_idx) {
            write_tensor_entry(&j, &w->tensors[i], w->config->dtype);
        }
    }
    json_write_object_end(&j);
    while (out->error == 0 && out->len % 8 != 0) {
        strbuf_append_byte(out, ' ');
    }
    for (unsigned i = 0; out->error == 0 && i < 8; i++) {
        out->ptr[i] = (char)((uint64_t)(out->len - 8) >> (8 * i));
    }
    return out->error;
}

// ---- one file ------------------------------------------------------------------------------------------------------

struct file_write;

struct slot {
    struct loop_op op;
    struct file_write *file;
    char *buf; // [CHUNK_BYTES]
    uint64_t offset;
    size_t len, done;
};

struct file_write {
    const struct writer *w;
    struct loop *loop;
    const char *path;
    int fd;
    uint32_t file_idx;
    struct str header;
    uint64_t size, next; // bytes of the file; where the next chunk begins
    struct slot slots[N_SLOTS];
    int rc;
};

// Bytes [begin, begin + len) of the file. Chunks and headers are multiples of 8, so that no element is cut.
static void make_bytes(const struct file_write *f, uint64_t begin, char *out, size_t len)
{
    const struct writer *w = f->w;
    uint64_t end = begin + len, width = dtype_bytes(w->config->dtype);
    if (begin < f->header.len) {
        memcpy(out, f->header.ptr + begin, f->header.len - begin < len ? f->header.len - begin : len);
    }
    for (size_t i = 0; i < w->n_tensors; i++) {
        const struct tensor *t = &w->tensors[i];
        uint64_t at = f->header.len + t->offset;
        uint64_t from = at > begin ? at : begin, to = at + t->bytes < end ? at + t->bytes : end;
        if (t->file_idx != f->file_idx || from >= to) {
            continue;
        }
        void *dst = out + (from - begin);
        uint64_t first = (from - at) / width, n = (to - from) / width;
        if (width == 4) {
            make_floats(w->tables[t->kind].full, t->key, first, dst, n);
        } else {
            make_halves(w->tables[t->kind].half, t->key, first, dst, n);
        }
    }
}

static void write_done(struct loop_op *op, int res);

static void write_next(struct slot *slot)
{
    struct file_write *f = slot->file;
    if (f->rc || f->next == f->size) {
        return;
    }
    slot->offset = f->next;
    slot->len = f->size - f->next < CHUNK_BYTES ? f->size - f->next : CHUNK_BYTES;
    slot->done = 0;
    f->next += slot->len;
    make_bytes(f, slot->offset, slot->buf, slot->len);
    slot->op.done = write_done;
    loop_write(f->loop, &slot->op, f->fd, slot->buf, slot->len, slot->offset);
}

static void write_done(struct loop_op *op, int res)
{
    struct slot *slot = (struct slot *)op; // op is its first member
    struct file_write *f = slot->file;
    if (res <= 0 && res != -EINTR && res != -EAGAIN) {
        res = res ? res : -EIO;
        f->rc = f->rc ? f->rc : err_set(f->w->err, res, "%s: %s", f->path, strerror(-res));
        return;
    }
    slot->done += res > 0 ? (size_t)res : 0;
    if (slot->done < slot->len && !f->rc) {
        loop_write(f->loop, &slot->op, f->fd, slot->buf + slot->done, slot->len - slot->done,
                   slot->offset + slot->done);
    } else {
        write_next(slot);
    }
}

static int write_chunks(struct file_write *f)
{
    char *bufs = malloc((size_t)N_SLOTS * CHUNK_BYTES);
    int rc = bufs ? loop_new(2 * N_SLOTS, &f->loop, f->w->err) : err_set(f->w->err, -ENOMEM, "no memory");
    for (unsigned i = 0; rc == 0 && i < N_SLOTS; i++) {
        f->slots[i].file = f;
        f->slots[i].buf = bufs + (size_t)i * CHUNK_BYTES;
        write_next(&f->slots[i]);
    }
    if (rc == 0 && (rc = loop_run_until_idle(f->loop)) < 0) {
        err_set(f->w->err, rc, "%s: io_uring: %s", f->path, strerror(-rc));
    }
    if (f->loop) {
        loop_free(f->loop);
    }
    free(bufs);
    return f->rc ? f->rc : rc;
}

static int write_file(struct writer *w, uint32_t file_idx, const char *path, struct str header)
{
    struct file_write f = { .w = w, .path = path, .file_idx = file_idx, .header = header, .size = header.len };
    for (size_t i = 0; i < w->n_tensors; i++) {
        f.size += w->tensors[i].file_idx == file_idx ? w->tensors[i].bytes : 0;
    }
    f.fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (f.fd < 0) {
        return err_set(w->err, -errno, "%s: %s", path, strerror(errno));
    }
    int rc = write_chunks(&f);
    if (close(f.fd) < 0 && rc == 0) {
        rc = err_set(w->err, -errno, "%s: %s", path, strerror(errno));
    }
    if (rc < 0) {
        unlink(path);
    }
    return rc;
}

// ---- all files -----------------------------------------------------------------------------------------------------

static int write_shard(struct writer *w, uint32_t file_idx)
{
    char name[64], path[PATH_MAX];
    name_file(w, file_idx, name, sizeof(name));
    if (snprintf(path, sizeof(path), "%s/%s", w->dir, name) >= (int)sizeof(path)) {
        return err_set(w->err, -ENAMETOOLONG, "%s: %s", w->dir, strerror(ENAMETOOLONG));
    }
    struct strbuf header;
    strbuf_init(&header, 0);
    int rc = make_header(w, file_idx, &header);
    rc = rc < 0 ? err_set(w->err, rc, "%s: no memory for its header", path)
                : write_file(w, file_idx, path, strbuf_str(&header));
    strbuf_deinit(&header);
    return rc;
}

static int write_index(struct writer *w)
{
    struct strbuf out;
    struct json_writer j;
    uint64_t total = 0;
    for (size_t i = 0; i < w->n_tensors; i++) {
        total += w->tensors[i].bytes;
    }
    strbuf_init(&out, 0);
    json_writer_init(&j, &out);
    json_write_object_begin(&j);
    json_write_key(&j, "metadata");
    json_write_object_begin(&j);
    json_write_key(&j, "total_size");
    json_write_u64(&j, total);
    json_write_object_end(&j);
    json_write_key(&j, "weight_map");
    json_write_object_begin(&j);
    for (size_t i = 0; i < w->n_tensors; i++) {
        char name[64];
        name_file(w, w->tensors[i].file_idx, name, sizeof(name));
        json_write_key(&j, w->tensors[i].spec.name);
        json_write_cstr(&j, name);
    }
    json_write_object_end(&j);
    json_write_object_end(&j);
    strbuf_append_byte(&out, '\n');
    int rc = out.error ? err_set(w->err, out.error, "no memory for the index")
                       : output_write(w->dir, "model.safetensors.index.json", strbuf_str(&out), w->err);
    strbuf_deinit(&out);
    return rc;
}

int random_weights_write(const char *dir, const struct model_config *config, uint64_t seed, uint64_t shard_bytes_max,
                         struct err *err)
{
    struct writer *w = calloc(1, sizeof(*w));
    if (!w) {
        return err_set(err, -ENOMEM, "no memory");
    }
    w->dir = dir;
    w->config = config;
    w->shard_bytes_max = shard_bytes_max;
    w->err = err;
    int rc = weights_list(config, plan_tensor, w);
    for (size_t i = 0; rc == 0 && i < w->n_tensors; i++) {
        w->tensors[i].key = mix(seed ^ mix(i + 1));
    }
    if (rc == 0) {
        rc = fill_tables(w);
    }
    for (uint32_t i = 0; rc == 0 && i < w->n_files; i++) {
        rc = write_shard(w, i);
    }
    if (rc == 0 && w->n_files > 1) {
        rc = write_index(w);
    }
    free(w->tensors);
    free(w);
    return rc;
}
