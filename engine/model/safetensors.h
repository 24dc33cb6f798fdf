// The safetensors format: an 8-byte little-endian header length, a JSON header, then the tensors' bytes.
// https://huggingface.co/docs/safetensors (format section)
//
// Everything is validated before a byte of data is used: offsets against shapes, dtypes and the file's size, and
// against each other (no overlap, no hole). Reading is by io_uring in large direct reads (tensor_stream.h).
#ifndef TOKFS_MODEL_SAFETENSORS_H
#define TOKFS_MODEL_SAFETENSORS_H

#include "engine/model/checkpoint.h"

// Opens DIR/model.safetensors, or every shard of DIR/model.safetensors.index.json. -ENOENT, -EINVAL (err names file and
// tensor), -EOPNOTSUPP (a dtype or rank that the format has no meaning for here), -ENOMEM.
int safetensors_open(const char *dir, struct checkpoint **ret, struct err *err);

#endif
