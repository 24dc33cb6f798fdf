// libfuse's low-level interface in the version that this program is written for.
#ifndef TOKFS_FS_FUSE_H
#define TOKFS_FS_FUSE_H

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#endif
