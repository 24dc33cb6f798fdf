// Products with a packed matrix: y = x w^T. Included by isa_*.c.
//
// Each output is a sum over k in ascending order, in blocks of LINEAR_K_BLOCK: within a block one chain of fused
// multiply-adds from zero; the block sums are added, in order, to what the output starts from (bias, the old y, both,
// or zero). Lanes are outputs, so the chain is the same for every vector width, number of rows and split.
//
// Roofline: up to about 8 rows the weights' bytes are the cost (read once, as one ascending stream, prefetched
// PREFETCH_BYTES ahead); above, multiply-adds: a block of R rows and two vectors of outputs does 4R of them per pair of
// k for four conversions and 2R broadcasts, which stay in registers (R = VEC_LINEAR_ROWS).

#define PREFETCH_BYTES 1024

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

// sums[r][v0 * 16...] = chain over k in [0, n_k) of x[r * x_row + k * x_k] * w[k], for n_v vectors of outputs from v0
// on.
VEC void linear_chain(enum dtype dtype, const unsigned char *w, const float *x, size_t x_row, size_t x_k, size_t n_k,
                      size_t n_r, size_t v0, size_t n_v, float (*sums)[LINEAR_TILE])
{
    vf acc[VEC_LINEAR_ROWS][2];
    const size_t k_bytes = LINEAR_TILE * dtype_bytes(dtype);
    VEC_UNROLL(16)
    for (size_t r = 0; r < n_r; r++) {
        acc[r][0] = acc[r][1] = vf_zero();
    }
    for (size_t k = 0; k + 2 <= n_k; k += 2) {
        vec_prefetch(w + PREFETCH_BYTES);
        vec_prefetch(w + PREFETCH_BYTES + 64);
        if (dtype == DTYPE_F32) {
            vec_prefetch(w + PREFETCH_BYTES + 128);
            vec_prefetch(w + PREFETCH_BYTES + 192);
        }
        VEC_UNROLL(2)
        for (size_t odd = 0; odd < 2; odd++) {
            vf weights[2];
            VEC_UNROLL(2)
            for (size_t v = 0; v < n_v; v++) {
                weights[v] = linear_weight(dtype, w, odd, v0 + v);
            }
            VEC_UNROLL(16)
            for (size_t r = 0; r < n_r; r++) {
                vf xr = vf_set1(x[r * x_row + odd * x_k]);
                VEC_UNROLL(2)
                for (size_t v = 0; v < n_v; v++) {
                    acc[r][v] = vf_fma(weights[v], xr, acc[r][v]);
                }
            }
        }
        w += 2 * k_bytes;
        x += 2 * x_k;
    }
    if (n_k % 2 != 0) {
        VEC_UNROLL(16)
        for (size_t r = 0; r < n_r; r++) {
            VEC_UNROLL(2)
            for (size_t v = 0; v < n_v; v++) {
                acc[r][v] = vf_fma(linear_weight(dtype, w, 0, v0 + v), vf_set1(x[r * x_row]), acc[r][v]);
            }
        }
    }
    VEC_UNROLL(16)
    for (size_t r = 0; r < n_r; r++) {
        VEC_UNROLL(2)
        for (size_t v = 0; v < n_v; v++) {
            vf_store(&sums[r][(v0 + v) * 16], acc[r][v]);
        }
    }
}

// The chain for a number of rows known to the compiler. x_k of packed rows is the number of rows.
#define LINEAR_CASE(rows)                                                                                              \
    case rows:                                                                                                         \
        if (rows <= VEC_LINEAR_ROWS) {                                                                                 \
            const size_t n_r = rows <= VEC_LINEAR_ROWS ? rows : 1;                                                     \
            const size_t row_step = is_packed ? 1 : x_row, k_step = is_packed ? n_r : 1;                               \
            const size_t n_v = n_r * 2 * VEC_LINEAR_REGS <= VEC_LINEAR_ACC ? 2 : 1;                                    \
            for (size_t v = 0; v < 2; v += n_v) {                                                                      \
                linear_chain(dtype, w, x, row_step, k_step, n_k, n_r, v, n_v, sums);                                   \
            }                                                                                                          \
        }                                                                                                              \
        break

VEC void linear_sums(enum dtype dtype, bool is_packed, const unsigned char *w, const float *x, size_t x_row, size_t n_k,
                     size_t n_rows, float (*sums)[LINEAR_TILE])
{
    switch (n_rows) {
        LINEAR_CASE(1);
        LINEAR_CASE(2);
        LINEAR_CASE(3);
        LINEAR_CASE(4);
    }
    if (!is_packed) {
        return;
    }
    switch (n_rows) {
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

typedef void linear_sums_fn(const unsigned char *w, const float *x, size_t x_row, size_t n_k, size_t n_rows,
                            float (*sums)[LINEAR_TILE]);

#define LINEAR_SUMS(name, dtype, is_packed)                                                                            \
    static void name(const unsigned char *w, const float *x, size_t x_row, size_t n_k, size_t n_rows,                  \
                     float(*sums)[LINEAR_TILE])                                                                        \
    {                                                                                                                  \
        linear_sums(dtype, is_packed, w, x, x_row, n_k, n_rows, sums);                                                 \
    }

LINEAR_SUMS(linear_sums_f32, DTYPE_F32, false)
LINEAR_SUMS(linear_sums_f16, DTYPE_F16, false)
LINEAR_SUMS(linear_sums_bf16, DTYPE_BF16, false)
LINEAR_SUMS(linear_sums_packed_f32, DTYPE_F32, true)
LINEAR_SUMS(linear_sums_packed_f16, DTYPE_F16, true)
LINEAR_SUMS(linear_sums_packed_bf16, DTYPE_BF16, true)

static linear_sums_fn *const linear_sums_of[2][3] = {
    { [DTYPE_F32] = linear_sums_f32, [DTYPE_F16] = linear_sums_f16, [DTYPE_BF16] = linear_sums_bf16 },
    { [DTYPE_F32] = linear_sums_packed_f32,
      [DTYPE_F16] = linear_sums_packed_f16,
      [DTYPE_BF16] = linear_sums_packed_bf16 },
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

// One tile, one k block, all row blocks.
static void linear_tile(const struct linear_job *job, size_t tile, size_t k0)
{
    const struct matrix *m = job->w;
    linear_sums_fn *sums_of = linear_sums_of[job->packed != NULL][m->dtype];
    size_t n_k = m->n_in - k0 < LINEAR_K_BLOCK ? m->n_in - k0 : LINEAR_K_BLOCK;
    const unsigned char *w = m->data + tile * m->tile_bytes + k0 * LINEAR_TILE * dtype_bytes(m->dtype);
    _Alignas(64) float sums[VEC_LINEAR_ROWS][LINEAR_TILE];
    for (size_t block = 0; block < job->n_blocks; block++) {
        size_t first, n_rows = linear_block(job, block, &first);
        const float *x =
            job->packed != NULL ? job->packed + first * m->n_in + k0 * n_rows : job->x + first * job->x_stride + k0;
        sums_of(w, x, job->x_stride, n_k, n_rows, sums);
        for (size_t out = 0; out < LINEAR_TILE && tile * LINEAR_TILE + out < m->n_out; out += 16) {
            size_t left = m->n_out - tile * LINEAR_TILE - out;
            linear_add(job, first, n_rows, tile * LINEAR_TILE + out, left < 16 ? left : 16, k0 == 0, &sums[0][out]);
        }
    }
}

// tiles_together tiles share each k block of the packed rows while it is in the cache (1: the weights are one stream).
static void linear_tiles(const struct linear_job *job, size_t tile_begin, size_t tile_end, size_t tiles_together)
{
    for (size_t group = tile_begin; group < tile_end; group += tiles_together) {
        size_t group_end = tile_end - group < tiles_together ? tile_end : group + tiles_together;
        for (size_t k0 = 0; k0 < job->w->n_in; k0 += LINEAR_K_BLOCK) {
            for (size_t tile = group; tile < group_end; tile++) {
                linear_tile(job, tile, k0);
            }
        }
    }
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
