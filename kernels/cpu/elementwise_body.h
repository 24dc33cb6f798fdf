// Operations without reductions: gated linear units, soft caps, rotation, conversion to stored types; and the memory
// reader. Included by isa_*.c.

// x / (1 + e^-(slope x))
VEC vf glu_sigmoid_times(vf x, vf minus_slope_x)
{
    return vf_div(x, vf_add(vf_set1(1.0f), vf_exp(minus_slope_x)));
}

// 0.5 g (1 + tanh(u)) = g / (1 + e^-2u), u = sqrt(2 / pi) (g + 0.044715 g^3)
VEC vf glu_gelu_tanh(vf g)
{
    vf cube = vf_mul(vf_mul(g, g), g);
    vf u = vf_fma(vf_set1(0.044715f), cube, g);
    return glu_sigmoid_times(g, vf_mul(vf_set1(-1.5957691216057308f), u));
}

VEC vf glu_silu_clamped(vf g, vf u)
{
    g = vf_min(vf_set1(7.0f), g);
    u = vf_max(vf_set1(-7.0f), vf_min(vf_set1(7.0f), u));
    return vf_mul(glu_sigmoid_times(g, vf_mul(vf_set1(-1.702f), g)), vf_add(u, vf_set1(1.0f)));
}

static void glu(enum glu kind, const float *gate, const float *up, float *y, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        vf g = vf_load_n(gate + i, n - i), u = vf_load_n(up + i, n - i), out;
        switch (kind) {
        case GLU_GELU_TANH: out = vf_mul(glu_gelu_tanh(g), u); break;
        case GLU_SILU_CLAMPED: out = glu_silu_clamped(g, u); break;
        default: out = vf_mul(glu_sigmoid_times(g, vf_sub(vf_zero(), g)), u); break;
        }
        vf_store_n(y + i, out, n - i);
    }
}

static void softcap(float *x, float cap, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        vf_store_n(x + i, vf_softcap(vf_load_n(x + i, n - i), cap), n - i);
    }
}

// Sums of weighted rows; the first product is rounded, each later one is one fused multiply-add.
static void combine_rows(const struct op_combine *op, size_t row_begin, size_t row_end)
{
    size_t n_used = op->routes->n_used;
    for (size_t row = row_begin; row < row_end; row++) {
        const uint32_t *rows = op->routes->slots + row * n_used;
        const float *weights = op->routes->weights + row * n_used;
        float *y = op->y + row * op->dim;
        for (size_t i = 0; i < op->dim; i += 16) {
            size_t n = op->dim - i;
            vf sum = vf_mul(vf_load_n(op->x + rows[0] * op->dim + i, n), vf_set1(weights[0]));
            for (size_t k = 1; k < n_used; k++) {
                sum = vf_fma(vf_load_n(op->x + rows[k] * op->dim + i, n), vf_set1(weights[k]), sum);
            }
            vf_store_n(y + i, vf_add(vf_load_n(y + i, n), sum), n);
        }
    }
}

// (a, b) -> (a cos - b sin, b cos + a sin); products rounded before they are added, as Hugging Face does.
static void rope(float *head, const float *cosines, const float *sines, size_t half_dim)
{
    for (size_t i = 0; i < half_dim; i += 16) {
        size_t n = half_dim - i;
        vf c = vf_load_n(cosines + i, n), s = vf_load_n(sines + i, n);
        vf a = vf_load_n(head + i, n), b = vf_load_n(head + half_dim + i, n);
        vf_store_n(head + i, vf_sub(vf_mul(a, c), vf_mul(b, s)), n);
        vf_store_n(head + half_dim + i, vf_add(vf_mul(b, c), vf_mul(a, s)), n);
    }
}

static void store(enum dtype dtype, void *dst, const float *src, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        vf_store_dtype(dtype, (unsigned char *)dst + i * dtype_bytes(dtype), vf_load_n(src + i, n - i), n - i);
    }
}

static float read_all(const void *mem, size_t bytes)
{
    const float *p = mem;
    vf acc[4] = { vf_zero(), vf_zero(), vf_zero(), vf_zero() };
    for (size_t i = 0; i < bytes / sizeof(*p); i += 64) {
        VEC_UNROLL(4)
        for (size_t j = 0; j < 4; j++) {
            vec_prefetch(p + i + 256 + 16 * j);
            acc[j] = vf_add(acc[j], vf_load(p + i + 16 * j));
        }
    }
    return vf_reduce_add(vf_add(vf_add(acc[0], acc[1]), vf_add(acc[2], acc[3])));
}
