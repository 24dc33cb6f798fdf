// Causal attention of some rows of one sequence over its pages. Included by isa_*.c.
//
// Online softmax (Milakov & Gimelshein 2018; tiled as in FlashAttention) over tiles of ATTENTION_TILE positions counted
// from position 0. For a row at position p and the tile's positions [first, n) that it may see, n = min(32, p + 1 - t0)
// and first = 0 but where a window begins inside the tile (tiles before it are passed over):
//   s_j = scale * (even_j + odd_j), the dot product q . k_j as two chains over even and odd dimensions, lanes over
//   positions; m' = max(m, s), alpha = e^(m - m'), w_j = e^(s_j - m'); l = l * alpha + (w_0..15 + w_16..31),
//   lane-wise; acc = acc * alpha, then += w_j * v_j for j = first .. n - 1 in order
// where K and V are f32 or f16. In bf16, q and w are rounded to it too (l is of the unrounded weights), and products
// are of pairs, the odd one first (see linear_body.h): the two chains go over every other pair of dimensions, acc over
// pairs of positions. Blocks (q8_0) are multiplied in the same way, their integers as bf16, which holds them exactly:
//   s_j = scale * sum over blocks of 32 dimensions, in order, of d_j * (even_j + odd_j) of the block, fused;
//   for the dimensions of a block acc += bf16(w_j * d_j) * v_j
// Finally out = acc / sum(l), with a sink z: m' = max(m, z), out = acc e^(m - m') / (sum(l) e^(m - m') + e^(z - m')).
// Scores are capped before they are masked. The order depends on p alone: how rows are
// grouped, chunked or batched changes nothing, and values of positions that are not seen are never touched, not even
// multiplied by zero.
//
// Bytes: each K and V element of the sequence once per K/V head and up to ATTENTION_ROWS rows. Pages of bf16 hold what
// is multiplied (kv_page.h). Those of blocks are widened to it, those of f32 and f16 to f32, and K transposed, into
// scratch in the L1 cache, where all rows of the part use them. A tile's 2 * ATTENTION_TILE * head_dim elements of bf16
// take as many dot products per row: with four rows to a head of K and V, as decoding in groups has them, a core
// computes faster than it reads.

struct attention_view {
    const unsigned char *k, *v;   // of position 0 of page 0, this layer and head
    size_t row_bytes;             // of one position
    size_t page_shift, page_mask; // position -> page, position in page
    size_t n_dim, n_vecs;         // head_dim; vectors of 16 that hold it
};

// Of head `h` of the part.
VEC struct attention_view attention_view_of(const struct attention_part *part, size_t h)
{
    const struct kv_layout *kv = part->op->kv;
    size_t row_bytes = kv_row_bytes(kv), head_bytes = kv_head_bytes(kv);
    const unsigned char *base =
        (const unsigned char *)part->op->pool + part->op->layer * 2 * kv->n_kv_heads * head_bytes;
    return (struct attention_view){
        .k = base + (part->kv_head + h) * head_bytes,
        .v = base + (kv->n_kv_heads + part->kv_head + h) * head_bytes,
        .row_bytes = row_bytes,
        .page_shift = (size_t)__builtin_ctzll(kv->page_tokens),
        .page_mask = kv->page_tokens - 1,
        .n_dim = kv->head_dim,
        .n_vecs = (kv->head_dim + 15) / 16,
    };
}

VEC bool attention_has_pairs(const struct op_attention *op)
{
    return op->kv->dtype == DTYPE_BF16 || op->kv->dtype == DTYPE_Q8_0;
}

// Byte offsets of the tile's positions in the pool; past n that of the first, so that they may be read.
VEC void attention_offsets(const struct attention_part *part, const struct attention_view *view, size_t t0, size_t n,
                           size_t *offset)
{
    for (size_t j = 0; j < ATTENTION_TILE; j++) {
        size_t pos = t0 + (j < n ? j : 0);
        offset[j] = part->seq->pages[pos >> view->page_shift] * part->op->kv->page_bytes +
                    (pos & view->page_mask) * view->row_bytes;
    }
}

// 16 dimensions from `dim` on of 16 positions: k[dim + d][j] = K[j][dim + d].
VEC void attention_transpose(enum dtype dtype, const unsigned char *k, const size_t *offset, size_t dim, size_t n_lanes,
                             float (*dst)[ATTENTION_TILE])
{
    vf block[16];
    VEC_UNROLL(16)
    for (size_t j = 0; j < 16; j++) {
        block[j] = vf_load_dtype(dtype, k + offset[j] + dim * dtype_bytes(dtype), n_lanes);
    }
    vf_transpose(block);
    VEC_UNROLL(16)
    for (size_t d = 0; d < 16; d++) {
        vf_store(dst[dim + d], block[d]);
    }
}

// Widens K (transposed) and V of n positions into scratch; what lies past n is left as it was and never used.
VEC void attention_load_tile(enum dtype dtype, const struct attention_view *view, const size_t *offset, size_t n,
                             struct attention_scratch *scratch)
{
    for (size_t j = 0; j < n; j++) {
        for (size_t i = 0; i < view->n_vecs; i++) {
            size_t n_lanes = view->n_dim - 16 * i < 16 ? view->n_dim - 16 * i : 16;
            vf v = vf_load_dtype(dtype, view->v + offset[j] + 16 * i * dtype_bytes(dtype), n_lanes);
            vf_store(scratch->v + (j * view->n_vecs + i) * 16, v);
        }
    }
    for (size_t j = 0; j < n; j += 16) {
        float(*k)[ATTENTION_TILE] = (float(*)[ATTENTION_TILE])(&scratch->k[0][j]);
        for (size_t dim = 0; dim < view->n_dim; dim += 16) {
            size_t n_lanes = view->n_dim - dim < 16 ? view->n_dim - dim : 16;
            attention_transpose(dtype, view->k, offset + j, dim, n_lanes, k);
        }
    }
}

// A tile of pairs: its two runs of positions, where they lie, and those that are asked for meanwhile (NULL: none).
struct attention_runs {
    const unsigned char *k[2], *v[2], *next_k[2], *next_v[2];
};

// The runs of head h of the part at t0; where the second one holds no position before n_pos it is the first again.
VEC void attention_find_runs(const struct attention_part *part, size_t h, size_t t0, size_t n_pos,
                             const unsigned char **k, const unsigned char **v)
{
    const struct attention_view view = attention_view_of(part, h);
    VEC_UNROLL(2)
    for (size_t i = 0; i < 2; i++) {
        size_t pos = t0 + KV_RUN * i < n_pos ? t0 + KV_RUN * i : t0;
        size_t at = part->seq->pages[pos >> view.page_shift] * part->op->kv->page_bytes +
                    (pos & view.page_mask) * view.row_bytes;
        k[i] = view.k + at;
        v[i] = view.v + at;
    }
}

// Makes the rows of a tile of n positions what attention_fetch asks for.
VEC void attention_plan_fetch(const struct attention_view *view, const size_t *offset, size_t n,
                              struct attention_scratch *scratch)
{
    for (size_t j = 0; j < n; j++) {
        scratch->fetch[j] = view->k + offset[j];
        scratch->fetch[n + j] = view->v + offset[j];
    }
    scratch->n_fetch = 2 * n;
    scratch->n_fetched = 0;
}

// One row of K or V of the next tile, if there is one left to fetch. Called from the inner loops, which spreads the
// lines over the whole tile: a core can wait for a dozen or so at a time, and stalls when asked for more.
VEC void attention_fetch(const struct attention_view *view, struct attention_scratch *scratch)
{
    if (scratch->n_fetched < scratch->n_fetch) {
        const unsigned char *row = scratch->fetch[scratch->n_fetched++];
        for (size_t at = 0; at < view->row_bytes; at += 64) {
            vec_prefetch(row + at);
        }
    }
}

// Scores of n_r rows with all positions of the tile, before scaling.
VEC void attention_scores(const struct attention_view *view, const float *const *q, size_t n_r,
                          struct attention_scratch *scratch, vf (*s)[2])
{
    vf chain[VEC_ATTENTION_ROWS][2][2]; // [row][even, odd][vector of positions]
    VEC_UNROLL(8)
    for (size_t r = 0; r < n_r; r++) {
        chain[r][0][0] = chain[r][0][1] = chain[r][1][0] = chain[r][1][1] = vf_zero();
    }
    for (size_t d = 0; d < view->n_dim; d += 2) {
        attention_fetch(view, scratch);
        VEC_UNROLL(2)
        for (size_t odd = 0; odd < 2; odd++) {
            vf k0 = vf_load(scratch->k[d + odd]), k1 = vf_load(scratch->k[d + odd] + 16);
            VEC_UNROLL(8)
            for (size_t r = 0; r < n_r; r++) {
                vf qr = vf_set1(q[r][d + odd]);
                chain[r][odd][0] = vf_fma(qr, k0, chain[r][odd][0]);
                chain[r][odd][1] = vf_fma(qr, k1, chain[r][odd][1]);
            }
        }
    }
    VEC_UNROLL(8)
    for (size_t r = 0; r < n_r; r++) {
        s[r][0] = vf_add(chain[r][0][0], chain[r][1][0]);
        s[r][1] = vf_add(chain[r][0][1], chain[r][1][1]);
    }
}

// The same of the pairs of dimensions [begin, end): two chains, over every other one. Asks for the same lines of the
// next tile.
VEC void attention_scores_pairs(const struct attention_runs *runs, const uint16_t (*q)[ATTENTION_HEAD_DIM_MAX],
                                size_t begin, size_t end, size_t n_r, vf (*s)[2])
{
    vf chain[VEC_ATTENTION_ROWS][2][2];
    VEC_UNROLL(8)
    for (size_t r = 0; r < n_r; r++) {
        chain[r][0][0] = chain[r][0][1] = chain[r][1][0] = chain[r][1][1] = vf_zero();
    }
    for (size_t pair = begin; pair < end; pair += 2) {
        VEC_UNROLL(2)
        for (size_t odd = 0; odd < 2; odd++) {
            size_t at = (pair + odd) * 2 * KV_RUN * sizeof(uint16_t);
            vf k0 = vf_load((const float *)(runs->k[0] + at)), k1 = vf_load((const float *)(runs->k[1] + at));
            if (runs->next_k[0] != NULL) {
                vec_prefetch(runs->next_k[0] + at);
                vec_prefetch(runs->next_k[1] + at);
            }
            VEC_UNROLL(8)
            for (size_t r = 0; r < n_r; r++) {
                vf qr = vf_broadcast(&q[r][2 * (pair + odd)]);
                chain[r][odd][0] = vf_dot_bf16(k0, qr, chain[r][odd][0]);
                chain[r][odd][1] = vf_dot_bf16(k1, qr, chain[r][odd][1]);
            }
        }
    }
    VEC_UNROLL(8)
    for (size_t r = 0; r < n_r; r++) {
        s[r][0] = vf_add(chain[r][0][0], chain[r][1][0]);
        s[r][1] = vf_add(chain[r][0][1], chain[r][1][1]);
    }
}

// The same of blocks.
VEC void attention_scores_blocks(const struct attention_view *view, const struct attention_runs *runs,
                                 const uint16_t (*q)[ATTENTION_HEAD_DIM_MAX], size_t n_r,
                                 float (*steps)[ATTENTION_TILE], vf (*s)[2])
{
    VEC_UNROLL(8)
    for (size_t r = 0; r < n_r; r++) {
        s[r][0] = s[r][1] = vf_zero();
    }
    for (size_t block = 0; block < view->n_dim / QUANT_BLOCK; block++) {
        vf sums[VEC_ATTENTION_ROWS][2], d0 = vf_load(steps[block]), d1 = vf_load(steps[block] + 16);
        attention_scores_pairs(runs, q, block * QUANT_BLOCK / 2, (block + 1) * QUANT_BLOCK / 2, n_r, sums);
        VEC_UNROLL(8)
        for (size_t r = 0; r < n_r; r++) {
            s[r][0] = vf_fma(sums[r][0], d0, s[r][0]);
            s[r][1] = vf_fma(sums[r][1], d1, s[r][1]);
        }
    }
}

// Positions of the tile that some rows see.
struct attention_span {
    size_t first, n; // [first, n)
};

// What most models and tiles do without, kept out of the way of the loops: soft caps, after which the scale is 1; and
// the positions before a window that begins inside the tile.
static __attribute__((noinline)) void attention_cap_and_mask(const struct op_attention *op, vf (*s)[2], size_t n_r,
                                                             size_t first)
{
    for (size_t r = 0; r < n_r; r++) {
        _Alignas(64) float lanes[ATTENTION_TILE];
        for (size_t i = 0; i < 2; i++) {
            vf capped = s[r][i];
            if (op->softcap > 0) {
                capped = vf_softcap(vf_mul(capped, vf_set1(op->scale)), op->softcap);
            }
            vf_store(lanes + 16 * i, capped);
        }
        for (size_t j = 0; j < first; j++) {
            lanes[j] = -INFINITY;
        }
        s[r][0] = vf_load(lanes);
        s[r][1] = vf_load(lanes + 16);
    }
}

// Dot products -> weights of the positions that are seen; updates each row's max and sum; alpha of up to 16 rows at
// once.
VEC void attention_softmax(const struct op_attention *op, vf (*s)[2], size_t n_r, struct attention_span span,
                           float *max, float (*sum)[16], float (*weights)[ATTENTION_TILE], float *alpha)
{
    float scale = op->scale;
    if (op->softcap > 0 || span.first > 0) {
        vf copy[VEC_ATTENTION_ROWS][2]; // s itself can stay in registers
        memcpy(copy, s, n_r * sizeof(*s));
        attention_cap_and_mask(op, copy, n_r, span.first);
        memcpy(s, copy, n_r * sizeof(*s));
        scale = op->softcap > 0 ? 1.0f : scale;
    }
    float fall[16] = { 0 }; // old max - new max
    VEC_UNROLL(8)
    for (size_t r = 0; r < n_r; r++) {
        s[r][0] = vf_keep(vf_mul(s[r][0], vf_set1(scale)), span.n, -INFINITY);
        s[r][1] = vf_keep(vf_mul(s[r][1], vf_set1(scale)), span.n < 16 ? 0 : span.n - 16, -INFINITY);
        float tile_max = vf_reduce_max(vf_max(s[r][0], s[r][1]));
        float new_max = max[r] > tile_max ? max[r] : tile_max;
        fall[r] = max[r] - new_max;
        max[r] = new_max;
    }
    vf_store(alpha, vf_exp(vf_load(fall)));
    VEC_UNROLL(8)
    for (size_t r = 0; r < n_r; r++) {
        vf w0 = vf_exp(vf_sub(s[r][0], vf_set1(max[r]))), w1 = vf_exp(vf_sub(s[r][1], vf_set1(max[r])));
        vf_store(sum[r], vf_fma(vf_load(sum[r]), vf_set1(alpha[r]), vf_add(w0, w1)));
        vf_store(weights[r], w0);
        vf_store(weights[r] + 16, w1);
    }
}

// acc[r] = acc[r] * alpha[r] + sum_j weights[r][j] * v[j], for n_v vectors from `vec` on.
VEC void attention_values(const struct attention_view *view, size_t vec, size_t n_v, size_t n_r,
                          struct attention_span span, const float *alpha, float (*weights)[ATTENTION_TILE], float *acc,
                          struct attention_scratch *scratch)
{
    vf sum[VEC_ATTENTION_ROWS][4];
    VEC_UNROLL(8)
    for (size_t r = 0; r < n_r; r++) {
        VEC_UNROLL(4)
        for (size_t i = 0; i < n_v; i++) {
            sum[r][i] = vf_mul(vf_load(acc + (r * view->n_vecs + vec + i) * 16), vf_set1(alpha[r]));
        }
    }
    for (size_t j = span.first; j < span.n; j++) {
        attention_fetch(view, scratch);
        const float *vj = scratch->v + (j * view->n_vecs + vec) * 16;
        VEC_UNROLL(4)
        for (size_t i = 0; i < n_v; i++) {
            vf vji = vf_load(vj + 16 * i);
            VEC_UNROLL(8)
            for (size_t r = 0; r < n_r; r++) {
                sum[r][i] = vf_fma(vf_set1(weights[r][j]), vji, sum[r][i]);
            }
        }
    }
    VEC_UNROLL(8)
    for (size_t r = 0; r < n_r; r++) {
        VEC_UNROLL(4)
        for (size_t i = 0; i < n_v; i++) {
            vf_store(acc + (r * view->n_vecs + vec + i) * 16, sum[r][i]);
        }
    }
}

// The halves of pairs of positions that are seen: both, or one where the span begins or ends within the pair.
VEC vf attention_seen(vf pair, size_t j, struct attention_span span)
{
    uint32_t mask = (j >= span.first ? 0xffffu : 0) | (j + 1 < span.n ? 0xffff0000u : 0);
    return vf_and(pair, mask);
}

// The same as attention_values with pairs of positions and weights in bf16. Of the last vector of a row only n_lanes
// are there.
VEC void attention_values_pairs(const struct attention_view *view, const struct attention_runs *runs, size_t vec,
                                size_t n_v, size_t n_lanes, size_t n_r, struct attention_span span, const float *alpha,
                                uint16_t (*weights)[ATTENTION_TILE], float *acc)
{
    vf sum[VEC_ATTENTION_ROWS][4];
    VEC_UNROLL(8)
    for (size_t r = 0; r < n_r; r++) {
        VEC_UNROLL(4)
        for (size_t i = 0; i < n_v; i++) {
            sum[r][i] = vf_mul(vf_load(acc + (r * view->n_vecs + vec + i) * 16), vf_set1(alpha[r]));
        }
    }
    for (size_t j = span.first & ~(size_t)1; j < span.n; j += 2) {
        size_t at = (j % KV_RUN / 2 * view->n_dim + vec * 16) * 2 * sizeof(uint16_t);
        const unsigned char *vj = runs->v[j / KV_RUN] + at, *next = runs->next_v[j / KV_RUN];
        bool is_whole = j >= span.first && j + 1 < span.n;
        VEC_UNROLL(4)
        for (size_t i = 0; i < n_v; i++) {
            vf vji = vf_load_n((const float *)vj + 16 * i, n_lanes);
            vji = is_whole ? vji : attention_seen(vji, j, span);
            if (next != NULL) {
                vec_prefetch(next + at + 64 * i);
            }
            VEC_UNROLL(8)
            for (size_t r = 0; r < n_r; r++) {
                sum[r][i] = vf_dot_bf16(vji, vf_broadcast(&weights[r][j]), sum[r][i]);
            }
        }
    }
    VEC_UNROLL(8)
    for (size_t r = 0; r < n_r; r++) {
        VEC_UNROLL(4)
        for (size_t i = 0; i < n_v; i++) {
            vf_store(acc + (r * view->n_vecs + vec + i) * 16, sum[r][i]);
        }
    }
}

// Weights as they are multiplied with V of a block, whose steps are d: of positions that are seen.
VEC void attention_weights_block(float (*weights)[ATTENTION_TILE], const float *d, size_t n_r,
                                 struct attention_span span, uint16_t (*halves)[ATTENTION_TILE])
{
    vf d0 = vf_load(d), d1 = vf_load(d + 16);
    VEC_UNROLL(8)
    for (size_t r = 0; r < n_r; r++) {
        vf_store_factors(halves[r], vf_mul(vf_load(weights[r]), d0));
        vf_store_factors(halves[r] + 16, vf_mul(vf_load(weights[r] + 16), d1));
        if (span.first > 0 || span.n < ATTENTION_TILE) {
            memset(halves[r], 0, span.first * sizeof(halves[r][0]));
            memset(halves[r] + span.n, 0, (ATTENTION_TILE - span.n) * sizeof(halves[r][0]));
        }
    }
}

// n_r rows from `row` on, all of which see the same positions of the tile.
VEC void attention_rows_pairs(const struct attention_part *part, const struct attention_view *view,
                              const struct attention_runs *runs, size_t row, size_t n_r, struct attention_span span,
                              struct attention_scratch *scratch)
{
    vf s[VEC_ATTENTION_ROWS][2];
    float alpha[16], *acc = scratch->acc + row * view->n_vecs * 16;
    _Alignas(64) float weights[VEC_ATTENTION_ROWS][ATTENTION_TILE];
    _Alignas(64) uint16_t halves[VEC_ATTENTION_ROWS][ATTENTION_TILE];
    attention_scores_pairs(runs, (const uint16_t(*)[ATTENTION_HEAD_DIM_MAX])scratch->q + row, 0, view->n_dim / 2, n_r,
                           s);
    attention_softmax(part->op, s, n_r, span, scratch->max + row, scratch->sum + row, weights, alpha);
    VEC_UNROLL(8)
    for (size_t r = 0; r < n_r; r++) {
        vf_store_factors(halves[r], vf_load(weights[r]));
        vf_store_factors(halves[r] + 16, vf_load(weights[r] + 16));
    }
    for (size_t vec = 0; vec < view->n_vecs;) {
        size_t left = view->n_dim - vec * 16;
        if (left >= 64) {
            attention_values_pairs(view, runs, vec, 4, 16, n_r, span, alpha, halves, acc);
            vec += 4;
        } else {
            attention_values_pairs(view, runs, vec, 1, left < 16 ? left : 16, n_r, span, alpha, halves, acc);
            vec++;
        }
    }
}

// The same of blocks, widened into scratch.
VEC void attention_rows_blocks(const struct attention_part *part, const struct attention_view *view,
                               const struct attention_runs *runs, size_t row, size_t n_r, struct attention_span span,
                               struct attention_scratch *scratch)
{
    vf s[VEC_ATTENTION_ROWS][2];
    float alpha[16], *acc = scratch->acc + row * view->n_vecs * 16;
    _Alignas(64) float weights[VEC_ATTENTION_ROWS][ATTENTION_TILE];
    _Alignas(64) uint16_t halves[VEC_ATTENTION_ROWS][ATTENTION_TILE];
    attention_scores_blocks(view, runs, (const uint16_t(*)[ATTENTION_HEAD_DIM_MAX])scratch->q + row, n_r,
                            scratch->steps[0], s);
    attention_softmax(part->op, s, n_r, span, scratch->max + row, scratch->sum + row, weights, alpha);
    for (size_t block = 0; block < view->n_dim / QUANT_BLOCK; block++) {
        attention_weights_block(weights, scratch->steps[1][block], n_r, span, halves);
        attention_values_pairs(view, runs, 2 * block, 2, 16, n_r, span, alpha, halves, acc);
    }
}

// The same of what was widened into scratch.
VEC void attention_rows_floats(const struct attention_part *part, const struct attention_view *view,
                               const float *const *q, size_t row, size_t n_r, struct attention_span span,
                               struct attention_scratch *scratch)
{
    vf s[VEC_ATTENTION_ROWS][2];
    float alpha[16], *acc = scratch->acc + row * view->n_vecs * 16;
    _Alignas(64) float weights[VEC_ATTENTION_ROWS][ATTENTION_TILE];
    attention_scores(view, q + row, n_r, scratch, s);
    attention_softmax(part->op, s, n_r, span, scratch->max + row, scratch->sum + row, weights, alpha);
    for (size_t vec = 0; vec < view->n_vecs; vec += vec + 4 <= view->n_vecs ? 4 : 1) {
        if (vec + 4 <= view->n_vecs) {
            attention_values(view, vec, 4, n_r, span, alpha, weights, acc, scratch);
        } else {
            attention_values(view, vec, 1, n_r, span, alpha, weights, acc, scratch);
        }
    }
}

// First position that a row at `pos` sees.
VEC size_t attention_first(const struct op_attention *op, size_t pos)
{
    return op->window > 0 && pos + 1 > op->window ? pos + 1 - op->window : 0;
}

// What row `row` of a head sees of the tile at t0, and the end of the rows after it that see the same.
VEC struct attention_span attention_span_of(const struct attention_part *part, size_t t0, size_t row, size_t *ret_end)
{
    const struct op_attention *op = part->op;
    size_t group = op->n_heads / op->kv->n_kv_heads, token = (part->first + row) / group;
    size_t pos = part->seq->pos + token, first = attention_first(op, pos);
    struct attention_span span = { .first = first < t0 ? 0 : first - t0 };
    span.n = pos < t0 ? 0 : pos + 1 - t0 < ATTENTION_TILE ? pos + 1 - t0 : ATTENTION_TILE;
    // A row that sees the whole tile can go with all rows after it up to the one whose window begins later; one on the
    // diagonal, or whose window begins here, with those of its token.
    size_t end = (token + 1) * group;
    if (span.first == 0 && span.n == ATTENTION_TILE) {
        end = op->window > 0 ? (t0 + op->window - part->seq->pos) * group : SIZE_MAX;
    }
    *ret_end = end < part->first + part->n_rows ? end - part->first : part->n_rows;
    return span;
}

enum attention_kind { ATTENTION_FLOATS, ATTENTION_PAIRS, ATTENTION_BLOCKS };

// A tile of a head: pairs where they lie (runs), floats in scratch (q are their rows' queries).
struct attention_block {
    const struct attention_part *part;
    const struct attention_view *view;
    const float *const *q;
    struct attention_runs runs;
    struct attention_scratch *scratch;
};

#define ATTENTION_CASE(rows)                                                                                           \
    case rows:                                                                                                         \
        if (rows <= VEC_ATTENTION_ROWS) {                                                                              \
            const size_t n = rows <= VEC_ATTENTION_ROWS ? rows : 1;                                                    \
            if (kind == ATTENTION_PAIRS) {                                                                             \
                attention_rows_pairs(block->part, block->view, &block->runs, row, n, span, block->scratch);            \
            } else if (kind == ATTENTION_BLOCKS) {                                                                     \
                attention_rows_blocks(block->part, block->view, &block->runs, row, n, span, block->scratch);           \
            } else {                                                                                                   \
                attention_rows_floats(block->part, block->view, block->q, row, n, span, block->scratch);               \
            }                                                                                                          \
        }                                                                                                              \
        break

VEC void attention_rows(enum attention_kind kind, const struct attention_block *block, size_t row, size_t n_r,
                        struct attention_span span)
{
    switch (n_r) {
        ATTENTION_CASE(1);
        ATTENTION_CASE(2);
        ATTENTION_CASE(3);
        ATTENTION_CASE(4);
        ATTENTION_CASE(5);
        ATTENTION_CASE(6);
    }
}

// Rows [row, end), dealt evenly. The first of them ask for the next tile.
VEC void attention_deal(enum attention_kind kind, struct attention_block *block, size_t row, size_t end,
                        struct attention_span span)
{
    for (size_t n_blocks = (end - row + VEC_ATTENTION_ROWS - 1) / VEC_ATTENTION_ROWS; n_blocks > 0; n_blocks--) {
        size_t n = (end - row + n_blocks - 1) / n_blocks;
        attention_rows(kind, block, row, n, span);
        block->runs.next_k[0] = block->runs.next_v[0] = block->runs.next_v[1] = NULL;
        row += n;
    }
}

// The rows of head h of the part against its tile at t0; rows that see the same of it go together.
VEC void attention_tile(enum attention_kind kind, struct attention_block *block, size_t t0, size_t h)
{
    const struct attention_part *part = block->part;
    size_t base = h * part->n_rows;
    for (size_t row = 0; row < part->n_rows;) {
        size_t end;
        struct attention_span span = attention_span_of(part, t0, row, &end);
        if (span.first < span.n) {
            attention_deal(kind, block, base + row, base + end, span);
        }
        row = end;
    }
}

static void attention_tile_floats(struct attention_block *block, size_t t0, size_t h)
{
    attention_tile(ATTENTION_FLOATS, block, t0, h);
}

static void attention_tile_pairs(struct attention_block *block, size_t t0, size_t h)
{
    attention_tile(ATTENTION_PAIRS, block, t0, h);
}

static void attention_tile_blocks(struct attention_block *block, size_t t0, size_t h)
{
    attention_tile(ATTENTION_BLOCKS, block, t0, h);
}

// Where row `row` of the part stands: row of the batch and query head.
VEC void attention_place(const struct attention_part *part, size_t row, size_t *ret_batch_row, size_t *ret_head)
{
    size_t group = part->op->n_heads / part->op->kv->n_kv_heads;
    size_t in_head = part->first + row % part->n_rows;
    *ret_batch_row = part->seq->row + in_head / group;
    *ret_head = (part->kv_head + row / part->n_rows) * group + in_head % group;
}

static void attention_finish(const struct attention_part *part, const struct attention_view *view,
                             const struct attention_scratch *scratch)
{
    for (size_t row = 0; row < part->n_heads * part->n_rows; row++) {
        size_t batch_row, head;
        attention_place(part, row, &batch_row, &head);
        float *out = part->op->out + (batch_row * part->op->n_heads + head) * view->n_dim;
        const float *acc = scratch->total_acc + row * view->n_vecs * 16;
        vf sum = vf_set1(vf_reduce_add(vf_load(scratch->total_sum[row])));
        vf fall = vf_set1(1.0f);
        if (part->op->sinks != NULL) {
            float sink = part->op->sinks[head], max = scratch->total_max[row] > sink ? scratch->total_max[row] : sink;
            fall = vf_exp(vf_set1(scratch->total_max[row] - max));
            sum = vf_fma(sum, fall, vf_exp(vf_set1(sink - max)));
        }
        for (size_t i = 0; i < view->n_dim; i += 16) {
            vf v = vf_load(acc + i);
            v = part->op->sinks != NULL ? vf_mul(v, fall) : v;
            vf_store_n(out + i, vf_div(v, sum), view->n_dim - i);
        }
    }
}

static void attention_begin(const struct attention_part *part, const struct attention_view *view, const float **q,
                            struct attention_scratch *scratch)
{
    const struct op_attention *op = part->op;
    size_t row_floats = (op->n_heads + 2 * op->kv->n_kv_heads) * view->n_dim;
    for (size_t row = 0; row < part->n_heads * part->n_rows; row++) {
        size_t batch_row, head;
        attention_place(part, row, &batch_row, &head);
        q[row] = op->qkv + batch_row * row_floats + head * view->n_dim;
        for (size_t dim = 0; attention_has_pairs(op) && dim < view->n_dim; dim += 16) {
            vf_store_factors(scratch->q[row] + dim, vf_load_n(q[row] + dim, view->n_dim - dim));
        }
    }
}

// ---- segments ------------------------------------------------------------------------------------------------------

static void attention_clear_totals(const struct attention_part *part, const struct attention_view *view,
                                   struct attention_scratch *scratch)
{
    size_t n_rows = part->n_heads * part->n_rows;
    for (size_t row = 0; row < n_rows; row++) {
        scratch->total_max[row] = -INFINITY;
    }
    memset(scratch->total_acc, 0, n_rows * view->n_vecs * 16 * sizeof(float));
    memset(scratch->total_sum, 0, n_rows * sizeof(scratch->total_sum[0]));
}

// Joins a segment's sum to a row's total: m' = max(M, m); L = L e^(M - m') + l e^(m - m'), and so the values.
VEC void attention_add(const struct attention_view *view, size_t row, float max, const float *sum, const float *acc,
                       struct attention_scratch *scratch)
{
    if (max == -INFINITY) { // nothing of it is seen
        return;
    }
    float *total_max = &scratch->total_max[row], new_max = *total_max > max ? *total_max : max;
    vf old = vf_exp(vf_set1(*total_max - new_max)), fresh = vf_exp(vf_set1(max - new_max));
    float *total_acc = scratch->total_acc + row * view->n_vecs * 16, *total_sum = scratch->total_sum[row];
    vf_store(total_sum, vf_fma(vf_load(total_sum), old, vf_mul(vf_load(sum), fresh)));
    for (size_t i = 0; i < view->n_vecs * 16; i += 16) {
        vf_store(total_acc + i, vf_fma(vf_load(total_acc + i), old, vf_mul(vf_load(acc + i), fresh)));
    }
    *total_max = new_max;
}

// What the segment gave: to the totals, or to the part's memory.
static void attention_end_segment(const struct attention_part *part, const struct attention_view *view, size_t segment,
                                  struct attention_scratch *scratch)
{
    size_t n_rows = part->n_heads * part->n_rows, stride = ATTENTION_PARTIAL(view->n_dim);
    for (size_t row = 0; row < n_rows; row++) {
        const float *acc = scratch->acc + row * view->n_vecs * 16;
        if (part->partials == NULL) {
            attention_add(view, row, scratch->max[row], scratch->sum[row], acc, scratch);
            continue;
        }
        float *partial = part->partials + ((segment - part->segment_begin) * n_rows + row) * stride;
        memcpy(partial, scratch->sum[row], sizeof(scratch->sum[row]));
        partial[16] = scratch->max[row];
        memcpy(partial + 32, acc, view->n_vecs * 16 * sizeof(float));
    }
}

static void attention_join(const struct attention_part *part, struct attention_scratch *scratch)
{
    struct attention_view view = attention_view_of(part, 0);
    size_t n_rows = part->n_heads * part->n_rows, stride = ATTENTION_PARTIAL(view.n_dim);
    attention_clear_totals(part, &view, scratch);
    for (size_t i = 0; i < (part->segment_end - part->segment_begin) * n_rows; i++) {
        const float *partial = part->partials + i * stride;
        attention_add(&view, i % n_rows, partial[16], partial, partial + 32, scratch);
    }
    attention_finish(part, &view, scratch);
}

// A run of K or V in blocks to pairs of bf16, and its steps; asks for the lines at `next`, unless that is NULL.
VEC void attention_widen_run(const unsigned char *run, size_t n_dim, const unsigned char *next, unsigned char *dst,
                             float (*steps)[ATTENTION_TILE])
{
    for (size_t i = 0; i < n_dim / 2; i++) {
        const int8_t *q = (const int8_t *)run + i * 2 * KV_RUN;
        vf_store((float *)dst + i * KV_RUN, vf_pairs_exact(vf_load_i8(q), vf_load_i8(q + KV_RUN)));
        if (next != NULL && i % 2 == 0) {
            vec_prefetch(next + i * 2 * KV_RUN);
        }
    }
    if (next != NULL) {
        vec_prefetch(next + n_dim * KV_RUN);
    }
    for (size_t block = 0; block < n_dim / QUANT_BLOCK; block++) {
        vf_store(steps[block], vf_load_f16((const uint16_t *)(run + n_dim * KV_RUN) + block * KV_RUN));
    }
}

// `block->runs` of blocks become those of scratch.
static void attention_widen(struct attention_block *block)
{
    struct attention_scratch *scratch = block->scratch;
    struct attention_runs *runs = &block->runs;
    size_t n_dim = block->view->n_dim, run_bytes = n_dim * KV_RUN * sizeof(uint16_t);
    for (size_t i = 0; i < 2; i++) {
        unsigned char *k = (unsigned char *)scratch->k + i * run_bytes,
                      *v = (unsigned char *)scratch->v + i * run_bytes;
        float(*k_steps)[ATTENTION_TILE] = (float(*)[ATTENTION_TILE])(&scratch->steps[0][0][i * KV_RUN]);
        float(*v_steps)[ATTENTION_TILE] = (float(*)[ATTENTION_TILE])(&scratch->steps[1][0][i * KV_RUN]);
        attention_widen_run(runs->k[i], n_dim, runs->next_k[i], k, k_steps);
        attention_widen_run(runs->v[i], n_dim, runs->next_v[i], v, v_steps);
        runs->k[i] = k;
        runs->v[i] = v;
        runs->next_k[i] = runs->next_v[i] = NULL;
    }
}

// Heads and tiles ahead of the one that is computed, for which lines are asked: one is 8 KiB of 64 dimensions and is
// computed faster than memory answers.
#define ATTENTION_AHEAD 2

// Tile t0 of positions up to n_pos under every head of the part.
static void attention_heads_pairs(const struct attention_part *part, size_t t0, size_t n_pos,
                                  struct attention_scratch *scratch)
{
    for (size_t h = 0; h < part->n_heads; h++) {
        struct attention_view view = attention_view_of(part, h);
        struct attention_block block = { .part = part, .view = &view, .scratch = scratch };
        size_t ahead = t0 + (h + ATTENTION_AHEAD) / part->n_heads * ATTENTION_TILE;
        attention_find_runs(part, h, t0, n_pos, block.runs.k, block.runs.v);
        if (ahead < n_pos) {
            attention_find_runs(part, (h + ATTENTION_AHEAD) % part->n_heads, ahead, n_pos, block.runs.next_k,
                                block.runs.next_v);
        }
        if (part->op->kv->dtype == DTYPE_Q8_0) {
            attention_widen(&block);
            attention_tile_blocks(&block, t0, h);
        } else {
            attention_tile_pairs(&block, t0, h);
        }
    }
}

// The same of n positions of other types; `offset` are those of it and, n_next of them, of the next.
static void attention_heads_floats(const struct attention_part *part, const float *const *q, size_t t0, size_t n,
                                   size_t n_next, size_t (*offset)[ATTENTION_TILE], struct attention_scratch *scratch)
{
    for (size_t h = 0; h < part->n_heads; h++) {
        bool is_last = h + 1 == part->n_heads;
        struct attention_view view = attention_view_of(part, h), next = attention_view_of(part, is_last ? 0 : h + 1);
        struct attention_block block = { .part = part, .view = &view, .q = q, .scratch = scratch };
        switch (part->op->kv->dtype) {
        case DTYPE_F32: attention_load_tile(DTYPE_F32, &view, offset[0], n, scratch); break;
        case DTYPE_F16: attention_load_tile(DTYPE_F16, &view, offset[0], n, scratch); break;
        default: assert(0 && "a type of K and V");
        }
        attention_plan_fetch(&next, offset[is_last], is_last ? n_next : n, scratch);
        attention_tile_floats(&block, t0, h);
    }
}

static void attention_positions_floats(const struct attention_part *part, const float *const *q, size_t t0,
                                       size_t n_pos, struct attention_scratch *scratch)
{
    struct attention_view view = attention_view_of(part, 0);
    size_t offset[2][ATTENTION_TILE]; // of this tile and the next
    size_t n = n_pos - t0 < ATTENTION_TILE ? n_pos - t0 : ATTENTION_TILE, n_next;
    scratch->n_fetch = scratch->n_fetched = 0;
    attention_offsets(part, &view, t0, n, offset[0]);
    for (; t0 < n_pos; t0 += ATTENTION_TILE, n = n_next) {
        n_next = n_pos - t0 - n < ATTENTION_TILE ? n_pos - t0 - n : ATTENTION_TILE;
        if (n_next > 0) {
            attention_offsets(part, &view, t0 + ATTENTION_TILE, n_next, offset[1]);
        }
        attention_heads_floats(part, q, t0, n, n_next, offset, scratch);
        memcpy(offset[0], offset[1], sizeof(offset[0]));
    }
}

// Positions [t0, n_pos), t0 the first of a tile.
static void attention_positions(const struct attention_part *part, const float *const *q, size_t t0, size_t n_pos,
                                struct attention_scratch *scratch)
{
    struct attention_view view = attention_view_of(part, 0);
    size_t n_rows = part->n_heads * part->n_rows;
    for (size_t row = 0; row < n_rows; row++) {
        scratch->max[row] = -INFINITY;
    }
    memset(scratch->acc, 0, n_rows * view.n_vecs * 16 * sizeof(float));
    memset(scratch->sum, 0, n_rows * sizeof(scratch->sum[0]));
    if (!attention_has_pairs(part->op)) {
        attention_positions_floats(part, q, t0, n_pos, scratch);
        return;
    }
    for (; t0 < n_pos; t0 += ATTENTION_TILE) {
        attention_heads_pairs(part, t0, n_pos, scratch);
    }
}

static void attention(const struct attention_part *part, struct attention_scratch *scratch)
{
    const struct op_attention *op = part->op;
    struct attention_view view = attention_view_of(part, 0);
    const float *q[ATTENTION_ROWS];
    attention_begin(part, &view, q, scratch);
    attention_clear_totals(part, &view, scratch);
    size_t group = op->n_heads / op->kv->n_kv_heads;
    size_t n_pos = part->seq->pos + (part->first + part->n_rows - 1) / group + 1;
    size_t first = attention_first(op, part->seq->pos + part->first / group) / ATTENTION_TILE * ATTENTION_TILE;
    for (size_t segment = part->segment_begin; segment < part->segment_end; segment++) {
        size_t t0 = segment * ATTENTION_SEGMENT, end = t0 + ATTENTION_SEGMENT;
        attention_positions(part, q, t0 < first ? first : t0, end < n_pos ? end : n_pos, scratch);
        attention_end_segment(part, &view, segment, scratch);
    }
    if (part->partials == NULL) {
        attention_finish(part, &view, scratch);
    }
}
