// models/: a directory for the loaded model, with what says what it is. Its table is made at start, because the model's
// name and the files that it has are known only then.
#ifndef TOKFS_FS_MODEL_DIR_H
#define TOKFS_FS_MODEL_DIR_H

#include "fs/node.h"
#include <tokfs/engine.h>

#define MODEL_DIR_FILES_MAX 16

struct model_dir {
    char name[256];
    struct strbuf info;                              // info.json
    struct node_type dirs[2];                        // one, and the end
    struct node_type files[MODEL_DIR_FILES_MAX + 2]; // info.json, the engine's, and the end
};

int model_dir_init(struct model_dir *dir, const struct tokfs_engine *engine); // 0 or -ENOMEM; borrows from the engine
void model_dir_deinit(struct model_dir *dir);

#endif
