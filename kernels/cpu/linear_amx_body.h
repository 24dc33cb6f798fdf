// Products by AMX's tiles, with the packed weights of linear_body.h and linear_quant_body.h as they are: a tile
// register holds 16 rows of 64 bytes, which of the weights are 16 pairs or 8 quads of inputs by 16 outputs, and of the
// rows 16 of them by 32 inputs. Included by isa_amx.c (and by a test, over a model of the instructions) after the other
// bodies.
//
// bf16: TDPBF16PS sums 16 even and 16 odd inputs of an output, each in a chain of fused multiply-adds from zero, adds
// the two sums, and adds that to the output's; all as if numbers below 2^-126 were zero. Other bits than elsewhere, so
// that any number of rows uses it: a row of the result depends on that row of the inputs alone. Blocks of
// LINEAR_K_BLOCK inputs are summed from zero, in steps of 32, and added as linear_body.h says.
//
// Blocks: TDPBSSD is exact, and what follows is as in linear_quant_body.h: the same bits as elsewhere. So few rows are
// left to VPDPBUSD.
//
// Roofline: a step of TDPBF16PS takes 16 cycles for 16 rows, 16 outputs and 32 inputs. Few rows read each KiB of
// weights once, in 16 cycles; memory takes some 150. Many rows: a block of 32 rows and 32 outputs is four steps for
// four loads, the rows' from the L1 cache, the weights' from the L2: 32 of 64 bytes per cycle. Blocks use half of a
// step (32 inputs are 8 of 16 rows of weights), and each 16 x 16 integers of a group take 48 vector operations on two
// ports, 24 cycles: two thirds of what TDPBSSD could do with them. Not measured: no such machine was at hand.

#define AMX_K 32 // inputs of a step, in bf16
// Of one packed row's part of a k block in bf16: a line more than the inputs take.
#define AMX_ROW_BYTES (LINEAR_K_BLOCK * 2 + 64)
// How far ahead of a stream of weights is asked for, where it is read once: two steps of 32 outputs.
#define AMX_FETCH_BYTES 4096
// From this many rows on products with blocks use tiles.
#define AMX_QUANT_ROWS TILE_ROWS

_Static_assert(LINEAR_TILE == 32 && AMX_ROW_BYTES <= LINEAR_PACKED_BYTES, "two tiles of outputs; a row fits");

// Registers 0 to 3 are sums [half of the rows][half of the outputs], 4 and 5 rows, 6 and 7 weights.
VEC void amx_config(size_t n_first, size_t n_second, size_t row_bytes)
{
    struct tile_config config = { .palette = 1 };
    const size_t n_rows[2] = { n_first, n_second };
    for (size_t i = 0; i < 2 && n_rows[i] > 0; i++) {
        for (size_t t = 2 * i; t < 2 * i + 2; t++) {
            config.rows[t] = (uint8_t)n_rows[i];
            config.row_bytes[t] = TILE_ROW_BYTES;
        }
        config.rows[4 + i] = (uint8_t)n_rows[i];
        config.row_bytes[4 + i] = (uint16_t)row_bytes;
    }
    for (size_t t = 6; t < 8; t++) {
        config.rows[t] = (uint8_t)(row_bytes / 4);
        config.row_bytes[t] = TILE_ROW_BYTES;
    }
    TILE_CONFIG(&config);
}

// ---- bf16 ----------------------------------------------------------------------------------------------------------

static void amx_pack(const struct linear_job *job, size_t row_begin, size_t row_end)
{
    const struct matrix *m = job->w;
    if (m->dtype != DTYPE_BF16) {
        linear_pack(job, row_begin, row_end);
        return;
    }
    for (size_t row = row_begin; row < row_end; row++) {
        const float *x = job->x + row * job->x_stride;
        unsigned char *dst = job->packed + row * AMX_ROW_BYTES;
        for (size_t k0 = 0; k0 < m->n_in; k0 += LINEAR_K_BLOCK, dst += job->n_rows * AMX_ROW_BYTES) {
            size_t n_k = m->n_in - k0 < LINEAR_K_BLOCK ? m->n_in - k0 : LINEAR_K_BLOCK;
            for (size_t k = 0; k < (n_k + AMX_K - 1) / AMX_K * AMX_K; k += 16) {
                vf_store_bf16((uint16_t *)dst + k, k < n_k ? vf_load_n(x + k0 + k, n_k - k) : vf_zero());
            }
        }
    }
}

// A tile of weights with n_halves times TILE_ROWS rows.
VEC void amx_sums(const unsigned char *w, const unsigned char *x, size_t n_steps, size_t n_halves,
                  struct linear_fetch fetch, float (*sums)[LINEAR_TILE])
{
    const size_t w_bytes = AMX_K * LINEAR_TILE * 2;
    TILE_ZERO(0);
    TILE_ZERO(1);
    if (n_halves == 2) {
        TILE_ZERO(2);
        TILE_ZERO(3);
    }
    for (size_t step = 0; step < n_steps; step++, w += w_bytes, x += AMX_K * 2, fetch.next += fetch.step) {
        for (size_t at = 0; at < fetch.step; at += 64) {
            vec_prefetch(fetch.next + at);
        }
        TILE_LOAD(4, x, AMX_ROW_BYTES);
        TILE_LOAD(6, w, LINEAR_TILE * 4);
        TILE_LOAD(7, w + 64, LINEAR_TILE * 4);
        TILE_DOT_BF16(0, 4, 6);
        TILE_DOT_BF16(1, 4, 7);
        if (n_halves == 2) {
            TILE_LOAD(5, x + TILE_ROWS * AMX_ROW_BYTES, AMX_ROW_BYTES);
            TILE_DOT_BF16(2, 5, 6);
            TILE_DOT_BF16(3, 5, 7);
        }
    }
    TILE_STORE(0, sums[0], sizeof(sums[0]));
    TILE_STORE(1, sums[0] + 16, sizeof(sums[0]));
    if (n_halves == 2) {
        TILE_STORE(2, sums[TILE_ROWS], sizeof(sums[0]));
        TILE_STORE(3, sums[TILE_ROWS] + 16, sizeof(sums[0]));
    }
}

// Row block `block`, of 32 rows or what is left, with one tile of the panel. What lies behind the last row in memory is
// multiplied like the others to fill a register, and not kept.
VEC void amx_cell(const struct linear_job *job, const struct linear_panel *panel, size_t tile, size_t block)
{
    const struct matrix *m = job->w;
    size_t first = block * 2 * TILE_ROWS, left = job->n_rows - first;
    size_t n_rows = left < 2 * TILE_ROWS ? left : 2 * TILE_ROWS, n_blocks = (job->n_rows - 1) / (2 * TILE_ROWS) + 1;
    size_t n_k = m->n_in - panel->k0 < LINEAR_K_BLOCK ? m->n_in - panel->k0 : LINEAR_K_BLOCK;
    size_t n_steps = (n_k + AMX_K - 1) / AMX_K, step_bytes = AMX_K * LINEAR_TILE * 2;
    const unsigned char *w = linear_data(m, tile, panel->k0);
    const unsigned char *x = job->packed + (panel->k0 / LINEAR_K_BLOCK * job->n_rows + first) * AMX_ROW_BYTES;
    _Alignas(64) float sums[2 * TILE_ROWS][LINEAR_TILE];
    struct linear_fetch fetch = { w + AMX_FETCH_BYTES, step_bytes };
    if (n_blocks > 1) {
        fetch.step = step_bytes / n_blocks / 64 * 64;
        fetch.next =
            linear_data(m, panel->next_tile + tile - panel->tile_begin, panel->next_k0) + block * n_steps * fetch.step;
    }
    if (n_rows > TILE_ROWS) {
        amx_sums(w, x, n_steps, 2, fetch, sums);
    } else {
        amx_sums(w, x, n_steps, 1, fetch, sums);
    }
    for (size_t out = 0; out < LINEAR_TILE && tile * LINEAR_TILE + out < m->n_out; out += 16) {
        size_t n_out = m->n_out - tile * LINEAR_TILE - out;
        linear_add(job, first, n_rows, tile * LINEAR_TILE + out, n_out < 16 ? n_out : 16, panel->k0 == 0,
                   &sums[0][out]);
    }
}

static void amx_tiles(const struct linear_job *job, size_t tile_begin, size_t tile_end, size_t tiles_together)
{
    if (job->w->dtype != DTYPE_BF16) {
        linear_tiles(job, tile_begin, tile_end, tiles_together);
        return;
    }
    size_t n_first = job->n_rows < TILE_ROWS ? job->n_rows : TILE_ROWS, n_second = job->n_rows - n_first;
    amx_config(n_first, n_second < TILE_ROWS ? n_second : TILE_ROWS, AMX_K * 2);
    linear_panels(job, tile_begin, tile_end, tiles_together, (job->n_rows - 1) / (2 * TILE_ROWS) + 1, amx_cell);
    TILE_RELEASE();
}

// ---- blocks --------------------------------------------------------------------------------------------------------

// Groups of a tile to the panel, as signed bytes: less the offset.
VEC void amx_widen(enum dtype dtype, const unsigned char *tile, size_t g, size_t n_groups, struct quant_panel *panel)
{
    const struct quant_tile form = quant_tile(dtype);
    quant_widen_of[dtype](tile, g, n_groups, panel);
    for (size_t i = 0; form.offset > 0 && i < n_groups; i++) {
        const uint8_t *q = dtype == DTYPE_Q8_0 ? tile + quant_tile_group(form, g + i) : panel->q[i];
        for (size_t at = 0; at < sizeof(panel->q[i]); at += 64) {
            vi_store(panel->q[i] + at, vi_sub_bytes(vi_load(q + at), form.offset));
        }
    }
}

// Integer sums of one part (a group, or half of one) of 16 rows and 16 outputs. Parts take turns with the registers.
VEC void amx_dots(const uint8_t *w, const int8_t *x, size_t part, int32_t (*isums)[16])
{
    if (part % 2 == 0) {
        TILE_ZERO(0);
        TILE_LOAD(4, x, sizeof(struct quant_row));
        TILE_LOAD(6, w, LINEAR_TILE * 4);
        TILE_DOT_INT8(0, 4, 6);
        TILE_STORE(0, isums, sizeof(*isums));
    } else {
        TILE_ZERO(2);
        TILE_LOAD(5, x, sizeof(struct quant_row));
        TILE_LOAD(7, w, LINEAR_TILE * 4);
        TILE_DOT_INT8(2, 5, 7);
        TILE_STORE(2, isums, sizeof(*isums));
    }
}

// sums[r] from zero over the groups of a k block, for TILE_ROWS rows and 16 outputs, those from `out` on. The dot
// products of a part are under way while those of the part before it are scaled.
VEC void amx_quant_chain(enum quant_kind kind, const struct quant_cell *cell, size_t out, float (*sums)[LINEAR_TILE])
{
    const size_t n_parts = kind == QUANT_HALF_SCALES ? 2 : 1, part_k = QUANT_BLOCK / n_parts;
    const uint8_t *w = cell->q + out * 4;
    const int8_t *x = cell->x->q;
    _Alignas(64) int32_t isums[2][TILE_ROWS][16];
    vf acc[TILE_ROWS];
    VEC_UNROLL(16)
    for (size_t r = 0; r < TILE_ROWS; r++) {
        acc[r] = vf_zero();
    }
    amx_dots(w, x, 0, isums[0]);
    for (size_t part = 0; part < cell->n_groups * n_parts; part++) {
        if (part + 1 < cell->n_groups * n_parts) {
            amx_dots(w + (part + 1) * part_k * LINEAR_TILE, x + (part + 1) * part_k, part + 1, isums[(part + 1) % 2]);
        }
        size_t g = part / n_parts;
        vf scales = vf_load(cell->scales[part] + out);
        VEC_UNROLL(16)
        for (size_t r = 0; r < TILE_ROWS; r++) {
            vf step = vf_mul(scales, vf_broadcast(&cell->x[r].scale[g]));
            acc[r] = vf_fma(vf_from_vi(vi_load(isums[part % 2][r])), step, acc[r]);
        }
        if (kind == QUANT_MIN) {
            vf mins = vf_load(cell->mins[g] + out);
            VEC_UNROLL(16)
            for (size_t r = 0; r < TILE_ROWS; r++) {
                acc[r] = vf_fma(mins, vf_broadcast(&cell->x[r].sum[g]), acc[r]);
            }
        }
    }
    VEC_UNROLL(16)
    for (size_t r = 0; r < TILE_ROWS; r++) {
        vf_store(sums[r] + out, acc[r]);
    }
}

typedef void amx_quant_fn(const struct quant_cell *cell, float (*sums)[LINEAR_TILE]);

#define AMX_QUANT_SUMS(name, kind)                                                                                     \
    static void name(const struct quant_cell *cell, float(*sums)[LINEAR_TILE])                                         \
    {                                                                                                                  \
        amx_quant_chain(kind, cell, 0, sums);                                                                          \
        amx_quant_chain(kind, cell, 16, sums);                                                                         \
    }
AMX_QUANT_SUMS(amx_sums_small, QUANT_SMALL)
AMX_QUANT_SUMS(amx_sums_min, QUANT_MIN)
AMX_QUANT_SUMS(amx_sums_half_scales, QUANT_HALF_SCALES)

// A k block of a tile, widened, with all rows, TILE_ROWS at a time; behind the last one as in amx_cell.
static void amx_quant_rows(const struct linear_job *job, size_t tile, size_t k0, const struct quant_panel *panel)
{
    const struct matrix *m = job->w;
    const struct quant_tile form = quant_tile(m->dtype);
    size_t n_k = m->n_in - k0 < LINEAR_K_BLOCK ? m->n_in - k0 : LINEAR_K_BLOCK;
    amx_quant_fn *sums_of = form.has_half_scales ? amx_sums_half_scales : form.has_min ? amx_sums_min : amx_sums_small;
    struct quant_cell cell = {
        .q = panel->q[0], .scales = panel->scales, .mins = panel->mins, .n_groups = n_k / QUANT_BLOCK
    };
    _Alignas(64) float sums[TILE_ROWS][LINEAR_TILE];
    for (size_t first = 0; first < job->n_rows; first += TILE_ROWS) {
        size_t n_rows = job->n_rows - first < TILE_ROWS ? job->n_rows - first : TILE_ROWS;
        cell.x = (const struct quant_row *)job->packed + k0 / LINEAR_K_BLOCK * job->n_rows + first;
        sums_of(&cell, sums);
        for (size_t out = 0; out < LINEAR_TILE && tile * LINEAR_TILE + out < m->n_out; out += 16) {
            size_t left = m->n_out - tile * LINEAR_TILE - out;
            linear_add(job, first, n_rows, tile * LINEAR_TILE + out, left < 16 ? left : 16, k0 == 0, &sums[0][out]);
        }
    }
}

// As quant_tiles.
static void amx_quant_tiles(const struct linear_job *job, size_t tile_begin, size_t tile_end, size_t tiles_together,
                            struct quant_panel *panel)
{
    const struct matrix *m = job->w;
    if (job->n_rows < AMX_QUANT_ROWS) {
        quant_tiles(job, tile_begin, tile_end, tiles_together, panel);
        return;
    }
    amx_config(TILE_ROWS, TILE_ROWS, quant_tile(m->dtype).has_half_scales ? QUANT_BLOCK / 2 : QUANT_BLOCK);
    for (size_t group = tile_begin; group < tile_end; group += tiles_together) {
        size_t group_end = tile_end - group < tiles_together ? tile_end : group + tiles_together;
        for (size_t k0 = 0; k0 < m->n_in; k0 += LINEAR_K_BLOCK) {
            size_t n_k = m->n_in - k0 < LINEAR_K_BLOCK ? m->n_in - k0 : LINEAR_K_BLOCK;
            for (size_t tile = group; tile < group_end; tile++) {
                amx_widen(m->dtype, m->data + tile * m->tile_bytes, k0 / QUANT_BLOCK, n_k / QUANT_BLOCK, panel);
                amx_quant_rows(job, tile, k0, panel);
            }
        }
    }
    TILE_RELEASE();
}

#undef ISA_LINEAR
#define ISA_LINEAR .linear_pack = amx_pack, .linear_tiles = amx_tiles, .quant_tiles = amx_quant_tiles
