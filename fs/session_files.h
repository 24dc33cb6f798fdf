// The files of a session's directory.
#ifndef TOKFS_FS_SESSION_FILES_H
#define TOKFS_FS_SESSION_FILES_H

#include "fs/node.h"

extern const struct node_type session_dir_type;
extern const struct node_type session_nodes[]; // SESSION_N_FILES rows and an empty one

#endif
