// RMS norm of rows. Included by isa_*.c.
//
// The squares are summed in 64 lanes (element i in lane i mod 64, ascending), then 64 -> 16 lanes pairwise, then
// vf_reduce_add. Bytes: 8 * dim per row plus the weight; never the bottleneck, one row is one thread's work.

VEC float rms_norm_sum(const float *x, size_t dim)
{
    vf acc[4] = { vf_zero(), vf_zero(), vf_zero(), vf_zero() };
    size_t i = 0;
    for (; i + 64 <= dim; i += 64) {
        VEC_UNROLL(4)
        for (size_t j = 0; j < 4; j++) {
            vf v = vf_load(x + i + 16 * j);
            acc[j] = vf_fma(v, v, acc[j]);
        }
    }
    VEC_UNROLL(4)
    for (size_t j = 0; j < 4; j++) {
        if (i < dim) {
            vf v = vf_load_n(x + i, dim - i);
            acc[j] = vf_fma(v, v, acc[j]);
            i += 16;
        }
    }
    return vf_reduce_add(vf_add(vf_add(acc[0], acc[1]), vf_add(acc[2], acc[3])));
}

static void rms_norm_rows(const struct op_rms_norm *op, size_t row_begin, size_t row_end)
{
    for (size_t row = row_begin; row < row_end; row++) {
        size_t at = op->group == 0 ? row * op->dim : row / op->group * op->stride + row % op->group * op->dim;
        const float *x = op->x + at;
        float *y = op->y + at;
        vf scale = vf_set1(1.0f / sqrtf(rms_norm_sum(x, op->dim) / (float)op->dim + op->eps));
        for (size_t i = 0; i < op->dim; i += 16) {
            vf v = vf_mul(vf_load_n(x + i, op->dim - i), scale);
            v = vf_mul(v, vf_load_n(op->weight + i, op->dim - i));
            if (op->accumulate) {
                v = vf_add(vf_load_n(y + i, op->dim - i), v);
            }
            vf_store_n(y + i, v, op->dim - i);
        }
    }
}
