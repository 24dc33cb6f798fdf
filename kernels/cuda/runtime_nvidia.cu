// The CUDA runtime, and cuBLAS where it is installed: it is opened by name at run time, so that programs start without
// it (and its hundreds of megabytes are not loaded by those that use no GPU). Without it large products are done by
// linear.cu.
//
// https://docs.nvidia.com/cuda/cuda-runtime-api and https://docs.nvidia.com/cuda/cublas (cublasGemmEx).
#include "kernels/cuda/gpu.h"
#include "kernels/cuda/runtime.h"

#include <cuda.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UPLOAD_BYTES    ((size_t)8 << 20)  // of each of two pinned buffers
#define WORKSPACE_BYTES ((size_t)32 << 20) // cuBLAS asks for 32 MiB on Hopper

// Of cuBLAS what is used: the same in its versions 11, 12 and 13, any of which may be opened, and none is needed to
// build.
typedef struct blas_context *blas_handle; // cublasHandle_t
enum { BLAS_SUCCESS = 0, BLAS_OP_N = 0, BLAS_OP_T = 1, BLAS_COMPUTE_32F = 68, BLAS_GEMM_DEFAULT = -1 };

#define N_MOVE_MARKS 32

struct blas {
    void *library;
    blas_handle handle;
    void *workspace;
    int (*create)(blas_handle *);
    int (*destroy)(blas_handle);
    int (*set_stream)(blas_handle, cudaStream_t);
    int (*set_workspace)(blas_handle, void *, size_t);
    int (*get_property)(libraryPropertyType, int *);
    int (*gemm)(blas_handle, int, int, int, int, int, const void *, const void *, cudaDataType, int, const void *,
                cudaDataType, int, const void *, void *, cudaDataType, int, int, int);
};

typedef CUresult (*encode_fn)(CUtensorMap *, CUtensorMapDataType, cuuint32_t, void *, const cuuint64_t *,
                              const cuuint64_t *, const cuuint32_t *, const cuuint32_t *, CUtensorMapInterleave,
                              CUtensorMapSwizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill);

struct gpu {
    cudaStream_t queue;
    struct gpu_queue_state kernels; // launched into the queue
    struct gpu_facts facts;
    struct blas blas;
    encode_fn encode;         // of tensor maps; NULL: the device has none
    unsigned char *upload[2]; // pinned, UPLOAD_BYTES each
    cudaEvent_t uploaded[2];  // when what each holds has gone
    cudaEvent_t marks[GPU_N_MARKS];
    cudaStream_t moves;              // between the device and pages of the host
    cudaEvent_t issued;              // in the queue, before the last move
    cudaEvent_t moved[N_MOVE_MARKS]; // after the last ones, number n at n % N_MOVE_MARKS
    uint64_t n_moves;
    cudaError_t failure; // the first
    const char *failed_call;
    bool is_recording;   // a call that fails spoils the recording, and nothing else
    bool has_overlapped; // the launches of the recording, when it began
};

static bool check(struct gpu *gpu, cudaError_t error, const char *call)
{
    if (gpu->is_recording) {
        return error == cudaSuccess;
    }
    if (error != cudaSuccess && gpu->failure == cudaSuccess) {
        gpu->failure = error;
        gpu->failed_call = call;
    }
    return error == cudaSuccess;
}

// Before a call whose failure the caller copes with: an error of a launch is not to be taken for one.
static void note_launches(struct gpu *gpu)
{
    check(gpu, cudaGetLastError(), "a launch");
}

// ---- cuBLAS --------------------------------------------------------------------------------------------------------

// The library stays loaded: what the runtime keeps of its kernels would be gone with it.
static void blas_close(struct blas *blas)
{
    if (blas->handle) {
        blas->destroy(blas->handle);
    }
    if (blas->workspace) {
        cudaFree(blas->workspace);
    }
    memset(blas, 0, sizeof(*blas));
}

template <class Fn> static bool find(void *library, const char *name, Fn *ret)
{
    *ret = reinterpret_cast<Fn>(dlsym(library, name));
    return *ret != NULL;
}

// A library that is there may be for a newer driver: then it makes no handle. The stream before the workspace, which a
// new stream takes away.
static bool blas_open_at(struct blas *blas, const char *path, cudaStream_t queue)
{
    blas->library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    bool is_open = blas->library && find(blas->library, "cublasCreate_v2", &blas->create) &&
                   find(blas->library, "cublasDestroy_v2", &blas->destroy) &&
                   find(blas->library, "cublasSetStream_v2", &blas->set_stream) &&
                   find(blas->library, "cublasSetWorkspace_v2", &blas->set_workspace) &&
                   find(blas->library, "cublasGetProperty", &blas->get_property) &&
                   find(blas->library, "cublasGemmEx", &blas->gemm) && blas->create(&blas->handle) == BLAS_SUCCESS &&
                   cudaMalloc(&blas->workspace, WORKSPACE_BYTES) == cudaSuccess &&
                   blas->set_stream(blas->handle, queue) == BLAS_SUCCESS &&
                   blas->set_workspace(blas->handle, blas->workspace, WORKSPACE_BYTES) == BLAS_SUCCESS;
    if (!is_open) {
        blas_close(blas);
        cudaGetLastError(); // large products go another way
    }
    return is_open;
}

// The one of this program's CUDA, else another; where the loader looks, else where toolkits are installed.
static void blas_open(struct blas *blas, cudaStream_t queue)
{
    const int versions[] = { CUDART_VERSION / 1000, 13, 12, 11 };
    const char *const folders[] = { "", "/usr/local/cuda/lib64/" };
    bool is_open = false;
    for (size_t i = 0; i < 2 * (sizeof(versions) / sizeof(*versions)) && !is_open; i++) {
        char path[64];
        snprintf(path, sizeof(path), "%slibcublas.so.%d", folders[i % 2], versions[i / 2]);
        is_open = blas_open_at(blas, path, queue);
    }
}

static void name_library(const struct blas *blas, char *ret, size_t size)
{
    int major = 0, minor = 0;
    if (blas->handle) {
        blas->get_property(MAJOR_VERSION, &major);
        blas->get_property(MINOR_VERSION, &minor);
        snprintf(ret, size, "cuBLAS %d.%d", major, minor);
    }
}

bool gpu_has_gemm(const struct gpu *gpu)
{
    return gpu->blas.handle != NULL;
}

// cuBLAS has columns where C has rows: y^T[n_out][n_rows] = w^T^T x^T.
bool gpu_gemm(struct gpu *gpu, const struct gpu_gemm *g)
{
    if (!gpu->blas.handle) {
        return false;
    }
    const float alpha = 1.0f, beta = g->accumulate ? 1.0f : 0.0f;
    cudaDataType type = g->is_f16 ? CUDA_R_16F : CUDA_R_16BF;
    return gpu->blas.gemm(gpu->blas.handle, BLAS_OP_T, BLAS_OP_N, (int)g->n_out, (int)g->n_rows, (int)g->n_in, &alpha,
                          g->w, type, (int)g->n_in, g->x, type, (int)g->n_in, &beta, g->y, CUDA_R_32F, (int)g->y_stride,
                          BLAS_COMPUTE_32F, BLAS_GEMM_DEFAULT) == BLAS_SUCCESS;
}

// ---- opening -------------------------------------------------------------------------------------------------------

// CUDA of `version`, as the runtime tells it: 1000 * major + 10 * minor.
static int old_driver(struct err *err, int version)
{
    int built = CUDART_VERSION;
    if (version == 0) {
        return err_set_param(err, -EOPNOTSUPP, "device", "cuda: there is no NVIDIA driver (libcuda.so.1)");
    }
    return err_set_param(err, -EOPNOTSUPP, "device",
                         "cuda: the driver is for CUDA %d.%d and older, and this program was built with CUDA %d.%d: it "
                         "takes a newer driver, or a build with an older toolkit",
                         version / 1000, version % 1000 / 10, built / 1000, built % 1000 / 10);
}

static int no_device(struct err *err, cudaError_t error)
{
    int version = 0;
    if (error == cudaErrorInsufficientDriver && cudaDriverGetVersion(&version) == cudaSuccess) {
        return old_driver(err, version);
    }
    return err_set_param(err, -EOPNOTSUPP, "device", "cuda: no GPU that can be used: %s", cudaGetErrorString(error));
}

static int read_facts(struct gpu_facts *facts, struct err *err)
{
    int n_devices = 0;
    struct cudaDeviceProp p;
    size_t bytes_free = 0, bytes = 0;
    cudaError_t error = cudaGetDeviceCount(&n_devices);
    if (error != cudaSuccess || n_devices == 0) {
        return no_device(err, error == cudaSuccess ? cudaErrorNoDevice : error);
    }
    error = cudaSetDevice(0);
    error = error == cudaSuccess ? cudaGetDeviceProperties(&p, 0) : error;
    error = error == cudaSuccess ? cudaMemGetInfo(&bytes_free, &bytes) : error;
    if (error != cudaSuccess) {
        return no_device(err, error);
    }
    if (p.major < 8) {
        return err_set_param(err, -EOPNOTSUPP, "device", "%s has compute capability %d.%d; 8.0 is needed", p.name,
                             p.major, p.minor);
    }
    snprintf(facts->name, sizeof(facts->name), "%.80s, sm_%d%d, %.1f GiB", p.name, p.major, p.minor,
             (double)bytes / 0x1p30);
    facts->bytes = bytes;
    facts->bytes_free = bytes_free;
    facts->capability = (unsigned)(p.major * 10 + p.minor);
    facts->n_processors = (unsigned)p.multiProcessorCount;
    facts->shared_bytes = (unsigned)p.sharedMemPerBlockOptin;
    return 0;
}

static bool open_buffers(struct gpu *gpu)
{
    bool is_open = check(gpu, cudaStreamCreateWithFlags(&gpu->queue, cudaStreamNonBlocking), "cudaStreamCreate");
    for (int i = 0; i < 2 && is_open; i++) {
        is_open =
            check(gpu, cudaHostAlloc((void **)&gpu->upload[i], UPLOAD_BYTES, cudaHostAllocDefault), "cudaHostAlloc") &&
            check(gpu, cudaEventCreateWithFlags(&gpu->uploaded[i], cudaEventDisableTiming), "cudaEventCreate");
    }
    for (int i = 0; i < GPU_N_MARKS && is_open; i++) {
        is_open = check(gpu, cudaEventCreateWithFlags(&gpu->marks[i], cudaEventDisableTiming), "cudaEventCreate");
    }
    return is_open;
}

static bool open_moves(struct gpu *gpu)
{
    bool is_open = check(gpu, cudaStreamCreateWithFlags(&gpu->moves, cudaStreamNonBlocking), "cudaStreamCreate") &&
                   check(gpu, cudaEventCreateWithFlags(&gpu->issued, cudaEventDisableTiming), "cudaEventCreate");
    for (int i = 0; i < N_MOVE_MARKS && is_open; i++) {
        is_open = check(gpu, cudaEventCreateWithFlags(&gpu->moved[i], cudaEventDisableTiming), "cudaEventCreate");
    }
    return is_open;
}

static void close_moves(struct gpu *gpu)
{
    for (int i = 0; i < N_MOVE_MARKS; i++) {
        if (gpu->moved[i]) {
            cudaEventDestroy(gpu->moved[i]);
        }
    }
    if (gpu->issued) {
        cudaEventDestroy(gpu->issued);
    }
    if (gpu->moves) {
        cudaStreamDestroy(gpu->moves);
    }
}

// The code for 9.0 runs on 9.0 alone, and what other devices get waits for nothing. Graphs keep such launches
// since 12.3.
static bool can_overlap(const struct gpu_facts *facts)
{
    int driver = 0, runtime = 0;
    return facts->capability == 90 && cudaDriverGetVersion(&driver) == cudaSuccess &&
           cudaRuntimeGetVersion(&runtime) == cudaSuccess && driver >= 12030 && runtime >= 12030;
}

// The driver has it, which programs do not link to.
static encode_fn find_encode()
{
    void *found = NULL;
    cudaDriverEntryPointQueryResult result = cudaDriverEntryPointSymbolNotFound;
#if CUDART_VERSION >= 12050
    cudaError_t error =
        cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, 12000, cudaEnableDefault, &result);
#else
    cudaError_t error = cudaGetDriverEntryPoint("cuTensorMapEncodeTiled", &found, cudaEnableDefault, &result);
#endif
    if (error != cudaSuccess || result != cudaDriverEntryPointSuccess) {
        cudaGetLastError(); // the caller goes another way
        return NULL;
    }
    return reinterpret_cast<encode_fn>(found);
}

int gpu_open(struct gpu **ret, struct err *err)
{
    struct gpu *gpu = static_cast<struct gpu *>(calloc(1, sizeof(*gpu)));
    if (!gpu) {
        return err_set(err, -ENOMEM, "no memory for the state of a GPU");
    }
    int r = read_facts(&gpu->facts, err);
    if (r == 0 && !(open_buffers(gpu) && open_moves(gpu))) {
        r = err_set(err, gpu->failure == cudaErrorMemoryAllocation ? -ENOMEM : -EIO, "%s: %s: %s", gpu->facts.name,
                    gpu->failed_call, cudaGetErrorString(gpu->failure));
    }
    if (r < 0) {
        gpu_close(gpu);
        return r;
    }
    gpu->kernels = { gpu->queue, can_overlap(&gpu->facts) };
    gpu->encode = gpu->facts.capability >= 90 ? find_encode() : NULL;
    blas_open(&gpu->blas, gpu->queue);
    name_library(&gpu->blas, gpu->facts.library, sizeof(gpu->facts.library));
    *ret = gpu;
    return 0;
}

void gpu_close(struct gpu *gpu)
{
    if (gpu->queue) {
        cudaStreamSynchronize(gpu->queue);
    }
    if (gpu->moves) {
        cudaStreamSynchronize(gpu->moves);
    }
    close_moves(gpu);
    blas_close(&gpu->blas);
    for (int i = 0; i < GPU_N_MARKS; i++) {
        if (gpu->marks[i]) {
            cudaEventDestroy(gpu->marks[i]);
        }
    }
    for (int i = 0; i < 2; i++) {
        if (gpu->uploaded[i]) {
            cudaEventDestroy(gpu->uploaded[i]);
        }
        if (gpu->upload[i]) {
            cudaFreeHost(gpu->upload[i]);
        }
    }
    if (gpu->queue) {
        cudaStreamDestroy(gpu->queue);
    }
    if (gpu->failure != cudaSuccess) {
        cudaDeviceReset(); // or every later call of this process would report the same error
        cudaGetLastError();
    }
    free(gpu);
}

uint64_t gpu_bytes_free(struct gpu *gpu)
{
    size_t bytes_free = 0, bytes = 0;
    check(gpu, cudaMemGetInfo(&bytes_free, &bytes), "cudaMemGetInfo");
    return bytes_free;
}

const struct gpu_facts *gpu_facts_of(const struct gpu *gpu)
{
    return &gpu->facts;
}

gpu_queue gpu_queue_of(struct gpu *gpu)
{
    return &gpu->kernels;
}

// ---- memory --------------------------------------------------------------------------------------------------------

// Into the queue. Kernels begin early after kernels alone.
static void copy(struct gpu *gpu, void *dst, const void *src, size_t bytes, enum cudaMemcpyKind kind, const char *call)
{
    check(gpu, cudaMemcpyAsync(dst, src, bytes, kind, gpu->queue), call);
    gpu->kernels.is_after_plain = true;
}

void *gpu_alloc(struct gpu *gpu, size_t bytes)
{
    void *mem = NULL;
    note_launches(gpu);
    if (cudaMalloc(&mem, bytes > 0 ? bytes : 1) != cudaSuccess) {
        cudaGetLastError(); // the caller knows
        return NULL;
    }
    check(gpu, cudaMemsetAsync(mem, 0, bytes, gpu->queue), "cudaMemset");
    gpu->kernels.is_after_plain = true;
    return mem;
}

static void wait_for_queues(struct gpu *gpu, const char *call)
{
    check(gpu, cudaStreamSynchronize(gpu->queue), call);
    check(gpu, cudaStreamSynchronize(gpu->moves), call);
}

void gpu_free(struct gpu *gpu, void *mem)
{
    wait_for_queues(gpu, "cudaStreamSynchronize");
    check(gpu, cudaFree(mem), "cudaFree");
}

void *gpu_host_alloc(struct gpu *gpu, size_t bytes)
{
    void *mem = NULL;
    note_launches(gpu);
    if (cudaHostAlloc(&mem, bytes, cudaHostAllocDefault) != cudaSuccess) {
        cudaGetLastError();
        return NULL;
    }
    return mem;
}

void gpu_host_free(struct gpu *gpu, void *mem)
{
    wait_for_queues(gpu, "cudaStreamSynchronize");
    check(gpu, cudaFreeHost(mem), "cudaFreeHost");
}

bool gpu_host_pin(struct gpu *gpu, void *mem, size_t bytes)
{
    note_launches(gpu);
    if (cudaHostRegister(mem, bytes, cudaHostRegisterDefault) != cudaSuccess) {
        cudaGetLastError(); // the caller knows
        return false;
    }
    return true;
}

void gpu_host_unpin(struct gpu *gpu, void *mem)
{
    check(gpu, cudaStreamSynchronize(gpu->queue), "cudaStreamSynchronize");
    check(gpu, cudaHostUnregister(mem), "cudaHostUnregister");
}

void gpu_upload(struct gpu *gpu, void *dst, const void *host_src, size_t bytes)
{
    for (size_t at = 0, i = 0; at < bytes; at += UPLOAD_BYTES, i ^= 1) {
        size_t n = bytes - at < UPLOAD_BYTES ? bytes - at : UPLOAD_BYTES;
        check(gpu, cudaEventSynchronize(gpu->uploaded[i]), "cudaEventSynchronize");
        memcpy(gpu->upload[i], (const unsigned char *)host_src + at, n);
        gpu_copy_in(gpu, (unsigned char *)dst + at, gpu->upload[i], n);
        check(gpu, cudaEventRecord(gpu->uploaded[i], gpu->queue), "cudaEventRecord");
    }
}

void gpu_copy_in(struct gpu *gpu, void *dst, const void *pinned_src, size_t bytes)
{
    copy(gpu, dst, pinned_src, bytes, cudaMemcpyHostToDevice, "copy to the GPU");
}

void gpu_download(struct gpu *gpu, void *host_dst, const void *src, size_t bytes)
{
    copy(gpu, host_dst, src, bytes, cudaMemcpyDeviceToHost, "copy from the GPU");
    gpu_sync(gpu, NULL);
}

void gpu_copy(struct gpu *gpu, void *dst, const void *src, size_t bytes)
{
    copy(gpu, dst, src, bytes, cudaMemcpyDeviceToDevice, "copy on the GPU");
}

void gpu_copy_out(struct gpu *gpu, void *pinned_dst, const void *src, size_t bytes)
{
    copy(gpu, pinned_dst, src, bytes, cudaMemcpyDeviceToHost, "copy from the GPU");
}

static uint64_t move(struct gpu *gpu, void *dst, const void *src, size_t bytes, enum cudaMemcpyKind kind)
{
    uint64_t number = ++gpu->n_moves;
    check(gpu, cudaEventRecord(gpu->issued, gpu->queue), "cudaEventRecord");
    check(gpu, cudaStreamWaitEvent(gpu->moves, gpu->issued, 0), "cudaStreamWaitEvent");
    check(gpu, cudaMemcpyAsync(dst, src, bytes, kind, gpu->moves), "a page's copy");
    check(gpu, cudaEventRecord(gpu->moved[number % N_MOVE_MARKS], gpu->moves), "cudaEventRecord");
    return number;
}

uint64_t gpu_move_in(struct gpu *gpu, void *dst, const void *pinned_src, size_t bytes)
{
    return move(gpu, dst, pinned_src, bytes, cudaMemcpyHostToDevice);
}

uint64_t gpu_move_out(struct gpu *gpu, void *pinned_dst, const void *src, size_t bytes)
{
    return move(gpu, pinned_dst, src, bytes, cudaMemcpyDeviceToHost);
}

// A mark that was set since for another move is one that comes after it. The oldest that is left waits least.
void gpu_await_move(struct gpu *gpu, uint64_t number)
{
    uint64_t oldest = gpu->n_moves >= N_MOVE_MARKS ? gpu->n_moves - N_MOVE_MARKS + 1 : 1;
    number = number > oldest ? number : oldest;
    check(gpu, cudaStreamWaitEvent(gpu->queue, gpu->moved[number % N_MOVE_MARKS], 0), "cudaStreamWaitEvent");
    gpu->kernels.is_after_plain = true; // the next kernel begins when that has come
}

void gpu_mark(struct gpu *gpu, unsigned mark)
{
    check(gpu, cudaEventRecord(gpu->marks[mark], gpu->queue), "cudaEventRecord");
}

void gpu_wait(struct gpu *gpu, unsigned mark)
{
    check(gpu, cudaEventSynchronize(gpu->marks[mark]), "a kernel");
}

// ---- graphs --------------------------------------------------------------------------------------------------------
//
// cuBLAS works in memory that it was given (blas_open), so that it allocates none while a step is recorded. Each shape
// has been issued once before (graphs.c): its kernels are loaded.

static int cannot_record(struct gpu *gpu, int code, cudaError_t error, struct err *err)
{
    cudaGetLastError(); // it is no failure of the device
    return err_set(err, code, "%s: %s", gpu->facts.name, cudaGetErrorString(error));
}

int gpu_record_begin(struct gpu *gpu, struct err *err)
{
    note_launches(gpu); // what was before is not the recording's
    cudaError_t error = cudaStreamBeginCapture(gpu->queue, cudaStreamCaptureModeThreadLocal);
    if (error != cudaSuccess) {
        return cannot_record(gpu, -EIO, error, err);
    }
    gpu->is_recording = true;
    gpu->has_overlapped = gpu->kernels.overlaps;
    gpu->kernels.is_after_plain = true; // the first kernel has none before it
    return 0;
}

int gpu_record_end(struct gpu *gpu, gpu_graph *ret, struct err *err)
{
    cudaGraph_t graph = NULL;
    cudaGraphExec_t exec = NULL;
    cudaError_t launched = cudaGetLastError(), error = cudaStreamEndCapture(gpu->queue, &graph);
    gpu->is_recording = false;
    error = launched != cudaSuccess ? launched : error;
    error = error == cudaSuccess ? cudaGraphInstantiateWithFlags(&exec, graph, 0) : error;
    if (graph) {
        cudaGraphDestroy(graph);
    }
    if (error != cudaSuccess) {
        gpu->kernels.overlaps = false;
        return cannot_record(gpu, gpu->has_overlapped ? -EAGAIN : -EIO, error, err);
    }
    *ret = exec;
    return 0;
}

void gpu_graph_launch(struct gpu *gpu, gpu_graph graph)
{
    check(gpu, cudaGraphLaunch(graph, gpu->queue), "a graph's launch");
    gpu->kernels.is_after_plain = true;
}

void gpu_graph_free(struct gpu *gpu, gpu_graph graph)
{
    check(gpu, cudaGraphExecDestroy(graph), "cudaGraphExecDestroy");
}

int gpu_sync(struct gpu *gpu, struct err *err)
{
    wait_for_queues(gpu, "a kernel");
    return gpu_failure(gpu, err);
}

int gpu_failure(struct gpu *gpu, struct err *err)
{
    note_launches(gpu);
    if (gpu->failure != cudaSuccess) {
        return err_set(err, -EIO, "%s: %s: %s", gpu->facts.name, gpu->failed_call, cudaGetErrorString(gpu->failure));
    }
    return 0;
}

// ---- tensor maps ---------------------------------------------------------------------------------------------------

bool gpu_tensor_map_make(const struct gpu *gpu, const struct gpu_tensor *t, struct gpu_tensor_map *ret)
{
    static_assert(sizeof(*ret) == sizeof(CUtensorMap) && alignof(struct gpu_tensor_map) >= 64, "as the driver has it");
    if (!gpu->encode) {
        return false;
    }
    const cuuint32_t steps[4] = { 1, 1, 1, 1 };
    CUtensorMapSwizzle swizzle = t->swizzle_bytes == 128  ? CU_TENSOR_MAP_SWIZZLE_128B
                                 : t->swizzle_bytes == 64 ? CU_TENSOR_MAP_SWIZZLE_64B
                                 : t->swizzle_bytes == 32 ? CU_TENSOR_MAP_SWIZZLE_32B
                                                          : CU_TENSOR_MAP_SWIZZLE_NONE;
    cuuint64_t dims[4], strides[3];
    for (int i = 0; i < 4; i++) {
        dims[i] = t->dims[i];
    }
    for (int i = 0; i < 3; i++) {
        strides[i] = t->strides[i];
    }
    return gpu->encode(reinterpret_cast<CUtensorMap *>(ret),
                       t->is_f16 ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16 : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 4,
                       const_cast<void *>(t->base), dims, strides, t->box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
                       swizzle, CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}
