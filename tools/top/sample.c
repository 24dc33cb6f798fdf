// Files are read whole, each with one open. Sessions are listed least recently used first and looked at in that order:
// looking at one counts as a use, and so does not change it.
#include "tools/top/sample.h"
#include "engine/base/json.h"
#include "engine/base/loop.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const figure_names[N_FIGURES] = {
    [FIGURE_RUNNING] = "requests_running",
    [FIGURE_QUEUED] = "requests_queued",
    [FIGURE_PROMPT_TOKENS] = "prompt_tokens_total",
    [FIGURE_CACHED_TOKENS] = "cached_tokens_total",
    [FIGURE_COMPLETION_TOKENS] = "completion_tokens_total",
    [FIGURE_PAGES] = "kv_pages",
    [FIGURE_PAGES_FREE] = "kv_pages_free",
    [FIGURE_PAGES_CACHED] = "kv_pages_cached",
    [FIGURE_EVICTED] = "kv_pages_evicted_total",
    [FIGURE_PREEMPTED] = "preemptions_total",
    [FIGURE_SESSIONS] = "sessions",
    [FIGURE_OPEN_FILES] = "open_files",
    [FIGURE_PARKED] = "parked_requests",
    [FIGURE_HELD_BYTES] = "held_bytes",
};

static int read_fd(int fd, struct strbuf *ret)
{
    ssize_t n;
    do {
        int r = strbuf_reserve(ret, 16384);
        if (r < 0) {
            return r;
        }
        n = read(fd, ret->ptr + ret->len, 16384);
        ret->len += n > 0 ? (size_t)n : 0;
    } while (n > 0 || (n < 0 && errno == EINTR));
    return n < 0 ? -errno : 0;
}

static int read_file(int dir, const char *name, struct strbuf *ret)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    int r = read_fd(fd, ret);
    close(fd);
    return r;
}

// ---- texts ---------------------------------------------------------------------------------------------------------

static bool read_figure(struct str line, uint64_t *ret_figures, uint32_t *seen)
{
    struct str name;
    struct str value = str_cut(line, ' ', &name);
    for (size_t i = 0; i < N_FIGURES; i++) {
        int64_t n;
        if (str_starts_with(name, STR("tokfs_")) && str_eq(str_skip(name, 6), str_from(figure_names[i])) &&
            str_parse_i64(value, &n) == 0) {
            ret_figures[i] = (uint64_t)n;
            *seen |= 1u << i;
            return true;
        }
    }
    return false;
}

int sample_read_metrics(struct str text, uint64_t *ret_figures)
{
    uint32_t seen = 0;
    while (text.len > 0) {
        struct str line;
        text = str_cut(text, '\n', &line);
        read_figure(line, ret_figures, &seen);
    }
    return seen == (1u << N_FIGURES) - 1 ? 0 : -EINVAL;
}

int sample_read_status(struct str line, struct top_session *session)
{
    static const char *const names[] = { "prompt_tokens", "cached_tokens", "completion_tokens" };
    uint64_t *const values[] = { &session->n_prompt, &session->n_cached, &session->n_completion };
    struct str word;
    unsigned n_seen = 0;
    line = str_cut(str_trim(line), ' ', &word);
    if (word.len == 0 || word.len >= sizeof(session->state)) {
        return -EINVAL;
    }
    snprintf(session->state, sizeof(session->state), "%.*s", STR_ARG(word));
    while (line.len > 0) {
        struct str name;
        line = str_cut(line, ' ', &word);
        struct str value = str_cut(word, '=', &name);
        for (size_t i = 0; i < 3; i++) {
            int64_t n;
            if (str_eq(name, str_from(names[i])) && str_parse_i64(value, &n) == 0) {
                *values[i] = (uint64_t)n;
                n_seen++;
            }
        }
    }
    return n_seen == 3 ? 0 : -EINVAL;
}

static void read_model(struct str text, char *ret, size_t size)
{
    const struct json *list = NULL;
    struct arena arena;
    arena_init(&arena, 0);
    if (json_parse(&arena, text, &list, NULL) == 0) {
        const struct json *data = json_get(list, STR("data"));
        const struct json *first = data && data->n_children > 0 ? json_first(data) : NULL;
        const struct json *id = first ? json_get(first, STR("id")) : NULL;
        snprintf(ret, size, "%.*s", STR_ARG(id ? id->text : STR("?")));
    }
    arena_deinit(&arena);
}

// ---- the mount -----------------------------------------------------------------------------------------------------

static int read_mount(int dir, struct sample *ret, struct err *err)
{
    struct strbuf text;
    strbuf_init(&text, 0);
    const char *name = "health";
    int r = read_file(dir, name, &text);
    if (r == 0) {
        snprintf(ret->health, sizeof(ret->health), "%.*s", STR_ARG(str_trim(strbuf_str(&text))));
        strbuf_reset(&text);
        name = "v1/models";
        r = read_file(dir, name, &text);
    }
    if (r == 0) {
        read_model(strbuf_str(&text), ret->model, sizeof(ret->model));
        strbuf_reset(&text);
        name = "metrics";
        r = read_file(dir, name, &text);
    }
    if (r == 0) {
        r = sample_read_metrics(strbuf_str(&text), ret->figures);
    }
    strbuf_deinit(&text);
    return r < 0 ? err_set(err, r, "%s: %s", name, r == -EINVAL ? "not what tokfs writes" : strerror(-r)) : 0;
}

// One that has been removed since it was listed is left out.
static int read_session(int sessions, const char *name, struct top_session *ret)
{
    char path[300];
    struct strbuf text;
    struct stat st;
    strbuf_init(&text, 0);
    *ret = (struct top_session){ 0 };
    snprintf(ret->name, sizeof(ret->name), "%s", name);
    snprintf(path, sizeof(path), "%s/status", name);
    int r = read_file(sessions, path, &text);
    r = r == 0 ? sample_read_status(strbuf_str(&text), ret) : r;
    if (r == 0 && fstatat(sessions, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        ret->uid = st.st_uid;
    }
    strbuf_deinit(&text);
    return r;
}

static bool is_session(const struct dirent *entry)
{
    return entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

struct names {
    char (*names)[256]; // [n], a ring of the last `cap` that were added
    size_t n, cap;
};

static int list_sessions(int sessions, struct names *names)
{
    int fd = dup(sessions);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;
    if (!dir) {
        int r = -errno;
        if (fd >= 0) {
            close(fd);
        }
        return r;
    }
    while ((entry = readdir(dir))) {
        if (is_session(entry) && names->cap > 0) {
            snprintf(names->names[names->n++ % names->cap], sizeof(names->names[0]), "%s", entry->d_name);
        }
    }
    closedir(dir);
    return 0;
}

static int read_sessions(int sessions, size_t n_max, struct sample *ret)
{
    struct names names = { calloc(n_max + 1, sizeof(names.names[0])), 0, n_max };
    ret->sessions = calloc(n_max + 1, sizeof(*ret->sessions));
    int r = names.names && ret->sessions ? list_sessions(sessions, &names) : -ENOMEM;
    size_t n = names.n < n_max ? names.n : n_max;
    for (size_t i = 0; r == 0 && i < n; i++) { // the oldest of them first; they are kept newest first
        struct top_session *session = &ret->sessions[n - 1 - i];
        if (read_session(sessions, names.names[(names.n - n + i) % n_max], session) < 0) {
            session->name[0] = '\0';
        }
    }
    for (size_t i = 0; r == 0 && i < n; i++) {
        if (ret->sessions[i].name[0]) {
            ret->sessions[ret->n_sessions++] = ret->sessions[i];
        }
    }
    free(names.names);
    return r;
}

int sample_take(const char *mount_dir, size_t n_max, struct sample *ret, struct err *err)
{
    *ret = (struct sample){ .at_ns = clock_monotonic_ns() };
    int dir = open(mount_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        return err_set(err, -errno, "%s: %s", mount_dir, strerror(errno));
    }
    int r = read_mount(dir, ret, err);
    int sessions = r == 0 ? openat(dir, "sessions", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (r == 0) {
        r = sessions < 0 ? -errno : read_sessions(sessions, n_max, ret);
        if (r < 0) {
            err_set(err, r, "sessions: %s", strerror(-r));
        }
    }
    if (r < 0) {
        err_prefix(err, "%s", mount_dir);
        sample_deinit(ret);
    }
    if (sessions >= 0) {
        close(sessions);
    }
    close(dir);
    return r;
}

void sample_deinit(struct sample *sample)
{
    free(sample->sessions);
    sample->sessions = NULL;
    sample->n_sessions = 0;
}

const struct top_session *sample_find(const struct sample *sample, const char *name)
{
    for (size_t i = 0; i < sample->n_sessions; i++) {
        if (strcmp(sample->sessions[i].name, name) == 0) {
            return &sample->sessions[i];
        }
    }
    return NULL;
}
