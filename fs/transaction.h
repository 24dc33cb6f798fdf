// Transaction files: an HTTP request's body in, its response's body out, on one descriptor.
#ifndef TOKFS_FS_TRANSACTION_H
#define TOKFS_FS_TRANSACTION_H

#include "fs/file.h"

int transaction_open(struct file *file);
void transaction_close(struct file *file); // cancels: the client went away
int transaction_read(struct file *file, size_t size, uint64_t offset, struct str *ret_bytes);
int transaction_write(struct file *file, struct str bytes);
int transaction_write_done(struct file *file);
void transaction_write_abort(struct file *file);
void transaction_give_up(struct file *file);
int transaction_flush(struct file *file);
bool transaction_is_readable(struct file *file);

#endif
