// The small files of a model as they were when it was loaded, for whoever wants to look at them.
#ifndef TOKFS_SERVE_MODEL_FILES_H
#define TOKFS_SERVE_MODEL_FILES_H

#include "engine/serve/chat_format.h"
#include <tokfs/engine.h>

#define MODEL_FILES_MAX 7

struct model_files {
    struct tokfs_model_file files[MODEL_FILES_MAX]; // the first n
    size_t n;
};

// Reads DIR's, or takes what a GGUF file says in their place, and takes the templates' sources. A file that is not
// there is left out. -errno names the file.
int model_files_load(struct model_files *ret, const char *dir, const struct chat_format *format, struct err *err);
void model_files_deinit(struct model_files *files);

#endif
