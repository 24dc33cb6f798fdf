// Page tables that stay on the device: of each list of pages (backend.h, batch_seq.table) only what has changed is
// sent.
#ifndef TOKFS_KERNELS_CUDA_TABLES_H
#define TOKFS_KERNELS_CUDA_TABLES_H

#include "kernels/cuda/kernels.h"

struct page_tables {
    struct gpu *gpu;
    uint32_t *device,
        *host; // [n_tables][n_pages]: the host's says what the device's will be when the queue comes there
    size_t n_tables, n_pages;
};

int tables_init(struct page_tables *tables, struct gpu *gpu, struct err *err);
void tables_deinit(struct page_tables *tables); // the queue is empty
// Room for the sequences' lists. True: `device` has moved, and the queue was waited for.
bool tables_reserve(struct page_tables *tables, const struct batch_map *map, size_t page_tokens);
// Where the list of sequence `seq_idx` is, from `device` on.
size_t tables_place(const struct page_tables *tables, const struct batch_map *map, size_t seq_idx);
// Lists what has changed, up to tables_changes_max. Returns how much. It is taken to be sent.
size_t tables_changes_max(const struct batch_map *map, size_t page_tokens);
size_t tables_list_changes(struct page_tables *tables, const struct batch_map *map, size_t page_tokens,
                           struct gpu_page_change *ret);

#endif
