// /ask: a private conversation per open.
#ifndef TOKFS_FS_ASK_H
#define TOKFS_FS_ASK_H

#include "fs/file.h"

int ask_open(struct file *file);
void ask_close(struct file *file); // cancels: the client went away
int ask_read(struct file *file, size_t size, uint64_t offset, struct str *ret_bytes);
int ask_write(struct file *file, struct str bytes);
int ask_write_done(struct file *file);
void ask_write_abort(struct file *file);
void ask_give_up(struct file *file);
int ask_flush(struct file *file);
bool ask_is_readable(struct file *file);

#endif
