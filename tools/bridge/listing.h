// GET /kv/index: which peer holds which block, as NDJSON, for those who want to look or to keep it elsewhere:
//
//   {"hash":"9f..","peer":"10.0.0.1:8000","model":"m","block_size":16,"tiers":["gpu"]}
//
// Blocks that come or go while it is read may be missing or not; all others are there once.
#ifndef TOKFS_BRIDGE_LISTING_H
#define TOKFS_BRIDGE_LISTING_H

#include "tools/bridge/request_internal.h"

enum MHD_Result listing_start(struct request *request);
void listing_free(struct listing *listing); // NULL is accepted

#endif
