// Lists are compared with the host's copy, which is cheaper than to follow what the prefix cache exchanges in them: the
// pages of a million tokens are 256 KiB.
#include "kernels/cuda/tables.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define TABLES_FIRST 64
#define PAGES_FIRST  256

static int allocate(struct page_tables *tables, size_t n_tables, size_t n_pages)
{
    tables->n_tables = n_tables;
    tables->n_pages = n_pages;
    tables->device = gpu_alloc(tables->gpu, n_tables * n_pages * sizeof(*tables->device)); // zeroed, as the host's is
    tables->host = calloc(n_tables * n_pages, sizeof(*tables->host));
    return tables->device && tables->host ? 0 : -ENOMEM;
}

int tables_init(struct page_tables *tables, struct gpu *gpu, struct err *err)
{
    *tables = (struct page_tables){ .gpu = gpu };
    if (allocate(tables, TABLES_FIRST, PAGES_FIRST) < 0) {
        tables_deinit(tables);
        return err_set(err, -ENOMEM, "no memory for the page tables of the GPU");
    }
    return 0;
}

void tables_deinit(struct page_tables *tables)
{
    if (tables->device) {
        gpu_free(tables->gpu, tables->device);
    }
    free(tables->host);
    tables->device = tables->host = NULL;
}

static size_t n_pages_of(const struct batch_seq *seq, size_t page_tokens)
{
    return (seq->pos + seq->n_rows + page_tokens - 1) / page_tokens;
}

static size_t doubled_to(size_t n, size_t wanted)
{
    while (n < wanted) {
        n *= 2;
    }
    return n;
}

// A list without a number has the table of its place in the batch.
static size_t table_of(const struct batch_map *map, size_t seq_idx)
{
    return map->seqs[seq_idx].table > 0 ? map->seqs[seq_idx].table - 1 : seq_idx;
}

bool tables_reserve(struct page_tables *tables, const struct batch_map *map, size_t page_tokens)
{
    size_t n_tables = 0, n_pages = 0;
    for (size_t s = 0; s < map->n_seqs; s++) {
        size_t n = n_pages_of(&map->seqs[s], page_tokens), table = table_of(map, s);
        n_pages = n > n_pages ? n : n_pages;
        n_tables = table >= n_tables ? table + 1 : n_tables;
    }
    if (n_tables <= tables->n_tables && n_pages <= tables->n_pages) {
        return false;
    }
    n_tables = doubled_to(tables->n_tables, n_tables);
    n_pages = doubled_to(tables->n_pages, n_pages);
    tables_deinit(tables);
    int r = allocate(tables, n_tables, n_pages);
    assert(r == 0); // small, asked for by a step that has all its pages
    return true;
}

size_t tables_place(const struct page_tables *tables, const struct batch_map *map, size_t seq_idx)
{
    return table_of(map, seq_idx) * tables->n_pages;
}

size_t tables_changes_max(const struct batch_map *map, size_t page_tokens)
{
    size_t n = 0;
    for (size_t s = 0; s < map->n_seqs; s++) {
        n += n_pages_of(&map->seqs[s], page_tokens);
    }
    return n;
}

size_t tables_list_changes(struct page_tables *tables, const struct batch_map *map, size_t page_tokens,
                           struct gpu_page_change *ret)
{
    size_t n_changes = 0;
    for (size_t s = 0; s < map->n_seqs; s++) {
        const struct batch_seq *seq = &map->seqs[s];
        size_t place = tables_place(tables, map, s), n_pages = n_pages_of(seq, page_tokens);
        for (size_t i = 0; i < n_pages; i++) {
            if (tables->host[place + i] != seq->pages[i]) {
                tables->host[place + i] = seq->pages[i];
                ret[n_changes++] = (struct gpu_page_change){ (uint32_t)(place + i), seq->pages[i] };
            }
        }
    }
    return n_changes;
}
