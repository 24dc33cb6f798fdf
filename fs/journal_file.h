// A journal's file: records are gathered in memory and written in their order, one write at a time, by the ring.
#ifndef TOKFS_FS_JOURNAL_FILE_H
#define TOKFS_FS_JOURNAL_FILE_H

#include "engine/base/loop.h"
#include "fs/record.h"

#define JOURNAL_NAME     "journal"
#define JOURNAL_NEW_NAME "journal.new"

#define JOURNAL_KEEP_BYTES (256u << 10) // of memory for what is gathered; what a burst took beyond it is given back

// Invariants: marked <= synced <= end; [0, end) is written. While a write is in flight, `flight` lies at `end`.
struct journal_file {
    struct loop *loop;
    int fd; // -1: none
    uint16_t epoch;
    uint64_t seq;      // of the next record
    uint64_t end;      // offset
    uint64_t data_end; // after the last record that is more than a MARK
    uint64_t synced;   // bytes from the beginning that are known to be on the medium
    uint64_t marked;   // and that the last MARK tells of
    struct strbuf gather, flight;
    size_t n_written; // of the flight
    struct loop_op op;
    void (*done)(struct journal_file *file, int res); // of a write, once all of it is written (0) or it failed
};

void journal_file_init(struct journal_file *file, struct loop *loop);
void journal_file_deinit(struct journal_file *file); // closes it; asserts that nothing is in flight
// Errors stay in `gather` until the write.
void journal_file_append(struct journal_file *file, enum record_type type, struct str body);
// A MARK, if more is synced than the last one tells.
void journal_file_mark(struct journal_file *file);
// Writes what was gathered. There must be something, and nothing in flight.
void journal_file_write(struct journal_file *file);

#endif
