// A session's settings: system, params, tools. What is written gathers in the open file and is checked in the write. It
// takes the place of the old value (O_TRUNC), or adds to it, when the file is closed: all of it or, when any of it was
// refused, nothing. So no turn begins with half a setting.
#ifndef TOKFS_FS_SETTINGS_FILES_H
#define TOKFS_FS_SETTINGS_FILES_H

#include "fs/file.h"

int system_open(struct file *file);
int system_render(struct file *file, struct strbuf *out);
int system_truncate(struct session *session, struct file *file, uint64_t size);

int params_open(struct file *file);
int params_render(struct file *file, struct strbuf *out);
int params_truncate(struct session *session, struct file *file, uint64_t size);

int tools_open(struct file *file);
int tools_render(struct file *file, struct strbuf *out);
int tools_truncate(struct session *session, struct file *file, uint64_t size);

// For all three.
int setting_write(struct file *file, struct str bytes);
void setting_give_up(struct file *file);
int setting_flush(struct file *file); // -EINVAL while a character or a JSON value has no end
bool setting_put_draft(const struct file *file, struct strbuf *out);
void setting_close(struct file *file);

#endif
