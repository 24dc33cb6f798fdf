// Products with weights: y[r][o] (+)= sum_i x[r][i] * w[o][i] + bias[o].
//
// gemv: up to 8 rows. A warp per output reads a row of weights once, 16 bytes per lane and step, for all rows of x,
// which the caches
//   hold. Floor: n_out * n_in * bytes / bandwidth. A row's sum does not depend on how many rows there are.
// gemv_glu: the same of two rows of weights, gate and up, and the unit of both: what is between is not written.
// tiles: any number of rows, by tensor cores for 16-bit weights: 64 x 64 outputs per CTA, k in steps of 32 in rising
// order, so that a row's
//   bits are the same in any batch. What `deterministic` asks for, and what is used where there is no cuBLAS.
// tiles of f32: the same without tensor cores; f32 weights keep f32 inputs. Both do the parts of experts too
// (experts.cu). Where cuBLAS does the product, rows_to_16 rounds its input and add_bias completes it.
#include "kernels/cuda/glu.h"
#include "kernels/cuda/kernels.h"

#define WARPS 4

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

// Elements of a 16-byte load.
template <class T> struct vector_of {
    static const int n = 16 / (int)sizeof(T);
    T e[n];
};

template <class T> static __device__ __forceinline__ struct vector_of<T> load_vector(const T *p) {
    uint4 bits = __ldg(reinterpret_cast<const uint4 *>(p));
    struct vector_of<T> v;
    memcpy(&v, &bits, 16);
    return v;
}

// acc[r] += x[r][i..] . w[i..], in the order of i
template <class T, int ROWS>
static __device__ __forceinline__ void add_vector(const struct linear_run *run, const struct vector_of<T> *w, size_t i,
                                                  float acc[ROWS])
{
    for (int r = 0; r < ROWS; r++) {
        const float4 *x = reinterpret_cast<const float4 *>(run->x + (size_t)r * run->x_stride + i);
        for (int v = 0; v < vector_of<T>::n / 4; v++) {
            float4 four = __ldg(x + v);
            acc[r] = fmaf(gpu_f32(w->e[4 * v]), four.x, acc[r]);
            acc[r] = fmaf(gpu_f32(w->e[4 * v + 1]), four.y, acc[r]);
            acc[r] = fmaf(gpu_f32(w->e[4 * v + 2]), four.z, acc[r]);
            acc[r] = fmaf(gpu_f32(w->e[4 * v + 3]), four.w, acc[r]);
        }
    }
}

// IS_ALIGNED: rows of x and w begin at multiples of 16 bytes and are whole vectors; else element by element.
template <class T, int ROWS, bool IS_ALIGNED> static __global__ void gemv(const T *weights, struct linear_run run)
{
    size_t out = (size_t)blockIdx.x * WARPS + threadIdx.x / GPU_WARP, lane = threadIdx.x % GPU_WARP;
    if (out >= run.n_out) {
        return;
    }
    const T *w = weights + out * run.n_in;
    float acc[ROWS] = {};
    if (IS_ALIGNED) {
        const size_t n = vector_of<T>::n;
        for (size_t i = lane * n; i < run.n_in; i += GPU_WARP * n) {
            struct vector_of<T> v = load_vector(w + i);
            add_vector<T, ROWS>(&run, &v, i, acc);
        }
    } else {
        for (size_t i = lane; i < run.n_in; i += GPU_WARP) {
            for (int r = 0; r < ROWS; r++) {
                acc[r] = fmaf(gpu_f32(w[i]), run.x[(size_t)r * run.x_stride + i], acc[r]);
            }
        }
    }
    for (int r = 0; r < ROWS; r++) {
        float sum = gpu_warp_sum(acc[r]);
        if (lane == 0) {
            put(&run, (size_t)r, out, sum);
        }
    }
}

template <class T, int ROWS> static __global__ void gemv_glu(const T *weights, struct linear_run run, enum glu kind)
{
    size_t out = (size_t)blockIdx.x * WARPS + threadIdx.x / GPU_WARP, lane = threadIdx.x % GPU_WARP;
    size_t n_units = run.n_out / 2;
    const size_t n = vector_of<T>::n;
    if (out >= n_units) {
        return;
    }
    const T *gate = weights + out * run.n_in, *up = gate + n_units * run.n_in;
    float of_gate[ROWS] = {}, of_up[ROWS] = {};
    for (size_t i = lane * n; i < run.n_in; i += GPU_WARP * n) {
        struct vector_of<T> g = load_vector(gate + i), u = load_vector(up + i);
        add_vector<T, ROWS>(&run, &g, i, of_gate);
        add_vector<T, ROWS>(&run, &u, i, of_up);
    }
    for (int r = 0; r < ROWS; r++) {
        float g = gpu_warp_sum(of_gate[r]), u = gpu_warp_sum(of_up[r]);
        if (lane == 0) {
            g += run.bias ? run.bias[out] : 0.0f;
            u += run.bias ? run.bias[n_units + out] : 0.0f;
            run.y[(size_t)r * run.y_stride + out] = gpu_gated(kind, g, u);
        }
    }
}

static bool is_aligned(const struct linear_run *run, size_t element_bytes)
{
    return run->n_in * element_bytes % 16 == 0 && run->x_stride % 4 == 0 && (uintptr_t)run->x % 16 == 0;
}

// `kind`: of gemv_glu, or NULL.
template <class T, int ROWS>
static void launch_gemv(gpu_queue queue, const T *weights, const struct linear_run *run, const enum glu *kind)
{
    size_t n_outputs = kind ? run->n_out / 2 : run->n_out;
    dim3 grid((unsigned)((n_outputs + WARPS - 1) / WARPS));
    if (kind) {
        gpu_launch(queue, gemv_glu<T, ROWS>, grid, WARPS * GPU_WARP, 0, weights, *run, *kind);
        return;
    }
    gpu_launch(queue, is_aligned(run, sizeof(T)) ? gemv<T, ROWS, true> : gemv<T, ROWS, false>, grid, WARPS * GPU_WARP,
               0, weights, *run);
}

template <class T>
static void launch_gemv_rows(gpu_queue queue, const T *weights, const struct linear_run *run, const enum glu *kind)
{
    switch (run->n_rows) {
    case 1: launch_gemv<T, 1>(queue, weights, run, kind); return;
    case 2: launch_gemv<T, 2>(queue, weights, run, kind); return;
    case 3: launch_gemv<T, 3>(queue, weights, run, kind); return;
    case 4: launch_gemv<T, 4>(queue, weights, run, kind); return;
    case 5: launch_gemv<T, 5>(queue, weights, run, kind); return;
    case 6: launch_gemv<T, 6>(queue, weights, run, kind); return;
    case 7: launch_gemv<T, 7>(queue, weights, run, kind); return;
    case 8: launch_gemv<T, 8>(queue, weights, run, kind); return;
    default: assert(0 && "at most GEMV_ROWS_MAX rows");
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
    __shared__ __align__(16) struct tile_pair<T> tile;
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

static __global__ void __launch_bounds__(F32_THREADS)
    linear_tiles_f32(const float *weights, struct linear_run run, struct gpu_parts parts)
{
    __shared__ float x[F32_TILE][F32_TILE_K + 1], w[F32_TILE][F32_TILE_K + 1];
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
