// The model of a GPU: what it says of barriers, warps, copies and matrices, and that it finds what it is for.
#include "kernels/cuda/gpu.h"
#include "kernels/cuda/runtime.h"
#include "tests/kernels/shim_fault.h"

#include <vector>

// ---- matrices ------------------------------------------------------------------------------------------------------

// By the layout as documented, element by element: see gpu_nvcc.h.
static void multiply(const uint16_t *a, const uint16_t *b, float *d) // [16][16], [16][8], [16][8]
{
    uint32_t fa[4];
    unsigned lane = threadIdx.x, g = lane / 4, t = lane % 4;
    for (unsigned r = 0; r < 4; r++) {
        const uint16_t *at = a + (g + r % 2 * 8) * 16 + 2 * t + r / 2 * 8;
        fa[r] = (uint32_t)at[0] | (uint32_t)at[1] << 16;
    }
    uint32_t b0 = (uint32_t)b[2 * t * 8 + g] | (uint32_t)b[(2 * t + 1) * 8 + g] << 16;
    uint32_t b1 = (uint32_t)b[(2 * t + 8) * 8 + g] | (uint32_t)b[(2 * t + 9) * 8 + g] << 16;
    float fd[4] = { d[g * 8 + 2 * t], d[g * 8 + 2 * t + 1], d[(g + 8) * 8 + 2 * t], d[(g + 8) * 8 + 2 * t + 1] };
    gpu_mma<struct gpu_f16>(fd, fa, b0, b1);
    for (unsigned i = 0; i < 4; i++) {
        d[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = fd[i];
    }
}

static void test_mma_is_the_product(void **)
{
    uint16_t a[256], b[128];
    float d[128], want[128];
    for (int i = 0; i < 256; i++) {
        a[i] = f16_from_f32((float)(i * 7 % 23 - 11));
    }
    for (int i = 0; i < 128; i++) {
        b[i] = f16_from_f32((float)(i * 5 % 19 - 9));
        want[i] = d[i] = (float)i;
    }
    for (int i = 0; i < 16 * 8 * 16; i++) {
        int row = i / 128, column = i / 16 % 8, k = i % 16;
        want[row * 8 + column] += f32_from_f16(a[row * 16 + k]) * f32_from_f16(b[k * 8 + column]);
    }
    gpu_launch(NULL, multiply, 1, 32, 0, (const uint16_t *)a, (const uint16_t *)b, (float *)d);
    assert_memory_equal(d, want, sizeof(d));
}

// Four matrices of 8 x 8 as one of 16 x 16 in rows of 24: the two upper, then the two lower ones.
static void load(const uint16_t *in, uint32_t *out, uint32_t *transposed)
{
    alignas(16) static uint16_t tile[16][24];
    unsigned lane = threadIdx.x;
    for (unsigned i = lane; i < 256; i += 32) {
        tile[i / 16][i % 16] = in[i];
    }
    __syncthreads();
    const uint16_t *row = &tile[lane / 16 * 8 + lane % 8][lane / 8 % 2 * 8];
    gpu_load_matrices(out + lane * 4, row);
    gpu_load_matrices_transposed(transposed + lane * 4, row);
}

static void test_load_matrices_gives_each_lane_its_pair(void **)
{
    uint16_t in[256];
    uint32_t out[128], transposed[128];
    for (unsigned i = 0; i < 256; i++) {
        in[i] = (uint16_t)i;
    }
    gpu_launch(NULL, load, 1, 32, 0, (const uint16_t *)in, (uint32_t *)out, (uint32_t *)transposed);
    for (unsigned lane = 0; lane < 32; lane++) {
        for (unsigned m = 0; m < 4; m++) {
            unsigned row = m / 2 * 8 + lane / 4, column = m % 2 * 8 + lane % 4 * 2;
            assert_int_equal(out[lane * 4 + m], (row * 16 + column) | (row * 16 + column + 1) << 16);
            row = m / 2 * 8 + lane % 4 * 2;
            column = m % 2 * 8 + lane / 4;
            assert_int_equal(transposed[lane * 4 + m], (row * 16 + column) | ((row + 1) * 16 + column) << 16);
        }
    }
}

// ---- threads -------------------------------------------------------------------------------------------------------

// Each thread takes its neighbour's value; without the barrier some come too early.
static void rotate(int *out, bool has_barrier)
{
    static int box[64];
    box[threadIdx.x] = (int)(threadIdx.x + 100 * blockIdx.x);
    if (has_barrier) {
        __syncthreads();
    }
    out[64 * blockIdx.x + threadIdx.x] = box[(threadIdx.x + 1) % 64];
}

static size_t n_wrong(const int *out)
{
    size_t n = 0;
    for (int i = 0; i < 4 * 64; i++) {
        n += out[i] != (i % 64 + 1) % 64 + 100 * (i / 64);
    }
    return n;
}

static void test_a_missing_barrier_shows(void **)
{
    int out[4 * 64];
    gpu_launch(NULL, rotate, 4, 64, 0, (int *)out, true);
    assert_int_equal(n_wrong(out), 0);
    gpu_launch(NULL, rotate, 4, 64, 0, (int *)out, false);
    assert_true(n_wrong(out) > 0);
}

static void sums(float *out)
{
    GPU_SHARED(gpu_cta_scratch, scratch);
    out[threadIdx.x] = gpu_cta_sum((float)threadIdx.x, scratch) + 1000 * gpu_warp_max((float)(threadIdx.x % 32));
    assert(__ballot_sync(0xffffffffu, threadIdx.x % 2) == 0xaaaaaaaau);
    assert(__shfl_down_sync(0xffffffffu, (int)(threadIdx.x % 32), 3) ==
           (int)(threadIdx.x % 32 < 29 ? threadIdx.x % 32 + 3 : threadIdx.x % 32));
}

static void test_reductions_reach_every_thread(void **)
{
    float out[96];
    gpu_launch(NULL, sums, 1, 96, 0, (float *)out);
    for (int i = 0; i < 96; i++) {
        assert_true(out[i] == 95.0f * 96 / 2 + 31000);
    }
}

// Lanes of a warp take what lane 0 has put there.
static void take_from_first(int *n_wrong, bool has_barrier)
{
    typedef int box_type[1];
    GPU_SHARED(box_type, box);
    for (int i = 0; i < 8; i++) {
        if (threadIdx.x == 0) {
            box[0] = i;
        }
        if (has_barrier) {
            __syncwarp();
        }
        *n_wrong += box[0] != i;
        __syncwarp();
    }
}

static void test_a_missing_barrier_of_a_warp_shows(void **)
{
    int n_wrong = 0;
    gpu_launch(NULL, take_from_first, 1, 32, 0, &n_wrong, true);
    assert_int_equal(n_wrong, 0);
    gpu_launch(NULL, take_from_first, 1, 32, 0, &n_wrong, false);
    assert_true(n_wrong > 0);
}

// A warp counts what another has written before it shuffles for a while, which is no reason for it to be there.
static void trust_to_time(int *n_wrong, bool has_barrier)
{
    typedef int box_type[1];
    GPU_SHARED(box_type, box);
    if (threadIdx.x == 32) {
        box[0] = 1;
    }
    for (int i = 0; i < 50 && threadIdx.x < 32; i++) {
        gpu_warp_max((float)i);
    }
    if (has_barrier) {
        __syncthreads();
    }
    *n_wrong += threadIdx.x == 0 && box[0] != 1;
}

static void test_a_warp_that_is_late_shows(void **)
{
    int n_wrong = 0;
    gpu_launch(NULL, trust_to_time, 40, 64, 0, &n_wrong, true);
    assert_int_equal(n_wrong, 0);
    gpu_launch(NULL, trust_to_time, 40, 64, 0, &n_wrong, false);
    assert_true(n_wrong > 0);
}

static void lane_has_ended(float *)
{
    if (threadIdx.x != 3) {
        gpu_warp_max(1.0f);
    }
}

static void lane_is_at_a_barrier(float *)
{
    if (threadIdx.x == 3) {
        __syncthreads();
    }
    gpu_warp_max(1.0f);
}

static void lane_does_something_else(float *)
{
    if (threadIdx.x == 3) {
        __syncwarp();
    } else {
        gpu_warp_max(1.0f);
    }
}

static void lane_names_others(float *)
{
    __syncwarp(threadIdx.x == 3 ? 0xfu : 0xffffffffu);
}

static void lane_is_not_named(float *)
{
    __shfl_sync(0xfu, 1, 0);
}

static void source_is_not_named(float *)
{
    if (threadIdx.x < 4) {
        __shfl_sync(0xfu, 1, 4);
    }
}

static void thread_stays_away(float *)
{
    if (threadIdx.x != 3) {
        __syncthreads();
    }
}

static void copies_are_not_waited_for(float *)
{
    GPU_SHARED_DYNAMIC(float, shared);
    alignas(16) static const float from[4] = {};
    gpu_copy_async_16(shared, from, true);
    gpu_copy_async_commit();
}

static void test_threads_that_do_not_come_together_are_found(void **)
{
    static const struct fault faults[] = { { lane_has_ended, 32 },           { lane_is_at_a_barrier, 32 },
                                           { lane_does_something_else, 32 }, { lane_names_others, 32 },
                                           { lane_is_not_named, 32 },        { source_is_not_named, 32 },
                                           { thread_stays_away, 64 },        { copies_are_not_waited_for, 1 } };
    expect_found(faults, 64);
}

// ---- memory --------------------------------------------------------------------------------------------------------

alignas(16) static float numbers[16];

static void loads_where_no_vector_is(float *)
{
    float4 x = __ldg(reinterpret_cast<const float4 *>(numbers + 2));
    numbers[0] = x.x;
}

static void copies_where_no_vector_is(float *)
{
    GPU_SHARED_DYNAMIC(float, shared);
    gpu_copy_async_16(shared, numbers + 2, true);
}

static void copies_to_where_no_vector_is(float *)
{
    GPU_SHARED_DYNAMIC(float, shared);
    gpu_copy_async_16(shared + 2, numbers, true);
}

static void loads_matrices_where_none_is(float *)
{
    GPU_SHARED_DYNAMIC(unsigned char, shared);
    uint32_t r[4];
    gpu_load_matrices(r, shared + 8);
}

#ifdef HAS_UBSAN
static void reads_where_no_vector_is(float *)
{
    const float4 x = *reinterpret_cast<const float4 *>(numbers + 2);
    numbers[0] = x.x;
}

static void writes_where_no_vector_is(float *)
{
    *reinterpret_cast<float2 *>(numbers + 1) = float2{ 1, 2 };
}
#endif

#ifdef __SANITIZE_ADDRESS__
static void reads_past_dynamic_memory(float *)
{
    GPU_SHARED_DYNAMIC(volatile float, shared);
    numbers[0] = shared[16];
}

typedef volatile float few[3];

static void reads_past_an_array(float *)
{
    GPU_SHARED(few, three);
    numbers[0] = three[3 + threadIdx.x];
}
#endif

static void test_addresses_that_a_gpu_refuses_are_found(void **)
{
    static const struct fault faults[] = {
        { loads_where_no_vector_is, 1 },     { copies_where_no_vector_is, 1 },
        { copies_to_where_no_vector_is, 1 }, { loads_matrices_where_none_is, 32 },
#ifdef HAS_UBSAN
        { reads_where_no_vector_is, 1 },     { writes_where_no_vector_is, 1 },
#endif
#ifdef __SANITIZE_ADDRESS__
        { reads_past_dynamic_memory, 1 },    { reads_past_an_array, 1 },
#endif
    };
    expect_found(faults, 64);
}

#ifdef __SANITIZE_ADDRESS__
static void read_at(float *out, const float *in, size_t at)
{
    *out = in[at];
}

static void test_the_end_of_device_memory_is_found(void **)
{
    struct gpu *gpu;
    assert_int_equal(gpu_open(&gpu, NULL), 0);
    float *mem = static_cast<float *>(gpu_alloc(gpu, 3 * sizeof(*mem)));
    gpu_launch(NULL, read_at, 1, 1, 0, mem, mem, 2);
    assert_true(ends_program([=] { gpu_launch(NULL, read_at, 1, 1, 0, mem, mem, 3); }));
    gpu_free(gpu, mem);
    gpu_close(gpu);
}
#endif

// Each CTA reads before it writes.
static void read_unset(uint32_t *out)
{
    typedef uint32_t words[2];
    GPU_SHARED(words, mine);
    GPU_SHARED_DYNAMIC(uint32_t, dynamic);
    out[2 * blockIdx.x] = mine[1];
    out[2 * blockIdx.x + 1] = dynamic[1];
    mine[1] = dynamic[1] = 7;
}

static void test_shared_memory_is_no_number_in_every_cta(void **)
{
    uint32_t out[6];
    gpu_launch(NULL, read_unset, 3, 1, 8, (uint32_t *)out);
    for (uint32_t x : out) {
        assert_int_equal(x, 0xffffffffu);
    }
}

// ---- launches ------------------------------------------------------------------------------------------------------

static void nothing(float *)
{
}

typedef unsigned char large[40 << 10];

static void has_a_large_array(float *)
{
    GPU_SHARED(large, array);
    array[0] = 1;
}

static void test_launches_that_the_driver_refuses_are_found(void **)
{
    static const struct {
        void (*kernel)(float *);
        dim3 grid, block;
        size_t shared_bytes;
        bool is_good;
    } launches[] = {
        { nothing, { 1, 1, 1 }, { 1024, 1, 1 }, (size_t)227 << 10, true },
        { nothing, { 70000, 1, 1 }, { 1, 1, 1 }, 0, true },
        { nothing, { 0, 1, 1 }, { 1, 1, 1 }, 0, false },
        { nothing, { 1, 65536, 1 }, { 1, 1, 1 }, 0, false },
        { nothing, { 1, 1, 65536 }, { 1, 1, 1 }, 0, false },
        { nothing, { 1, 1, 1 }, { 0, 1, 1 }, 0, false },
        { nothing, { 1, 1, 1 }, { 1025, 1, 1 }, 0, false },
        { nothing, { 1, 1, 1 }, { 1, 1, 65 }, 0, false },
        { nothing, { 1, 1, 1 }, { 1, 1, 1 }, ((size_t)227 << 10) + 1, false },
        { has_a_large_array, { 1, 1, 1 }, { 1, 1, 1 }, (size_t)8 << 10, true },
        { has_a_large_array, { 1, 1, 1 }, { 1, 1, 1 }, (size_t)9 << 10, false },
        { has_a_large_array, { 1, 1, 1 }, { 1, 1, 1 }, (size_t)180 << 10, true },
        { has_a_large_array, { 1, 1, 1 }, { 1, 1, 1 }, (size_t)190 << 10, false },
    };
    for (const auto &l : launches) {
        bool is_refused = ends_program([&] {
            static bool is_done; // one is enough
            if (!is_done) {
                gpu_launch(NULL, l.kernel, l.grid, l.block, l.shared_bytes, (float *)NULL);
            }
            is_done = true;
        });
        if (is_refused == l.is_good) {
            fail_msg("launch %zu is %s", (size_t)(&l - launches), is_refused ? "refused" : "not found");
        }
    }
}

// ---- the queue -----------------------------------------------------------------------------------------------------

static void test_pinned_memory_is_the_queues_until_it_is_waited_for(void **)
{
    struct gpu *gpu;
    assert_int_equal(gpu_open(&gpu, NULL), 0);
    int *pinned = static_cast<int *>(gpu_host_alloc(gpu, sizeof(*pinned)));
    int *device = static_cast<int *>(gpu_alloc(gpu, sizeof(*device)));
    auto send_and_change = [=](void (*wait)(struct gpu *)) {
        *pinned = 1;
        gpu_copy_in(gpu, device, pinned, sizeof(*pinned));
        gpu_mark(gpu, 0);
        wait(gpu);
        *pinned = 2;
        gpu_mark(gpu, 1);
        gpu_wait(gpu, 1);
    };
    assert_false(ends_program([=] { send_and_change([](struct gpu *g) { gpu_wait(g, 0); }); }));
    assert_false(ends_program([=] { send_and_change([](struct gpu *g) { gpu_sync(g, NULL); }); }));
    assert_true(ends_program([=] { send_and_change([](struct gpu *g) { (void)g; }); }));
    // The mark before the copy is none for it.
    assert_true(ends_program([=] { send_and_change([](struct gpu *g) { gpu_wait(g, 2); }); }));
    assert_true(ends_program([=] {
        gpu_copy_in(gpu, device, pinned, sizeof(*pinned));
        *pinned += 1;
        gpu_host_free(gpu, pinned);
        _exit(0);
    }));
    gpu_host_free(gpu, pinned);
    gpu_free(gpu, device);
    gpu_close(gpu);
}

static void test_copies_out_come_when_they_are_waited_for(void **)
{
    struct gpu *gpu;
    assert_int_equal(gpu_open(&gpu, NULL), 0);
    int *pinned = static_cast<int *>(gpu_host_alloc(gpu, sizeof(*pinned)));
    int *device = static_cast<int *>(gpu_alloc(gpu, sizeof(*device))), seven = 7;
    gpu_upload(gpu, device, &seven, sizeof(seven));
    gpu_mark(gpu, 0);
    gpu_copy_out(gpu, pinned, device, sizeof(*device));
    gpu_mark(gpu, 1);
    gpu_wait(gpu, 0);
    assert_int_not_equal(*pinned, 7);
    gpu_wait(gpu, 1);
    assert_int_equal(*pinned, 7);
    gpu_host_free(gpu, pinned);
    gpu_free(gpu, device);
    gpu_close(gpu);
}

// ---- copies --------------------------------------------------------------------------------------------------------

// Two groups; after waiting for all but one the second has not come.
static void copy(const float *in, float *out)
{
    GPU_SHARED_DYNAMIC(float, box);
    gpu_copy_async_16(box, in, true);
    gpu_copy_async_commit();
    gpu_copy_async_16(box + 4, in + 4, false);
    gpu_copy_async_commit();
    gpu_copy_async_wait<1>();
    out[0] = box[0];
    out[1] = box[4];
    gpu_copy_async_wait<0>();
    out[2] = box[4];
}

static void test_copies_come_when_they_are_waited_for(void **)
{
    alignas(16) float in[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    float out[3];
    gpu_launch(NULL, copy, 1, 1, 32, (const float *)in, (float *)out);
    assert_true(out[0] == 1);
    assert_true(isnan(out[1])); // as it was before
    assert_true(out[2] == 0);   // not there: zeros
}

// ---- moves ---------------------------------------------------------------------------------------------------------

#define MOVE_BYTES 64

struct ends {
    struct gpu *gpu;
    unsigned char *device, *host;
};

static struct ends open_ends(void)
{
    struct ends e;
    assert_int_equal(gpu_open(&e.gpu, NULL), 0);
    e.device = static_cast<unsigned char *>(gpu_alloc(e.gpu, 2 * MOVE_BYTES));
    e.host = static_cast<unsigned char *>(gpu_host_alloc(e.gpu, MOVE_BYTES));
    return e;
}

static void close_ends(const struct ends &e)
{
    gpu_free(e.gpu, e.device);
    gpu_host_free(e.gpu, e.host);
    gpu_close(e.gpu);
}

// Out and in again, at some moment: what comes before it is awaited is there at times, and nonsense at others.
static void test_moves_come_when_they_are_awaited(void **)
{
    int n_early = 0, n_late = 0;
    for (int i = 0; i < 100; i++) {
        const struct ends e = open_ends();
        memset(e.device, i, MOVE_BYTES);
        gpu_move_out(e.gpu, e.host, e.device, MOVE_BYTES);
        uint64_t back = gpu_move_in(e.gpu, e.device + MOVE_BYTES, e.host, MOVE_BYTES);
        for (int mark = 0; mark < i % 4; mark++) {
            gpu_mark(e.gpu, GPU_MARK_SENT);
        }
        n_early += e.device[MOVE_BYTES] == i;
        n_late += e.device[MOVE_BYTES] == 0xff;
        gpu_await_move(e.gpu, back);
        assert_memory_equal(e.device + MOVE_BYTES, e.device, MOVE_BYTES);
        close_ends(e);
    }
    assert_true(n_early > 0 && n_late > 0 && n_early + n_late == 100);
}

static void write_early(bool awaits)
{
    const struct ends e = open_ends();
    uint64_t move = gpu_move_out(e.gpu, e.host, e.device, MOVE_BYTES);
    if (awaits) {
        gpu_await_move(e.gpu, move);
    }
    e.device[3] = 7;
    close_ends(e);
}

static void test_memory_that_is_written_before_its_move_shows(void **)
{
    assert_false(ends_program([] { write_early(true); }));
    assert_true(ends_program([] { write_early(false); }));
}

// ---- kernels that overlap ------------------------------------------------------------------------------------------

#define N_INTS 64

enum when { BEFORE_ALL, BEFORE_WRITES, AFTER_ALL, NEVER };

static void add_one(const int *in, int *out, enum when waits)
{
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    gpu_release_next();
    if (waits == BEFORE_ALL) {
        gpu_wait_for_earlier();
    }
    int x = in[i];
    if (waits == BEFORE_WRITES) {
        gpu_wait_for_earlier();
    }
    out[i] = x + 1;
    if (waits == AFTER_ALL) {
        gpu_wait_for_earlier();
    }
}

static void launch_add(const int *in, int *out, enum when waits)
{
    gpu_launch_early((gpu_queue)NULL, add_one, N_INTS / 16, 16, 0, in, out, waits);
}

// Of 40 launches, each of which reads what the one before wrote, how many numbers end wrong.
static size_t n_wrong_in_chain(enum when waits)
{
    int a[N_INTS] = {}, b[N_INTS] = {};
    for (int i = 0; i < 20; i++) {
        launch_add(a, b, waits);
        launch_add(b, a, waits);
    }
    shim_finish();
    size_t n = 0;
    for (int x : a) {
        n += x != 40;
    }
    return n;
}

// The same where each writes what one or two before it have read.
static size_t n_wrong_in_reversal(enum when waits)
{
    int x[16][N_INTS] = {};
    for (int i = 0; i < N_INTS; i++) {
        x[15][i] = 100;
    }
    for (int i = 0; i + 1 < 16; i++) { // x[i] = x[i + 1] + 1: all read what was there before
        launch_add(x[i + 1], x[i], i == 0 ? BEFORE_ALL : waits);
    }
    shim_finish();
    size_t n = 0;
    for (int k = 0; k < 15; k++) {
        for (int y : x[k]) {
            n += y != (k == 14 ? 101 : 1);
        }
    }
    return n;
}

static void test_kernels_that_wait_see_what_was_before(void **)
{
    for (int i = 0; i < 50; i++) {
        assert_int_equal(n_wrong_in_chain(BEFORE_ALL), 0);
        assert_int_equal(n_wrong_in_reversal(BEFORE_ALL), 0);
        assert_int_equal(n_wrong_in_reversal(BEFORE_WRITES), 0); // nothing that it reads is written by then
    }
}

static void test_a_read_before_the_wait_shows(void **)
{
    size_t n_wrong = 0;
    for (int i = 0; i < 50; i++) {
        n_wrong += n_wrong_in_chain(BEFORE_WRITES);
    }
    assert_true(n_wrong > 0);
}

static void test_a_write_before_the_wait_shows(void **)
{
    size_t n_wrong = 0;
    for (int i = 0; i < 50; i++) {
        n_wrong += n_wrong_in_reversal(AFTER_ALL);
    }
    assert_true(n_wrong > 0);
}

static void test_plain_launches_wait_by_themselves(void **)
{
    int a[N_INTS] = {}, b[N_INTS] = {};
    launch_add(a, b, BEFORE_ALL);
    launch_add(b, a, BEFORE_ALL);
    gpu_launch((gpu_queue)NULL, add_one, N_INTS / 16, 16, 0, (const int *)a, (int *)b, NEVER);
    for (int x : b) {
        assert_int_equal(x, 3);
    }
}

static void test_a_kernel_that_never_waits_ends_the_program(void **)
{
    int a[N_INTS] = {}, status = 0;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL); // not cmocka's
        launch_add(a, a, NEVER);
        shim_finish();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mma_is_the_product),
        cmocka_unit_test(test_load_matrices_gives_each_lane_its_pair),
        cmocka_unit_test(test_a_missing_barrier_shows),
        cmocka_unit_test(test_a_missing_barrier_of_a_warp_shows),
        cmocka_unit_test(test_a_warp_that_is_late_shows),
        cmocka_unit_test(test_threads_that_do_not_come_together_are_found),
        cmocka_unit_test(test_reductions_reach_every_thread),
        cmocka_unit_test(test_addresses_that_a_gpu_refuses_are_found),
#ifdef __SANITIZE_ADDRESS__
        cmocka_unit_test(test_the_end_of_device_memory_is_found),
#endif
        cmocka_unit_test(test_shared_memory_is_no_number_in_every_cta),
        cmocka_unit_test(test_launches_that_the_driver_refuses_are_found),
        cmocka_unit_test(test_pinned_memory_is_the_queues_until_it_is_waited_for),
        cmocka_unit_test(test_copies_out_come_when_they_are_waited_for),
        cmocka_unit_test(test_copies_come_when_they_are_waited_for),
        cmocka_unit_test(test_moves_come_when_they_are_awaited),
        cmocka_unit_test(test_memory_that_is_written_before_its_move_shows),
        cmocka_unit_test(test_kernels_that_wait_see_what_was_before),
        cmocka_unit_test(test_a_read_before_the_wait_shows),
        cmocka_unit_test(test_a_write_before_the_wait_shows),
        cmocka_unit_test(test_plain_launches_wait_by_themselves),
        cmocka_unit_test(test_a_kernel_that_never_waits_ends_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
