// The bridge's own figures, in Prometheus text.
#ifndef TOKFS_BRIDGE_METRICS_H
#define TOKFS_BRIDGE_METRICS_H

#include "engine/base/str.h"
#include "tools/bridge/bridge.h"

int bridge_metrics_write(const struct bridge *bridge, struct strbuf *out);

#endif
