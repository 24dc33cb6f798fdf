// The fixed names in sessions/: new, error, last.
#ifndef TOKFS_FS_SESSIONS_DIR_H
#define TOKFS_FS_SESSIONS_DIR_H

#include "fs/node.h"

extern const struct node_type sessions_nodes[];

#endif
