// Products with a packed matrix: y = x w^T. Included by isa_*.c.
//
// Each output is a sum over k in ascending order, in blocks of LINEAR_K_BLOCK: within a block one chain of fused
// multiply-adds from zero; the block sums are added, in order, to what the output starts from (bias, the old y, both,
// or zero). Lanes are outputs, so the chain is the same for every vector width, number of rows and split. For weights
// in f32 and f16 the factors are f32. For weights in bf16 the inputs are rounded to bf16 (to nearest even), whatever
// the number of rows, and of two neighbours the odd one is added first: that is what VDPBF16PS does in one instruction
// (found by comparison with fused multiply-adds; it takes numbers below 2^-126 for zero, which the others do not).
//
// Roofline: up to about 8 rows the weights' bytes are the cost (read once, as one ascending stream, prefetched
// PREFETCH_BYTES ahead); above, multiply-adds: a block of R rows and two vectors of outputs does 4R of them per pair of
// k for four conversions and 2R broadcasts, which stay in registers (R = VEC_LINEAR_ROWS); with VDPBF16PS 2R for two
// loads and R broadcasts.

#define PREFETCH_BYTES 8192

// Whether inputs are kept as pairs of bf16.
VEC bool linear_has_pairs(enum dtype dtype)
{
    return dtype == DTYPE_BF16 && VEC_HAS_DOT_BF16;
}

// Of one packed row's part of a k block. A line more than the inputs take.
VEC size_t linear_row_bytes(enum dtype dtype)
{
    return LINEAR_K_BLOCK * (linear_has_pairs(dtype) ? 2 : 4) + 64;
}

// ---- packing -------------------------------------------------------------------------------------------------------

// n_k inputs, and zeros up to a whole vector.
VEC void linear_pack_row(enum dtype dtype, const float *x, size_t n_k, unsigned char *dst)
{
    for (size_t k = 0; k < n_k; k += 16) {
        vf v = vf_load_n(x + k, n_k - k);
        if (linear_has_pairs(dtype)) {
            vf_store_factors((uint16_t *)dst + k, v);
        } else {
            vf_store((float *)dst + k, dtype == DTYPE_BF16 ? vf_round_bf16(v) : v);
        }
    }
}

static void linear_pack(const struct linear_job *job, size_t row_begin, size_t row_end)
{
    const struct matrix *m = job->w;
    size_t row_bytes = linear_row_bytes(m->dtype);
    for (size_t row = row_begin; row < row_end; row++) {
        const float *x = job->x + row * job->x_stride;
        unsigned char *dst = job->packed + row * row_bytes;
        for (size_t k = 0; k < m->n_in; k += LINEAR_K_BLOCK, dst += job->n_rows * row_bytes) {
            size_t n_k = m->n_in - k < LINEAR_K_BLOCK ? m->n_in - k : LINEAR_K_BLOCK;
            if (m->dtype == DTYPE_BF16) {
                linear_pack_row(DTYPE_BF16, x + k, n_k, dst);
            } else {
                linear_pack_row(DTYPE_F32, x + k, n_k, dst);
            }
        }
    }
}

// ---- sums ----------------------------------------------------------------------------------------------------------

// What is asked for while a block is multiplied: `bytes` bytes at `next` by the row blocks of a tile together.
struct linear_fetch {
    const unsigned char *next;
    size_t step; // bytes per pair of k
};

// Weights of one k for output vectors v = 0, 1 of a tile.
VEC vf linear_weight(enum dtype dtype, const unsigned char *tile, size_t k, size_t v)
{
    if (dtype == DTYPE_F32) {
        return vf_load((const float *)tile + k * LINEAR_TILE + v * 16);
    }
    if (dtype == DTYPE_F16) {
        return vf_load_f16((const uint16_t *)tile + k * LINEAR_TILE + v * 16);
    }
    const uint16_t *pair = (const uint16_t *)tile + (k & ~(size_t)1) * LINEAR_TILE + v * 32;
    return k & 1 ? vf_load_bf16_odd(pair) : vf_load_bf16_even(pair);
}

// Two k of f32 products, `first` and then the other one.
VEC void linear_pair(enum dtype dtype, const unsigned char *w, const float *x, size_t first, size_t n_r, size_t v0,
                     size_t n_v, vf (*acc)[2])
{
    VEC_UNROLL(2)
    for (size_t i = 0; i < 2; i++) {
        size_t k = first ^ i;
        vf weights[2];
        VEC_UNROLL(2)
        for (size_t v = 0; v < n_v; v++) {
            weights[v] = linear_weight(dtype, w, k, v0 + v);
        }
        VEC_UNROLL(16)
        for (size_t r = 0; r < n_r; r++) {
            vf xr = vf_set1(x[r * (linear_row_bytes(dtype) / sizeof(float)) + k]);
            VEC_UNROLL(2)
            for (size_t v = 0; v < n_v; v++) {
                acc[r][v] = vf_fma(weights[v], xr, acc[r][v]);
            }
        }
    }
}

// The same of bf16 pairs.
VEC void linear_dot(const unsigned char *w, const unsigned char *x, size_t n_r, size_t v0, size_t n_v, vf (*acc)[2])
{
    vf weights[2];
    VEC_UNROLL(2)
    for (size_t v = 0; v < n_v; v++) {
        weights[v] = vf_load((const float *)w + (v0 + v) * 16);
    }
    VEC_UNROLL(16)
    for (size_t r = 0; r < n_r; r++) {
        vf xr = vf_set1(*(const float *)(x + r * linear_row_bytes(DTYPE_BF16)));
        VEC_UNROLL(2)
        for (size_t v = 0; v < n_v; v++) {
            acc[r][v] = vf_dot_bf16(weights[v], xr, acc[r][v]);
        }
    }
}

// sums[r][v0 * 16...] = chain over n_pairs pairs of k of x[r][k] * w[k], for n_v vectors of outputs from v0 on.
VEC void linear_chain(enum dtype dtype, const unsigned char *w, const unsigned char *x, size_t n_pairs, size_t n_r,
                      size_t v0, size_t n_v, struct linear_fetch fetch, float (*sums)[LINEAR_TILE])
{
    vf acc[VEC_LINEAR_ROWS][2];
    const size_t pair_bytes = 2 * LINEAR_TILE * dtype_bytes(dtype);
    const size_t x_bytes = linear_has_pairs(dtype) ? 4 : 8;
    VEC_UNROLL(16)
    for (size_t r = 0; r < n_r; r++) {
        acc[r][0] = acc[r][1] = vf_zero();
    }
    for (size_t pair = 0; pair < n_pairs; pair++) {
        if (fetch.step <= 64) {
            vec_prefetch(fetch.next);
        } else {
            VEC_UNROLL(4)
            for (size_t line = 0; line < pair_bytes / 64; line++) {
                vec_prefetch(fetch.next + line * fetch.step / (pair_bytes / 64));
            }
        }
        fetch.next += fetch.step;
        if (linear_has_pairs(dtype)) {
            linear_dot(w, x, n_r, v0, n_v, acc);
        } else {
            linear_pair(dtype, w, (const float *)x, dtype == DTYPE_BF16, n_r, v0, n_v, acc);
        }
        w += pair_bytes;
        x += x_bytes;
    }
    VEC_UNROLL(16)
    for (size_t r = 0; r < n_r; r++) {
        VEC_UNROLL(2)
        for (size_t v = 0; v < n_v; v++) {
            vf_store(&sums[r][(v0 + v) * 16], acc[r][v]);
        }
    }
}

// The chain for a number of rows known to the compiler.
#define LINEAR_CASE(rows)                                                                                              \
    case rows:                                                                                                         \
        if (rows <= VEC_LINEAR_ROWS) {                                                                                 \
            const size_t n_r = rows <= VEC_LINEAR_ROWS ? rows : 1;                                                     \
            const size_t n_v = n_r * 2 * VEC_LINEAR_REGS <= VEC_LINEAR_ACC ? 2 : 1;                                    \
            for (size_t v = 0; v < 2; v += n_v) {                                                                      \
                linear_chain(dtype, w, x, n_pairs, n_r, v, n_v, fetch, sums);                                          \
            }                                                                                                          \
        }                                                                                                              \
        break

VEC void linear_sums(enum dtype dtype, const unsigned char *w, const unsigned char *x, size_t n_pairs, size_t n_rows,
                     struct linear_fetch fetch, float (*sums)[LINEAR_TILE])
{
    switch (n_rows) {
        LINEAR_CASE(1);
        LINEAR_CASE(2);
        LINEAR_CASE(3);
        LINEAR_CASE(4);
        LINEAR_CASE(5);
        LINEAR_CASE(6);
        LINEAR_CASE(7);
        LINEAR_CASE(8);
        LINEAR_CASE(9);
        LINEAR_CASE(10);
        LINEAR_CASE(11);
        LINEAR_CASE(12);
        LINEAR_CASE(13);
    }
}

typedef void linear_sums_fn(const unsigned char *w, const unsigned char *x, size_t n_pairs, size_t n_rows,
                            struct linear_fetch fetch, float (*sums)[LINEAR_TILE]);

#define LINEAR_SUMS(name, dtype)                                                                                       \
    static void name(const unsigned char *w, const unsigned char *x, size_t n_pairs, size_t n_rows,                    \
                     struct linear_fetch fetch, float(*sums)[LINEAR_TILE])                                             \
    {                                                                                                                  \
        linear_sums(dtype, w, x, n_pairs, n_rows, fetch, sums);                                                        \
    }

LINEAR_SUMS(linear_sums_f32, DTYPE_F32)
LINEAR_SUMS(linear_sums_f16, DTYPE_F16)
LINEAR_SUMS(linear_sums_bf16, DTYPE_BF16)

static linear_sums_fn *const linear_sums_of[] = {
    [DTYPE_F32] = linear_sums_f32,
    [DTYPE_F16] = linear_sums_f16,
    [DTYPE_BF16] = linear_sums_bf16,
};

// Adds the sums of one k block to rows [first, first + n_rows) of y, 16 outputs from `out` on, n of them real.
VEC void linear_add(const struct linear_job *job, size_t first, size_t n_rows, size_t out, size_t n,
                    bool is_first_block, const float *sums)
{
    for (size_t r = 0; r < n_rows; r++) {
        float *y = job->y + (first + r) * job->y_stride + out;
        vf start = vf_zero();
        if (is_first_block && job->bias != NULL) {
            start = vf_load_n(job->bias + out, n);
        }
        if (is_first_block && job->accumulate) {
            start = vf_add(start, vf_load_n(y, n));
        }
        if (!is_first_block) {
            start = vf_load_n(y, n);
        }
        vf_store_n(y, vf_add(start, vf_load(sums + r * LINEAR_TILE)), n);
    }
}

VEC const unsigned char *linear_data(const struct matrix *m, size_t tile, size_t k0)
{
    return m->data + tile * m->tile_bytes + k0 * LINEAR_TILE * dtype_bytes(m->dtype);
}

// Inputs of the k block from k0 on.
VEC size_t linear_block_inputs(const struct matrix *m, size_t k0)
{
    return m->n_in - k0 < LINEAR_K_BLOCK ? m->n_in - k0 : LINEAR_K_BLOCK;
}

// A k block of some tiles, and where the next one of as many tiles is, which may be longer.
struct linear_panel {
    size_t tile_begin, tile_end, k0;
    size_t next_tile, next_k0;
};

// One row block with one tile of the panel.
VEC void linear_cell(const struct linear_job *job, const struct linear_panel *panel, size_t tile, size_t block)
{
    const struct matrix *m = job->w;
    size_t first, n_rows = linear_block(job, block, &first), row_bytes = linear_row_bytes(m->dtype);
    size_t n_pairs = (linear_block_inputs(m, panel->k0) + 1) / 2, pair_bytes = 2 * LINEAR_TILE * dtype_bytes(m->dtype);
    const unsigned char *w = linear_data(m, tile, panel->k0);
    const unsigned char *x = job->packed + (panel->k0 / LINEAR_K_BLOCK * job->n_rows + first) * row_bytes;
    _Alignas(64) float sums[VEC_LINEAR_ROWS][LINEAR_TILE];
    struct linear_fetch fetch = { w + PREFETCH_BYTES, pair_bytes };
    if (job->n_blocks > 1) {
        size_t n_next = (linear_block_inputs(m, panel->next_k0) + 1) / 2;
        fetch.step = (n_next * pair_bytes + job->n_blocks * n_pairs - 1) / (job->n_blocks * n_pairs);
        fetch.next =
            linear_data(m, panel->next_tile + tile - panel->tile_begin, panel->next_k0) + block * n_pairs * fetch.step;
        size_t n_ahead = n_rows * row_bytes, n_tiles = panel->tile_end - panel->tile_begin;
        const unsigned char *ahead = x + n_ahead;
        for (size_t at = (tile - panel->tile_begin) * n_ahead / n_tiles;
             at < (tile + 1 - panel->tile_begin) * n_ahead / n_tiles; at += 64) {
            vec_prefetch(ahead + at);
        }
    }
    linear_sums_of[m->dtype](w, x, n_pairs, n_rows, fetch, sums);
    for (size_t out = 0; out < LINEAR_TILE && tile * LINEAR_TILE + out < m->n_out; out += 16) {
        size_t left = m->n_out - tile * LINEAR_TILE - out;
        linear_add(job, first, n_rows, tile * LINEAR_TILE + out, left < 16 ? left : 16, panel->k0 == 0, &sums[0][out]);
    }
}

typedef void linear_cell_fn(const struct linear_job *job, const struct linear_panel *panel, size_t tile, size_t block);

// A panel of tiles_together tiles stays in the L2 cache while the row blocks, each in the L1 cache, go past it (1: the
// weights are one stream).
VEC void linear_panels(const struct linear_job *job, size_t tile_begin, size_t tile_end, size_t tiles_together,
                       size_t n_blocks, linear_cell_fn *cell)
{
    const struct matrix *m = job->w;
    struct linear_panel panel;
    for (size_t group = tile_begin; group < tile_end; group = panel.tile_end) {
        panel.tile_begin = group;
        panel.tile_end = tile_end - group < tiles_together ? tile_end : group + tiles_together;
        for (panel.k0 = 0; panel.k0 < m->n_in; panel.k0 = panel.next_k0) {
            bool is_last = panel.k0 + LINEAR_K_BLOCK >= m->n_in;
            panel.next_tile = is_last ? panel.tile_end : group;
            panel.next_k0 = is_last ? 0 : panel.k0 + LINEAR_K_BLOCK;
            for (size_t block = 0; block < n_blocks; block++) {
                for (size_t tile = group; tile < panel.tile_end; tile++) {
                    cell(job, &panel, tile, block);
                }
            }
            if (is_last) {
                break;
            }
        }
    }
}

static void linear_tiles(const struct linear_job *job, size_t tile_begin, size_t tile_end, size_t tiles_together)
{
    linear_panels(job, tile_begin, tile_end, tiles_together, job->n_blocks, linear_cell);
}

// Maxima of finished tiles; vf_max gives its second argument where the first is not a number.
static void linear_maxima(const struct linear_job *job, size_t tile_begin, size_t tile_end)
{
    for (size_t row = 0; row < job->n_rows; row++) {
        const float *y = job->y + row * job->y_stride;
        for (size_t tile = tile_begin; tile < tile_end; tile++) {
            size_t first = tile * LINEAR_TILE, left = job->w->n_out - first;
            vf most = vf_set1(-INFINITY);
            for (size_t out = 0; out < LINEAR_TILE && out < left; out += 16) {
                most = vf_max(vf_keep(vf_load_n(y + first + out, left - out), left - out, -INFINITY), most);
            }
            job->maxima[row * job->w->n_tiles + tile] = vf_reduce_max(most);
        }
    }
}
