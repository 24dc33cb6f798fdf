// Pages of KV memory: one allocation on the device, handed out page by page in O(1).
//
// Owner: the engine thread. A page's contents are the backend's business (struct kv_layout); a page taken again holds
// what its last user left there.
#ifndef TOKFS_CACHE_PAGE_POOL_H
#define TOKFS_CACHE_PAGE_POOL_H

#include "kernels/backend.h"

// Invariants: free_list[0 .. n_free) are the pages that nobody holds, each once; bit p of is_taken is set for the
// others.
struct page_pool {
    struct backend *backend; // outlives the pool
    void *mem;               // [n_pages][page_bytes], device memory
    size_t page_bytes;
    uint32_t n_pages, n_free;
    uint32_t *free_list; // [n_pages], a stack of page indices, the top at n_free - 1
    uint64_t *is_taken;  // [ceil(n_pages / 64)], a bit per page: a page given back twice is caught at once
};

// 0; -EINVAL (no pages, or pages of no bytes) or -ENOMEM: err has the arithmetic.
int page_pool_init(struct page_pool *pool, struct backend *backend, size_t page_bytes, uint32_t n_pages,
                   struct err *err);
// Asserts that every page has come back. No-op on a zeroed pool.
void page_pool_deinit(struct page_pool *pool);
bool page_pool_take(struct page_pool *pool, uint32_t *ret_page); // false: none is free
void page_pool_give(struct page_pool *pool, uint32_t page);      // asserts that it was taken

#endif
