// The pages of the tree's nodes: which they keep, in which tier, and which have to go.
//
//      the device                                      the host
//   taken, computed   --- the least recently used --->  kept, as long as nothing used longer ago has to go
//                     <--- a sequence matches it -----
//
// A page leaves the device from the end of a path's part on the device, and the host from the end of a path, so that
// what is left of a path is always its beginning.
//
// Copies between the tiers run beside the backend's operations, in order among themselves. So the host's pages need no
// care. Of the device's each knows its last copy, which is awaited before operations touch the page: when it is taken,
// copied from, or when a sequence begins with it (sequence_pages.c).
#include "engine/cache/radix_node.h"

#include <assert.h>

static void keep_page(struct radix *r, uint32_t page)
{
    page_pool_keep(radix_pool_of(r, page), page & ~RADIX_ON_HOST);
}

static void drop_page(struct radix *r, uint32_t page)
{
    page_pool_drop(radix_pool_of(r, page), page & ~RADIX_ON_HOST);
}

static void *address_of(const struct radix *r, uint32_t page)
{
    return page_pool_address(radix_pool_of(r, page), page & ~RADIX_ON_HOST);
}

void radix_hold_page(struct radix *radix, uint32_t page)
{
    page_pool_hold(radix_pool_of(radix, page), page & ~RADIX_ON_HOST);
}

void radix_give_page(struct radix *radix, uint32_t page)
{
    page_pool_give(radix_pool_of(radix, page), page & ~RADIX_ON_HOST);
}

void radix_copy_page(const struct radix *radix, uint32_t to, uint32_t from)
{
    struct backend *b = radix->pool->backend;
    size_t bytes = radix->pool->page_bytes;
    void *dst = address_of(radix, to), *src = address_of(radix, from);
    assert(!radix_is_on_host(to));
    if (radix_is_on_host(from)) {
        radix->pool->copies[to] = b->ops->copy_in(b, dst, src, bytes);
    } else {
        page_pool_await(radix->pool, from);
        b->ops->copy(b, dst, src, bytes);
    }
}

// ---- what nodes keep ------------------------------------------------------------------------------------------------

void radix_set_page(struct radix *r, uint32_t node, uint32_t i, uint32_t page)
{
    struct radix_node *n = &r->nodes[node];
    uint32_t *place = &pages_of(r, node)[i];
    keep_page(r, page);
    drop_page(r, *place);
    *place = page;
    if (radix_is_on_host(page)) {
        assert(n->n_on_device <= i + 1);
        n->n_on_device = n->n_on_device < i ? n->n_on_device : i;
    } else {
        assert(n->n_on_device >= i);
        n->n_on_device = n->n_on_device > i ? n->n_on_device : i + 1;
    }
    radix_relist(r, node, 0);
}

void radix_share_last_page(struct radix *r, uint32_t node)
{
    while (!is_root(r, node) && r->nodes[node].first_child != 0 && end_of(r, node) % r->page_tokens != 0) {
        uint32_t last = n_pages_of(r, node) - 1;
        radix_set_page(r, node, last, pages_of(r, r->nodes[node].first_child)[0]);
        if (last > 0) {
            return;
        }
        node = parent_of(r, node);
    }
}

// The same contents in the other tier.
static void move_page(struct radix *r, uint32_t node, uint32_t i, uint32_t page)
{
    enum page_tier to = radix_is_on_host(page) ? PAGE_ON_HOST : PAGE_ON_DEVICE;
    radix_log_block(r, node, i, KV_STORED, to);
    radix_log_block(r, node, i, KV_REMOVED, to == PAGE_ON_HOST ? PAGE_ON_DEVICE : PAGE_ON_HOST);
    radix_set_page(r, node, i, page);
    if (i == 0) {
        radix_share_last_page(r, parent_of(r, node));
    }
}

void radix_renew_page(struct radix *r, uint32_t node, uint32_t i, uint32_t page)
{
    assert(radix_is_on_host(pages_of(r, node)[i]));
    move_page(r, node, i, page);
}

// ---- leaving --------------------------------------------------------------------------------------------------------

// Drops a leaf's last page, and the leaf with its only one.
static void trim(struct radix *r, uint32_t node)
{
    struct radix_node *n = &r->nodes[node];
    uint32_t last = n_pages_of(r, node) - 1;
    uint32_t last_begin = (first_block(r, node) + last) * r->page_tokens;
    bool is_on_host = radix_is_on_host(pages_of(r, node)[last]);
    radix_log_block(r, node, last, KV_REMOVED, is_on_host ? PAGE_ON_HOST : PAGE_ON_DEVICE);
    drop_page(r, pages_of(r, node)[last]);
    *(is_on_host ? &r->n_host_evicted : &r->n_evicted) += 1;
    if (last_begin > n->begin) {
        n->n_tokens = last_begin - n->begin;
        n->n_on_device -= !is_on_host;
        n->last_logprob = 0;
        radix_relist(r, node, 0);
        return;
    }
    uint32_t parent = parent_of(r, node);
    radix_unlink(r, parent, node);
    radix_node_free(r, node);
    radix_share_last_page(r, parent);
}

typedef bool predicate(const struct radix *r, uint32_t node);

static bool is_held(const struct radix *r, uint32_t page)
{
    return radix_pool_of(r, page)->n_holders[page & ~RADIX_ON_HOST] > 0;
}

// Nothing below it is on the device.
static bool ends_on_device(const struct radix *r, uint32_t node)
{
    uint32_t child = r->nodes[node].first_child;
    return (child == 0 || r->nodes[child].n_on_device == 0) &&
           !is_held(r, pages_of(r, node)[r->nodes[node].n_on_device - 1]);
}

static bool is_droppable(const struct radix *r, uint32_t node)
{
    return r->nodes[node].first_child == 0 && !is_held(r, pages_of(r, node)[n_pages_of(r, node) - 1]);
}

// The least recently used one. Those that are in use move to the other end; 0: all are.
static uint32_t find_oldest(struct radix *r, enum page_tier tier, predicate *is_wanted)
{
    const struct page_pool *pool = tier == PAGE_ON_HOST ? r->host : r->pool;
    uint32_t first_in_use = 0, node = pool && pool->n_cached > 0 ? r->nodes[0].lru[tier].newer : 0;
    while (node != 0 && node != first_in_use && !is_wanted(r, node)) {
        first_in_use = first_in_use != 0 ? first_in_use : node;
        radix_make_newest(r, node, tier);
        node = r->nodes[0].lru[tier].newer;
    }
    return node != first_in_use ? node : 0;
}

static bool drop_from(struct radix *r, enum page_tier tier)
{
    uint32_t node = find_oldest(r, tier, is_droppable);
    if (node != 0) {
        trim(r, node);
    }
    return node != 0;
}

// False: there is no host tier, or all of it is on its way back.
static bool take_host_page(struct radix *r, uint32_t *ret_page)
{
    while (r->host && !page_pool_take(r->host, ret_page)) {
        if (!drop_from(r, PAGE_ON_HOST)) {
            return false;
        }
    }
    return r->host != NULL;
}

// The last page that a node has on the device.
static void move_to_host(struct radix *r, uint32_t node, uint32_t host_page)
{
    struct backend *b = r->pool->backend;
    uint32_t i = r->nodes[node].n_on_device - 1, page = host_page | RADIX_ON_HOST;
    uint32_t there = pages_of(r, node)[i];
    r->pool->copies[there] = b->ops->copy_out(b, address_of(r, page), address_of(r, there), r->pool->page_bytes);
    move_page(r, node, i, page);
    page_pool_give(r->host, host_page);
    r->n_evicted++;
    r->n_to_host++;
}

// Whatever is below a node that nobody holds is held by nobody: where there is no place in the host tier, it has gone.
static bool evict(struct radix *r)
{
    uint32_t node = find_oldest(r, PAGE_ON_DEVICE, ends_on_device), host_page;
    if (node == 0) {
        return false;
    }
    if (take_host_page(r, &host_page)) {
        move_to_host(r, node, host_page);
    } else {
        assert(is_droppable(r, node));
        trim(r, node);
    }
    return true;
}

// What it held may still be on its way to the host.
static bool take_page(struct radix *r, uint32_t *ret_page)
{
    while (!page_pool_take(r->pool, ret_page)) {
        if (!evict(r)) {
            return false;
        }
    }
    return true;
}

bool radix_take_page(struct radix *radix, uint32_t *ret_page)
{
    bool is_taken = take_page(radix, ret_page);
    if (is_taken) {
        page_pool_await(radix->pool, *ret_page);
    }
    return is_taken;
}

void radix_make_room(struct radix *radix, uint32_t n_pages)
{
    while (radix->host && radix->pool->n_free < n_pages && evict(radix)) {
    }
}

// Nodes can run out before pages do: short ones stay where branches have been evicted.
void radix_make_nodes(struct radix *r, uint32_t n)
{
    while (r->n_free_nodes < n && (drop_from(r, PAGE_ON_HOST) || drop_from(r, PAGE_ON_DEVICE))) {
    }
}

void radix_clear(struct radix *radix)
{
    while (drop_from(radix, PAGE_ON_HOST) || drop_from(radix, PAGE_ON_DEVICE)) {
    }
}

// ---- coming back ----------------------------------------------------------------------------------------------------

static uint32_t fetch_page(struct radix *r, uint32_t node, uint32_t i, uint32_t host_page)
{
    uint32_t page, there = pages_of(r, node)[i];
    if (!radix_is_on_host(there)) { // somebody else has brought it
        radix_hold_page(r, there);
        return there;
    }
    assert(there == host_page);
    bool is_taken = take_page(r, &page); // copies of it are in order with this one
    assert(is_taken);
    radix_copy_page(r, page, host_page);
    move_page(r, node, i, page);
    r->n_from_host++;
    return page;
}

void radix_fetch_pages(struct radix *radix, uint32_t root, const int32_t *tokens, uint32_t n_pages, uint32_t *pages)
{
    struct radix_place at = { root, 0 };
    while (radix_descend(radix, tokens, n_pages * radix->page_tokens, &at)) {
        uint32_t first = first_block(radix, at.node);
        for (uint32_t block = first; block < at.pos / radix->page_tokens; block++) {
            if (radix_is_on_host(pages[block])) {
                uint32_t page = fetch_page(radix, at.node, block - first, pages[block]);
                radix_give_page(radix, pages[block]);
                pages[block] = page;
            }
        }
    }
    assert(at.pos == n_pages * radix->page_tokens);
    radix_touch(radix, at.node);
}
