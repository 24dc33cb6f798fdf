// A file of memory as it is once a model is loaded: pieces of bytes that are read back into the same pieces.
//
// It knows pieces and their keys, not what they are (weights_packed.h does). A file is believed only if it is a regular
// one that belongs to this process's user or to root and that nobody else may write, if its head is whole, if every
// piece that is asked for lies in it at the asked length under the asked key, and if the bytes have the sums that the
// head names.
#ifndef TOKFS_MODEL_PACKED_FILE_H
#define TOKFS_MODEL_PACKED_FILE_H

#include "kernels/backend.h"
#include <sys/types.h>

struct packed_piece {
    void *mem;
    size_t bytes;
    uint64_t key; // of what the bytes mean: place, type, shape, layout
};

struct packed_content {
    struct packed_piece *pieces;
    size_t n_pieces;
    uint64_t source[2]; // of the files that it was made from
    uint32_t form;      // enum weight_form
    uint64_t note;      // kept for the caller: read sets it, write keeps it
};

struct packed_io {
    struct backend *backend;                                                // its workers make the sums
    void (*progress)(void *ctx, uint64_t bytes_done, uint64_t bytes_total); // while it is read; or NULL
    void *progress_ctx;
};

// Fills the pieces. 0; -ENOENT: there is none; -ESTALE: it was made from or for something else, or is damaged, and may
// be replaced; -EPERM: it is not to be trusted, or is no such file, and is left alone; other errors of reading. err
// says why. After an error the pieces are zero.
int packed_file_read(const char *path, struct packed_content *content, const struct packed_io *io, struct err *err);

// Writes the file beside its place, syncs it and moves it there. -EBUSY: another process is writing it; -EPERM: what
// lies there is not to be replaced; errors of opening and writing (err names the file), after which there is nothing
// new.
int packed_file_write(const char *path, const struct packed_content *content, mode_t mode, const struct packed_io *io,
                      struct err *err);

#endif
