// See hopper.h. Everything is of the CTA that runs.
#include "kernels/cuda/hopper.h"
#include "kernels/cuda/shim/scheduler.h"

#include <map>
#include <memory>
#include <vector>

#define SHARED_ADDRESS 1152u // of the first byte of dynamic shared memory: 128 past a multiple of 1,024
#define REGISTERS      65536u
#define NAMED_BARRIERS 16
#define POISON         0x7fc0deadu // a NaN

struct barrier {
    unsigned expected, pending;
    int64_t bytes;
    uint64_t phase;
    uint64_t with_bytes, waited; // phases up to the last that has bytes, and up to the last that was waited for
    size_t maker;
    bool is_told;
};

struct load {
    void *shared;
    struct gpu_tensor tensor;
    uint64_t *barrier;
    int at[4];
};

// The true values of a warp's accumulators while products run.
struct sums {
    float *d[32];
    size_t n; // registers
    std::vector<float> values;
};

struct product {
    struct shim_product lanes[32];
    uint32_t values[32][4]; // as they were
    std::shared_ptr<struct sums> sums;
    uint64_t group;
    bool is_done;
};

struct warp {
    std::vector<struct product> products; // that were not waited for, in order
    uint64_t n_groups, n_products;
    unsigned registers, wanted, n_settings;
    bool is_fenced;
};

struct named {
    unsigned n_threads, n_there;
    uint64_t generation;
};

// What a barrier guards: the places of boxes whose thread waited for it last before.
struct guarded {
    const uint64_t *barrier;
    uint32_t begin, end; // addresses
};

enum bias { BIAS_NONE, BIAS_LOADS, BIAS_PRODUCTS, N_BIASES };

static struct {
    std::vector<unsigned char> view; // of the asynchronous proxy: dynamic shared memory
    std::map<const uint64_t *, struct barrier> barriers;
    std::vector<struct load> loads;
    std::vector<struct warp> warps;
    std::vector<std::vector<unsigned char *>> stores;     // of a thread, that it did not fence
    std::vector<std::vector<struct shim_product>> issued; // of a warpgroup
    std::vector<const uint64_t *> awaited;                // by a thread, the last one
    std::vector<struct guarded> guarded;
    struct named named[NAMED_BARRIERS];
    unsigned n_registers_free;
    enum bias bias; // what happens first, in this CTA
} cta;

static struct warp *own_warp()
{
    return &cta.warps[shim_thread() / 32];
}

// ---- shared memory -------------------------------------------------------------------------------------------------

static size_t offset_of(const void *shared, size_t bytes)
{
    const unsigned char *at = static_cast<const unsigned char *>(shared);
    if (at < shim_place.shared || at + bytes > shim_place.shared + shim_place.shared_bytes) {
        shim_fail("an address outside of the dynamic shared memory");
    }
    return (size_t)(at - shim_place.shared);
}

uint32_t gpu_shared_address(const void *shared)
{
    return SHARED_ADDRESS + (uint32_t)offset_of(shared, 0);
}

void gpu_store_16(void *shared, uint4 x)
{
    if ((uintptr_t)shared % 16) {
        shim_fail("stores 16 bytes that are not aligned");
    }
    offset_of(shared, 16);
    memcpy(shared, &x, 16);
    cta.stores[shim_thread()].push_back(static_cast<unsigned char *>(shared));
}

void gpu_async_fence()
{
    for (const unsigned char *at : cta.stores[shim_thread()]) {
        memcpy(&cta.view[offset_of(at, 16)], at, 16);
    }
    cta.stores[shim_thread()].clear();
}

static uint32_t swizzled(uint32_t address, unsigned row_bytes)
{
    return address ^ (address >> 7 & (row_bytes / 16 - 1)) << 4;
}

// ---- matrices in shared memory --------------------------------------------------------------------------------------

// Of a row of an atom, in bytes.
static unsigned width_of(uint64_t matrix)
{
    static const unsigned widths[4] = { 16, 128, 64, 32 };
    return widths[matrix >> 62];
}

// Where element (i, k) of a matrix is, i counting m or n.
static uint32_t place_of(uint64_t matrix, bool is_mn_major, unsigned i, unsigned k)
{
    uint32_t start = (uint32_t)(matrix & 0x3fff) << 4, leading = (uint32_t)(matrix >> 16 & 0x3fff) << 4;
    uint32_t stride = (uint32_t)(matrix >> 32 & 0x3fff) << 4, width = width_of(matrix);
    if (width == 16) {
        return is_mn_major ? start + i / 8 * stride + i % 8 * 2 + k / 8 * leading + k % 8 * 16
                           : start + i / 8 * stride + i % 8 * 16 + k / 8 * leading + k % 8 * 2;
    }
    uint32_t row_elements = width / 2;
    return swizzled(is_mn_major
                        ? start + i / row_elements * leading + i % row_elements * 2 + k / 8 * stride + k % 8 * width
                        : start + i / 8 * stride + i % 8 * width + k * 2,
                    width);
}

static void check_matrix(uint64_t matrix, bool is_mn_major)
{
    uint32_t start = (uint32_t)(matrix & 0x3fff) << 4, width = width_of(matrix);
    if (matrix >> 49 & 7) {
        shim_fail("a matrix with a base offset, which is not modelled");
    }
    bool is_placed = is_mn_major ? start % (8 * width) == 0 : start % (8 * width) <= width - 32;
    if (width > 16 && !is_placed) {
        shim_fail("a matrix that does not begin where an atom does");
    }
}

// Whether 16 k of n rows (columns) from `first` on touch these addresses, whole atoms taken.
static bool touches(uint64_t matrix, bool is_mn_major, unsigned first, unsigned n, uint32_t begin, uint32_t end)
{
    uint32_t atom = 8 * width_of(matrix);
    for (unsigned i = 0; i < n / 8 * 2; i++) {
        uint32_t place = place_of(matrix, is_mn_major, first + i / 2 * 8, i % 2 * 8);
        place = atom > 128 ? place & ~(atom - 1) : place;
        if (place < end && begin < place + atom) {
            return true;
        }
    }
    return false;
}

// By products that were not waited for.
static bool is_being_read(const struct warp *warp, uint32_t begin, uint32_t end)
{
    unsigned row = (unsigned)((size_t)(warp - cta.warps.data()) % 4 * 16);
    for (const struct product &p : warp->products) {
        const struct shim_product *first = &p.lanes[0];
        if (touches(first->b, first->values != NULL, 0, (unsigned)first->n, begin, end) ||
            (!first->values && touches(first->a, false, row, 16, begin, end))) {
            return true;
        }
    }
    return false;
}

// ---- barriers ------------------------------------------------------------------------------------------------------

void gpu_barrier_init(uint64_t *b, unsigned n)
{
    offset_of(b, sizeof(*b));
    if (n == 0 || n >= 1u << 20) {
        shim_fail("an mbarrier for that many arrivals");
    }
    cta.barriers[b] = { n, n, 0, 0, 0, 0, shim_thread(), false };
}

void gpu_barrier_init_done()
{
    for (auto &entry : cta.barriers) {
        entry.second.is_told |= entry.second.maker == shim_thread();
    }
}

static struct barrier *barrier_of(uint64_t *b)
{
    auto found = cta.barriers.find(b);
    if (found == cta.barriers.end()) {
        shim_fail("an mbarrier that was not initialised");
    }
    if (!found->second.is_told) {
        shim_fail("an mbarrier whose initialisation was not fenced");
    }
    return &found->second;
}

static void turn_if_complete(struct barrier *b)
{
    if (b->pending == 0 && b->bytes == 0) {
        b->pending = b->expected;
        b->phase++;
    }
}

void gpu_barrier_arrive_expect(uint64_t *b, uint32_t bytes)
{
    struct barrier *barrier = barrier_of(b);
    if (barrier->pending == 0) {
        shim_fail("more arrive at an mbarrier than it was made for");
    }
    barrier->bytes += bytes;
    barrier->with_bytes = bytes > 0 ? barrier->phase + 1 : barrier->with_bytes;
    barrier->pending--;
    turn_if_complete(barrier);
}

void gpu_barrier_arrive(uint64_t *b)
{
    barrier_of(b);
    for (const struct guarded &g : cta.guarded) {
        if (g.barrier == b && is_being_read(own_warp(), g.begin, g.end)) {
            shim_fail("gives back what its products read");
        }
    }
    gpu_barrier_arrive_expect(b, 0);
}

struct barrier_wait {
    const struct barrier *barrier;
    unsigned parity;
};

static bool is_phase_over(void *arg)
{
    const struct barrier_wait *wait = static_cast<const struct barrier_wait *>(arg);
    return (wait->barrier->phase & 1) != wait->parity;
}

void gpu_barrier_wait(uint64_t *b, unsigned parity)
{
    struct barrier *barrier = barrier_of(b);
    struct barrier_wait wait = { barrier, parity };
    shim_wait(is_phase_over, &wait, "waits at an mbarrier for a phase that does not end");
    barrier->waited = barrier->phase;
    cta.awaited[shim_thread()] = b;
}

struct named_wait {
    const struct named *named;
    uint64_t generation;
};

static bool is_named_open(void *arg)
{
    const struct named_wait *wait = static_cast<const struct named_wait *>(arg);
    return wait->named->generation != wait->generation;
}

void gpu_named_arrive(unsigned id, unsigned n_threads)
{
    struct named *named = &cta.named[id];
    if (id == 0 || id >= NAMED_BARRIERS || n_threads % 32 || (named->n_there > 0 && named->n_threads != n_threads)) {
        shim_fail("no such barrier, or of another number of threads");
    }
    named->n_threads = n_threads;
    if (++named->n_there == n_threads) {
        named->n_there = 0;
        named->generation++;
    }
}

void gpu_named_sync(unsigned id, unsigned n_threads)
{
    struct named_wait wait = { &cta.named[id], cta.named[id].generation };
    gpu_named_arrive(id, n_threads);
    shim_wait(is_named_open, &wait, "waits at a named barrier for others that do not come");
}

// ---- registers -----------------------------------------------------------------------------------------------------

struct setting {
    unsigned n;
    bool is_take;
};

static void act_set_registers(void *const args[32])
{
    const struct setting *set = static_cast<const struct setting *>(args[0]);
    struct warp *warp = own_warp();
    for (size_t lane = 1; lane < 32; lane++) {
        if (static_cast<const struct setting *>(args[lane])->n != set->n) {
            shim_fail("the lanes of a warp ask for different numbers of registers");
        }
    }
    if (set->is_take ? set->n < warp->registers : set->n > warp->registers) {
        shim_fail("gives registers that it has not, or takes fewer than it has");
    }
    warp->n_settings++;
    warp->wanted = set->n;
    if (!set->is_take) {
        cta.n_registers_free += (warp->registers - set->n) * 32;
        warp->registers = set->n;
    }
}

static bool has_registers(void *arg)
{
    struct warp *warp = static_cast<struct warp *>(arg);
    unsigned missing = (warp->wanted - warp->registers) * 32;
    if (missing > cta.n_registers_free) {
        return false;
    }
    cta.n_registers_free -= missing;
    warp->registers = warp->wanted;
    return true;
}

void shim_registers(unsigned n, bool is_take)
{
    struct setting set = { n, is_take };
    shim_warp(0xffffffffu, act_set_registers, &set);
    shim_wait(has_registers, own_warp(), "waits for registers that nobody gives");
}

// ---- boxes ---------------------------------------------------------------------------------------------------------

// Who fills a place has waited for its barrier, and nobody reads it any more.
static void guard(const struct load *load)
{
    const struct gpu_tensor *t = &load->tensor;
    const uint64_t *awaited = cta.awaited[shim_thread()];
    struct guarded g = { awaited, gpu_shared_address(load->shared), 0 };
    g.end = g.begin + t->box[0] * t->box[1] * t->box[2] * t->box[3] * 2;
    for (const struct warp &warp : cta.warps) {
        if (is_being_read(&warp, g.begin, g.end)) {
            shim_fail("brings a box to where products read");
        }
    }
    bool is_known = !awaited;
    for (const struct guarded &other : cta.guarded) {
        is_known |= other.barrier == g.barrier && other.begin == g.begin;
    }
    if (!is_known) {
        cta.guarded.push_back(g);
    }
}

void gpu_tensor_load(void *shared, const struct gpu_tensor_map *map, uint64_t *b, int x, int y, int z, int w)
{
    struct load load = { shared, {}, b, { x, y, z, w } };
    memcpy(&load.tensor, map, sizeof(load.tensor));
    if (gpu_shared_address(shared) % 128 || (uintptr_t)map % 64) {
        shim_fail("a box or a tensor map that is not aligned");
    }
    barrier_of(b);
    guard(&load);
    cta.loads.push_back(load);
}

// Eight elements of the box, zeros where there are none.
static void read_chunk(const struct gpu_tensor *t, const int64_t at[4], uint16_t chunk[8])
{
    bool is_inside = true;
    const unsigned char *row = static_cast<const unsigned char *>(t->base);
    for (int i = 1; i < 4; i++) {
        is_inside &= at[i] >= 0 && (uint64_t)at[i] < t->dims[i];
        row += is_inside ? (uint64_t)at[i] * t->strides[i - 1] : 0;
    }
    for (int64_t i = 0; i < 8; i++) {
        bool is_there = is_inside && at[0] + i >= 0 && (uint64_t)(at[0] + i) < t->dims[0];
        chunk[i] = 0;
        if (is_there) {
            memcpy(&chunk[i], row + 2 * (at[0] + i), 2);
        }
    }
}

static void do_load(const struct load *load)
{
    const struct gpu_tensor *t = &load->tensor;
    uint32_t address = gpu_shared_address(load->shared), n_chunks = t->box[0] / 8, at = 0;
    uint32_t n = n_chunks * t->box[1] * t->box[2] * t->box[3];
    for (; at < n; at++) {
        uint32_t row = at / n_chunks;
        const int64_t from[4] = { load->at[0] + 8 * (int64_t)(at % n_chunks), load->at[1] + (int64_t)(row % t->box[1]),
                                  load->at[2] + (int64_t)(row / t->box[1] % t->box[2]),
                                  load->at[3] + (int64_t)(row / t->box[1] / t->box[2]) };
        uint16_t chunk[8];
        read_chunk(t, from, chunk);
        uint32_t place = address + at * 16;
        place = (t->swizzle_bytes > 0 ? swizzled(place, t->swizzle_bytes) : place) - SHARED_ADDRESS;
        offset_of(shim_place.shared + place, 16);
        memcpy(shim_place.shared + place, chunk, 16);
        memcpy(&cta.view[place], chunk, 16);
    }
    struct barrier *b = barrier_of(load->barrier);
    b->bytes -= 16 * n;
    turn_if_complete(b);
}

// ---- products ------------------------------------------------------------------------------------------------------

static float element_of(const struct shim_product *p, uint64_t matrix, bool is_mn_major, unsigned i, unsigned k)
{
    uint32_t place = place_of(matrix, is_mn_major, i, k);
    if (place < SHARED_ADDRESS || place - SHARED_ADDRESS + 2 > shim_place.shared_bytes) {
        shim_fail("a matrix outside of the dynamic shared memory");
    }
    uint16_t bits;
    memcpy(&bits, &cta.view[place - SHARED_ADDRESS], 2);
    return p->f32(bits);
}

static void read_left(const struct product *p, size_t warp, float a[16][16])
{
    const struct shim_product *first = &p->lanes[0];
    for (unsigned i = 0; i < 256 && !first->values; i++) {
        a[i / 16][i % 16] = element_of(first, first->a, false, (unsigned)(warp % 4 * 16) + i / 16, i % 16);
    }
    for (unsigned i = 0; i < 256 && first->values; i++) { // lane, register, half
        unsigned lane = i / 8, reg = i / 2 % 4, half = i % 2;
        a[lane / 4 + reg % 2 * 8][lane % 4 * 2 + reg / 2 * 8 + half] =
            first->f32((uint16_t)(p->values[lane][reg] >> 16 * half));
    }
}

static void do_product(struct product *p, size_t warp)
{
    const struct shim_product *first = &p->lanes[0];
    const unsigned n = (unsigned)first->n;
    float a[16][16], b[16][256], d[16][256];
    read_left(p, warp, a);
    for (unsigned i = 0; i < 16 * n; i++) {
        b[i / n][i % n] = element_of(first, first->b, first->values != NULL, i % n, i / n);
    }
    for (unsigned i = 0; i < 16 * n; i++) { // lane, register
        unsigned lane = i / (n / 2), reg = i % (n / 2);
        float *sum = &d[lane / 4 + reg / 2 % 2 * 8][reg / 4 * 8 + lane % 4 * 2 + reg % 2];
        *sum = first->accumulate ? p->sums->values[i] : 0.0f;
    }
    for (unsigned row = 0; row < 16; row++) {
        for (unsigned k = 0; k < 16; k++) {
            for (unsigned column = 0; column < n; column++) {
                d[row][column] += a[row][k] * b[k][column];
            }
        }
    }
    for (unsigned i = 0; i < 16 * n; i++) {
        unsigned lane = i / (n / 2), reg = i % (n / 2);
        p->sums->values[i] = d[lane / 4 + reg / 2 % 2 * 8][reg / 4 * 8 + lane % 4 * 2 + reg % 2];
    }
    p->is_done = true;
}

static bool is_poisoned(float x)
{
    return f32_bits(x) == POISON;
}

// Those that run already, or what the registers hold.
static std::shared_ptr<struct sums> take_sums(struct warp *warp, const struct product *p)
{
    for (const struct product &other : warp->products) {
        if (other.lanes[0].d == p->lanes[0].d) {
            return other.sums;
        }
    }
    std::shared_ptr<struct sums> sums = std::make_shared<struct sums>();
    sums->n = (size_t)p->lanes[0].n / 2;
    for (size_t lane = 0; lane < 32; lane++) {
        sums->d[lane] = p->lanes[lane].d;
        for (size_t i = 0; i < sums->n; i++) {
            sums->values.push_back(sums->d[lane][i]);
            sums->d[lane][i] = f32_from_bits(POISON);
        }
    }
    return sums;
}

static void give_back(const struct sums *sums)
{
    for (size_t i = 0; i < 32 * sums->n; i++) {
        float *d = &sums->d[i / sums->n][i % sums->n];
        if (!is_poisoned(*d)) {
            shim_fail("an accumulator was written while its product ran");
        }
        *d = sums->values[i];
    }
}

static void check_operands(const struct product *p)
{
    for (unsigned i = 0; i < 128 && p->lanes[0].values; i++) {
        if (p->lanes[i / 4].values[i % 4] != p->values[i / 4][i % 4]) {
            shim_fail("an operand in registers changed while its product ran");
        }
    }
}

static bool is_same(const struct shim_product *a, const struct shim_product *b)
{
    return a->n == b->n && a->a == b->a && a->b == b->b && a->accumulate == b->accumulate && !a->values == !b->values;
}

static void act_issue(void *const args[32])
{
    size_t index = shim_thread() / 32;
    struct warp *warp = &cta.warps[index];
    struct product p = {};
    for (size_t lane = 0; lane < 32; lane++) {
        p.lanes[lane] = *static_cast<const struct shim_product *>(args[lane]);
        if (!is_same(&p.lanes[lane], &p.lanes[0])) {
            shim_fail("the lanes of a warp issue different products");
        }
        if (p.lanes[lane].values) {
            memcpy(p.values[lane], p.lanes[lane].values, sizeof(p.values[lane]));
        }
    }
    if (!warp->is_fenced) {
        shim_fail("a product without a fence since what was waited for last");
    }
    if (!p.lanes[0].values) {
        check_matrix(p.lanes[0].a, false);
    }
    check_matrix(p.lanes[0].b, p.lanes[0].values != NULL);
    auto &issued = cta.issued[index / 4];
    if (issued.size() == warp->n_products) {
        issued.push_back(p.lanes[0]);
    } else if (!is_same(&issued[warp->n_products], &p.lanes[0])) {
        shim_fail("the warps of a warpgroup issue different products");
    }
    warp->n_products++;
    p.group = warp->n_groups;
    p.sums = take_sums(warp, &p);
    warp->products.push_back(p);
}

void shim_wgmma(struct shim_product product)
{
    shim_warp(0xffffffffu, act_issue, &product);
}

static void act_fence(void *const args[32])
{
    (void)args;
    own_warp()->is_fenced = true;
}

void gpu_wgmma_fence()
{
    shim_warp(0xffffffffu, act_fence, NULL);
}

static void act_commit(void *const args[32])
{
    (void)args;
    own_warp()->n_groups++;
}

void gpu_wgmma_commit()
{
    shim_warp(0xffffffffu, act_commit, NULL);
}

static bool is_running(const struct warp *warp, const struct sums *sums)
{
    for (const struct product &p : warp->products) {
        if (p.sums.get() == sums) {
            return true;
        }
    }
    return false;
}

static void act_wait(void *const args[32])
{
    uint64_t n_left = *static_cast<const unsigned *>(args[0]);
    struct warp *warp = own_warp();
    warp->is_fenced = false;
    while (!warp->products.empty() && warp->products[0].group + n_left < warp->n_groups) {
        struct product p = warp->products[0];
        if (!p.is_done) {
            do_product(&p, shim_thread() / 32);
        }
        check_operands(&p);
        warp->products.erase(warp->products.begin());
        if (!is_running(warp, p.sums.get())) {
            give_back(p.sums.get());
        }
    }
}

void shim_wgmma_wait(unsigned n_left)
{
    shim_warp(0xffffffffu, act_wait, &n_left);
}

// ---- what happens when ---------------------------------------------------------------------------------------------

void shim_async_begin(size_t n_threads)
{
    unsigned registers = REGISTERS / (unsigned)n_threads / 8 * 8;
    registers = registers < 248 ? registers : 248;
    cta.view.assign(shim_place.shared_bytes, 0xff);
    cta.barriers.clear();
    cta.loads.clear();
    cta.warps.assign((n_threads + 31) / 32, {});
    cta.stores.assign(n_threads, {});
    cta.awaited.assign(n_threads, NULL);
    cta.guarded.clear();
    cta.bias = static_cast<enum bias>(shim_random_below(N_BIASES));
    cta.issued.assign((cta.warps.size() + 3) / 4, {});
    memset(cta.named, 0, sizeof(cta.named));
    cta.n_registers_free = REGISTERS - registers * (unsigned)n_threads;
    for (struct warp &warp : cta.warps) {
        warp.registers = warp.wanted = registers;
    }
}

static struct product *next_product(struct warp *warp)
{
    for (struct product &p : warp->products) {
        if (!p.is_done) {
            return &p;
        }
    }
    return NULL;
}

bool shim_async_step()
{
    std::vector<size_t> busy;
    for (size_t i = 0; i < cta.warps.size(); i++) {
        if (!cta.warps[i].products.empty() && next_product(&cta.warps[i])) {
            busy.push_back(i);
        }
    }
    size_t n_loads = cta.bias == BIAS_PRODUCTS && !busy.empty() ? 0 : cta.loads.size();
    size_t n = n_loads + (cta.bias == BIAS_LOADS && n_loads > 0 ? 0 : busy.size());
    if (n == 0) {
        return false;
    }
    size_t which = shim_random_below(n);
    if (which >= n_loads) {
        size_t warp = busy[which - n_loads];
        do_product(next_product(&cta.warps[warp]), warp);
        return true;
    }
    struct load load = cta.loads[which];
    cta.loads.erase(cta.loads.begin() + (ptrdiff_t)which);
    do_load(&load);
    return true;
}

void shim_async_end()
{
    for (const auto &entry : cta.barriers) {
        if (entry.second.waited < entry.second.with_bytes) {
            shim_fail("ends with boxes that nobody waited for");
        }
    }
    for (const struct named &named : cta.named) {
        if (named.n_there > 0) {
            shim_fail("ends with threads that have arrived at a named barrier where others have not");
        }
    }
    for (size_t i = 0; i < cta.warps.size(); i++) {
        const struct warp *warp = &cta.warps[i], *first = &cta.warps[i / 4 * 4];
        if (!warp->products.empty()) {
            shim_fail("ends with products that were not waited for");
        }
        if (warp->n_products != first->n_products || warp->n_settings != first->n_settings) {
            shim_fail("the warps of a warpgroup did different numbers of things together");
        }
    }
}
