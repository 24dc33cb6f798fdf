// Mixtures of experts: which experts a row goes to, the plan of what each of them computes, dealing rows out to them,
// and adding up what they give. The host knows none of it: products by parts (linear_blocks.cu, linear.cu) are launched
// for as many parts as there can be, and those that there are not return at once.
//
// route: a warp per row. The plan is one CTA's, a counting sort of (row, expert) pairs by expert that keeps their
// order: warps share out the pairs in runs, each counts those of its run in a line of its own in shared memory, sums
// over the lines and the experts say where each warp's pairs of an expert begin, and each goes over its run again. 32
// pairs at a time are told apart by ballots over the bits of their experts, and rank by their lanes: no atomics, and a
// slot depends on nothing but the routes. Few rows are routed by the same launch.
//
// Shapes: up to 1,024 experts (4 * (PLAN_WARPS + 2) bytes of shared memory each); any number of rows.
// Cost: latency. 32 pairs take a warp about 20 instructions and 2 accesses of shared memory, twice: 2,048 rows under 8
// of 128 experts are 32 such for each warp. Dispatch and combine are bound by memory. Not measured.
#include "kernels/cuda/kernels.h"

#define THREADS      256
#define PLAN_WARPS   16
#define PLAN_THREADS (PLAN_WARPS * GPU_WARP)
#define ALL_LANES    0xffffffffu

struct route_run {
    const float *logits;    // [n_rows][n_experts]
    const int32_t *row_seq; // [n_rows], or NULL: all rows are somebody's
    struct routes to;
    bool is_normalized;
};

// ---- route ---------------------------------------------------------------------------------------------------------

// Larger first, of equal ones the lower index; what is not a number comes last.
static __device__ bool comes_before(float a, uint32_t a_index, float b, uint32_t b_index)
{
    return a > b || (a == b && a_index < b_index) || (b != b && (a == a || a_index < b_index));
}

// The best of a lane's experts that come after the one taken last (`last`, at `last_index`; none yet: UINT32_MAX).
static __device__ void best_of_lane(const float *logits, size_t n_experts, float last, uint32_t last_index, float *ret,
                                    uint32_t *ret_index)
{
    *ret = 0.0f;
    *ret_index = UINT32_MAX;
    for (uint32_t e = threadIdx.x % GPU_WARP; e < n_experts; e += GPU_WARP) {
        bool is_free = last_index == UINT32_MAX || comes_before(last, last_index, logits[e], e);
        if (is_free && (*ret_index == UINT32_MAX || comes_before(logits[e], e, *ret, *ret_index))) {
            *ret = logits[e];
            *ret_index = e;
        }
    }
}

// By a warp: n_used rounds, each takes the best that is left.
static __device__ void route_row(const struct route_run *run, size_t row)
{
    const size_t n_experts = run->to.n_experts, n_used = run->to.n_used;
    const unsigned thread = threadIdx.x % GPU_WARP;
    const float *logits = run->logits + row * n_experts;
    uint32_t *experts = run->to.experts + row * n_used, last_index = UINT32_MAX;
    float *weights = run->to.weights + row * n_used;
    float last = 0.0f, largest = 0.0f, sum = 0.0f;
    if (run->row_seq && run->row_seq[row] == NO_SEQUENCE) {
        for (size_t k = thread; k < n_used; k += GPU_WARP) {
            experts[k] = (uint32_t)n_experts; // nowhere
            weights[k] = 0.0f;
        }
        return;
    }
    for (size_t k = 0; k < n_used; k++) {
        float best;
        uint32_t best_index;
        best_of_lane(logits, n_experts, last, last_index, &best, &best_index);
        for (int distance = GPU_WARP / 2; distance > 0; distance /= 2) {
            float other = __shfl_xor_sync(ALL_LANES, best, distance);
            uint32_t other_index = __shfl_xor_sync(ALL_LANES, best_index, distance);
            if (other_index != UINT32_MAX &&
                (best_index == UINT32_MAX || comes_before(other, other_index, best, best_index))) {
                best = other;
                best_index = other_index;
            }
        }
        last = best;
        last_index = best_index;
        largest = k == 0 ? best : largest;
        sum += expf(best - largest);
        if (thread == 0) {
            experts[k] = best_index;
            weights[k] = expf(best - largest);
        }
    }
    if (!run->is_normalized) {
        sum = 0.0f;
        for (size_t e = thread; e < n_experts; e += GPU_WARP) {
            sum += expf(logits[e] - largest);
        }
        sum = gpu_warp_sum(sum);
    }
    __syncwarp();
    for (size_t k = thread; k < n_used; k += GPU_WARP) {
        weights[k] /= sum;
    }
}

static __global__ void __launch_bounds__(GPU_WARP) route(struct route_run run)
{
    route_row(&run, blockIdx.x);
}

// ---- plan ----------------------------------------------------------------------------------------------------------

// Lanes that have the same number, of so many bits.
static __device__ __forceinline__ uint32_t lanes_alike(uint32_t x, unsigned n_bits)
{
    uint32_t alike = ALL_LANES;
    for (unsigned bit = 0; bit < n_bits; bit++) {
        bool is_set = x >> bit & 1;
        uint32_t set = __ballot_sync(ALL_LANES, is_set);
        alike &= is_set ? set : ~set;
    }
    return alike;
}

// The sum of what the lanes up to this one have.
static __device__ __forceinline__ uint32_t sum_up_to(uint32_t x)
{
    const unsigned lane = threadIdx.x % GPU_WARP;
    for (unsigned distance = 1; distance < GPU_WARP; distance *= 2) {
        uint32_t before = __shfl_sync(ALL_LANES, x, lane >= distance ? lane - distance : lane);
        x += lane >= distance ? before : 0;
    }
    return x;
}

// In shared memory.
struct plan {
    uint32_t *counts;     // [PLAN_WARPS][n_experts] pairs of a warp's run, then how many lie before the next one
    uint32_t *first;      // [n_experts + 1] how many pairs an expert has, then its first slot
    uint32_t *first_part; // [n_experts + 1]
};

// What a warp does with its run of pairs, 32 at a time: counts them, or gives them their slots.
template <bool IS_PLACED>
static __device__ void go_over_run(const struct routes *to, const struct plan *plan, unsigned n_bits)
{
    const size_t warp = threadIdx.x / GPU_WARP, n_pairs = to->n_rows * to->n_used;
    const size_t n_steps = (n_pairs + GPU_WARP - 1) / GPU_WARP;
    const unsigned lane = threadIdx.x % GPU_WARP;
    const uint32_t nowhere = (uint32_t)to->n_experts;
    uint32_t *counts = plan->counts + warp * to->n_experts;
    for (size_t step = n_steps * warp / PLAN_WARPS; step < n_steps * (warp + 1) / PLAN_WARPS; step++) {
        size_t pair = step * GPU_WARP + lane;
        uint32_t expert = pair < n_pairs ? to->experts[pair] : nowhere;
        uint32_t alike = lanes_alike(expert, n_bits), below = alike & ((1u << lane) - 1);
        uint32_t n_before = expert != nowhere ? counts[expert] : 0;
        __syncwarp();
        if (expert != nowhere && below == 0) {
            counts[expert] = n_before + (uint32_t)__popc(alike);
        }
        __syncwarp();
        if (!IS_PLACED || pair >= n_pairs) {
            continue;
        }
        uint32_t slot = expert != nowhere ? plan->first[expert] + n_before + (uint32_t)__popc(below) : NO_SLOT;
        to->slots[pair] = slot;
        if (slot != NO_SLOT) {
            to->rows[slot] = (uint32_t)(pair / to->n_used);
        }
    }
}

// Counts of the warps become sums of those before, and `first` the sum of all.
static __device__ void sum_warps(const struct plan *plan, size_t n_experts)
{
    for (size_t e = threadIdx.x; e < n_experts; e += PLAN_THREADS) {
        uint32_t sum = 0;
        for (size_t warp = 0; warp < PLAN_WARPS; warp++) {
            uint32_t n = plan->counts[warp * n_experts + e];
            plan->counts[warp * n_experts + e] = sum;
            sum += n;
        }
        plan->first[e] = sum;
    }
}

// By one warp: where the slots and parts of each expert begin.
static __device__ void sum_experts(const struct plan *plan, size_t n_experts, uint32_t part_rows)
{
    const unsigned lane = threadIdx.x % GPU_WARP;
    uint32_t n_slots = 0, n_parts = 0;
    for (size_t base = 0; base < n_experts; base += GPU_WARP) {
        size_t e = base + lane;
        uint32_t slots = e < n_experts ? plan->first[e] : 0, parts = (slots + part_rows - 1) / part_rows;
        uint32_t slots_up_to = sum_up_to(slots), parts_up_to = sum_up_to(parts);
        if (e < n_experts) {
            plan->first[e] = n_slots + slots_up_to - slots;
            plan->first_part[e] = n_parts + parts_up_to - parts;
        }
        n_slots += __shfl_sync(ALL_LANES, slots_up_to, GPU_WARP - 1);
        n_parts += __shfl_sync(ALL_LANES, parts_up_to, GPU_WARP - 1);
    }
    if (lane == 0) {
        plan->first[n_experts] = n_slots;
        plan->first_part[n_experts] = n_parts;
    }
}

static __device__ void write_parts(const struct routes *to, const struct plan *plan, uint32_t part_rows,
                                   uint32_t n_parts_max)
{
    struct gpu_part *parts = reinterpret_cast<struct gpu_part *>(to->parts);
    for (uint32_t e = threadIdx.x; e <= to->n_experts; e += PLAN_THREADS) {
        to->first[e] = plan->first[e];
        if (e < to->n_experts) {
            uint32_t row = plan->first[e], end = plan->first[e + 1];
            for (uint32_t part = plan->first_part[e]; row < end; row += part_rows) {
                parts[part++] = gpu_part{ e, row, end - row < part_rows ? end - row : part_rows, 0 };
            }
        }
    }
    for (uint32_t i = plan->first_part[to->n_experts] + threadIdx.x; i < n_parts_max; i += PLAN_THREADS) {
        parts[i] = gpu_part{ 0, 0, 0, 0 };
    }
}

// `logits` NULL: rows have been routed.
static __global__ void __launch_bounds__(PLAN_THREADS)
    plan_experts(struct route_run run, uint32_t part_rows, uint32_t n_parts_max, unsigned n_bits)
{
    GPU_SHARED_DYNAMIC(uint32_t, shared);
    const size_t n_experts = run.to.n_experts;
    const struct plan plan = { shared, shared + PLAN_WARPS * n_experts, shared + (PLAN_WARPS + 1) * n_experts + 1 };
    for (size_t i = threadIdx.x; i < PLAN_WARPS * n_experts; i += PLAN_THREADS) {
        plan.counts[i] = 0;
    }
    for (size_t row = threadIdx.x / GPU_WARP; run.logits && row < run.to.n_rows; row += PLAN_WARPS) {
        route_row(&run, row);
    }
    __syncthreads();
    go_over_run<false>(&run.to, &plan, n_bits);
    __syncthreads();
    sum_warps(&plan, n_experts);
    __syncthreads();
    if (threadIdx.x < GPU_WARP) {
        sum_experts(&plan, n_experts, part_rows);
    }
    __syncthreads();
    go_over_run<true>(&run.to, &plan, n_bits);
    write_parts(&run.to, &plan, part_rows, n_parts_max);
}

static unsigned n_bits_of(size_t x)
{
    unsigned n = 0;
    for (; x > 0; x /= 2) {
        n++;
    }
    return n;
}

void gpu_route(gpu_queue queue, const struct op_route *op, const int32_t *row_seq)
{
    const struct routes *to = op->routes;
    struct route_run run = { op->logits, row_seq, *to, op->is_normalized };
    size_t part_rows = gpu_part_rows(to), shared_words = (PLAN_WARPS + 2) * to->n_experts + 2;
    assert(to->n_used > 0 && to->n_used <= to->n_experts);
    if (to->n_rows > PLAN_WARPS) {
        gpu_launch(queue, route, dim3((unsigned)to->n_rows), GPU_WARP, 0, run);
        run.logits = NULL;
    }
    gpu_launch(queue, plan_experts, dim3(1), PLAN_THREADS, shared_words * sizeof(uint32_t), run, (uint32_t)part_rows,
               (uint32_t)gpu_n_parts_max(to, part_rows), n_bits_of(to->n_experts));
}

// ---- dispatch, combine ---------------------------------------------------------------------------------------------

static __global__ void dispatch(const float *x, struct routes routes, float *y, size_t dim)
{
    if (blockIdx.x >= routes.first[routes.n_experts]) {
        return;
    }
    size_t row = routes.rows[blockIdx.x];
    for (size_t i = threadIdx.x; i < dim; i += blockDim.x) {
        y[(size_t)blockIdx.x * dim + i] = x[row * dim + i];
    }
}

void gpu_dispatch(gpu_queue queue, const struct op_dispatch *op)
{
    gpu_launch(queue, dispatch, dim3((unsigned)(op->routes->n_rows * op->routes->n_used)), THREADS, 0, op->x,
               *op->routes, op->y, op->dim);
}

static __global__ void combine(const float *x, struct routes routes, float *y, size_t dim)
{
    const uint32_t *slots = routes.slots + (size_t)blockIdx.x * routes.n_used;
    const float *weights = routes.weights + (size_t)blockIdx.x * routes.n_used;
    if (slots[0] == NO_SLOT) {
        return;
    }
    for (size_t i = threadIdx.x; i < dim; i += blockDim.x) {
        float sum = y[(size_t)blockIdx.x * dim + i];
        for (size_t k = 0; k < routes.n_used; k++) {
            sum += weights[k] * x[(size_t)slots[k] * dim + i];
        }
        y[(size_t)blockIdx.x * dim + i] = sum;
    }
}

void gpu_combine(gpu_queue queue, const struct op_combine *op)
{
    gpu_launch(queue, combine, dim3((unsigned)op->routes->n_rows), THREADS, 0, op->x, *op->routes, op->y, op->dim);
}
