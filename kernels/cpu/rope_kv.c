// Rotates queries and keys of new rows and writes keys and values into their pages.
//
// Angles follow Hugging Face: angle = (float)pos * inv_freq in f32, its cosine and sine in f32 (here from the double
// functions), times attn_scale. They are needed by every layer, so a table keeps them: SLOTS positions for each of
// N_TABLES frequency sets (models with two kinds of layers have two). A table belongs to one frequency set, compared by
// value; position p lives in slot p mod SLOTS. The engine thread fills slots before the workers read them; a row that
// finds another position in its slot (two rows of a batch can be SLOTS apart) computes its own.
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/kv_page.h"
#include "kernels/cpu/memory.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define N_TABLES 2
#define SLOTS    ((size_t)4096)
#define HALF_MAX (ATTENTION_HEAD_DIM_MAX / 2)
// Floats of q, k and v that one worker takes at a time.
#define CHUNK_FLOATS ((size_t)8192)

struct rope_angles {
    float cosines[HALF_MAX], sines[HALF_MAX];
};

struct rope_table {
    float inv_freq[HALF_MAX];
    size_t half_dim; // 0: unused
    float attn_scale;
    uint64_t last_use;
    uint64_t slot_pos[SLOTS]; // 1 + position, 0 when empty
    float *values;            // [SLOTS][2][HALF_MAX]; a slot uses [2][half_dim] of it
};

struct rope_cache {
    struct rope_table tables[N_TABLES];
    uint64_t n_uses;
    struct rope_angles *own; // [n_threads], for rows whose slot is taken
};

struct rope_run {
    const struct cpu_backend *cpu;
    const struct op_rope_kv *op;
    const struct rope_table *table;
};

struct rope_cache *rope_cache_new(size_t n_threads)
{
    struct rope_cache *cache = memory_new(sizeof(*cache));
    if (cache == NULL) {
        return NULL;
    }
    cache->own = memory_new(n_threads * sizeof(*cache->own));
    bool is_complete = cache->own != NULL;
    for (size_t i = 0; i < N_TABLES; i++) {
        cache->tables[i].values = memory_new(SLOTS * 2 * HALF_MAX * sizeof(float));
        is_complete = is_complete && cache->tables[i].values != NULL;
    }
    if (!is_complete) {
        rope_cache_free(cache);
        return NULL;
    }
    return cache;
}

void rope_cache_free(struct rope_cache *cache)
{
    if (cache == NULL) {
        return;
    }
    for (size_t i = 0; i < N_TABLES; i++) {
        memory_free(cache->tables[i].values);
    }
    memory_free(cache->own);
    memory_free(cache);
}

static void rope_angles(const struct op_rope_kv *op, size_t pos, float *cosines, float *sines)
{
    for (size_t i = 0; i < op->n_dims / 2; i++) {
        float angle = (float)pos * op->inv_freq[i];
        double s, c;
        sincos((double)angle, &s, &c);
        cosines[i] = (float)c * op->attn_scale;
        sines[i] = (float)s * op->attn_scale;
    }
}

// The table of the operation's frequencies; the one not used for longest gives way when there is none.
static struct rope_table *rope_table_of(struct rope_cache *cache, const struct op_rope_kv *op)
{
    size_t half_dim = op->n_dims / 2, bytes = half_dim * sizeof(float);
    struct rope_table *table = &cache->tables[0];
    for (size_t i = 0; i < N_TABLES; i++) {
        struct rope_table *t = &cache->tables[i];
        if (t->half_dim == half_dim && t->attn_scale == op->attn_scale &&
            memcmp(t->inv_freq, op->inv_freq, bytes) == 0) {
            t->last_use = ++cache->n_uses;
            return t;
        }
        table = t->last_use < table->last_use ? t : table;
    }
    memcpy(table->inv_freq, op->inv_freq, bytes);
    memset(table->slot_pos, 0, sizeof(table->slot_pos));
    table->half_dim = half_dim;
    table->attn_scale = op->attn_scale;
    table->last_use = ++cache->n_uses;
    return table;
}

static float *rope_slot(const struct rope_table *table, size_t pos)
{
    return table->values + pos % SLOTS * 2 * table->half_dim;
}

static void rope_table_fill(struct rope_table *table, const struct op_rope_kv *op)
{
    for (size_t i = 0; i < op->map->n_seqs; i++) {
        const struct batch_seq *seq = &op->map->seqs[i];
        for (size_t pos = seq->pos; pos < seq->pos + seq->n_rows; pos++) {
            if (table->slot_pos[pos % SLOTS] != pos + 1) {
                float *values = rope_slot(table, pos);
                rope_angles(op, pos, values, values + table->half_dim);
                table->slot_pos[pos % SLOTS] = pos + 1;
            }
        }
    }
}

static void rotate_row(const struct rope_run *run, float *heads, size_t pos, size_t worker)
{
    const struct op_rope_kv *op = run->op;
    size_t half_dim = op->n_dims / 2;
    const float *cosines = rope_slot(run->table, pos), *sines = cosines + half_dim;
    if (run->table->slot_pos[pos % SLOTS] != pos + 1) {
        struct rope_angles *own = &run->cpu->rope->own[worker];
        rope_angles(op, pos, own->cosines, own->sines);
        cosines = own->cosines;
        sines = own->sines;
    }
    for (size_t h = 0; h < op->n_heads + op->kv->n_kv_heads; h++) {
        run->cpu->kernels->rope(heads + h * op->kv->head_dim, cosines, sines, half_dim);
    }
}

// Pairs as kv_page.h draws them; `at` is the position in the page.
static void store_pairs(const uint16_t *src, size_t dim, unsigned char *head, size_t at, bool is_v)
{
    uint16_t *dst = (uint16_t *)head;
    if (is_v) {
        dst += at / 2 * dim * 2 + at % 2;
        for (size_t d = 0; d < dim; d++) {
            dst[2 * d] = src[d];
        }
        return;
    }
    dst += at / KV_RUN * dim * KV_RUN + at % KV_RUN * 2;
    for (size_t d = 0; d < dim; d += 2) {
        memcpy(dst + d * KV_RUN, src + d, 2 * sizeof(*src));
    }
}

// A row of blocks as kv_page.h draws it.
static void store_blocks(const struct block_q8_0 *src, size_t dim, unsigned char *head, size_t at, bool is_v)
{
    unsigned char *run = head + at / KV_RUN * KV_RUN * dtype_row_bytes(DTYPE_Q8_0, dim);
    at %= KV_RUN;
    for (size_t d = 0; d < dim; d++) {
        size_t place = is_v ? ((at / 2 * (dim / 16) + d / 16) * 2 + at % 2) * 16 + d % 16 : d * KV_RUN + at;
        run[place] = (unsigned char)src[d / QUANT_BLOCK].q[d % QUANT_BLOCK];
    }
    for (size_t block = 0; block < dim / QUANT_BLOCK; block++) {
        memcpy(run + dim * KV_RUN + (block * KV_RUN + at) * sizeof(src->d), &src[block].d, sizeof(src->d));
    }
}

static void store_head(const struct rope_run *run, const float *src, unsigned char *head, size_t at, bool is_v)
{
    const struct kv_layout *kv = run->op->kv;
    if (kv->dtype == DTYPE_BF16) {
        uint16_t row[ATTENTION_HEAD_DIM_MAX];
        run->cpu->kernels->store(kv->dtype, row, src, kv->head_dim);
        store_pairs(row, kv->head_dim, head, at, is_v);
    } else if (kv->dtype == DTYPE_Q8_0) {
        struct block_q8_0 row[ATTENTION_HEAD_DIM_MAX / QUANT_BLOCK];
        quant_pack(kv->dtype, src, kv->head_dim, row);
        store_blocks(row, kv->head_dim, head, at, is_v);
    } else {
        run->cpu->kernels->store(kv->dtype, head + at * kv_row_bytes(kv), src, kv->head_dim);
    }
}

static void rope_row(const struct rope_run *run, const struct batch_seq *seq, size_t row, size_t worker)
{
    const struct op_rope_kv *op = run->op;
    const struct kv_layout *kv = op->kv;
    size_t pos = seq->pos + row - seq->row, dim = kv->head_dim;
    float *heads = op->qkv + row * (op->n_heads + 2 * kv->n_kv_heads) * dim;
    if (op->n_dims > 0) {
        rotate_row(run, heads, pos, worker);
    }
    unsigned char *page = (unsigned char *)op->pool + seq->pages[pos / kv->page_tokens] * kv->page_bytes;
    unsigned char *dst = page + op->layer * 2 * kv->n_kv_heads * kv_head_bytes(kv);
    for (size_t h = 0; h < 2 * kv->n_kv_heads; h++) {
        store_head(run, heads + (op->n_heads + h) * dim, dst + h * kv_head_bytes(kv), pos % kv->page_tokens,
                   h >= kv->n_kv_heads);
    }
}

static void run_rope(void *ctx, size_t begin, size_t end, size_t worker)
{
    const struct rope_run *run = ctx;
    const struct batch_seq *seq = run->op->map->seqs;
    for (size_t row = begin; row < end; row++) {
        while (row >= seq->row + seq->n_rows) {
            seq++;
        }
        rope_row(run, seq, row, worker);
    }
}

void cpu_rope_kv(struct backend *b, const struct op_rope_kv *op)
{
    struct cpu_backend *cpu = cpu_backend_of(b);
    const struct kv_layout *kv = op->kv;
    assert(kv->head_dim % 8 == 0 && kv->head_dim > 0 && kv->head_dim <= ATTENTION_HEAD_DIM_MAX);
    assert(kv->page_tokens >= KV_RUN && (kv->page_tokens & (kv->page_tokens - 1)) == 0 && op->layer < kv->n_layers);
    assert(op->n_dims % 2 == 0 && op->n_dims <= kv->head_dim);
    struct rope_run run = { .cpu = cpu, .op = op };
    if (op->n_dims > 0) {
        struct rope_table *table = rope_table_of(cpu->rope, op);
        rope_table_fill(table, op);
        run.table = table;
    }
    size_t row_floats = (op->n_heads + 2 * kv->n_kv_heads) * kv->head_dim;
    size_t chunk_rows = row_floats < CHUNK_FLOATS ? CHUNK_FLOATS / row_floats : 1;
    pool_run(cpu->pool, op->map->n_rows, chunk_rows, run_rope, &run);
}
