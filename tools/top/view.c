#include "tools/top/view.h"
#include "engine/base/utf8.h"
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double seconds_between(const struct sample *before, const struct sample *now)
{
    return before ? (double)(now->at_ns - before->at_ns) / 1e9 : 0;
}

// Counters of another daemon than before begin anew.
static double rate(uint64_t before, uint64_t now, double seconds)
{
    return seconds > 0 && now >= before ? (double)(now - before) / seconds : 0;
}

static double share(uint64_t part, uint64_t whole)
{
    return whole > 0 ? 100.0 * (double)part / (double)whole : 0;
}

static void write_bytes(struct strbuf *out, uint64_t n)
{
    static const char units[][4] = { "B", "KiB", "MiB", "GiB" };
    double value = (double)n;
    size_t unit = 0;
    for (; value >= 1024 && unit < 3; unit++) {
        value /= 1024;
    }
    strbuf_printf(out, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

static void write_head(const struct sample *before, const struct sample *now, const char *mount_dir, struct strbuf *out)
{
    const uint64_t *f = now->figures, *old = before ? before->figures : f;
    double seconds = seconds_between(before, now);
    uint64_t prompt = f[FIGURE_PROMPT_TOKENS] - old[FIGURE_PROMPT_TOKENS];
    uint64_t cached = f[FIGURE_CACHED_TOKENS] - old[FIGURE_CACHED_TOKENS];
    if (prompt == 0) { // nothing lately: since it began
        prompt = f[FIGURE_PROMPT_TOKENS];
        cached = f[FIGURE_CACHED_TOKENS];
    }
    strbuf_printf(out, "%s at %s: %s; %" PRIu64 " sessions, %" PRIu64 " run, %" PRIu64 " wait\n", now->model, mount_dir,
                  now->health, f[FIGURE_SESSIONS], f[FIGURE_RUNNING], f[FIGURE_QUEUED]);
    strbuf_printf(out, "tokens/s  %9.1f said  %9.1f read, %.1f %% of it cached; %" PRIu64 " said in all\n",
                  rate(old[FIGURE_COMPLETION_TOKENS], f[FIGURE_COMPLETION_TOKENS], seconds),
                  rate(old[FIGURE_PROMPT_TOKENS], f[FIGURE_PROMPT_TOKENS], seconds), share(cached, prompt),
                  f[FIGURE_COMPLETION_TOKENS]);
    uint64_t pages = f[FIGURE_PAGES];
    strbuf_printf(out,
                  "pages     %9" PRIu64 ": %.1f %% held, %.1f %% cached; %" PRIu64 " evicted, %" PRIu64
                  " times given back\n",
                  pages, share(pages - f[FIGURE_PAGES_FREE], pages), share(f[FIGURE_PAGES_CACHED], pages),
                  f[FIGURE_EVICTED], f[FIGURE_PREEMPTED]);
    strbuf_printf(out, "files     %9" PRIu64 " open, %" PRIu64 " requests parked, ", f[FIGURE_OPEN_FILES],
                  f[FIGURE_PARKED]);
    write_bytes(out, f[FIGURE_HELD_BYTES]);
    strbuf_append(out, STR(" held\n"));
    strbuf_printf(out, "%-32s %-10s %-9s %8s %8s %8s %9s\n", "SESSION", "USER", "STATE", "PROMPT", "CACHED", "SAID",
                  "TOKENS/S");
}

static int urgency(const struct top_session *session)
{
    return strcmp(session->state, "decode") == 0 || strcmp(session->state, "prefill") == 0 ? 0
           : strcmp(session->state, "queued") == 0                                         ? 1
                                                                                           : 2;
}

static void write_session(const struct sample *before, const struct top_session *s, double seconds, struct strbuf *out)
{
    const struct top_session *old = before ? sample_find(before, s->name) : NULL;
    const struct passwd *user = getpwuid(s->uid);
    char name[sizeof(s->name)], uid[16];
    snprintf(name, sizeof(name), "%s", s->name);
    utf8_make_printable(name, strlen(name));
    snprintf(uid, sizeof(uid), "%u", (unsigned)s->uid);
    strbuf_printf(out, "%-32.32s %-10.10s %-9s %8" PRIu64 " %8" PRIu64 " %8" PRIu64, name, user ? user->pw_name : uid,
                  s->state, s->n_prompt, s->n_cached, s->n_completion);
    if (old && urgency(s) == 0) {
        strbuf_printf(out, " %9.1f", rate(old->n_completion, s->n_completion, seconds));
    }
    strbuf_append_byte(out, '\n');
}

int view_write(const struct sample *before, const struct sample *now, const char *mount_dir, struct strbuf *out)
{
    double seconds = seconds_between(before, now);
    write_head(before, now, mount_dir, out);
    for (int wanted = 0; wanted <= 2; wanted++) {
        for (size_t i = 0; i < now->n_sessions; i++) {
            if (urgency(&now->sessions[i]) == wanted) {
                write_session(before, &now->sessions[i], seconds, out);
            }
        }
    }
    return out->error;
}
