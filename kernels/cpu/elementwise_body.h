// Operations without reductions: swiglu, rotation, conversion to stored types; and the memory reader. Included by
// isa_*.c.

// silu(gate) * up, silu(g) = g / (1 + e^-g)
static void swiglu(const float *gate, const float *up, float *y, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        vf g = vf_load_n(gate + i, n - i);
        vf silu = vf_div(g, vf_add(vf_set1(1.0f), vf_exp(vf_sub(vf_zero(), g))));
        vf_store_n(y + i, vf_mul(silu, vf_load_n(up + i, n - i)), n - i);
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
