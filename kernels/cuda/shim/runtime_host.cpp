// The host as the device: memory is memory, and all is done when it is issued, but for copies out, which reach the
// host's memory when they are waited for. What is copied in again before that is what the queue has put there. A copy
// in reads its source at some time before it is waited for: whoever changes that meanwhile is told, by the end of the
// program.
#include "kernels/cpu/convert.h"
#include "kernels/cuda/gpu.h"
#include "kernels/cuda/runtime.h"
#include "kernels/cuda/shim/faults.h"
#include "kernels/cuda/shim/moves.h"
#include <errno.h>
#include <functional>
#include <map>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vector>
#define XXH_INLINE_ALL
#include <xxhash.h>

struct copy_out {
    void *to;
    std::vector<unsigned char> bytes; // as they were when the queue came to them
};

struct copy_in {
    const void *from;
    size_t bytes; // 0: it has been looked at
    uint64_t hash;
};

struct gpu {
    struct gpu_facts facts;
    struct gpu_queue_state kernels;
    std::vector<struct copy_out> copies; // that nobody has waited for, in order
    std::vector<struct copy_in> copies_in;
    size_t marks[GPU_N_MARKS]; // how many of them were before
    size_t marks_in[GPU_N_MARKS];
    shim_moves moves;
    std::map<void *, size_t> pinned; // memory of the caller
    std::map<void *, size_t> allocations;
    uint64_t bytes_free;
};

// A graph: what is done when it is launched, in order.
struct CUgraphExec_st {
    std::vector<std::function<void()>> work;
};

static uint64_t device_bytes = UINT64_MAX, n_copied_in, n_uploaded, n_pinned, n_pinned_most;
static unsigned n_refusals, n_recording_refusals;
static uint64_t n_graphs, n_graph_launches;

// What CUDA does not allow while a stream is captured.
static void expect_not_recording(const char *what)
{
    if (shim_state.recording) {
        fprintf(stderr, "gpu shim: %s while a graph is recorded\n", what);
        abort();
    }
}

void shim_refuse_recording(unsigned n_times)
{
    n_recording_refusals = n_times;
}

uint64_t shim_n_graphs(void)
{
    return n_graphs;
}

uint64_t shim_n_graph_launches(void)
{
    return n_graph_launches;
}

void shim_fail_after(uint64_t n_launches, unsigned n_times)
{
    shim_state.fails_after = n_launches;
    shim_state.n_faults_left = n_times;
    shim_state.fails_at = shim_state.n_launches + n_launches + 1;
}

void shim_refuse_open(unsigned n_times)
{
    n_refusals = n_times;
}

void shim_set_memory(uint64_t bytes)
{
    device_bytes = bytes;
}

uint64_t shim_n_syncs(void)
{
    return shim_state.n_syncs;
}

uint64_t shim_n_launches(void)
{
    return shim_state.n_launches;
}

uint64_t shim_bytes_copied_in(void)
{
    return n_copied_in;
}

uint64_t shim_bytes_uploaded(void)
{
    return n_uploaded;
}

uint64_t shim_bytes_pinned(void)
{
    return n_pinned;
}

uint64_t shim_bytes_pinned_most(void)
{
    return n_pinned_most;
}

int gpu_open(struct gpu **ret, struct err *err)
{
    if (n_refusals > 0) {
        n_refusals--;
        return err_set_param(err, -EOPNOTSUPP, "device", "cuda: no GPU that can be used: it was taken away");
    }
    struct gpu *gpu = new struct gpu();
    gpu->bytes_free = device_bytes;
    snprintf(gpu->facts.name, sizeof(gpu->facts.name), "model of a GPU on the host");
    snprintf(gpu->facts.library, sizeof(gpu->facts.library), "a model of its library");
    gpu->facts.bytes = gpu->facts.bytes_free = device_bytes;
    gpu->facts.capability = 90;
    gpu->facts.n_processors = 4;
    gpu->facts.shared_bytes = 227 << 10;
    gpu->kernels.overlaps = true;
    *ret = gpu;
    return 0;
}

void gpu_close(struct gpu *gpu)
{
    shim_finish();
    if (shim_state.has_failed) {
        shim_state.has_failed = false;
        bool fails_again = --shim_state.n_faults_left > 0;
        shim_state.fails_at = fails_again ? shim_state.n_launches + shim_state.fails_after + 1 : 0;
    }
    delete gpu;
}

const struct gpu_facts *gpu_facts_of(const struct gpu *gpu)
{
    return &gpu->facts;
}

gpu_queue gpu_queue_of(struct gpu *gpu)
{
    return &gpu->kernels;
}

uint64_t gpu_bytes_free(struct gpu *gpu)
{
    return gpu->bytes_free;
}

static void await_all_moves(struct gpu *gpu)
{
    if (shim_state.has_failed) {
        gpu->moves.forget();
    }
    gpu->moves.await_all();
}

void *gpu_alloc(struct gpu *gpu, size_t bytes)
{
    void *mem = NULL;
    expect_not_recording("memory is asked for");
    if (bytes > gpu->bytes_free || posix_memalign(&mem, 256, bytes) != 0) {
        return NULL;
    }
    gpu->allocations[mem] = bytes;
    shim_trace_memory(mem, bytes);
    gpu->bytes_free -= gpu->bytes_free < UINT64_MAX ? bytes : 0;
    return memset(mem, 0, bytes);
}

void gpu_free(struct gpu *gpu, void *mem)
{
    expect_not_recording("memory is given back");
    await_all_moves(gpu);
    shim_finish();
    gpu->bytes_free += gpu->bytes_free < UINT64_MAX ? gpu->allocations.at(mem) : 0;
    gpu->allocations.erase(mem);
    shim_trace_memory(mem, 0);
    free(mem);
}

void *gpu_host_alloc(struct gpu *gpu, size_t bytes)
{
    (void)gpu;
    return calloc(1, bytes);
}

void gpu_copy(struct gpu *gpu, void *dst, const void *src, size_t bytes)
{
    (void)gpu;
    expect_not_recording("something is copied");
    shim_finish();
    if (!shim_state.has_failed) {
        memcpy(dst, src, bytes);
    }
}

void gpu_upload(struct gpu *gpu, void *dst, const void *host_src, size_t bytes)
{
    gpu_copy(gpu, dst, host_src, bytes);
    n_uploaded += bytes;
}

static bool overlap(const void *a, size_t n_a, const void *b, size_t n_b)
{
    uintptr_t x = reinterpret_cast<uintptr_t>(a), y = reinterpret_cast<uintptr_t>(b);
    return x < y + n_b && y < x + n_a;
}

static void check_source(struct copy_in *copy)
{
    if (copy->bytes > 0 && XXH3_64bits(copy->from, copy->bytes) != copy->hash) {
        fprintf(stderr, "shim: %zu bytes of pinned memory were changed before their copy was waited for\n",
                copy->bytes);
        abort();
    }
    copy->bytes = 0;
}

static void check_sources(struct gpu *gpu, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        check_source(&gpu->copies_in[i]);
    }
    gpu->copies_in.erase(gpu->copies_in.begin(), gpu->copies_in.begin() + (ptrdiff_t)n);
    for (size_t &mark : gpu->marks_in) {
        mark -= mark < n ? mark : n;
    }
}

// The parts of it that copies out are to fill come from these, the latest of which is right.
void gpu_copy_in(struct gpu *gpu, void *dst, const void *pinned_src, size_t bytes)
{
    const unsigned char *src = static_cast<const unsigned char *>(pinned_src);
    unsigned char *to = static_cast<unsigned char *>(dst);
    bool is_final = true; // what is there now; else the queue puts it there
    gpu_copy(gpu, dst, pinned_src, bytes);
    n_copied_in += bytes;
    for (const struct copy_out &out : gpu->copies) {
        const unsigned char *begin = static_cast<const unsigned char *>(out.to), *end = begin + out.bytes.size();
        const unsigned char *from = begin > src ? begin : src, *until = end < src + bytes ? end : src + bytes;
        if (from < until) {
            gpu_copy(gpu, to + (from - src), out.bytes.data() + (from - begin), (size_t)(until - from));
            is_final = false;
        }
    }
    if (is_final) {
        gpu->copies_in.push_back({ pinned_src, bytes, XXH3_64bits(pinned_src, bytes) });
    }
}

void gpu_download(struct gpu *gpu, void *host_dst, const void *src, size_t bytes)
{
    gpu_sync(gpu, NULL);
    gpu_copy(gpu, host_dst, src, bytes);
}

void gpu_copy_out(struct gpu *gpu, void *pinned_dst, const void *src, size_t bytes)
{
    const unsigned char *from = static_cast<const unsigned char *>(src);
    expect_not_recording("something is copied out");
    shim_finish();
    for (struct copy_in &in : gpu->copies_in) { // those before it in the queue are done by then
        if (overlap(in.from, in.bytes, pinned_dst, bytes)) {
            check_source(&in);
        }
    }
    gpu->copies.push_back({ pinned_dst, std::vector<unsigned char>(from, from + bytes) });
    memset(pinned_dst, 0xff, bytes);
}

static void deliver(struct gpu *gpu, size_t n)
{
    for (size_t i = 0; i < n && !shim_state.has_failed; i++) {
        memcpy(gpu->copies[i].to, gpu->copies[i].bytes.data(), gpu->copies[i].bytes.size());
    }
    gpu->copies.erase(gpu->copies.begin(), gpu->copies.begin() + (ptrdiff_t)n);
    for (size_t &mark : gpu->marks) {
        mark -= mark < n ? mark : n;
    }
}

void gpu_host_free(struct gpu *gpu, void *mem)
{
    await_all_moves(gpu);
    deliver(gpu, gpu->copies.size());
    check_sources(gpu, gpu->copies_in.size());
    free(mem);
}

bool gpu_host_pin(struct gpu *gpu, void *mem, size_t bytes)
{
    gpu->pinned[mem] = bytes;
    n_pinned += bytes;
    n_pinned_most = n_pinned > n_pinned_most ? n_pinned : n_pinned_most;
    return true;
}

void gpu_host_unpin(struct gpu *gpu, void *mem)
{
    check_sources(gpu, gpu->copies_in.size());
    n_pinned -= gpu->pinned.at(mem);
    gpu->pinned.erase(mem);
}

static uint64_t issue_move(struct gpu *gpu, void *dst, const void *src, size_t bytes)
{
    shim_finish();
    expect_not_recording("a page is moved");
    if (shim_state.has_failed) {
        gpu->moves.forget();
    }
    return gpu->moves.issue(dst, src, bytes);
}

uint64_t gpu_move_in(struct gpu *gpu, void *dst, const void *pinned_src, size_t bytes)
{
    return issue_move(gpu, dst, pinned_src, bytes);
}

uint64_t gpu_move_out(struct gpu *gpu, void *pinned_dst, const void *src, size_t bytes)
{
    return issue_move(gpu, pinned_dst, src, bytes);
}

void gpu_await_move(struct gpu *gpu, uint64_t move)
{
    expect_not_recording("a move is awaited");
    shim_finish();
    gpu->moves.await(move);
}

void gpu_mark(struct gpu *gpu, unsigned mark)
{
    gpu->moves.go_on();
    gpu->marks[mark] = gpu->copies.size();
    gpu->marks_in[mark] = gpu->copies_in.size();
}

void gpu_wait(struct gpu *gpu, unsigned mark)
{
    expect_not_recording("a mark is waited for");
    shim_finish();
    check_sources(gpu, gpu->marks_in[mark]);
    deliver(gpu, gpu->marks[mark]);
}

int gpu_sync(struct gpu *gpu, struct err *err)
{
    expect_not_recording("the queue is waited for");
    shim_finish();
    shim_state.n_syncs++;
    await_all_moves(gpu);
    check_sources(gpu, gpu->copies_in.size());
    deliver(gpu, gpu->copies.size());
    return gpu_failure(gpu, err);
}

int gpu_record_begin(struct gpu *gpu, struct err *err)
{
    (void)gpu;
    (void)err;
    expect_not_recording("another one is begun");
    shim_state.recording = new std::vector<std::function<void()>>();
    return 0;
}

int gpu_record_end(struct gpu *gpu, gpu_graph *ret, struct err *err)
{
    std::vector<std::function<void()>> *recording = shim_state.recording;
    gpu_graph graph = new CUgraphExec_st{ std::move(*recording) };
    shim_state.recording = NULL;
    delete recording;
    if (n_recording_refusals > 0) {
        int code = gpu->kernels.overlaps ? -EAGAIN : -EIO;
        n_recording_refusals--;
        gpu->kernels.overlaps = false;
        delete graph;
        return err_set(err, code, "%s: made to fail", gpu->facts.name);
    }
    n_graphs++;
    *ret = graph;
    return 0;
}

void gpu_graph_launch(struct gpu *gpu, gpu_graph graph)
{
    (void)gpu;
    n_graph_launches++;
    shim_finish(); // its first kernel waits for all before, and what comes after for its last
    for (const auto &work : graph->work) {
        work();
    }
    shim_finish();
}

void gpu_graph_free(struct gpu *gpu, gpu_graph graph)
{
    (void)gpu;
    delete graph;
}

int gpu_failure(struct gpu *gpu, struct err *err)
{
    return shim_state.has_failed ? err_set(err, -EIO, "%s: a kernel: made to fail", gpu->facts.name) : 0;
}

bool gpu_has_gemm(const struct gpu *gpu)
{
    (void)gpu;
    return true;
}

static void multiply(const struct gpu_gemm *g)
{
    shim_finish();
    float (*f32)(uint16_t) = g->is_f16 ? f32_from_f16 : f32_from_bf16;
    for (size_t i = 0; i < g->n_rows * g->n_out; i++) {
        const uint16_t *x = static_cast<const uint16_t *>(g->x) + i / g->n_out * g->n_in;
        const uint16_t *w = static_cast<const uint16_t *>(g->w) + i % g->n_out * g->n_in;
        float sum = 0.0f;
        for (size_t k = 0; k < g->n_in; k++) {
            sum += f32(x[k]) * f32(w[k]);
        }
        float *y = g->y + i / g->n_out * g->y_stride + i % g->n_out;
        *y = g->accumulate ? *y + sum : sum;
    }
}

bool gpu_gemm(struct gpu *gpu, const struct gpu_gemm *gemm)
{
    (void)gpu;
    if (shim_state.recording) {
        const struct gpu_gemm copy = *gemm;
        shim_state.recording->push_back([=] { multiply(&copy); });
    } else {
        multiply(gemm);
    }
    return true;
}

// The map is the tensor itself. What the driver's cuTensorMapEncodeTiled refuses is refused.
bool gpu_tensor_map_make(const struct gpu *gpu, const struct gpu_tensor *t, struct gpu_tensor_map *ret)
{
    (void)gpu;
    static_assert(sizeof(*t) <= sizeof(*ret), "a map holds the tensor");
    bool is_good = (uintptr_t)t->base % 16 == 0 && t->box[0] % 8 == 0 &&
                   (t->swizzle_bytes == 0 || t->box[0] * 2 == t->swizzle_bytes);
    for (int i = 0; i < 4; i++) {
        is_good &= t->dims[i] > 0 && t->dims[i] <= (uint64_t)1 << 32 && t->box[i] > 0 && t->box[i] <= 256;
        is_good &= i == 3 || (t->strides[i] % 16 == 0 && t->strides[i] < (uint64_t)1 << 40);
    }
    if (is_good) {
        memset(ret, 0, sizeof(*ret));
        memcpy(ret, t, sizeof(*t));
    }
    return is_good;
}
