// Pages of KV memory: one allocation on the device, or of the host's memory for those that had to leave the device,
// handed out page by page in O(1), shared by counting.
//
// Owner: the engine thread. A page's contents are the backend's business (struct kv_layout); a page taken again holds
// what its last user left there. Two kinds of users are counted apart: holders (sequences that read or write the page)
// and keepers (nodes of the radix tree). A page that only the tree keeps can be had by eviction, which is why the
// scheduler may count on it.
#ifndef TOKFS_CACHE_PAGE_POOL_H
#define TOKFS_CACHE_PAGE_POOL_H

#include "kernels/backend.h"

enum page_tier { PAGE_ON_DEVICE, PAGE_ON_HOST, PAGE_N_TIERS };

// Invariants: n_free places of free_list from first_free on, around its end, are the pages with no user, each once;
// n_cached counts the pages with keepers and no holder.
struct page_pool {
    struct backend *backend; // outlives the pool
    enum page_tier tier;     // on the host: of memory from the backend's host_alloc
    void *mem;               // [n_pages][page_bytes]
    size_t page_bytes;
    uint32_t n_pages, n_free, n_cached;
    uint32_t *free_list; // [n_pages] page indices: a stack, its top last, and those that are being copied at its bottom
    uint32_t first_free; // the bottom's place
    uint32_t *n_holders; // [n_pages]
    uint32_t *n_keepers; // [n_pages]
    // Of a pool on the device. The number of the last copy between the tiers that reads or writes the page (backend.h),
    // which operations have to await before they touch it; and up to which they have. 0: none.
    uint64_t *copies; // [n_pages]
    uint64_t n_awaited;
};

// 0; -EINVAL (no pages, or pages of no bytes) or -ENOMEM: err has the arithmetic.
int page_pool_init(struct page_pool *pool, struct backend *backend, size_t page_bytes, uint32_t n_pages,
                   struct err *err);
// In the host's memory, for a backend that has host_alloc.
int page_pool_init_on_host(struct page_pool *pool, struct backend *backend, size_t page_bytes, uint32_t n_pages,
                           struct err *err);
// Asserts that every page has come back. No-op on a zeroed pool.
void page_pool_deinit(struct page_pool *pool);

// What the device holds is lost: gives its memory back. Asserts that every page has come back; none may be taken until
// the pool has memory again, of a backend of the same kind. -ENOMEM.
void page_pool_drop_memory(struct page_pool *pool);
int page_pool_renew_memory(struct page_pool *pool, struct backend *backend, struct err *err);

bool page_pool_take(struct page_pool *pool, uint32_t *ret_page); // with one holder; false: none is free
void page_pool_hold(struct page_pool *pool, uint32_t page);      // one holder more; asserts that it is in use
void page_pool_give(struct page_pool *pool, uint32_t page);      // one holder less; asserts that there was one
void page_pool_keep(struct page_pool *pool, uint32_t page);      // one keeper more; asserts that it is in use
void page_pool_drop(struct page_pool *pool, uint32_t page);      // one keeper less; asserts that there was one
// Operations on the page that are issued from now on find the copies of it done.
void page_pool_await(struct page_pool *pool, uint32_t page);
bool page_pool_is_coming(const struct page_pool *pool, uint32_t page); // such a copy has not been awaited yet
void *page_pool_address(const struct page_pool *pool, uint32_t page);

#endif
