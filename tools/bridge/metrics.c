#include "tools/bridge/metrics.h"
#include "tools/bridge/publisher.h"
#include "tools/bridge/router.h"
#include "tools/bridge/scoring.h"
#include <inttypes.h>

static void head(struct strbuf *out, const char *name, const char *type, const char *help)
{
    strbuf_printf(out, "# HELP tokfs_bridge_%s %s\n# TYPE tokfs_bridge_%s %s\n", name, help, name, type);
}

int bridge_metrics_write(const struct bridge *bridge, struct strbuf *out)
{
    const struct bridge_counts *c = &bridge->counts;
    const struct {
        const char *name, *type, *help;
        uint64_t value;
    } rows[] = {
        { "requests_running", "gauge", "Requests being received or answered.", c->n_answering },
        { "connections", "gauge", "Open connections.", c->n_connections },
        { "body_bytes", "gauge", "Bytes of request bodies held.", c->body_bytes },
        { "cancelled_total", "counter", "Requests whose client left before the end.", c->n_cancelled },
        { "refused_keys_total", "counter", "Requests without a right API key.", c->n_refused_keys },
        { "response_bytes_total", "counter", "Bytes of response bodies sent.", c->response_bytes },
    };
    head(out, "requests_total", "counter", "Requests ended, by the class of their status.");
    for (unsigned i = 1; i < 6; i++) {
        strbuf_printf(out, "tokfs_bridge_requests_total{class=\"%uxx\"} %" PRIu64 "\n", i, c->n_by_class[i]);
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        head(out, rows[i].name, rows[i].type, rows[i].help);
        strbuf_printf(out, "tokfs_bridge_%s %" PRIu64 "\n", rows[i].name, rows[i].value);
    }
    if (bridge->scoring) {
        scoring_write_metrics(bridge->scoring, out);
    }
    if (bridge->router) {
        router_write_metrics(bridge->router, out);
    }
    head(out, "mount_up", "gauge", "Whether the mount answers.");
    for (unsigned i = 0; i < mounts_count(bridge->mounts); i++) {
        strbuf_printf(out, "tokfs_bridge_mount_up{mount=\"%s\"} %d\n", mounts_path(bridge->mounts, i),
                      mounts_is_up(bridge->mounts, i));
    }
    if (bridge->publisher) {
        publisher_write_metrics(bridge->publisher, out);
    }
    return out->error;
}
