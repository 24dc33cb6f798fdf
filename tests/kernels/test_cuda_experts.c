// Mixtures of experts on the CUDA backend: routes and plans against those of the CPU backend, and products of each
// slot with the weights of its expert against sums in double.
#include "kernels/cuda/cuda_backend.h"
#include "kernels/routes.h"
#include "tests/kernels/cuda_test.h"

struct mixture {
    size_t n_rows, n_experts, n_used;
};

// Routes as the device has them, and a copy for the host.
struct routed {
    void *device;
    uint32_t *host;
    size_t n_words;
    struct routes there, here;
};

static struct routed routed_new(struct backend *b, struct mixture m)
{
    struct routed r = { .n_words = routes_n_words(m.n_rows, m.n_experts, m.n_used) };
    r.host = malloc(r.n_words * sizeof(*r.host));
    memset(r.host, 0xa5, r.n_words * sizeof(*r.host));
    r.device = sent(b, r.host, r.n_words * sizeof(*r.host));
    r.there = routes_in(r.device, m.n_rows, m.n_experts, m.n_used);
    r.here = routes_in(r.host, m.n_rows, m.n_experts, m.n_used);
    return r;
}

static void routed_fetch(struct backend *b, struct routed *r)
{
    b->ops->download(b, r->host, r->device, r->n_words * sizeof(*r->host));
}

static void routed_free(struct backend *b, struct routed *r)
{
    b->ops->free(b, r->device);
    free(r->host);
}

// How the logits of experts come about.
enum taste { ANY, ONE_FOR_ALL, TIES, FEW, N_TASTES };

static float *random_logits(uint64_t *rng, struct mixture m, enum taste taste)
{
    float *logits = random_floats(rng, m.n_rows * m.n_experts);
    for (size_t i = 0; i < m.n_rows * m.n_experts; i++) {
        size_t e = i % m.n_experts;
        switch (taste) {
        case ONE_FOR_ALL: logits[i] += e == m.n_experts / 2 ? 100 : 0; break;
        case TIES: logits[i] = (float)rng_below(rng, 2); break;
        case FEW: logits[i] += e < m.n_used + 1 ? 100 : 0; break;
        default: break;
        }
    }
    return logits;
}

// ---- routes and plans ----------------------------------------------------------------------------------------------

static const struct mixture mixtures[] = {
    { 1, 4, 2 }, { 3, 8, 2 }, { 8, 1, 1 }, { 16, 128, 8 }, { 17, 60, 4 }, { 70, 5, 1 }, { 90, 5, 5 }, { 33, 1024, 3 },
};
#define N_MIXTURES (sizeof(mixtures) / sizeof(*mixtures))

// Every slot of an expert in one part, in order; then nothing, as far as there could be parts.
static void expect_parts(const struct routes *r)
{
    const struct gpu_part *parts = (const struct gpu_part *)r->parts;
    size_t rows = gpu_part_rows(r), n = 0, n_max = gpu_n_parts_max(r, rows);
    for (uint32_t e = 0; e < r->n_experts; e++) {
        for (uint32_t row = r->first[e]; row < r->first[e + 1]; row += parts[n++].n_rows) {
            size_t left = r->first[e + 1] - row;
            assert_true(n < n_max);
            assert_int_equal(parts[n].expert, e);
            assert_int_equal(parts[n].row, row);
            assert_int_equal(parts[n].n_rows, left < rows ? left : rows);
        }
    }
    assert_true(n_max <= r->n_rows * r->n_used);
    for (; n < n_max; n++) {
        assert_int_equal(parts[n].n_rows, 0);
    }
}

static void check_route(const struct pair *pair, struct mixture m, const float *logits, bool is_normalized)
{
    struct routed want = routed_new(pair->cpu, m), got = routed_new(pair->cuda, m);
    float *there = sent_floats(pair->cuda, logits, m.n_rows * m.n_experts);
    struct op_route op = { .logits = logits, .routes = &want.there, .is_normalized = is_normalized };
    pair->cpu->ops->route(pair->cpu, &op);
    op.logits = there;
    op.routes = &got.there;
    pair->cuda->ops->route(pair->cuda, &op);
    routed_fetch(pair->cpu, &want);
    routed_fetch(pair->cuda, &got);
    size_t n = m.n_rows * m.n_used, bytes = n * sizeof(uint32_t);
    assert_memory_equal(got.here.experts, want.here.experts, bytes);
    assert_memory_equal(got.here.slots, want.here.slots, bytes);
    assert_memory_equal(got.here.rows, want.here.rows, bytes);
    assert_memory_equal(got.here.first, want.here.first, (m.n_experts + 1) * sizeof(uint32_t));
    assert_all_near(got.here.weights, want.here.weights, n, 1e-6);
    expect_parts(&got.here);
    pair->cuda->ops->free(pair->cuda, there);
    routed_free(pair->cpu, &want);
    routed_free(pair->cuda, &got);
}

static void test_routes_and_plans_are_those_of_the_host(void **state)
{
    const struct pair *pair = *state;
    uint64_t rng = 1;
    for (size_t i = 0; i < N_MIXTURES * N_TASTES; i++) {
        struct mixture m = mixtures[i / N_TASTES];
        float *logits = random_logits(&rng, m, i % N_TASTES);
        check_route(pair, m, logits, i % 2);
        free(logits);
    }
}

// Rows of a recorded step that are no sequence's: the others have the slots that they have alone.
static void test_rows_of_nobody_go_nowhere(void **state)
{
    struct backend *b = ((const struct pair *)*state)->cuda;
    uint64_t rng = 2;
    for (size_t i = 0; i < N_MIXTURES; i++) {
        struct mixture m = mixtures[i], fewer = m;
        fewer.n_rows = m.n_rows / 2;
        float *logits = random_logits(&rng, m, ANY);
        int32_t *seqs = calloc(m.n_rows, sizeof(*seqs));
        for (size_t row = fewer.n_rows; row < m.n_rows; row++) {
            seqs[row] = NO_SEQUENCE;
            logits[row * m.n_experts] = NAN;
        }
        struct routed all = routed_new(b, m), some = routed_new(b, fewer);
        float *there = sent_floats(b, logits, m.n_rows * m.n_experts);
        int32_t *row_seq = sent(b, seqs, m.n_rows * sizeof(*seqs));
        const struct op_route op = { .logits = there, .routes = &all.there },
                              alone = { .logits = there, .routes = &some.there };
        gpu_route(queue_of(cuda_of(b)), &op, row_seq);
        b->ops->route(b, &alone);
        routed_fetch(b, &all);
        routed_fetch(b, &some);
        size_t n = fewer.n_rows * m.n_used;
        if (n > 0) { // a launch of nothing writes nothing
            assert_memory_equal(all.here.slots, some.here.slots, n * sizeof(uint32_t));
            assert_memory_equal(all.here.rows, some.here.rows, n * sizeof(uint32_t));
            assert_memory_equal(all.here.first, some.here.first, (m.n_experts + 1) * sizeof(uint32_t));
        }
        assert_int_equal(all.here.first[m.n_experts], n);
        for (size_t pair = n; pair < m.n_rows * m.n_used; pair++) {
            assert_int_equal(all.here.slots[pair], NO_SLOT);
        }
        expect_parts(&all.here);
        b->ops->free(b, there);
        b->ops->free(b, row_seq);
        routed_free(b, &all);
        routed_free(b, &some);
        free(logits);
        free(seqs);
    }
}

// ---- rows ----------------------------------------------------------------------------------------------------------

// Dealt out and added up again.
static void test_rows_go_out_and_come_back(void **state)
{
    const struct pair *pair = *state;
    uint64_t rng = 3;
    for (size_t i = 0; i < N_MIXTURES; i++) {
        struct mixture m = mixtures[i];
        const size_t dim = 33, n_slots = m.n_rows * m.n_used;
        float *logits = random_logits(&rng, m, ANY), *x = random_floats(&rng, m.n_rows * dim);
        float *slots[2], *y = random_floats(&rng, m.n_rows * dim), *sums[2];
        struct backend *both[] = { pair->cpu, pair->cuda };
        for (size_t k = 0; k < 2; k++) {
            struct backend *b = both[k];
            struct routed r = routed_new(b, m);
            slots[k] = calloc(n_slots * dim, sizeof(float));
            sums[k] = copy_of(y, m.n_rows * dim);
            float *device_logits = sent_floats(b, logits, m.n_rows * m.n_experts);
            float *device_x = sent_floats(b, x, m.n_rows * dim), *device_sums = sent_floats(b, y, m.n_rows * dim);
            float *device_slots = sent_floats(b, slots[k], n_slots * dim);
            const struct op_route route = { .logits = device_logits, .routes = &r.there, .is_normalized = i % 2 };
            const struct op_dispatch out = { .x = device_x, .routes = &r.there, .y = device_slots, .dim = dim };
            const struct op_combine back = { .x = device_slots, .routes = &r.there, .y = device_sums, .dim = dim };
            b->ops->route(b, &route);
            b->ops->dispatch(b, &out);
            b->ops->combine(b, &back);
            fetch(b, slots[k], device_slots, n_slots * dim * sizeof(float));
            fetch(b, sums[k], device_sums, m.n_rows * dim * sizeof(float));
            b->ops->free(b, device_logits);
            b->ops->free(b, device_x);
            routed_free(b, &r);
        }
        assert_same_bits(slots[1], slots[0], n_slots * dim, pair->cuda);
        assert_all_near(sums[1], sums[0], m.n_rows * dim, 1e-5);
        for (size_t k = 0; k < 2; k++) {
            free(slots[k]);
            free(sums[k]);
        }
        free(logits);
        free(x);
        free(y);
    }
}

// ---- products ------------------------------------------------------------------------------------------------------

#define N_EXPERTS_MAX 12

struct product {
    struct mixture m;
    enum dtype dtype;
    size_t n_out, n_in;
    enum taste taste;
};

static const struct product products[] = {
    { { 5, 6, 2 }, DTYPE_Q4_K, 20, 256, ANY },
    { { 80, 4, 2 }, DTYPE_MXFP4, 33, 96, ANY },
    { { 30, 12, 3 }, DTYPE_BF16, 17, 160, ANY },
    { { 8, 3, 1 }, DTYPE_F16, 16, 64, ONE_FOR_ALL },
    { { 9, 5, 2 }, DTYPE_BF16, 8, 33, TIES },
    { { 90, 3, 1 }, DTYPE_F32, 70, 40, ONE_FOR_ALL },
    { { 140, 2, 1 }, DTYPE_Q6_K, 18, 256, ANY },
    { { 3, 12, 4 }, DTYPE_Q8_0, 35, 1120, ANY },
    { { 66, 9, 2 }, DTYPE_Q4_0, 16, 288, FEW },
    { { 40, 4, 2 }, DTYPE_Q5_K, 9, 256, ANY },
    { { 2, 4, 1 }, DTYPE_F32, 5, 7, ANY },
    { { 20, 3, 2 }, DTYPE_F8, 19, 256, FEW },
    { { 66, 2, 1 }, DTYPE_F8, 8, 128, ANY },
    { { 34, 2, 1 }, DTYPE_Q8_0, 150, 1120, ANY },
    { { 36, 2, 1 }, DTYPE_BF16, 140, 160, ANY },
    { { 33, 2, 1 }, DTYPE_Q4_K, 20, 512, FEW },
    { { 70, 3, 1 }, DTYPE_Q4_0, 40, 288, ONE_FOR_ALL },
    { { 70, 2, 2 }, DTYPE_F16, 40, 128, ANY },
};
#define N_PRODUCTS (sizeof(products) / sizeof(*products))

struct scene {
    const struct product *p;
    void *weights[N_EXPERTS_MAX];                       // NULL: the expert has none
    float *values[N_EXPERTS_MAX], *bias[N_EXPERTS_MAX]; // what they stand for; or NULL
    float *logits, *x;                                  // [n_rows][n_in]
};

static struct scene scene_new(uint64_t *rng, const struct product *p)
{
    struct scene s = { .p = p };
    for (size_t e = 0; e < p->m.n_experts; e++) {
        if (e == 0 || rng_below(rng, 5) > 0) {
            s.weights[e] = random_elements(rng, p->dtype, p->n_out * p->n_in, &s.values[e]);
        }
        s.bias[e] = rng_below(rng, 2) ? random_floats(rng, p->n_out) : NULL;
    }
    s.logits = random_logits(rng, p->m, p->taste);
    s.x = random_floats(rng, p->m.n_rows * p->n_in);
    return s;
}

static void scene_free(struct scene *s)
{
    for (size_t e = 0; e < s->p->m.n_experts; e++) {
        free(s->weights[e]);
        free(s->values[e]);
        free(s->bias[e]);
    }
    free(s->logits);
    free(s->x);
}

// As tensor cores read x; f32 weights keep it.
static double rounded(enum dtype dtype, float x)
{
    switch (dtype) {
    case DTYPE_F32: return (double)x;
    case DTYPE_F16: return (double)f32_from_f16(f16_from_f32(x));
    default: return (double)f32_from_bf16(bf16_from_f32(x));
    }
}

#define UNTOUCHED 1234.5f

static void assert_are_products(const struct scene *s, const struct routes *r, const float *y)
{
    const struct product *p = s->p;
    for (size_t e = 0; e < r->n_experts; e++) {
        for (size_t at = r->first[e] * p->n_out; at < r->first[e + 1] * p->n_out; at++) {
            size_t slot = at / p->n_out, out = at % p->n_out;
            double want = s->bias[e] ? (double)s->bias[e][out] : 0, magnitude = 1;
            for (size_t k = 0; s->values[e] && k < p->n_in; k++) {
                double term =
                    (double)s->values[e][out * p->n_in + k] * rounded(p->dtype, s->x[r->rows[slot] * p->n_in + k]);
                want += term;
                magnitude += fabs(term);
            }
            assert_near(y[at], s->values[e] ? want : (double)UNTOUCHED, 4e-6 * magnitude);
        }
    }
}

struct device_scene {
    struct matrix *w[N_EXPERTS_MAX];
    float *bias[N_EXPERTS_MAX], *x;
    struct expert_matrices *table;
    struct routed routed;
};

// Of the scene's first rows; x is that of the slots.
static struct device_scene device_scene_new(struct backend *b, const struct scene *s, struct mixture m)
{
    const struct product *p = s->p;
    size_t n_slots = m.n_rows * p->m.n_used;
    struct device_scene d = { .x = b->ops->alloc(b, n_slots * p->n_in * sizeof(float)), .routed = routed_new(b, m) };
    for (size_t e = 0; e < p->m.n_experts; e++) {
        d.bias[e] = sent_floats(b, s->bias[e], p->n_out);
        if (s->weights[e]) {
            d.w[e] = b->ops->matrix_new(b, p->dtype, p->n_out, p->n_in);
            b->ops->matrix_fill(b, d.w[e], 0, p->n_out, s->weights[e]);
        }
    }
    d.table = b->ops->expert_matrices_new(b, (const struct matrix *const *)d.w, (const float *const *)d.bias,
                                          p->m.n_experts, n_slots);
    assert_non_null(d.table);
    float *logits = sent_floats(b, s->logits, m.n_rows * m.n_experts);
    float *rows = sent_floats(b, s->x, m.n_rows * p->n_in);
    const struct op_route route = { .logits = logits, .routes = &d.routed.there };
    const struct op_dispatch dispatch = { .x = rows, .routes = &d.routed.there, .y = d.x, .dim = p->n_in };
    b->ops->route(b, &route);
    b->ops->dispatch(b, &dispatch);
    routed_fetch(b, &d.routed);
    b->ops->free(b, logits);
    b->ops->free(b, rows);
    return d;
}

static void device_scene_free(struct backend *b, struct device_scene *d)
{
    for (size_t e = 0; e < N_EXPERTS_MAX; e++) {
        b->ops->free(b, d->bias[e]);
        b->ops->matrix_free(b, d->w[e]);
    }
    b->ops->expert_matrices_free(b, d->table);
    b->ops->free(b, d->x);
    routed_free(b, &d->routed);
}

// Expert by expert, which gives block formats the same bits.
static void expect_same_one_by_one(struct backend *b, const struct scene *s, const struct device_scene *d,
                                   const float *y)
{
    const struct product *p = s->p;
    const uint32_t *first = d->routed.here.first;
    for (size_t e = 0; e < p->m.n_experts; e++) {
        size_t n_rows = first[e + 1] - first[e], n = n_rows * p->n_out;
        float *each = calloc(n + 1, sizeof(*each)), *there = sent_floats(b, each, n + 1);
        const struct op_linear one = { .w = d->w[e],
                                       .bias = d->bias[e],
                                       .x = d->x + first[e] * p->n_in,
                                       .y = there,
                                       .x_stride = p->n_in,
                                       .y_stride = p->n_out,
                                       .n_rows = n_rows };
        if (d->w[e]) {
            b->ops->linear(b, &one);
            b->ops->download(b, each, there, n * sizeof(*each));
            assert_same_bits(y + first[e] * p->n_out, each, n, b);
        }
        b->ops->free(b, there);
        free(each);
    }
}

// Of the first n_rows: [n_rows][n_used][n_out].
static float *run_product(struct backend *b, const struct scene *s, size_t n_rows)
{
    const struct product *p = s->p;
    const struct mixture m = { n_rows, p->m.n_experts, p->m.n_used };
    size_t n = n_rows * m.n_used * p->n_out;
    float *y = malloc(n * sizeof(*y)), *of_rows = malloc(n * sizeof(*y));
    for (size_t i = 0; i < n; i++) {
        y[i] = UNTOUCHED;
    }
    struct device_scene d = device_scene_new(b, s, m);
    float *device_y = sent_floats(b, y, n);
    const struct op_linear_experts op = {
        .w = d.table, .routes = &d.routed.there, .x = d.x, .y = device_y, .x_stride = p->n_in, .y_stride = p->n_out
    };
    b->ops->linear_experts(b, &op);
    fetch(b, y, device_y, n * sizeof(*y));
    assert_are_products(s, &d.routed.here, y);
    if (cuda_of(b)->is_deterministic && !dtype_is_plain(p->dtype)) {
        expect_same_one_by_one(b, s, &d, y);
    }
    for (size_t pair = 0; pair < n_rows * m.n_used; pair++) {
        memcpy(of_rows + pair * p->n_out, y + d.routed.here.slots[pair] * p->n_out, p->n_out * sizeof(*y));
    }
    device_scene_free(b, &d);
    free(y);
    return of_rows;
}

static void test_products_are_those_of_each_expert(void **state)
{
    const struct pair *pair = *state;
    uint64_t rng = 4;
    for (size_t i = 0; i < N_PRODUCTS; i++) {
        struct scene s = scene_new(&rng, &products[i]);
        size_t n_rows = s.p->m.n_rows, n_few = 1 + n_rows / 9, n_of_row = s.p->m.n_used * s.p->n_out;
        float *y = run_product(pair->cuda, &s, n_rows), *again = run_product(pair->deterministic, &s, n_rows);
        float *few = run_product(pair->deterministic, &s, n_few);
        assert_same_bits(y, again, n_rows * n_of_row, pair->cuda);
        assert_same_bits(y, few, n_few * n_of_row, pair->cuda); // a row's do not depend on the batch
        free(y);
        free(again);
        free(few);
        scene_free(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes_and_plans_are_those_of_the_host),
        cmocka_unit_test(test_rows_of_nobody_go_nowhere),
        cmocka_unit_test(test_rows_go_out_and_come_back),
        cmocka_unit_test(test_products_are_those_of_each_expert),
    };
    return cmocka_run_group_tests(tests, open_pair, close_pair);
}
