// The page pool is a stack of free page indices over one block of memory.
//
// Called by the engine thread only. It knows nothing of sequences or prefixes, only of how many of them use a page:
// whoever takes or holds a page gives it back, exactly once, and that is asserted. The page given back last is taken
// first, since its memory is the likeliest to be in a cache.
#include "engine/cache/page_pool.h"
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void fill_free_list(struct page_pool *pool)
{
    for (uint32_t i = 0; i < pool->n_pages; i++) {
        pool->free_list[i] = pool->n_pages - 1 - i; // page 0 on top
    }
    pool->n_free = pool->n_pages;
}

static int no_memory(const struct page_pool *pool, struct err *err)
{
    return err_set(err, -ENOMEM, "no memory%s for KV: %" PRIu32 " pages x %zu bytes = %.1f MiB",
                   pool->tier == PAGE_ON_HOST ? " of the host that a device may use" : "", pool->n_pages,
                   pool->page_bytes, (double)pool->n_pages * (double)pool->page_bytes / 0x1p20);
}

static void *alloc_pages(const struct page_pool *pool)
{
    const struct backend_ops *ops = pool->backend->ops;
    size_t bytes = pool->page_bytes * pool->n_pages;
    return pool->tier == PAGE_ON_HOST ? ops->host_alloc(pool->backend, bytes) : ops->alloc(pool->backend, bytes);
}

static int init(struct page_pool *pool, enum page_tier tier, struct backend *backend, size_t page_bytes,
                uint32_t n_pages, struct err *err)
{
    memset(pool, 0, sizeof(*pool));
    if (page_bytes == 0 || n_pages == 0) {
        return err_set(err, -EINVAL, "KV memory of %" PRIu32 " pages of %zu bytes holds nothing", n_pages, page_bytes);
    }
    struct page_pool p = { .backend = backend, .tier = tier, .page_bytes = page_bytes, .n_pages = n_pages };
    size_t bytes;
    if (!__builtin_mul_overflow(page_bytes, (size_t)n_pages, &bytes)) {
        p.free_list = malloc(n_pages * sizeof(*p.free_list));
        p.n_holders = calloc(n_pages, sizeof(*p.n_holders));
        p.n_keepers = calloc(n_pages, sizeof(*p.n_keepers));
        p.copies = calloc(n_pages, sizeof(*p.copies));
        if (p.free_list && p.n_holders && p.n_keepers && p.copies) {
            p.mem = alloc_pages(&p);
        }
    }
    if (!p.mem) {
        free(p.free_list);
        free(p.n_holders);
        free(p.n_keepers);
        free(p.copies);
        return no_memory(&p, err);
    }
    fill_free_list(&p);
    *pool = p;
    return 0;
}

int page_pool_init(struct page_pool *pool, struct backend *backend, size_t page_bytes, uint32_t n_pages,
                   struct err *err)
{
    return init(pool, PAGE_ON_DEVICE, backend, page_bytes, n_pages, err);
}

int page_pool_init_on_host(struct page_pool *pool, struct backend *backend, size_t page_bytes, uint32_t n_pages,
                           struct err *err)
{
    return init(pool, PAGE_ON_HOST, backend, page_bytes, n_pages, err);
}

void page_pool_drop_memory(struct page_pool *pool)
{
    assert(pool->n_free == pool->n_pages);
    if (pool->mem) {
        const struct backend_ops *ops = pool->backend->ops;
        (pool->tier == PAGE_ON_HOST ? ops->host_free : ops->free)(pool->backend, pool->mem);
        pool->mem = NULL;
        memset(pool->copies, 0, pool->n_pages * sizeof(*pool->copies));
        pool->n_awaited = 0;
    }
}

int page_pool_renew_memory(struct page_pool *pool, struct backend *backend, struct err *err)
{
    assert(!pool->mem && pool->n_free == pool->n_pages);
    pool->backend = backend;
    pool->mem = alloc_pages(pool);
    return pool->mem ? 0 : no_memory(pool, err);
}

void page_pool_deinit(struct page_pool *pool)
{
    page_pool_drop_memory(pool);
    free(pool->free_list);
    free(pool->n_holders);
    free(pool->n_keepers);
    free(pool->copies);
    memset(pool, 0, sizeof(*pool));
}

// n < 2 * n_pages
static uint32_t *free_place(const struct page_pool *pool, uint32_t n)
{
    return &pool->free_list[n < pool->n_pages ? n : n - pool->n_pages];
}

// To the top, since it may still be in a processor's cache. A page that is being copied is taken last: whoever takes it
// has to wait for its copy, and those before it.
static void put_free(struct page_pool *pool, uint32_t page)
{
    if (page_pool_is_coming(pool, page)) {
        pool->first_free = (pool->first_free > 0 ? pool->first_free : pool->n_pages) - 1;
        *free_place(pool, pool->first_free) = page;
    } else {
        *free_place(pool, pool->first_free + pool->n_free) = page;
    }
    pool->n_free++;
}

bool page_pool_take(struct page_pool *pool, uint32_t *ret_page)
{
    if (pool->n_free == 0) {
        return false;
    }
    uint32_t page = *free_place(pool, pool->first_free + --pool->n_free);
    pool->n_holders[page] = 1;
    *ret_page = page;
    return true;
}

static bool is_used(const struct page_pool *pool, uint32_t page)
{
    assert(page < pool->n_pages);
    return pool->n_holders[page] > 0 || pool->n_keepers[page] > 0;
}

void page_pool_hold(struct page_pool *pool, uint32_t page)
{
    assert(is_used(pool, page));
    pool->n_cached -= pool->n_holders[page]++ == 0;
}

void page_pool_give(struct page_pool *pool, uint32_t page)
{
    assert(page < pool->n_pages && pool->n_holders[page] > 0);
    if (--pool->n_holders[page] > 0) {
        return;
    }
    if (pool->n_keepers[page] > 0) {
        pool->n_cached++;
    } else {
        put_free(pool, page);
    }
}

void page_pool_keep(struct page_pool *pool, uint32_t page)
{
    assert(is_used(pool, page));
    pool->n_keepers[page]++;
}

void page_pool_drop(struct page_pool *pool, uint32_t page)
{
    assert(page < pool->n_pages && pool->n_keepers[page] > 0);
    if (--pool->n_keepers[page] == 0 && pool->n_holders[page] == 0) {
        pool->n_cached--;
        put_free(pool, page);
    }
}

bool page_pool_is_coming(const struct page_pool *pool, uint32_t page)
{
    assert(page < pool->n_pages);
    return pool->copies[page] > pool->n_awaited;
}

void page_pool_await(struct page_pool *pool, uint32_t page)
{
    if (page_pool_is_coming(pool, page)) {
        pool->backend->ops->await_copy(pool->backend, pool->copies[page]);
        pool->n_awaited = pool->copies[page];
    }
}

void *page_pool_address(const struct page_pool *pool, uint32_t page)
{
    assert(page < pool->n_pages);
    return (char *)pool->mem + page * pool->page_bytes;
}
