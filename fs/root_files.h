// The fixed tree: /README /health /metrics /ask /v1 /sessions.
#ifndef TOKFS_FS_ROOT_FILES_H
#define TOKFS_FS_ROOT_FILES_H

#include "fs/node.h"

extern const struct node_type root_type;

#endif
