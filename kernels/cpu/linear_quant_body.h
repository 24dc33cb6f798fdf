// Products with weights in block formats (quant_tile.h), as integers. Included by isa_*.c after linear_body.h.
//
// Inputs are rounded to 8 bits in groups of QUANT_BLOCK: x[k] = dx * xq[k], dx = max |x| / 127. A weight is
// w[k] = s * (q[k] - offset), or s * q[k] - min, where s is of a group (or half of one). For every group, in ascending
// order, an output's sum gets
//   sum = fma(isum, s * dx, sum), isum = sum_k q[k] * xq[k] - offset * sum_k xq[k], exact in 32 bits and in f32
//   sum = fma(-min, dx * sum_k xq[k], sum) where there are minima
// from zero in each block of LINEAR_K_BLOCK, as for other weights. So bits depend on nothing but the row.
//
// Roofline: few rows read the weights' bytes once, as one ascending stream prefetched QUANT_PREFETCH_BYTES ahead, and
// widen each group's values in registers. More rows: a panel of tiles is widened once for all row blocks; a block of R
// rows and two vectors does 16 R dot products and 4 R floating-point operations per group, which with VPDPBUSD at the
// rate of multiply-adds leaves at most 80 % of its peak.

#define QUANT_PREFETCH_BYTES 8192

struct quant_row { // a packed row's part of a k block
    int8_t q[LINEAR_K_BLOCK];
    float scale[LINEAR_K_BLOCK / QUANT_BLOCK];       // dx
    int32_t start[LINEAR_K_BLOCK / QUANT_BLOCK * 2]; // -offset * sum of xq: of groups, or of halves of groups
    float sum[LINEAR_K_BLOCK / QUANT_BLOCK];         // dx * sum of xq
};

_Static_assert(sizeof(struct quant_row) <= LINEAR_PACKED_BYTES && sizeof(struct quant_row) % 64 == 0, "a row fits");

// ---- packing -------------------------------------------------------------------------------------------------------

// A group of inputs in 8 bits, and the sums of its halves. Returns dx; not a number where an input is none or infinite.
VEC float quant_round(const float *x, int8_t *q, int32_t sums[2])
{
    const vf magic = vf_set1(0x1.8p23f);
    vf half[2] = { vf_load(x), vf_load(x + 16) };
    if (!(vf_reduce_add(vf_add(vf_sub(half[0], half[0]), vf_sub(half[1], half[1]))) == 0)) {
        memset(q, 0, QUANT_BLOCK);
        sums[0] = sums[1] = 0;
        return NAN;
    }
    float most = vf_reduce_max(vf_max(vf_and(half[0], 0x7fffffffu), vf_and(half[1], 0x7fffffffu)));
    float inverse = most > 0x1p-100f ? 127.0f / most : 0;
    float shifted[QUANT_BLOCK]; // the nearest integer in the low byte
    VEC_UNROLL(2)
    for (size_t i = 0; i < 2; i++) {
        vf n = vf_add(vf_mul(half[i], vf_set1(inverse)), magic);
        vf_store(shifted + 16 * i, n);
        sums[i] = (int32_t)vf_reduce_add(vf_sub(n, magic)); // exact
    }
    for (size_t i = 0; i < QUANT_BLOCK; i++) {
        int32_t bits;
        memcpy(&bits, shifted + i, sizeof(bits));
        q[i] = (int8_t)bits;
    }
    return inverse > 0 ? most / 127.0f : 0;
}

VEC void quant_pack_row(struct quant_tile form, const float *x, size_t n_k, struct quant_row *dst)
{
    for (size_t g = 0; g < n_k / QUANT_BLOCK; g++) {
        int32_t sums[2];
        float scale = quant_round(x + g * QUANT_BLOCK, dst->q + g * QUANT_BLOCK, sums);
        dst->scale[g] = scale;
        dst->sum[g] = scale * (float)(sums[0] + sums[1]);
        if (form.has_half_scales) {
            dst->start[2 * g] = -form.offset * sums[0];
            dst->start[2 * g + 1] = -form.offset * sums[1];
        } else {
            dst->start[g] = -form.offset * (sums[0] + sums[1]);
        }
    }
}

static void quant_pack_rows(const struct linear_job *job, size_t row_begin, size_t row_end)
{
    const struct matrix *m = job->w;
    struct quant_tile form = quant_tile(m->dtype);
    for (size_t row = row_begin; row < row_end; row++) {
        struct quant_row *dst = (struct quant_row *)job->packed + row;
        for (size_t k = 0; k < m->n_in; k += LINEAR_K_BLOCK, dst += job->n_rows) {
            size_t n_k = m->n_in - k < LINEAR_K_BLOCK ? m->n_in - k : LINEAR_K_BLOCK;
            quant_pack_row(form, job->x + row * job->x_stride + k, n_k, dst);
        }
    }
}

// ---- widening ------------------------------------------------------------------------------------------------------

// Vector v (0, 1) of quads j and j + 4 of a group, as bytes; j < 4.
VEC void quant_quads(enum dtype dtype, const unsigned char *group, size_t j, size_t v, vi ret[2])
{
    if (dtype == DTYPE_Q8_0) {
        ret[0] = vi_load(group + (j * 2 + v) * 64);
        ret[1] = vi_load(group + ((j + 4) * 2 + v) * 64);
        return;
    }
    const unsigned char *high = group + QUANT_HALVES_BYTES;
    vi halves = vi_load(group + (j * 2 + v) * 64), mask = vi_set1(0x0f0f0f0f);
    vi lo = vi_and(halves, mask), hi = vi_and(vi_srl(halves, 4), mask);
    if (dtype == DTYPE_MXFP4) {
        lo = vi_lookup(quant_mxfp4_values, lo);
        hi = vi_lookup(quant_mxfp4_values, hi);
    } else if (quant_tile(dtype).high_bytes == 128) {
        vi bits = vi_load(high + v * 64), one = vi_set1(0x10101010);
        lo = vi_or(lo, vi_and(vi_sll(bits, 4 - (int)j), one));
        hi = vi_or(hi, vi_and(vi_srl(bits, (int)j), one));
    } else if (dtype == DTYPE_Q6_K) {
        vi first = vi_load(high + v * 64), second = vi_load(high + 128 + v * 64), two = vi_set1(0x30303030);
        lo = vi_or(lo, vi_and(vi_sll(vi_srl(first, 2 * (int)j), 4), two));
        hi = vi_or(hi, vi_and(vi_sll(vi_srl(second, 2 * (int)j), 4), two));
    }
    ret[0] = lo;
    ret[1] = hi;
}

// Values of a group as bytes [8 quads][LINEAR_TILE][4].
VEC void quant_widen(enum dtype dtype, const unsigned char *group, uint8_t *dst)
{
    VEC_UNROLL(4)
    for (size_t j = 0; j < 4; j++) {
        VEC_UNROLL(2)
        for (size_t v = 0; v < 2; v++) {
            vi quads[2];
            quant_quads(dtype, group, j, v, quads);
            vi_store(dst + (j * 2 + v) * 64, quads[0]);
            vi_store(dst + ((j + 4) * 2 + v) * 64, quads[1]);
        }
    }
}

// Scales of a group, or of its halves, and -minima where there are any, as f32.
VEC void quant_scales(enum dtype dtype, const unsigned char *head, const unsigned char *group,
                      float (*scales)[LINEAR_TILE], float *mins)
{
    struct quant_tile form = quant_tile(dtype);
    const unsigned char *stored = group + form.scale_at;
    VEC_UNROLL(2)
    for (size_t v = 0; v < 2; v++) {
        if (dtype == DTYPE_MXFP4) {
            for (size_t lane = v * 16; lane < v * 16 + 16; lane++) {
                scales[0][lane] = quant_mxfp4_step(stored[lane]);
            }
            continue;
        }
        if (form.head_bytes == 0) {
            vf_store(scales[0] + v * 16, vf_load_f16((const uint16_t *)stored + v * 16));
            if (form.has_min) {
                vf_store(mins + v * 16, vf_load_f16((const uint16_t *)(stored + 64) + v * 16));
            }
            continue;
        }
        vf d = vf_load_f16((const uint16_t *)head + v * 16);
        if (form.has_min) {
            vf dmin = vf_load_f16((const uint16_t *)(head + 64) + v * 16);
            vf_store(scales[0] + v * 16, vf_mul(d, vf_load_u8(stored + v * 16)));
            vf_store(mins + v * 16, vf_sub(vf_zero(), vf_mul(dmin, vf_load_u8(stored + LINEAR_TILE + v * 16))));
        } else {
            vf_store(scales[0] + v * 16, vf_mul(d, vf_load_i8((const int8_t *)stored + v * 16)));
            vf_store(scales[1] + v * 16, vf_mul(d, vf_load_i8((const int8_t *)stored + LINEAR_TILE + v * 16)));
        }
    }
}

// Groups [g, g + n_groups) of a tile to the panel; bytes as they are stay where they are.
VEC void quant_widen_groups(enum dtype dtype, const unsigned char *tile, size_t g, size_t n_groups,
                            struct quant_panel *panel)
{
    const struct quant_tile form = quant_tile(dtype);
    const size_t n_scales = form.has_half_scales ? 2 : 1;
    for (size_t i = 0; i < n_groups; i++) {
        const unsigned char *head = tile + quant_tile_head(form, g + i), *group = tile + quant_tile_group(form, g + i);
        if (dtype != DTYPE_Q8_0) {
            quant_widen(dtype, group, panel->q[i]);
        }
        quant_scales(dtype, head, group, panel->scales + i * n_scales, panel->mins[i]);
    }
}

typedef void quant_widen_fn(const unsigned char *tile, size_t g, size_t n_groups, struct quant_panel *panel);

#define QUANT_WIDEN(name, dtype)                                                                                       \
    static void name(const unsigned char *tile, size_t g, size_t n_groups, struct quant_panel *panel)                  \
    {                                                                                                                  \
        quant_widen_groups(dtype, tile, g, n_groups, panel);                                                           \
    }
QUANT_WIDEN(quant_widen_q8_0, DTYPE_Q8_0)
QUANT_WIDEN(quant_widen_q4_0, DTYPE_Q4_0)
QUANT_WIDEN(quant_widen_q4_1, DTYPE_Q4_1)
QUANT_WIDEN(quant_widen_q5_0, DTYPE_Q5_0)
QUANT_WIDEN(quant_widen_q5_1, DTYPE_Q5_1)
QUANT_WIDEN(quant_widen_mxfp4, DTYPE_MXFP4)
QUANT_WIDEN(quant_widen_q4_k, DTYPE_Q4_K)
QUANT_WIDEN(quant_widen_q5_k, DTYPE_Q5_K)
QUANT_WIDEN(quant_widen_q6_k, DTYPE_Q6_K)

static quant_widen_fn *const quant_widen_of[N_DTYPES] = {
    [DTYPE_Q8_0] = quant_widen_q8_0, [DTYPE_Q4_0] = quant_widen_q4_0, [DTYPE_Q4_1] = quant_widen_q4_1,
    [DTYPE_Q5_0] = quant_widen_q5_0, [DTYPE_Q5_1] = quant_widen_q5_1, [DTYPE_Q4_K] = quant_widen_q4_k,
    [DTYPE_Q5_K] = quant_widen_q5_k, [DTYPE_Q6_K] = quant_widen_q6_k, [DTYPE_MXFP4] = quant_widen_mxfp4,
};

// ---- sums ----------------------------------------------------------------------------------------------------------

// Groups of some rows with a tile, widened.
struct quant_cell {
    const uint8_t *q; // of the first group, [8 quads][LINEAR_TILE][4], groups q_step bytes apart
    size_t q_step;
    const float (*scales)[LINEAR_TILE]; // [n_groups], or two for each
    const float (*mins)[LINEAR_TILE];   // what is added for minima
    size_t n_groups;
    const struct quant_row *x;
    const unsigned char *fetch; // what is asked for meanwhile
    size_t fetch_bytes;         // ... per group
};

// Asks for what group g has to: weights, and as much of the row block after this one, which lies behind it.
VEC void quant_fetch(const struct quant_cell *cell, size_t g, size_t n_r)
{
    const size_t row_bytes = sizeof(struct quant_row) / (LINEAR_K_BLOCK / QUANT_BLOCK);
    const unsigned char *rows = (const unsigned char *)(cell->x + n_r) + g * n_r * row_bytes;
    for (size_t at = 0; at < cell->fetch_bytes; at += 64) {
        vec_prefetch(cell->fetch + g * cell->fetch_bytes + at);
    }
    for (size_t at = 0; at < n_r * row_bytes; at += 64) {
        vec_prefetch(rows + at);
    }
}

enum quant_kind { QUANT_BYTES, QUANT_SMALL, QUANT_MIN, QUANT_HALF_SCALES };

#if VEC_QUANT_VECTORS == 2
// Quads [begin, begin + n_quads) of group g: integer sums of n_r rows.
VEC void quant_dots(const struct quant_cell *cell, size_t g, size_t begin, size_t n_quads, bool is_small, size_t n_r,
                    vi (*sums)[2])
{
    const uint8_t *q = cell->q + g * cell->q_step + begin * LINEAR_TILE * 4;
    const int8_t *x = cell->x->q + g * QUANT_BLOCK + begin * 4;
    VEC_UNROLL(8)
    for (size_t j = 0; j < n_quads; j++) {
        vi w0 = vi_load(q + j * 128), w1 = vi_load(q + j * 128 + 64);
        VEC_UNROLL(8)
        for (size_t r = 0; r < n_r; r++) {
            vi xr = vi_broadcast(x + r * sizeof(struct quant_row) + j * 4);
            sums[r][0] = vi_dot(sums[r][0], w0, xr, is_small);
            sums[r][1] = vi_dot(sums[r][1], w1, xr, is_small);
        }
    }
}

// sum = fma(isum, s * dx, sum)
VEC void quant_scale(const float *scales, const struct quant_row *x, size_t g, size_t n_r, vi (*isums)[2], vf (*acc)[2])
{
    vf s0 = vf_load(scales), s1 = vf_load(scales + 16);
    VEC_UNROLL(8)
    for (size_t r = 0; r < n_r; r++) {
        vf dx = vf_set1(x[r].scale[g]);
        acc[r][0] = vf_fma(vf_from_vi(isums[r][0]), vf_mul(s0, dx), acc[r][0]);
        acc[r][1] = vf_fma(vf_from_vi(isums[r][1]), vf_mul(s1, dx), acc[r][1]);
    }
}

VEC void quant_group(enum quant_kind kind, const struct quant_cell *cell, size_t g, size_t n_r, vf (*acc)[2])
{
    vi isums[VEC_QUANT_ROWS][2];
    size_t n_parts = kind == QUANT_HALF_SCALES ? 2 : 1;
    VEC_UNROLL(2)
    for (size_t part = 0; part < n_parts; part++) {
        VEC_UNROLL(8)
        for (size_t r = 0; r < n_r; r++) {
            vi start = kind == QUANT_MIN ? vi_set1(0) : vi_broadcast(&cell->x[r].start[g * n_parts + part]);
            isums[r][0] = isums[r][1] = start;
        }
        quant_dots(cell, g, part * 4, 8 / n_parts, kind != QUANT_BYTES, n_r, isums);
        quant_scale(cell->scales[g * n_parts + part], cell->x, g, n_r, isums, acc);
    }
    if (kind == QUANT_MIN) {
        vf m0 = vf_load(cell->mins[g]), m1 = vf_load(cell->mins[g] + 16);
        VEC_UNROLL(8)
        for (size_t r = 0; r < n_r; r++) {
            vf sum = vf_set1(cell->x[r].sum[g]);
            acc[r][0] = vf_fma(m0, sum, acc[r][0]);
            acc[r][1] = vf_fma(m1, sum, acc[r][1]);
        }
    }
}

// sums[r] = the groups, in order.
VEC void quant_chain(enum quant_kind kind, const struct quant_cell *cell, size_t n_r, float (*sums)[LINEAR_TILE])
{
    vf acc[VEC_QUANT_ROWS][2];
    VEC_UNROLL(8)
    for (size_t r = 0; r < n_r; r++) {
        acc[r][0] = acc[r][1] = vf_zero();
    }
    for (size_t g = 0; g < cell->n_groups; g++) {
        quant_fetch(cell, g, n_r);
        quant_group(kind, cell, g, n_r, acc);
    }
    VEC_UNROLL(8)
    for (size_t r = 0; r < n_r; r++) {
        vf_store(sums[r], acc[r][0]);
        vf_store(sums[r] + 16, acc[r][1]);
    }
}

#else
// Of a set with few registers: one vector of outputs after the other, whose integer sums alone stay in registers.

// A group of rows with a vector of outputs.
struct quant_step {
    const uint8_t *q; // [8 quads], LINEAR_TILE * 4 bytes apart
    const int8_t *x;  // of the first row, rows sizeof(struct quant_row) apart
    const float *scales, *mins;
    float *sums; // [n_r], LINEAR_TILE apart
};

#if VEC_HAS_DOT_INT8
// Quads [begin, begin + n_quads): integer sums of n_r rows.
VEC void quant_dots(enum quant_kind kind, const struct quant_step *step, size_t begin, size_t n_quads, size_t n_r,
                    vi *sums)
{
    VEC_UNROLL(8)
    for (size_t j = begin; j < begin + n_quads; j++) {
        vi w = vi_load(step->q + j * LINEAR_TILE * 4);
        VEC_UNROLL(8)
        for (size_t r = 0; r < n_r; r++) {
            vi xr = vi_broadcast(step->x + r * sizeof(struct quant_row) + j * 4);
            sums[r] = vi_dot(sums[r], w, xr, kind != QUANT_BYTES);
        }
    }
}
#else
// The same by products of bytes in pairs of 16 bits, of which some are added before they are widened to 32: values
// below 32 four times, those below 64 twice. Bytes are taken as signed (so that their offset is no concern) and
// multiplied by size, which leaves no room for more than one.
VEC void quant_dots(enum quant_kind kind, const struct quant_step *step, size_t begin, size_t n_quads, size_t n_r,
                    vi *sums)
{
    const size_t n_together = kind == QUANT_BYTES ? 1 : kind == QUANT_HALF_SCALES ? 2 : 4;
    VEC_UNROLL(8)
    for (size_t j = begin; j < begin + n_quads; j += n_together) {
        vi shorts[VEC_QUANT_ROWS];
        VEC_UNROLL(4)
        for (size_t i = 0; i < n_together; i++) {
            vi w = vi_load(step->q + (j + i) * LINEAR_TILE * 4);
            VEC_UNROLL(8)
            for (size_t r = 0; r < n_r; r++) {
                vi xr = vi_broadcast(step->x + r * sizeof(struct quant_row) + (j + i) * 4);
                vi products = kind == QUANT_BYTES ? vi_pairs_offset(w, xr) : vi_pairs(w, xr);
                shorts[r] = i == 0 ? products : vi_add_shorts(shorts[r], products);
            }
        }
        VEC_UNROLL(8)
        for (size_t r = 0; r < n_r; r++) {
            sums[r] = vi_add_pairs(sums[r], shorts[r]);
        }
    }
}
#endif

// What struct quant_row has of group g of the row whose inputs of the group are at x.
#define QUANT_OF_GROUP(x, member, g, i) ((x) - (g)*QUANT_BLOCK + offsetof(struct quant_row, member) + (i)*4)

// sums[r] += group g.
VEC void quant_group(enum quant_kind kind, const struct quant_step *step, size_t g, size_t n_r)
{
    const size_t n_parts = kind == QUANT_HALF_SCALES ? 2 : 1;
    const bool has_start = kind != QUANT_MIN && (VEC_HAS_DOT_INT8 || kind != QUANT_BYTES);
    const int8_t *starts = QUANT_OF_GROUP(step->x, start, g, g * n_parts);
    const int8_t *scales = QUANT_OF_GROUP(step->x, scale, g, g), *row_sums = QUANT_OF_GROUP(step->x, sum, g, g);
    VEC_UNROLL(2)
    for (size_t part = 0; part < n_parts; part++) {
        vi isums[VEC_QUANT_ROWS];
        VEC_UNROLL(8)
        for (size_t r = 0; r < n_r; r++) {
            isums[r] = has_start ? vi_broadcast(starts + r * sizeof(struct quant_row) + part * 4) : vi_set1(0);
        }
        quant_dots(kind, step, part * 4, 8 / n_parts, n_r, isums);
        vf s = vf_load(step->scales + part * LINEAR_TILE);
        VEC_UNROLL(8)
        for (size_t r = 0; r < n_r; r++) {
            vf dx = vf_broadcast(scales + r * sizeof(struct quant_row));
            vf sum = vf_fma(vf_from_vi(isums[r]), vf_mul(s, dx), vf_load(step->sums + r * LINEAR_TILE));
            if (kind == QUANT_MIN) {
                sum = vf_fma(vf_load(step->mins), vf_broadcast(row_sums + r * sizeof(struct quant_row)), sum);
            }
            vf_store(step->sums + r * LINEAR_TILE, sum);
        }
    }
}

// sums[r] = the groups, in order.
VEC void quant_chain(enum quant_kind kind, const struct quant_cell *cell, size_t n_r, float (*sums)[LINEAR_TILE])
{
    const struct quant_cell c = *cell;
    const size_t n_parts = kind == QUANT_HALF_SCALES ? 2 : 1;
    memset(sums, 0, n_r * sizeof(sums[0]));
    for (size_t g = 0; g < c.n_groups; g++) {
        quant_fetch(&c, g, n_r);
        for (size_t v = 0; v < 2; v++) {
            struct quant_step step = { .q = c.q + g * c.q_step + v * 64,
                                       .x = c.x->q + g * QUANT_BLOCK,
                                       .scales = c.scales[g * n_parts] + v * 16,
                                       .mins = c.mins[g] + v * 16,
                                       .sums = sums[0] + v * 16 };
            vec_hide(step.x);
            vec_hide(step.sums);
            quant_group(kind, &step, g, n_r);
        }
    }
}
#endif

#define QUANT_CASE(rows)                                                                                               \
    case rows:                                                                                                         \
        if (rows <= VEC_QUANT_ROWS) {                                                                                  \
            quant_chain(kind, cell, rows <= VEC_QUANT_ROWS ? rows : 1, sums);                                          \
        }                                                                                                              \
        break

VEC void quant_sums(enum quant_kind kind, const struct quant_cell *cell, size_t n_rows, float (*sums)[LINEAR_TILE])
{
    switch (n_rows) {
        QUANT_CASE(1);
        QUANT_CASE(2);
        QUANT_CASE(3);
        QUANT_CASE(4);
        QUANT_CASE(5);
        QUANT_CASE(6);
    }
}

typedef void quant_sums_fn(const struct quant_cell *cell, size_t n_rows, float (*sums)[LINEAR_TILE]);

#define QUANT_SUMS(name, kind)                                                                                         \
    static void name(const struct quant_cell *cell, size_t n_rows, float(*sums)[LINEAR_TILE])                          \
    {                                                                                                                  \
        quant_sums(kind, cell, n_rows, sums);                                                                          \
    }
QUANT_SUMS(quant_sums_bytes, QUANT_BYTES)
QUANT_SUMS(quant_sums_small, QUANT_SMALL)
QUANT_SUMS(quant_sums_min, QUANT_MIN)
QUANT_SUMS(quant_sums_half_scales, QUANT_HALF_SCALES)

static quant_sums_fn *const quant_sums_of[N_DTYPES] = {
    [DTYPE_Q8_0] = quant_sums_bytes, [DTYPE_Q4_0] = quant_sums_small,       [DTYPE_Q4_1] = quant_sums_min,
    [DTYPE_Q5_0] = quant_sums_small, [DTYPE_Q5_1] = quant_sums_min,         [DTYPE_Q4_K] = quant_sums_min,
    [DTYPE_Q5_K] = quant_sums_min,   [DTYPE_Q6_K] = quant_sums_half_scales, [DTYPE_MXFP4] = quant_sums_small,
};

// ---- few rows ------------------------------------------------------------------------------------------------------

// The weights of a block as they are stored, one ascending stream.
struct quant_stream {
    const unsigned char *tile;
    size_t g, n_groups; // the block's first group in the tile
    const struct quant_row *x;
};

// Integer sums of a group: [row][part][vector], where parts are halves of a group with scales of their own, or 0 alone.
VEC void quant_stream_dots(enum dtype dtype, const unsigned char *group, const struct quant_row *x, size_t g,
                           size_t n_r, vi (*isums)[2][2])
{
    const bool has_halves = quant_tile(dtype).has_half_scales;
    VEC_UNROLL(4)
    for (size_t j = 0; j < 4; j++) {
        vi w[2][2]; // [vector][quads j, j + 4]
        quant_quads(dtype, group, j, 0, w[0]);
        quant_quads(dtype, group, j, 1, w[1]);
        VEC_UNROLL(2)
        for (size_t half = 0; half < 2; half++) {
            VEC_UNROLL(8)
            for (size_t r = 0; r < n_r; r++) {
                vi xr = vi_broadcast(x[r].q + g * QUANT_BLOCK + (j + 4 * half) * 4), *sum = isums[r][has_halves * half];
                sum[0] = vi_dot(sum[0], w[0][half], xr, dtype != DTYPE_Q8_0);
                sum[1] = vi_dot(sum[1], w[1][half], xr, dtype != DTYPE_Q8_0);
            }
        }
    }
}

// What quant_group does, from the stored form; g counts from the block's first.
VEC void quant_stream_group(enum dtype dtype, const struct quant_stream *stream, size_t g, size_t n_r, vf (*acc)[2])
{
    const struct quant_tile form = quant_tile(dtype);
    const unsigned char *head = stream->tile + quant_tile_head(form, stream->g + g);
    const unsigned char *group = stream->tile + quant_tile_group(form, stream->g + g);
    const size_t n_parts = form.has_half_scales ? 2 : 1;
    _Alignas(64) float scales[2][LINEAR_TILE], mins[LINEAR_TILE];
    vi isums[VEC_QUANT_ROWS][2][2];
    for (size_t at = 0; at < form.group_bytes; at += 64) {
        vec_prefetch(group + QUANT_PREFETCH_BYTES + at);
    }
    quant_scales(dtype, head, group, scales, mins);
    VEC_UNROLL(8)
    for (size_t r = 0; r < n_r; r++) {
        VEC_UNROLL(2)
        for (size_t part = 0; part < n_parts; part++) {
            vi start = form.has_min ? vi_set1(0) : vi_broadcast(&stream->x[r].start[g * n_parts + part]);
            isums[r][part][0] = isums[r][part][1] = start;
        }
    }
    quant_stream_dots(dtype, group, stream->x, g, n_r, isums);
    VEC_UNROLL(8)
    for (size_t r = 0; r < n_r; r++) {
        vf dx = vf_set1(stream->x[r].scale[g]), sum = vf_set1(stream->x[r].sum[g]);
        VEC_UNROLL(2)
        for (size_t v = 0; v < 2; v++) {
            VEC_UNROLL(2)
            for (size_t part = 0; part < n_parts; part++) {
                vf scale = vf_mul(vf_load(scales[part] + v * 16), dx);
                acc[r][v] = vf_fma(vf_from_vi(isums[r][part][v]), scale, acc[r][v]);
            }
            acc[r][v] = form.has_min ? vf_fma(vf_load(mins + v * 16), sum, acc[r][v]) : acc[r][v];
        }
    }
}

VEC void quant_stream_chain(enum dtype dtype, const struct quant_stream *stream, size_t n_r, float (*sums)[LINEAR_TILE])
{
    vf acc[VEC_QUANT_ROWS][2];
    VEC_UNROLL(8)
    for (size_t r = 0; r < n_r; r++) {
        acc[r][0] = acc[r][1] = vf_zero();
    }
    for (size_t g = 0; g < stream->n_groups; g++) {
        quant_stream_group(dtype, stream, g, n_r, acc);
    }
    VEC_UNROLL(8)
    for (size_t r = 0; r < n_r; r++) {
        vf_store(sums[r], acc[r][0]);
        vf_store(sums[r] + 16, acc[r][1]);
    }
}

#define QUANT_STREAM_CASE(rows)                                                                                        \
    case rows:                                                                                                         \
        if (rows <= VEC_QUANT_ROWS) {                                                                                  \
            quant_stream_chain(dtype, stream, rows <= VEC_QUANT_ROWS ? rows : 1, sums);                                \
        }                                                                                                              \
        break

VEC void quant_stream_sums(enum dtype dtype, const struct quant_stream *stream, size_t n_rows,
                           float (*sums)[LINEAR_TILE])
{
    switch (n_rows) {
        QUANT_STREAM_CASE(1);
        QUANT_STREAM_CASE(2);
        QUANT_STREAM_CASE(3);
        QUANT_STREAM_CASE(4);
        QUANT_STREAM_CASE(5);
        QUANT_STREAM_CASE(6);
    }
}

typedef void quant_stream_fn(const struct quant_stream *stream, size_t n_rows, float (*sums)[LINEAR_TILE]);

#define QUANT_STREAM(name, dtype)                                                                                      \
    static void name(const struct quant_stream *stream, size_t n_rows, float(*sums)[LINEAR_TILE])                      \
    {                                                                                                                  \
        quant_stream_sums(dtype, stream, n_rows, sums);                                                                \
    }
QUANT_STREAM(quant_stream_q8_0, DTYPE_Q8_0)
QUANT_STREAM(quant_stream_q4_0, DTYPE_Q4_0)
QUANT_STREAM(quant_stream_q4_1, DTYPE_Q4_1)
QUANT_STREAM(quant_stream_q5_0, DTYPE_Q5_0)
QUANT_STREAM(quant_stream_q5_1, DTYPE_Q5_1)
QUANT_STREAM(quant_stream_mxfp4, DTYPE_MXFP4)
QUANT_STREAM(quant_stream_q4_k, DTYPE_Q4_K)
QUANT_STREAM(quant_stream_q5_k, DTYPE_Q5_K)
QUANT_STREAM(quant_stream_q6_k, DTYPE_Q6_K)

static quant_stream_fn *const quant_stream_of[N_DTYPES] = {
    [DTYPE_Q8_0] = quant_stream_q8_0, [DTYPE_Q4_0] = quant_stream_q4_0, [DTYPE_Q4_1] = quant_stream_q4_1,
    [DTYPE_Q5_0] = quant_stream_q5_0, [DTYPE_Q5_1] = quant_stream_q5_1, [DTYPE_Q4_K] = quant_stream_q4_k,
    [DTYPE_Q5_K] = quant_stream_q5_k, [DTYPE_Q6_K] = quant_stream_q6_k, [DTYPE_MXFP4] = quant_stream_mxfp4,
};

// ---- tiles ---------------------------------------------------------------------------------------------------------

// Adds a block's sums of rows [first, first + n_rows) to what they are part of.
VEC void quant_add(const struct linear_job *job, size_t tile, size_t k0, size_t first, size_t n_rows,
                   float (*sums)[LINEAR_TILE])
{
    for (size_t out = 0; out < LINEAR_TILE && tile * LINEAR_TILE + out < job->w->n_out; out += 16) {
        size_t left = job->w->n_out - tile * LINEAR_TILE - out;
        linear_add(job, first, n_rows, tile * LINEAR_TILE + out, left < 16 ? left : 16, k0 == 0, &sums[0][out]);
    }
}

// A tile with rows that are one block.
static void quant_stream_tile(const struct linear_job *job, size_t tile)
{
    const struct matrix *m = job->w;
    _Alignas(64) float sums[VEC_QUANT_ROWS][LINEAR_TILE];
    struct quant_stream stream = { .tile = m->data + tile * m->tile_bytes, .x = (const struct quant_row *)job->packed };
    for (size_t k0 = 0; k0 < m->n_in; k0 += LINEAR_K_BLOCK, stream.x += job->n_rows) {
        size_t n_k = m->n_in - k0 < LINEAR_K_BLOCK ? m->n_in - k0 : LINEAR_K_BLOCK;
        stream.g = k0 / QUANT_BLOCK;
        stream.n_groups = n_k / QUANT_BLOCK;
        quant_stream_of[m->dtype](&stream, job->n_rows, sums);
        quant_add(job, tile, k0, 0, job->n_rows, sums);
    }
}

// A row block with a widened panel: groups from k0 on.
static void quant_cell_rows(const struct linear_job *job, size_t tile, size_t k0, size_t block, struct quant_cell *cell)
{
    size_t first, n_rows = linear_block(job, block, &first);
    _Alignas(64) float sums[VEC_QUANT_ROWS][LINEAR_TILE];
    for (size_t r = 0; r < n_rows; r++) {
        vec_prefetch(job->y + (first + r) * job->y_stride + tile * LINEAR_TILE);
        vec_prefetch(job->y + (first + r) * job->y_stride + tile * LINEAR_TILE + 16);
    }
    cell->x = (const struct quant_row *)job->packed + k0 / LINEAR_K_BLOCK * job->n_rows + first;
    quant_sums_of[job->w->dtype](cell, n_rows, sums);
    quant_add(job, tile, k0, first, n_rows, sums);
}

// A k block of a tile with some row blocks, which meanwhile ask for the n_next bytes at `next`.
static void quant_panel_rows(const struct linear_job *job, size_t tile, size_t k0, size_t block_begin, size_t block_end,
                             const unsigned char *next, size_t n_next, struct quant_panel *panel)
{
    const struct matrix *m = job->w;
    const struct quant_tile form = quant_tile(m->dtype);
    const unsigned char *data = m->data + tile * m->tile_bytes;
    size_t g = k0 / QUANT_BLOCK, n_groups = linear_block_inputs(m, k0) / QUANT_BLOCK;
    size_t n_parts = n_groups * (block_end - block_begin);
    struct quant_cell cell = { .q = panel->q[0],
                               .q_step = sizeof(panel->q[0]),
                               .scales = panel->scales,
                               .mins = panel->mins,
                               .n_groups = n_groups,
                               .fetch = next,
                               .fetch_bytes = (n_next + n_parts - 1) / n_parts };
    if (m->dtype == DTYPE_Q8_0) {
        cell.q = data + quant_tile_group(form, g);
        cell.q_step = form.group_bytes;
    }
    quant_widen_of[m->dtype](data, g, cell.n_groups, panel);
    for (size_t block = block_begin; block < block_end; block++) {
        quant_cell_rows(job, tile, k0, block, &cell);
        cell.fetch += cell.n_groups * cell.fetch_bytes;
    }
}

// The widened panel stays in the L1 cache while the row blocks go past it; tiles_together tiles, one after the other,
// have the k block of those rows in the L2 cache.
static void quant_blocks(const struct linear_job *job, size_t tile_begin, size_t tile_end, size_t tiles_together,
                         size_t block_begin, size_t block_end, struct quant_panel *panel)
{
    const struct matrix *m = job->w;
    const struct quant_tile form = quant_tile(m->dtype);
    for (size_t group = tile_begin; group < tile_end; group += tiles_together) {
        size_t group_end = tile_end - group < tiles_together ? tile_end : group + tiles_together;
        for (size_t k0 = 0; k0 < m->n_in; k0 += LINEAR_K_BLOCK) {
            size_t next_k0 = k0 + LINEAR_K_BLOCK < m->n_in ? k0 + LINEAR_K_BLOCK : 0;
            for (size_t tile = group; tile < group_end; tile++) {
                size_t next_tile = tile + 1 < group_end ? tile + 1 : next_k0 > 0 ? group : group_end;
                size_t at = tile + 1 < group_end ? k0 : next_k0;
                const unsigned char *next = m->data + next_tile * m->tile_bytes + quant_tile_bytes(form, at);
                quant_panel_rows(job, tile, k0, block_begin, block_end, next,
                                 quant_tile_bytes(form, linear_block_inputs(m, at)), panel);
            }
        }
    }
}

// Row blocks that go past all of a worker's tiles before the next ones do.
#define QUANT_ROWS_TOGETHER 128

static void quant_tiles(const struct linear_job *job, size_t tile_begin, size_t tile_end, size_t tiles_together,
                        struct quant_panel *panel)
{
    for (size_t tile = tile_begin; job->n_blocks == 1 && tile < tile_end; tile++) {
        quant_stream_tile(job, tile);
    }
    size_t n_groups = job->n_blocks > 1 ? (job->n_rows - 1) / QUANT_ROWS_TOGETHER + 1 : 0;
    for (size_t i = 0; i < n_groups; i++) {
        quant_blocks(job, tile_begin, tile_end, tiles_together, job->n_blocks * i / n_groups,
                     job->n_blocks * (i + 1) / n_groups, panel);
    }
}
