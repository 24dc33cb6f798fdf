// Distributions of what requests took, as the engine's statistics hold them. Owner: the engine thread.
#ifndef TOKFS_SERVE_HISTOGRAM_H
#define TOKFS_SERVE_HISTOGRAM_H

#include <tokfs/engine.h>

// Counts a value of histogram `id` of `stats`: nanoseconds, or tokens.
void histogram_add(struct tokfs_engine_stats *stats, enum tokfs_histogram_id id, uint64_t value);
// A choice began and has ended: NULL failed.
void histogram_add_end(struct tokfs_engine_stats *stats, const struct tokfs_usage *usage, const char *finish_reason);

#endif
