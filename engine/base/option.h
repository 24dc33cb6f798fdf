// Values of command-line options, with the same bounds to their spelling and the same words for a bad one in every
// program: "--threads many: a whole number from 1 to 256 is needed". Programs add their name and end with status 2.
#ifndef TOKFS_BASE_OPTION_H
#define TOKFS_BASE_OPTION_H

#include "engine/base/err.h"
#include <stdbool.h>
#include <stdint.h>

// Each: 0, or -EINVAL with err; `name` without its dashes.
int option_text(const char *name, const char *value, const char **ret, struct err *err); // not empty; borrowed
int option_whole(const char *name, const char *value, int64_t min, int64_t max, int64_t *ret, struct err *err);
int option_real(const char *name, const char *value, bool or_zero, double max, double *ret, struct err *err); // from 0
int option_bytes(const char *name, const char *value, uint64_t *ret, struct err *err);                        // from 1
// One of `choices`, which end with NULL; *ret_idx (may be NULL) is its index.
int option_choice(const char *name, const char *value, const char *const choices[], unsigned *ret_idx, struct err *err);
// Of what getopt_long (whose letters begin with ":", opterr being 0) has just returned: 0, or -EINVAL when it is an
// option that `program` has not, or one without its value.
int option_refused(const char *program, int opt, char **argv, struct err *err);
// The choices of --device, --isa, --weights (in the order of enum weight_form) and --kv-dtype.
extern const char *const option_devices[], *const option_isas[], *const option_weights[], *const option_kv_dtypes[];
// The value as a message shows it: an empty one would leave a hole.
const char *option_shown(const char *value);

#endif
