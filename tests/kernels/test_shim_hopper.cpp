// The model of what only sm_90a has (kernels/cuda/shim/hopper.h): layouts of matrices and boxes element by element as
// they are documented, in other words than the model's own; and that it finds what it is for.
#include "kernels/cuda/hopper.h"
#include "kernels/cuda/runtime.h"
#include "tests/kernels/shim_fault.h"

#include <stdlib.h>

// At a multiple of 1,024.
static unsigned char *aligned_shared()
{
    GPU_SHARED_DYNAMIC(unsigned char, shared);
    return shared + (-gpu_shared_address(shared) & 1023);
}

// ---- matrices ------------------------------------------------------------------------------------------------------

struct mode {
    enum gpu_swizzle swizzle;
    unsigned n_chunks; // of 16 bytes in a row of an atom
};
static const struct mode modes[] = {
    { GPU_SWIZZLE_128, 8 }, { GPU_SWIZZLE_64, 4 }, { GPU_SWIZZLE_32, 2 }, { GPU_SWIZZLE_NONE, 1 }
};

// Where a chunk of row r of an atom lies, in chunks: rows that share 128 bytes of the banks exchange their chunks
// alike.
static unsigned chunk_in_atom(struct mode m, unsigned r, unsigned chunk)
{
    return r * m.n_chunks + (chunk ^ r / (8 / m.n_chunks) % m.n_chunks);
}

// A matrix [lines][width] of which `width` is contiguous in memory: K-major with lines of m or n and k along them, or
// MN-major the other way round. Atoms of 8 lines, those of eight lines one after the other, then the next columns of
// atoms. Stored by all threads.
static void store_matrix(unsigned char *shared, struct mode m, const uint16_t *from, unsigned lines, unsigned width)
{
    unsigned column_bytes = lines * m.n_chunks * 16;
    for (unsigned i = threadIdx.x; i < lines * width / 8; i += blockDim.x) {
        unsigned line = i / (width / 8), chunk = i % (width / 8);
        unsigned at = chunk / m.n_chunks * column_bytes + line / 8 * 8 * m.n_chunks * 16 +
                      chunk_in_atom(m, line % 8, chunk % m.n_chunks) * 16;
        uint4 x;
        memcpy(&x, from + line * width + chunk * 8, 16);
        gpu_store_16(shared + at, x);
    }
}

// d[64][64] = a[64][depth] b, b as [64][depth] (K-major) or [depth][64] (MN-major).
struct problem {
    const uint16_t *a, *b;
    float *d;
    unsigned depth, mode;
    bool is_a_in_registers;
};

static void multiply(struct problem p)
{
    const struct mode m = modes[p.mode];
    const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32, atom = 8 * m.n_chunks * 16;
    unsigned char *a = aligned_shared(), *b = a + 8192;
    float d[32];
    uint32_t values[4][4];
    if (p.is_a_in_registers) {
        store_matrix(b, m, p.b, p.depth, 64);
    } else {
        store_matrix(a, m, p.a, 64, p.depth);
        store_matrix(b, m, p.b, 64, p.depth);
    }
    gpu_async_fence();
    __syncthreads();
    for (unsigned k = 0; k < p.depth; k += 16) {
        for (unsigned r = 0; r < 4; r++) { // as gpu_mma has it
            const uint16_t *at = p.a + (warp * 16 + lane / 4 + r % 2 * 8) * p.depth + k + lane % 4 * 2 + r / 2 * 8;
            values[k / 16][r] = (uint32_t)at[0] | (uint32_t)at[1] << 16;
        }
    }
    gpu_wgmma_fence();
    for (unsigned k = 0; k < p.depth; k += 16) {
        unsigned per_column = 8 * m.n_chunks; // elements in a row of an atom
        if (p.is_a_in_registers) {            // the next atoms of n; those of the next 8 k
            uint32_t column = p.depth * m.n_chunks * 16;
            bool is_plain = m.swizzle == GPU_SWIZZLE_NONE;
            uint64_t matrix =
                gpu_wgmma_matrix(gpu_shared_address(b), m.swizzle, is_plain ? atom : column, is_plain ? column : atom);
            gpu_wgmma_values<struct gpu_f16, 64>(d, values[k / 16], gpu_wgmma_advance(matrix, k / 8 * atom), k > 0);
        } else {
            uint32_t column = 64 * m.n_chunks * 16, step = k / per_column * column + k % per_column * 2;
            uint64_t left = gpu_wgmma_matrix(gpu_shared_address(a), m.swizzle, column, atom);
            uint64_t right = gpu_wgmma_matrix(gpu_shared_address(b), m.swizzle, column, atom);
            gpu_wgmma<struct gpu_f16, 64>(d, gpu_wgmma_advance(left, step), gpu_wgmma_advance(right, step), k > 0);
        }
    }
    gpu_wgmma_commit();
    gpu_wgmma_wait<0>(d);
    for (unsigned i = 0; i < 32; i++) {
        p.d[(warp * 16 + lane / 4 + i / 2 % 2 * 8) * 64 + i / 4 * 8 + lane % 4 * 2 + i % 2] = d[i];
    }
}

static void test_products_of_every_layout_are_right(void **)
{
    uint16_t a[64 * 64], b[64 * 64];
    float d[64 * 64], want[64 * 64];
    for (unsigned i = 0; i < 64 * 64; i++) {
        a[i] = f16_from_f32((float)(i * 7 % 23) - 11);
        b[i] = f16_from_f32((float)(i * 5 % 19) - 9);
    }
    for (unsigned c = 0; c < 16; c++) {
        const struct problem p = { a, b, d, c / 8 ? 64u : 32u, c % 4, c / 4 % 2 == 1 };
        for (unsigned i = 0; i < 64 * 64; i++) {
            want[i] = 0;
            for (unsigned k = 0; k < p.depth; k++) {
                uint16_t right = p.is_a_in_registers ? b[k * 64 + i % 64] : b[i % 64 * p.depth + k];
                want[i] += f32_from_f16(a[i / 64 * p.depth + k]) * f32_from_f16(right);
            }
        }
        memset(d, 0xff, sizeof(d));
        gpu_launch(NULL, multiply, 1, 128, 1024 + 2 * 8192, p);
        assert_memory_equal(d, want, sizeof(d));
    }
}

// ---- boxes ---------------------------------------------------------------------------------------------------------

#define BOX_ROWS 16

// Elements are their own numbers.
static struct gpu_tensor numbers(const uint16_t *base, struct mode m)
{
    struct gpu_tensor t = { base, { 40, 24, 3, 2 }, { 80, 1920, 5760 }, { 8 * m.n_chunks, BOX_ROWS, 1, 1 }, 0, true };
    t.swizzle_bytes = m.swizzle == GPU_SWIZZLE_NONE ? 0 : 16 * m.n_chunks;
    return t;
}

static void load_box(const __grid_constant__ struct gpu_tensor_map map, uint32_t bytes, uint16_t *out)
{
    unsigned char *box = aligned_shared();
    uint64_t *barrier = reinterpret_cast<uint64_t *>(box + BOX_ROWS * 128);
    if (threadIdx.x == 0) {
        gpu_barrier_init(barrier, 1);
        gpu_barrier_init_done();
        gpu_barrier_arrive_expect(barrier, bytes);
        gpu_tensor_load(box, &map, barrier, 24, 12, 2, 1);
    }
    __syncthreads();
    gpu_barrier_wait(barrier, 0);
    memcpy(out + threadIdx.x * 8, box + threadIdx.x * 16, 16);
}

static void test_boxes_lie_as_documented_and_are_zero_outside(void **)
{
    uint16_t base[2 * 3 * 24 * 40], out[BOX_ROWS * 64];
    struct gpu *gpu;
    assert_int_equal(gpu_open(&gpu, NULL), 0);
    for (unsigned i = 0; i < sizeof(base) / 2; i++) {
        base[i] = (uint16_t)i;
    }
    for (const struct mode &m : modes) {
        struct gpu_tensor t = numbers(base, m);
        struct gpu_tensor_map map;
        assert_true(gpu_tensor_map_make(gpu, &t, &map));
        gpu_launch(NULL, load_box, 1, BOX_ROWS * m.n_chunks, 1024 + BOX_ROWS * 128 + 8, map, BOX_ROWS * m.n_chunks * 16,
                   (uint16_t *)out);
        for (unsigned i = 0; i < BOX_ROWS * m.n_chunks * 8; i++) {
            unsigned row = i / (8 * m.n_chunks), x = i % (8 * m.n_chunks);
            unsigned at = row / 8 * 8 * m.n_chunks + chunk_in_atom(m, row % 8, x / 8);
            bool is_inside = 24 + x < 40 && 12 + row < 24;
            assert_int_equal(out[at * 8 + x % 8], is_inside ? (((1 * 3 + 2) * 24 + 12 + row) * 40 + 24 + x) : 0);
        }
    }
    struct gpu_tensor odd = numbers(base, modes[0]);
    struct gpu_tensor_map map;
    odd.strides[0] = 72 + 4;
    assert_false(gpu_tensor_map_make(gpu, &odd, &map));
    gpu_close(gpu);
}

// ---- a ring --------------------------------------------------------------------------------------------------------

#define N_TURNS 12

struct ring {
    uint64_t full[2], free[2];
    int box[2][32];
};

// A warp fills two stages in turn, another takes what they hold and counts what is not what was put in.
static void pass_on(int *n_wrong, bool reads_early, bool frees_early)
{
    struct ring *ring = reinterpret_cast<struct ring *>(aligned_shared());
    unsigned lane = threadIdx.x % 32;
    if (threadIdx.x == 0) {
        for (int i = 0; i < 2; i++) {
            gpu_barrier_init(&ring->full[i], 32);
            gpu_barrier_init(&ring->free[i], 32);
        }
        gpu_barrier_init_done();
    }
    __syncthreads();
    for (unsigned i = 0; i < N_TURNS; i++) {
        unsigned stage = i % 2, parity = i / 2 % 2;
        if (threadIdx.x < 32) {
            gpu_barrier_wait(&ring->free[stage], parity ^ 1);
            ring->box[stage][lane] = (int)(i * 32 + lane);
            gpu_barrier_arrive(&ring->full[stage]);
            continue;
        }
        int early = ring->box[stage][(lane + 1) % 32];
        if (frees_early) {
            gpu_barrier_arrive(&ring->free[stage]);
        }
        gpu_barrier_wait(&ring->full[stage], parity);
        int x = reads_early ? early : ring->box[stage][(lane + 1) % 32];
        *n_wrong += x != (int)(i * 32 + (lane + 1) % 32);
        if (!frees_early) {
            gpu_barrier_arrive(&ring->free[stage]);
        }
    }
}

static void test_a_ring_passes_on_what_was_put_in(void **)
{
    int n_wrong = 0;
    for (int round = 0; round < 10; round++) {
        gpu_launch(NULL, pass_on, 1, 64, 1024 + sizeof(struct ring), &n_wrong, false, false);
    }
    assert_int_equal(n_wrong, 0);
    gpu_launch(NULL, pass_on, 1, 64, 1024 + sizeof(struct ring), &n_wrong, true, false);
    assert_true(n_wrong > 0);
}

// ---- products of what boxes bring ----------------------------------------------------------------------------------

#define N_BOXES 10

// d[64][64] = a a^T of a [64][64 * N_BOXES], a box of 64 columns at a time in two stages; a warpgroup and a thread
// beside it. A stage is given back when the products that read it are over, or not.
static void square(const __grid_constant__ struct gpu_tensor_map map, float *out, bool waits)
{
    unsigned char *stages = aligned_shared();
    uint64_t *full = reinterpret_cast<uint64_t *>(stages + 2 * 8192), *free = full + 2;
    if (threadIdx.x == 0) {
        for (int i = 0; i < 2; i++) {
            gpu_barrier_init(&full[i], 1);
            gpu_barrier_init(&free[i], 128);
        }
        gpu_barrier_init_done();
    }
    __syncthreads();
    for (int i = 0; i < N_BOXES && threadIdx.x == 128; i++) {
        gpu_barrier_wait(&free[i % 2], (unsigned)(i / 2 % 2) ^ 1);
        gpu_barrier_arrive_expect(&full[i % 2], 8192);
        gpu_tensor_load(stages + i % 2 * 8192, &map, &full[i % 2], i * 64, 0, 0, 0);
    }
    float d[32];
    for (int i = 0; i < N_BOXES && threadIdx.x < 128; i++) {
        uint64_t a = gpu_wgmma_matrix(gpu_shared_address(stages + i % 2 * 8192), GPU_SWIZZLE_128, 16, 1024);
        gpu_barrier_wait(&full[i % 2], (unsigned)(i / 2 % 2));
        gpu_wgmma_fence();
        for (uint32_t k = 0; k < 64; k += 16) {
            gpu_wgmma<struct gpu_f16, 64>(d, gpu_wgmma_advance(a, k * 2), gpu_wgmma_advance(a, k * 2), i + (int)k > 0);
        }
        gpu_wgmma_commit();
        if (waits && i > 0) {
            gpu_wgmma_wait<1>();
        }
        if (i > 0) {
            gpu_barrier_arrive(&free[(i - 1) % 2]);
        }
    }
    if (threadIdx.x < 128) {
        gpu_wgmma_wait<0>(d);
        memcpy(out + threadIdx.x * 32, d, sizeof(d));
    }
}

static void test_a_stage_is_kept_until_its_products_are_over(void **)
{
    static uint16_t a[64 * 64 * N_BOXES];
    float d[128 * 32];
    struct gpu *gpu;
    struct gpu_tensor_map map;
    for (unsigned i = 0; i < sizeof(a) / 2; i++) {
        a[i] = f16_from_f32((float)(i * 7 % 23) - 11);
    }
    const struct gpu_tensor tensor = {
        a, { 64 * N_BOXES, 64, 1, 1 }, { 128 * N_BOXES, sizeof(a), sizeof(a) }, { 64, 64, 1, 1 }, 128, true
    };
    assert_int_equal(gpu_open(&gpu, NULL), 0);
    assert_true(gpu_tensor_map_make(gpu, &tensor, &map));
    auto run = [&](bool waits) { gpu_launch(NULL, square, 1, 160, 1024 + 2 * 8192 + 32, map, (float *)d, waits); };
    run(true);
    for (unsigned i = 0; i < 128 * 32; i++) {
        unsigned m = i / 1024 * 16 + i / 32 % 32 / 4 + i / 2 % 2 * 8, n = i % 32 / 4 * 8 + i / 32 % 4 * 2 + i % 2;
        float want = 0;
        for (unsigned k = 0; k < 64 * N_BOXES; k++) {
            want += f32_from_f16(a[m * 64 * N_BOXES + k]) * f32_from_f16(a[n * 64 * N_BOXES + k]);
        }
        assert_true(d[i] == want);
    }
    assert_true(ends_program([&] { run(false); }));
    gpu_close(gpu);
}

// ---- what must not be ----------------------------------------------------------------------------------------------

#define ZEROS 8192 // bytes of matrices of zeros, then a barrier

static unsigned char *zeros(bool is_fenced)
{
    unsigned char *shared = aligned_shared();
    for (unsigned i = threadIdx.x; i < ZEROS / 16; i += blockDim.x) {
        gpu_store_16(shared + i * 16, uint4{});
    }
    if (is_fenced) {
        gpu_async_fence();
    }
    __syncthreads();
    return shared;
}

static uint64_t matrix_at(const unsigned char *shared)
{
    return gpu_wgmma_matrix(gpu_shared_address(shared), GPU_SWIZZLE_128, 16, 1024);
}

static void issue(float (&d)[32], const unsigned char *shared)
{
    gpu_wgmma<struct gpu_f16, 64>(d, matrix_at(shared), matrix_at(shared), true);
    gpu_wgmma_commit();
}

static void good(float *out)
{
    unsigned char *shared = zeros(true);
    float d[32] = { 1, 2 };
    gpu_wgmma_fence();
    issue(d, shared);
    out[0] = d[0];
    gpu_wgmma_wait<0>(d);
    out[1] = d[0];
}

static void without_async_fence(float *out)
{
    unsigned char *shared = zeros(false);
    float d[32] = {};
    gpu_wgmma_fence();
    issue(d, shared);
    gpu_wgmma_wait<0>(d);
    out[1] = d[0];
}

static void test_results_are_there_after_the_wait(void **)
{
    float out[2];
    gpu_launch(NULL, good, 1, 128, 1024 + ZEROS, (float *)out);
    assert_true(isnan(out[0]));
    assert_true(out[1] == 1);
    gpu_launch(NULL, without_async_fence, 1, 128, 1024 + ZEROS, (float *)out);
    assert_true(isnan(out[1]));
}

static void no_fence(float *)
{
    unsigned char *shared = zeros(true);
    float d[32] = {};
    issue(d, shared);
    gpu_wgmma_wait<0>(d);
}

static void no_second_fence(float *)
{
    unsigned char *shared = zeros(true);
    float d[32] = {};
    gpu_wgmma_fence();
    issue(d, shared);
    gpu_wgmma_wait<0>(d);
    d[0] = 1;
    issue(d, shared);
    gpu_wgmma_wait<0>(d);
}

static void no_wait(float *)
{
    unsigned char *shared = zeros(true);
    static float d[128][32];
    gpu_wgmma_fence();
    issue(d[threadIdx.x], shared);
}

static void waits_for_too_few(float *)
{
    unsigned char *shared = zeros(true);
    static float d[128][32];
    gpu_wgmma_fence();
    issue(d[threadIdx.x], shared);
    gpu_wgmma_wait<1>(d[threadIdx.x]);
}

static void writes_sums(float *)
{
    unsigned char *shared = zeros(true);
    float d[32] = {};
    gpu_wgmma_fence();
    issue(d, shared);
    d[3] *= 0.5f;
    d[4] = 0;
    gpu_wgmma_wait<0>(d);
}

static void writes_operands(float *)
{
    unsigned char *shared = zeros(true);
    float d[32] = {};
    uint32_t a[4] = {};
    gpu_wgmma_fence();
    gpu_wgmma_values<struct gpu_f16, 64>(d, a, matrix_at(shared), true);
    gpu_wgmma_commit();
    a[1] = 1;
    gpu_wgmma_wait<0>(d);
}

static void begins_within_an_atom(float *)
{
    unsigned char *shared = zeros(true);
    float d[32] = {};
    gpu_wgmma_fence();
    issue(d, shared + 128);
    gpu_wgmma_wait<0>(d);
}

static void reads_past_the_end(float *)
{
    unsigned char *shared = zeros(true);
    float d[32] = {};
    gpu_wgmma_fence();
    issue(d, shared + ZEROS - 1024);
    gpu_wgmma_wait<0>(d);
}

static void warps_differ(float *)
{
    unsigned char *shared = zeros(true);
    float d[32] = {};
    gpu_wgmma_fence();
    issue(d, shared + (threadIdx.x < 64 ? 0 : 32));
    gpu_wgmma_wait<0>(d);
}

static void one_warp_stays_away(float *)
{
    unsigned char *shared = zeros(true);
    float d[32] = {};
    if (threadIdx.x < 96) {
        gpu_wgmma_fence();
        issue(d, shared);
        gpu_wgmma_wait<0>(d);
    }
}

static uint64_t *barrier_for(unsigned n, bool is_told)
{
    uint64_t *b = reinterpret_cast<uint64_t *>(aligned_shared());
    if (threadIdx.x == 0) {
        gpu_barrier_init(b, n);
        if (is_told) {
            gpu_barrier_init_done();
        }
    }
    __syncthreads();
    return b;
}

static void barrier_is_not_told(float *)
{
    gpu_barrier_arrive(barrier_for(128, false));
}

static void barrier_is_not_initialised(float *)
{
    gpu_barrier_arrive(barrier_for(128, true) + 1);
}

static void nobody_arrives(float *)
{
    gpu_barrier_wait(barrier_for(1, true), 0);
}

// Passes at once and finds nothing, or waits for a phase that does not end.
static void phase_is_wrong(float *)
{
    static const uint16_t ones[2 * 3 * 24 * 40] = { 1 };
    const struct gpu_tensor t = numbers(ones, modes[0]);
    struct gpu_tensor_map map;
    memcpy(&map, &t, sizeof(t));
    unsigned char *box = aligned_shared();
    uint64_t *b = barrier_for(1, true);
    if (threadIdx.x == 0) {
        gpu_barrier_arrive_expect(b, BOX_ROWS * 128);
        gpu_tensor_load(box + 1024, &map, b, 0, 0, 0, 0);
    }
    __syncthreads();
    gpu_barrier_wait(b, 1);
    if (box[1024] != 1) {
        abort();
    }
}

static void box_is_not_waited_for(float *)
{
    static const uint16_t ones[2 * 3 * 24 * 40] = { 1 };
    const struct gpu_tensor t = numbers(ones, modes[0]);
    struct gpu_tensor_map map;
    memcpy(&map, &t, sizeof(t));
    uint64_t *b = barrier_for(1, true);
    if (threadIdx.x == 0) {
        gpu_barrier_arrive_expect(b, BOX_ROWS * 128);
        gpu_tensor_load(aligned_shared() + 1024, &map, b, 0, 0, 0, 0);
    }
}

// The other comes to overwrite what is read, or by a phase too far.
static void stage_is_freed_early(float *)
{
    static int n_wrong;
    pass_on(&n_wrong, false, true);
    if (n_wrong > 0) {
        abort();
    }
}

static void bytes_do_not_come(float *)
{
    uint64_t *b = barrier_for(1, true);
    if (threadIdx.x == 0) {
        gpu_barrier_arrive_expect(b, 16);
    }
    gpu_barrier_wait(b, 0);
}

static void too_many_arrive(float *)
{
    uint64_t *b = barrier_for(1, true);
    if (threadIdx.x == 0) {
        gpu_barrier_arrive_expect(b, 16);
        gpu_barrier_arrive(b);
    }
}

static void some_do_not_come(float *)
{
    if (threadIdx.x < 64) {
        gpu_named_sync(1, 128);
    }
}

static void others_arrive_only(float *)
{
    if (threadIdx.x < 64) {
        gpu_named_arrive(1, 128);
    }
}

static void numbers_differ(float *)
{
    gpu_named_sync(1, threadIdx.x < 64 ? 64 : 128);
}

static void takes_what_is_not_there(float *)
{
    gpu_registers_take<256>();
    if (threadIdx.x >= 256) {
        gpu_registers_give<24>();
    }
}

static void gives_what_it_has_not(float *)
{
    gpu_registers_give<248>();
}

static void test_broken_rules_are_found(void **)
{
    static const struct fault faults[] = {
        { no_fence, 128 },
        { no_second_fence, 128 },
        { no_wait, 128 },
        { waits_for_too_few, 128 },
        { writes_sums, 128 },
        { writes_operands, 128 },
        { begins_within_an_atom, 128 },
        { reads_past_the_end, 128 },
        { warps_differ, 128 },
        { one_warp_stays_away, 128 },
        { barrier_is_not_told, 128 },
        { barrier_is_not_initialised, 128 },
        { nobody_arrives, 128 },
        { phase_is_wrong, 128 },
        { box_is_not_waited_for, 128 },
        { stage_is_freed_early, 64 },
        { bytes_do_not_come, 128 },
        { too_many_arrive, 128 },
        { some_do_not_come, 128 },
        { others_arrive_only, 128 },
        { numbers_differ, 128 },
        { takes_what_is_not_there, 384 },
        { gives_what_it_has_not, 384 },
    };
    expect_found(faults, 1024 + ZEROS);
}

// Three warpgroups that hold all there is: two may grow by what the third gives.
static void trade(float *out)
{
    if (threadIdx.x < 128) {
        gpu_registers_give<40>();
    } else {
        gpu_registers_take<232>();
    }
    out[threadIdx.x] = 1;
}

static void test_registers_move_between_warpgroups(void **)
{
    float out[384] = {};
    gpu_launch(NULL, trade, 1, 384, 0, (float *)out);
    for (float x : out) {
        assert_true(x == 1);
    }
}

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products_of_every_layout_are_right),
        cmocka_unit_test(test_boxes_lie_as_documented_and_are_zero_outside),
        cmocka_unit_test(test_a_ring_passes_on_what_was_put_in),
        cmocka_unit_test(test_a_stage_is_kept_until_its_products_are_over),
        cmocka_unit_test(test_results_are_there_after_the_wait),
        cmocka_unit_test(test_broken_rules_are_found),
        cmocka_unit_test(test_registers_move_between_warpgroups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
