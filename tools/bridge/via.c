#include "tools/bridge/via.h"
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#define PREFIX STR("tokfs-")

void via_make_name(char ret[VIA_NAME_MAX])
{
    uint64_t id = 0;
    if (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id)) {
        id = (uint64_t)(uintptr_t)ret; // names need not be secret
    }
    snprintf(ret, VIA_NAME_MAX, "tokfs-%016" PRIx64, id);
}

// PROTOCOL RECEIVED-BY [COMMENT], ...
static bool has_router(struct str list)
{
    struct str element, protocol;
    while (list.len > 0) {
        list = str_cut(list, ',', &element);
        struct str by = str_trim(str_cut(str_trim(element), ' ', &protocol));
        if (str_starts_with(by, PREFIX)) {
            return true;
        }
    }
    return false;
}

static enum MHD_Result look(void *ctx, enum MHD_ValueKind kind, const char *key, const char *value)
{
    bool *has = ctx;
    (void)kind;
    *has |= strcasecmp(key, "Via") == 0 && has_router(str_from(value));
    return MHD_YES;
}

bool via_has_router(struct MHD_Connection *connection)
{
    bool has = false;
    MHD_get_connection_values(connection, MHD_HEADER_KIND, look, &has);
    return has;
}

static enum MHD_Result add(void *ctx, enum MHD_ValueKind kind, const char *key, const char *value)
{
    (void)kind;
    if (strcasecmp(key, "Via") == 0 && value && value[0]) {
        strbuf_printf(ctx, "%s, ", value);
    }
    return MHD_YES;
}

void via_write(struct MHD_Connection *connection, const char *version, const char *name, struct strbuf *out)
{
    strbuf_append(out, STR("Via: "));
    MHD_get_connection_values(connection, MHD_HEADER_KIND, add, out);
    strbuf_printf(out, "%s %s", strncmp(version, "HTTP/", 5) == 0 ? version + 5 : version, name);
}
