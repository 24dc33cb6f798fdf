// A session's settings: system, params, tools. Each takes effect with the next turn. Opening one with O_TRUNC empties
// it; what is written is checked in the write and adds to what there is.
#ifndef TOKFS_FS_SETTINGS_FILES_H
#define TOKFS_FS_SETTINGS_FILES_H

#include "fs/file.h"

int system_open(struct file *file);
int system_render(struct file *file, struct strbuf *out);
int system_write(struct file *file, struct str bytes);
int system_truncate(struct session *session);

int params_open(struct file *file);
int params_render(struct file *file, struct strbuf *out);
int params_write(struct file *file, struct str bytes);
int params_truncate(struct session *session);

int tools_open(struct file *file);
int tools_render(struct file *file, struct strbuf *out);
int tools_write(struct file *file, struct str bytes);
int tools_truncate(struct session *session);

int settings_flush(struct file *file); // params, tools: -EINVAL while their JSON has no end
void settings_close(struct file *file);

#endif
