// Deadlines count from submission, on the clock of submitted_ns; what is longer than the clock goes is never.
#include "engine/serve/deadline.h"

#include <errno.h>

#define NS_PER_S 1e9

uint64_t deadline_from(uint64_t submitted_ns, double timeout_s, double timeout_s_most)
{
    double s = timeout_s > 0 ? timeout_s : timeout_s_most;
    s = timeout_s_most > 0 && timeout_s_most < s ? timeout_s_most : s;
    if (!(s > 0) || s * NS_PER_S >= (double)(UINT64_MAX - submitted_ns)) {
        return DEADLINE_NEVER;
    }
    return submitted_ns + (uint64_t)(s * NS_PER_S);
}

bool deadline_is_over(uint64_t deadline_ns, uint64_t now_ns)
{
    return now_ns >= deadline_ns;
}

int deadline_error(struct err *err, uint64_t submitted_ns, uint64_t deadline_ns, const char *where)
{
    return err_set_param(err, -ETIMEDOUT, "timeout", "deadline: after %g s the request was still %s",
                         (double)(deadline_ns - submitted_ns) / NS_PER_S, where);
}
