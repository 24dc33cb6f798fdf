// Where things are on this machine: the built-in model, and a mount point that can be mounted on.
#ifndef TOKFS_FS_PLACES_H
#define TOKFS_FS_PLACES_H

#include "engine/base/err.h"
#include <limits.h>
#include <stdbool.h>

// `demo` -> the directory of the built-in model: beside an installed program, where it was configured to be installed,
// or in the source tree that this program was built in. Any other name stays as it is. -ENOENT.
int place_find_model(const char *name, char ret[PATH_MAX], struct err *err);
// The mount point's absolute path, once it is known to be an empty directory that nothing is mounted on. What a killed
// daemon left there is unmounted first. -ENOTDIR, -EBUSY, -ENOTEMPTY (unless allow_nonempty) ...
int place_prepare_mountpoint(const char *path, bool allow_nonempty, char ret[PATH_MAX], struct err *err);

#endif
