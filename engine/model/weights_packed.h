// A model's weights kept as the backend holds them, in a file beside the model, so that the next start reads them as
// they are (packed_file.h).
//
// The file is taken only where it was made from the very files at hand (their names, sizes, times, inodes and tensors,
// and config.json), in the same form, and where this backend lays out every matrix as the one that made it did, which
// is found by laying out a sample. Results are the same bits with and without it.
#ifndef TOKFS_MODEL_WEIGHTS_PACKED_H
#define TOKFS_MODEL_WEIGHTS_PACKED_H

#include "engine/model/weights.h"
#include <limits.h>
#include <sys/types.h>

struct packed_weights {
    char path[PATH_MAX]; // "": none is wanted
    uint64_t source[2];
    mode_t mode; // as readable as what it is made from
    struct packed_note *note;
};

// What became of it, for the operator.
struct packed_note {
    char msg[256]; // "": none was wanted
    bool is_taken; // the weights come from it
    bool is_bad;   // it could not be used or made, though it was asked for: a warning
};

// `where`: the file's path, or "auto": beside the model at `dir`. NULL or "": none. -ENAMETOOLONG; errors of reading
// config.json and of looking at the files of `cp`.
int packed_weights_init(struct packed_weights *ret, const char *where, const char *dir, const struct checkpoint *cp,
                        enum weight_form form, const struct backend *backend, struct packed_note *note,
                        struct err *err);

// Fills the weights that `source` describes, which are made and empty. Whether it did; if not, they are still empty,
// and the note says why.
bool packed_weights_take(const struct packed_weights *p, struct weights *w, const struct weight_source *source);
// Makes the file of weights that are full. The note says how it went.
void packed_weights_keep(const struct packed_weights *p, struct weights *w, const struct weight_source *source);

#endif
