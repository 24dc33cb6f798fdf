// The tensors of GGUF files.
#ifndef TOKFS_MODEL_GGUF_CHECKPOINT_H
#define TOKFS_MODEL_GGUF_CHECKPOINT_H

#include "engine/model/checkpoint.h"

// Opens the file, and where it is the first of several all of them. Shapes are given as safetensors has them, the
// contiguous dimension last. Types that the engine does not compute with are kept (is_loadable false). Errors of
// gguf_set_open.
int gguf_checkpoint_open(const char *path, struct checkpoint **ret, struct err *err);

#endif
