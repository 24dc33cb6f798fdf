// Pages of KV memory: one allocation on the device, handed out page by page in O(1).
//
// Owner: the engine thread. A page's contents are the backend's business (struct kv_layout).
#ifndef TOKFS_CACHE_PAGE_POOL_H
#define TOKFS_CACHE_PAGE_POOL_H

#include "kernels/backend.h"

struct page_pool {
    struct backend *backend;
    void *mem;           // [n_pages][page_bytes], device memory
    size_t page_bytes;
    uint32_t n_pages, n_free;
    uint32_t *free_list; // stack of page indices, the top at n_free - 1
};

// 0 or -ENOMEM (err has the arithmetic).
int page_pool_init(struct page_pool *pool, struct backend *backend, size_t page_bytes, uint32_t n_pages, struct err *err);
void page_pool_deinit(struct page_pool *pool); // asserts that every page has come back
bool page_pool_take(struct page_pool *pool, uint32_t *ret_page); // false: none is free
void page_pool_give(struct page_pool *pool, uint32_t page);

#endif
