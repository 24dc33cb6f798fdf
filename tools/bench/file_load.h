// The same requests written to a transaction file of a mount and read from it, each client a thread: what HTTP is
// compared with.
#ifndef TOKFS_BENCH_FILE_LOAD_H
#define TOKFS_BENCH_FILE_LOAD_H

#include "tools/bench/load_times.h"

int file_load_run(const struct load *load, struct load_times *ret, struct err *err);

#endif
