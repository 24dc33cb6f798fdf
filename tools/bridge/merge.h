// What several mounts say, as one. Pure functions.
#ifndef TOKFS_BRIDGE_MERGE_H
#define TOKFS_BRIDGE_MERGE_H

#include "engine/base/str.h"

// The ids of an OpenAI list object ({"object":"list","data":[{"id":...}]}): called for each, with its element's source
// text. -EINVAL when it is not one.
int models_each(struct str list, void (*fn)(void *ctx, struct str id, struct str element), void *ctx);
// One list object of all elements, the first of each id.
int models_merge(const struct str *lists, size_t n, struct strbuf *out);
// Prometheus text: the samples of one name together, under its first HELP and TYPE lines. Texts that name a metric
// alike tell their samples apart by labels; `label` (of `labels[i]`, NULL: none) is added to each sample.
int metrics_merge(const struct str *texts, const char *const *labels, size_t n, struct strbuf *out);
// The value of `"model"` at the top level of a JSON object, the last one, as Python and JavaScript take it; false when
// there is none or it is not a string. `ret` is decoded (escapes) and NUL-terminated, or cut to what fits.
bool body_find_model(struct str body, char *ret, size_t size);

#endif
