// Products with weights: y[r][o] (+)= sum_i x[r][i] * w[o][i] + bias[o].
//
// gemv: up to 8 rows. A CTA has four outputs: its threads go through their rows of weights side by side, 16 bytes each
//   and step, and use what they have of x for all four, then add up in a fixed order. Floor: n_out * n_in * bytes /
//   bandwidth. Under way are 128 bytes per thread, asked for before what computes x has ended (gpu.h, kernels that
//   overlap), and as many on their way to the L2 cache: with 72 registers (one row) and 32 KiB per CTA that is 224 KiB
//   per processor, where 4.3 TB/s need 23 KiB at 700 ns. A row's sum does not depend on how many rows there are.
// gated: two of the four are gates, two are ups, and what is between is not written.
// tiles: any number of rows, by tensor cores for 16-bit weights: 64 x 64 outputs per CTA, k in steps of 32 in rising
//   order, so that a row's bits are the same in any batch. What there is without cuBLAS and wgmma (gemm.h).
// tiles of f32: the same without tensor cores; f32 weights keep f32 inputs. Both do the parts of experts too
//   that linear_blocks.cu does not take (experts.cu).
// rows_to_16 rounds the input of cuBLAS and wgmma; add_bias completes what cuBLAS did.
#include "kernels/cuda/glu.h"
#include "kernels/cuda/kernels.h"

struct linear_run {
    const float *bias, *x;
    float *y;
    size_t x_stride, y_stride, n_rows, n_out, n_in;
    bool accumulate;
};

static struct linear_run run_of(const struct op_linear *op, const struct gpu_matrix *w)
{
    return linear_run{
        op->bias, op->x, op->y, op->x_stride, op->y_stride, op->n_rows, w->n_out, w->n_in, op->accumulate
    };
}

static __device__ __forceinline__ void put(const struct linear_run *run, size_t row, size_t out, float sum)
{
    float *y = run->y + row * run->y_stride + out;
    sum += run->bias ? run->bias[out] : 0.0f;
    *y = run->accumulate ? *y + sum : sum;
}

// ---- gemv ----------------------------------------------------------------------------------------------------------

#define GEMV_THREADS 128
#define GEMV_WARPS   (GEMV_THREADS / GPU_WARP)
#define GEMV_OUTPUTS 4 // rows of weights of a CTA
#define GEMV_AHEAD   2 // vectors of each that a thread has under way

// What a thread takes of a row of weights at once: 16 bytes, or one element where rows are not aligned to that. It
// stays as it comes until it is used: what is made of it before would wait for it.
template <class T, int N> struct vector_of {
    uint4 bits;

    __device__ __forceinline__ void load(const T *p)
    {
        bits = gpu_load_once(p);
    }

    __device__ __forceinline__ void to_f32(float ret[N]) const
    {
        const uint32_t words[4] = { bits.x, bits.y, bits.z, bits.w };
#pragma unroll
        for (int i = 0; i < N; i++) {
            ret[i] = N == 4 ? __uint_as_float(words[i])
                            : gpu_f32(gpu_16_bits<T>((uint16_t)(words[i / (N / 4)] >> i % (N / 4) * 16)));
        }
    }
};

template <class T> struct vector_of<T, 1> {
    T e;

    __device__ __forceinline__ void load(const T *p)
    {
        e = *p;
    }

    __device__ __forceinline__ void to_f32(float *ret) const
    {
        *ret = gpu_f32(e);
    }
};

template <int N> static __device__ __forceinline__ void load_x(const float *from, float ret[N])
{
    if constexpr (N == 1) {
        *ret = *from;
    } else {
#pragma unroll
        for (int k = 0; k < N; k += 4) {
            *reinterpret_cast<float4 *>(ret + k) = *reinterpret_cast<const float4 *>(from + k);
        }
    }
}

// acc[r][o] += x[r][i ... i + N) . w[o], in the order of i. Rows beyond the last are the last.
template <class T, int N, int ROWS>
static __device__ __forceinline__ void add_vectors(const struct linear_run *run,
                                                   const struct vector_of<T, N> w[GEMV_OUTPUTS], uint32_t i, float *acc)
{
    float of_w[GEMV_OUTPUTS][N];
#pragma unroll
    for (int o = 0; o < GEMV_OUTPUTS; o++) {
        w[o].to_f32(of_w[o]);
    }
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        __align__(16) float x[N];
        load_x<N>(run->x + (r < (int)run->n_rows ? (size_t)r : run->n_rows - 1) * run->x_stride + i, x);
#pragma unroll
        for (int o = 0; o < GEMV_OUTPUTS; o++) {
#pragma unroll
            for (int k = 0; k < N; k++) {
                acc[r * GEMV_OUTPUTS + o] = fmaf(of_w[o][k], x[k], acc[r * GEMV_OUTPUTS + o]);
            }
        }
    }
}

// The row of weights that is output `o` of the CTA: outputs side by side; or gates of half as many, then their ups.
// Beyond the last it is the last.
template <class T, bool IS_GATED>
static __device__ __forceinline__ const T *weight_row(const T *weights, const struct linear_run *run, unsigned o)
{
    const unsigned n = IS_GATED ? GEMV_OUTPUTS / 2 : GEMV_OUTPUTS;
    uint32_t n_here = (uint32_t)(IS_GATED ? run->n_out / 2 : run->n_out), out = blockIdx.x * n + o % n;
    return weights + (size_t)((out < n_here ? out : n_here - 1) + o / n * n_here) * run->n_in;
}

// Asks for the weights that come after those that threads have under way from `vector` on, as many again.
template <class T, int N, bool IS_GATED>
static __device__ __forceinline__ void prefetch_rows(const T *weights, const struct linear_run *run, uint32_t vector)
{
    const uint32_t length = GEMV_AHEAD * GEMV_THREADS, end = (uint32_t)run->n_in / N, begin = vector + length;
    if (N > 1 && threadIdx.x < GEMV_OUTPUTS && begin < end) {
        gpu_prefetch(weight_row<T, IS_GATED>(weights, run, threadIdx.x) + (size_t)begin * N,
                     (end - begin < length ? end - begin : length) * 16);
    }
}

template <class T, int N, int ROWS, bool IS_GATED>
static __device__ __forceinline__ void multiply_rows(const T *weights, const struct linear_run *run, float *acc)
{
    struct vector_of<T, N> w[GEMV_AHEAD][GEMV_OUTPUTS];
    const uint32_t end = (uint32_t)run->n_in / N, step = GEMV_THREADS;
    const T *rows[GEMV_OUTPUTS];
#pragma unroll
    for (int o = 0; o < GEMV_OUTPUTS; o++) {
        rows[o] = weight_row<T, IS_GATED>(weights, run, (unsigned)o) + (size_t)threadIdx.x * N;
    }
#pragma unroll
    for (int a = 0; a < GEMV_AHEAD; a++) {
#pragma unroll
        for (int o = 0; o < GEMV_OUTPUTS && threadIdx.x + a * step < end; o++) {
            w[a][o].load(rows[o] + a * step * N);
        }
    }
    prefetch_rows<T, N, IS_GATED>(weights, run, 0);
    gpu_wait_for_earlier();
    for (uint32_t first = 0; first < end; first += GEMV_AHEAD * step) {
        prefetch_rows<T, N, IS_GATED>(weights, run, first + GEMV_AHEAD * step);
#pragma unroll
        for (int a = 0; a < GEMV_AHEAD; a++) {
            uint32_t v = first + threadIdx.x + a * step, next = v + GEMV_AHEAD * step;
            if (v < end) {
                add_vectors<T, N, ROWS>(run, w[a], v * N, acc);
            }
#pragma unroll
            for (int o = 0; o < GEMV_OUTPUTS && next < end; o++) {
                w[a][o].load(rows[o] + (size_t)(next - threadIdx.x) * N);
            }
        }
    }
}

template <class T, int N, int ROWS, bool IS_GATED>
static __global__ void __launch_bounds__(GEMV_THREADS, ROWS <= 2 ? 6 : 0)
    gemv(const T *weights, struct linear_run run, enum glu kind)
{
    const int n_sums = ROWS * GEMV_OUTPUTS, n_written = IS_GATED ? GEMV_OUTPUTS / 2 : GEMV_OUTPUTS;
    typedef float all_sums[GEMV_WARPS][n_sums];
    GPU_SHARED(all_sums, sums);
    const unsigned warp = threadIdx.x / GPU_WARP, lane = threadIdx.x % GPU_WARP;
    float acc[n_sums] = {};
    gpu_release_next();
    multiply_rows<T, N, ROWS, IS_GATED>(weights, &run, acc);
    float sum = gpu_warp_sums<n_sums>(acc);
    if (lane % (GPU_WARP / n_sums) == 0) {
        sums[warp][lane / (GPU_WARP / n_sums)] = sum;
    }
    __syncthreads();
    unsigned r = threadIdx.x / n_written, o = threadIdx.x % n_written;
    size_t out = (size_t)blockIdx.x * n_written + o, n_units = run.n_out / 2;
    if (r >= run.n_rows || r >= ROWS || out >= (IS_GATED ? n_units : run.n_out)) {
        return;
    }
    float first = 0.0f, second = 0.0f;
#pragma unroll
    for (int w = 0; w < GEMV_WARPS; w++) {
        first += sums[w][r * GEMV_OUTPUTS + o];
        second += IS_GATED ? sums[w][r * GEMV_OUTPUTS + n_written + o] : 0.0f;
    }
    if (!IS_GATED) {
        put(&run, r, out, first);
        return;
    }
    first += run.bias ? run.bias[out] : 0.0f;
    second += run.bias ? run.bias[n_units + out] : 0.0f;
    run.y[(size_t)r * run.y_stride + out] = gpu_gated(kind, first, second);
}

static bool is_aligned(const struct linear_run *run, size_t element_bytes)
{
    return run->n_in * element_bytes % 16 == 0 && run->x_stride % 4 == 0 && (uintptr_t)run->x % 16 == 0;
}

// `kind`: of the gated units, or NULL: there are none.
template <class T, int ROWS>
static void launch_gemv(gpu_queue queue, const T *weights, const struct linear_run *run, const enum glu *kind)
{
    const int n = 16 / (int)sizeof(T);
    size_t n_outputs = kind ? run->n_out / 2 : run->n_out, n_written = kind ? GEMV_OUTPUTS / 2 : GEMV_OUTPUTS;
    dim3 grid((unsigned)((n_outputs + n_written - 1) / n_written));
    if (kind) {
        gpu_launch_early(queue, gemv<T, n, ROWS, true>, grid, GEMV_THREADS, 0, weights, *run, *kind);
    } else if (is_aligned(run, sizeof(T))) {
        gpu_launch_early(queue, gemv<T, n, ROWS, false>, grid, GEMV_THREADS, 0, weights, *run, GLU_SILU);
    } else {
        gpu_launch_early(queue, gemv<T, 1, ROWS, false>, grid, GEMV_THREADS, 0, weights, *run, GLU_SILU);
    }
}

template <class T>
static void launch_gemv_rows(gpu_queue queue, const T *weights, const struct linear_run *run, const enum glu *kind)
{
    assert(run->n_rows > 0 && run->n_rows <= GEMV_ROWS_MAX);
    if (run->n_rows == 1) {
        launch_gemv<T, 1>(queue, weights, run, kind);
    } else if (run->n_rows == 2) {
        launch_gemv<T, 2>(queue, weights, run, kind);
    } else if (run->n_rows <= 4) {
        launch_gemv<T, 4>(queue, weights, run, kind);
    } else {
        launch_gemv<T, GEMV_ROWS_MAX>(queue, weights, run, kind);
    }
}

static void launch_gemv_dtype(gpu_queue queue, const struct gpu_matrix *w, const struct linear_run *run,
                              const enum glu *kind)
{
    switch (w->dtype) {
    case DTYPE_F32: launch_gemv_rows(queue, (const float *)w->data, run, kind); return;
    case DTYPE_F16: launch_gemv_rows(queue, (const struct gpu_f16 *)w->data, run, kind); return;
    case DTYPE_BF16: launch_gemv_rows(queue, (const struct gpu_bf16 *)w->data, run, kind); return;
    default: assert(0 && "a type that rows are stored in");
    }
}

void gpu_gemv(gpu_queue queue, const struct op_linear *op, const struct gpu_matrix *w)
{
    struct linear_run run = run_of(op, w);
    launch_gemv_dtype(queue, w, &run, NULL);
}

bool gpu_gemv_glu(gpu_queue queue, const struct op_linear *op, const struct gpu_matrix *w, enum glu kind)
{
    struct linear_run run = run_of(op, w);
    assert(!op->accumulate && w->n_out % 2 == 0);
    if (!is_aligned(&run, dtype_bytes(w->dtype))) {
        return false;
    }
    launch_gemv_dtype(queue, w, &run, &kind);
    return true;
}

// ---- tiles of 16-bit weights ---------------------------------------------------------------------------------------

// Where a CTA's rows begin, in *ret_row and up to run's n_rows: those of a part, whose weights and bias it gets, or
// those that blockIdx.y names where there are none. False: there is no such part.
template <class T>
static __device__ __forceinline__ bool find_rows(struct linear_run *run, const struct gpu_parts *parts,
                                                 const T **weights, size_t tile, size_t *ret_row)
{
    *ret_row = blockIdx.y * tile;
    if (!parts->parts) {
        return true;
    }
    const struct gpu_part part = parts->parts[blockIdx.y];
    const struct gpu_expert expert = part.n_rows > 0 ? parts->experts[part.expert] : gpu_expert{ NULL, NULL };
    *weights = static_cast<const T *>(expert.w);
    *ret_row = part.row;
    run->bias = expert.bias;
    run->n_rows = (size_t)part.row + part.n_rows;
    return expert.w != NULL;
}

#define TILE         64 // rows, and outputs
#define TILE_K       32
#define TILE_STRIDE  (TILE_K + 8) // elements: rows of a fragment lie in different banks
#define TILE_THREADS 128          // four warps, two by two, 32 x 32 each

template <class T> struct tile_pair {
    T x[TILE][TILE_STRIDE], w[TILE][TILE_STRIDE];
};

// Rows from `row` and columns from `k` on; zeros beyond the ends.
template <class T>
static __device__ void fill_tile(struct tile_pair<T> *tile, const struct linear_run *run, const T *weights, size_t row,
                                 size_t out, size_t k)
{
    for (size_t i = threadIdx.x; i < TILE * TILE_K; i += TILE_THREADS) {
        size_t r = i / TILE_K, c = i % TILE_K;
        bool is_column = k + c < run->n_in;
        float x = is_column && row + r < run->n_rows ? run->x[(row + r) * run->x_stride + k + c] : 0.0f;
        tile->x[r][c] = gpu_element<T>(x);
        tile->w[r][c] =
            is_column && out + r < run->n_out ? weights[(out + r) * run->n_in + k + c] : gpu_element<T>(0.0f);
    }
}

// acc[2][4] fragments of 16 x 8 for the 32 x 32 outputs of a warp, += a step of 32 over k
template <class T>
static __device__ __forceinline__ void multiply_tile(const struct tile_pair<T> *tile, unsigned warp, unsigned lane,
                                                     float acc[2][4][4])
{
    const size_t row = warp / 2 * 32, out = warp % 2 * 32;
    for (size_t k = 0; k < TILE_K; k += 16) {
        uint32_t a[2][4], b[2][4];
#pragma unroll
        for (size_t m = 0; m < 2; m++) {
            gpu_load_matrices(a[m], &tile->x[row + m * 16 + lane % 16][k + lane / 16 * 8]);
        }
#pragma unroll
        for (size_t n = 0; n < 2; n++) { // two fragments of 8 outputs: k, k + 8 of the first, then of the second
            gpu_load_matrices(b[n], &tile->w[out + n * 16 + lane / 16 * 8 + lane % 8][k + lane / 8 % 2 * 8]);
        }
#pragma unroll
        for (size_t m = 0; m < 2; m++) {
#pragma unroll
            for (size_t n = 0; n < 4; n++) {
                gpu_mma<T>(acc[m][n], a[m], b[n / 2][n % 2 * 2], b[n / 2][n % 2 * 2 + 1]);
            }
        }
    }
}

template <class T>
static __global__ void __launch_bounds__(TILE_THREADS)
    linear_tiles(const T *weights, struct linear_run run, struct gpu_parts parts)
{
    GPU_SHARED(struct tile_pair<T>, tile);
    unsigned warp = threadIdx.x / GPU_WARP, lane = threadIdx.x % GPU_WARP;
    size_t row, out = (size_t)blockIdx.x * TILE;
    float acc[2][4][4] = {};
    if (!find_rows(&run, &parts, &weights, TILE, &row)) {
        return;
    }
    for (size_t k = 0; k < run.n_in; k += TILE_K) {
        __syncthreads();
        fill_tile(&tile, &run, weights, row, out, k);
        __syncthreads();
        multiply_tile(&tile, warp, lane, acc);
    }
#pragma unroll
    for (size_t m = 0; m < 2; m++) {
#pragma unroll
        for (size_t n = 0; n < 4; n++) {
#pragma unroll
            for (size_t i = 0; i < 4; i++) {
                size_t r = row + warp / 2 * 32 + m * 16 + lane / 4 + i / 2 * 8;
                size_t o = out + warp % 2 * 32 + n * 8 + lane % 4 * 2 + i % 2;
                if (r < run.n_rows && o < run.n_out) {
                    put(&run, r, o, acc[m][n][i]);
                }
            }
        }
    }
}

// ---- tiles of f32 --------------------------------------------------------------------------------------------------

#define F32_TILE    64
#define F32_TILE_K  16
#define F32_THREADS 256 // 16 x 16, each 4 x 4 outputs

typedef float f32_tile[F32_TILE][F32_TILE_K + 1];

static __global__ void __launch_bounds__(F32_THREADS)
    linear_tiles_f32(const float *weights, struct linear_run run, struct gpu_parts parts)
{
    GPU_SHARED(f32_tile, x);
    GPU_SHARED(f32_tile, w);
    size_t row, out = (size_t)blockIdx.x * F32_TILE, r0 = threadIdx.x / 16 * 4, o0 = threadIdx.x % 16 * 4;
    float acc[4][4] = {};
    if (!find_rows(&run, &parts, &weights, F32_TILE, &row)) {
        return;
    }
    for (size_t k = 0; k < run.n_in; k += F32_TILE_K) {
        __syncthreads();
        for (size_t i = threadIdx.x; i < F32_TILE * F32_TILE_K; i += F32_THREADS) {
            size_t r = i / F32_TILE_K, c = i % F32_TILE_K;
            bool is_column = k + c < run.n_in;
            x[r][c] = is_column && row + r < run.n_rows ? run.x[(row + r) * run.x_stride + k + c] : 0.0f;
            w[r][c] = is_column && out + r < run.n_out ? weights[(out + r) * run.n_in + k + c] : 0.0f;
        }
        __syncthreads();
        for (size_t c = 0; c < F32_TILE_K; c++) {
            for (size_t i = 0; i < 16; i++) {
                acc[i / 4][i % 4] = fmaf(x[r0 + i / 4][c], w[o0 + i % 4][c], acc[i / 4][i % 4]);
            }
        }
    }
    for (size_t i = 0; i < 16; i++) {
        size_t r = row + r0 + i / 4, o = out + o0 + i % 4;
        if (r < run.n_rows && o < run.n_out) {
            put(&run, r, o, acc[i / 4][i % 4]);
        }
    }
}

template <class T>
static void launch_tiles(gpu_queue queue, void (*kernel)(const T *, struct linear_run, struct gpu_parts),
                         unsigned n_threads, const struct gpu_matrix *w, const struct linear_run *run,
                         const struct gpu_parts *parts)
{
    static_assert(TILE == F32_TILE && TILE == PART_ROWS_MAX, "one grid for all");
    size_t n_y = parts ? parts->n_max : (run->n_rows + TILE - 1) / TILE;
    dim3 grid((unsigned)((run->n_out + TILE - 1) / TILE), (unsigned)n_y);
    gpu_launch(queue, kernel, grid, n_threads, 0, (const T *)w->data, *run, parts ? *parts : gpu_parts{});
}

static void launch_tiles_dtype(gpu_queue queue, const struct gpu_matrix *w, const struct linear_run *run,
                               const struct gpu_parts *parts)
{
    switch (w->dtype) {
    case DTYPE_F32: launch_tiles<float>(queue, linear_tiles_f32, F32_THREADS, w, run, parts); return;
    case DTYPE_F16:
        launch_tiles<struct gpu_f16>(queue, linear_tiles<struct gpu_f16>, TILE_THREADS, w, run, parts);
        return;
    case DTYPE_BF16:
        launch_tiles<struct gpu_bf16>(queue, linear_tiles<struct gpu_bf16>, TILE_THREADS, w, run, parts);
        return;
    default: assert(0 && "a type that rows are stored in");
    }
}

void gpu_linear_tiles(gpu_queue queue, const struct op_linear *op, const struct gpu_matrix *w)
{
    struct linear_run run = run_of(op, w);
    launch_tiles_dtype(queue, w, &run, NULL);
}

void gpu_linear_tile_parts(gpu_queue queue, const struct op_linear *op, const struct gpu_matrix *like,
                           const struct gpu_parts *parts)
{
    struct linear_run run = run_of(op, like);
    launch_tiles_dtype(queue, like, &run, parts);
}

// ---- around cuBLAS -------------------------------------------------------------------------------------------------

template <class T> static __global__ void rows_to_16(struct linear_run run, T *x16)
{
    const float *x = run.x + (size_t)blockIdx.x * run.x_stride;
    for (size_t i = threadIdx.x; i < run.n_in; i += blockDim.x) {
        x16[(size_t)blockIdx.x * run.n_in + i] = gpu_element<T>(x[i]);
    }
}

void gpu_rows_to_16(gpu_queue queue, const struct op_linear *op, size_t n_in, bool is_f16, void *x16)
{
    struct linear_run run = {};
    run.x = op->x;
    run.x_stride = op->x_stride;
    run.n_in = n_in;
    dim3 grid((unsigned)op->n_rows);
    if (is_f16) {
        gpu_launch(queue, rows_to_16<struct gpu_f16>, grid, 256, 0, run, (struct gpu_f16 *)x16);
    } else {
        gpu_launch(queue, rows_to_16<struct gpu_bf16>, grid, 256, 0, run, (struct gpu_bf16 *)x16);
    }
}

static __global__ void add_bias(struct linear_run run)
{
    for (size_t o = threadIdx.x; o < run.n_out; o += blockDim.x) {
        run.y[(size_t)blockIdx.x * run.y_stride + o] += run.bias[o];
    }
}

void gpu_add_bias(gpu_queue queue, const struct op_linear *op, size_t n_out)
{
    struct linear_run run = {};
    run.bias = op->bias;
    run.y = op->y;
    run.y_stride = op->y_stride;
    run.n_out = n_out;
    gpu_launch(queue, add_bias, dim3((unsigned)op->n_rows), 256, 0, run);
}
