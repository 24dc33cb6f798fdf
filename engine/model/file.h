// Whole small files (configurations, indexes) into memory.
#ifndef TOKFS_MODEL_FILE_H
#define TOKFS_MODEL_FILE_H

#include "engine/base/err.h"
#include "engine/base/str.h"

// Appends the contents of the file, or of DIR/NAME, to `out`. -ENOENT and other errors of open and read, -EFBIG above
// bytes_max, -EINVAL when it is not a regular file: err names it.
int file_read_path(const char *path, size_t bytes_max, struct strbuf *out, struct err *err);
int file_read(const char *dir, const char *name, size_t bytes_max, struct strbuf *out, struct err *err);

#endif
