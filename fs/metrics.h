// Renders of the files that tell figures: see docs/tokfs.5.
#ifndef TOKFS_FS_METRICS_H
#define TOKFS_FS_METRICS_H

#include "fs/file.h"

int metrics_render(struct file *file, struct strbuf *out);
int kv_stats_render(struct file *file, struct strbuf *out);

#endif
