// tokfs-bridge: the mounts' files over HTTP.
//
// SIGTERM, SIGINT: no new connections, running answers end (a second signal ends them), exit 0. SIGHUP: keys are read
// and the access log is begun anew.
#include "engine/base/log.h"
#include "engine/base/notify.h"
#include "tools/bridge/access_log.h"
#include "tools/bridge/http.h"
#include "tools/bridge/listen.h"
#include "tools/bridge/publisher.h"
#include "tools/bridge/router.h"
#include "tools/bridge/scoring.h"
#include "tools/kv/share_list.h"
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXIT_USAGE 2
#define DRAIN_NS   30000000000u // running answers may take so long
#define KEY_MAX    4096

struct program {
    struct options options;
    struct bridge bridge;
    struct loop_op signals, drain, finish;
    struct signalfd_siginfo info;
    int signal_fd, listen_fd;
    char *cert, *key;
    bool is_stopped;
    int status;
};

static int complain(const char *msg)
{
    fprintf(stderr, "tokfs-bridge: %s\n", msg);
    return EXIT_FAILURE;
}

// ---- what it needs -------------------------------------------------------------------------------------------------

static int read_pem(const char *option, const char *path, char **ret, struct err *err)
{
    FILE *file = path ? fopen(path, "re") : NULL;
    struct strbuf text;
    char bytes[4096];
    if (!path) {
        return 0;
    }
    if (!file) {
        return err_set(err, -errno, "%s %s: %s", option, path, strerror(errno));
    }
    strbuf_init(&text, 1u << 20);
    for (size_t n; (n = fread(bytes, 1, sizeof(bytes), file)) > 0;) {
        strbuf_append(&text, (struct str){ bytes, n });
    }
    fclose(file);
    if (str_find(strbuf_str(&text), STR("-----BEGIN")) < 0) {
        strbuf_deinit(&text);
        return err_set(err, -EINVAL, "%s %s: not a PEM file", option, path);
    }
    *ret = strbuf_steal(&text);
    return *ret ? 0 : -ENOMEM;
}

// A connection has a socket, its request a file of a mount.
static int raise_open_files(const struct options *options, struct err *err)
{
    struct rlimit limit;
    rlim_t wanted = 2 * (rlim_t)options->max_connections + 64;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted) {
        return 0;
    }
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < wanted) {
        return err_set(err, -EMFILE, "--max-connections %u needs %llu open files; the limit (ulimit -n) is %llu",
                       options->max_connections, (unsigned long long)wanted, (unsigned long long)limit.rlim_cur);
    }
    return 0;
}

// Becomes the user; where keys name other users, what is needed to open files on their behalf is kept.
static int drop_privileges(const struct options *options, struct err *err)
{
    struct passwd *user = options->user ? getpwnam(options->user) : NULL;
    unsigned kept = options->api_keys ? 1u << CAP_SETUID | 1u << CAP_SETGID : 0;
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2] = { { .effective = kept, .permitted = kept } };
    if (!options->user) {
        return 0;
    }
    if (!user) {
        return err_set(err, -ENOENT, "--user %s: there is no such user", options->user);
    }
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || initgroups(options->user, user->pw_gid) < 0 ||
        setresgid(user->pw_gid, user->pw_gid, user->pw_gid) < 0 ||
        setresuid(user->pw_uid, user->pw_uid, user->pw_uid) < 0 || syscall(SYS_capset, &head, data) < 0) {
        return err_set(err, -errno, "--user %s: %s", options->user, strerror(errno));
    }
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? err_set(err, -errno, "no_new_privs: %s", strerror(errno)) : 0;
}

// ---- its life ------------------------------------------------------------------------------------------------------

static void stop(struct program *p)
{
    if (p->is_stopped) {
        return;
    }
    p->is_stopped = true;
    if (p->bridge.http) {
        p->bridge.idle = NULL;
        http_stop(p->bridge.http);
    }
    publisher_stop(p->bridge.publisher);
    mounts_stop(p->bridge.mounts);
    router_stop(p->bridge.router);
    scoring_stop(p->bridge.scoring);
    exchange_pool_stop(p->bridge.files);
    access_log_stop(p->bridge.log);
    loop_cancel(p->bridge.loop, &p->signals);
    loop_cancel(p->bridge.loop, &p->drain);
    loop_cancel(p->bridge.loop, &p->finish);
    loop_stop(p->bridge.loop);
}

static void drain_done(struct loop_op *op, int res)
{
    struct program *p = (struct program *)((char *)op - offsetof(struct program, drain));
    if (res == 0) {
        stop(p);
    }
}

static void finish_done(struct loop_op *op, int res)
{
    struct program *p = (struct program *)((char *)op - offsetof(struct program, finish));
    if (res == 0) {
        stop(p);
    }
}

// The last request has ended: after this turn, since the HTTP library is at work in it.
static void on_idle(struct bridge *bridge)
{
    struct program *p = (struct program *)((char *)bridge - offsetof(struct program, bridge));
    bridge->idle = NULL;
    loop_timer(bridge->loop, &p->finish, 0);
}

static void begin_drain(struct program *p)
{
    notify_manager("STOPPING=1\nSTATUS=running answers come to their end");
    if (!p->bridge.http || p->bridge.is_draining || !p->bridge.first) {
        stop(p);
        return;
    }
    p->bridge.is_draining = true;
    p->bridge.idle = on_idle;
    http_stop_listening(p->bridge.http);
    loop_timer(p->bridge.loop, &p->drain, DRAIN_NS);
}

static void reload(struct program *p)
{
    struct err err = { 0 };
    if (p->bridge.access && access_load(p->bridge.access, p->options.api_keys, &err) < 0) {
        log_error("%s; the keys stay as they were", err.msg);
    }
    if (p->bridge.log && access_log_reopen(p->bridge.log, &err) < 0) {
        log_error("%s", err.msg);
    }
}

static void signalled(struct loop_op *op, int res)
{
    struct program *p = (struct program *)((char *)op - offsetof(struct program, signals));
    if (res != (int)sizeof(p->info)) {
        return;
    }
    if (p->info.ssi_signo == SIGHUP) {
        reload(p);
    } else {
        begin_drain(p);
    }
    if (!p->is_stopped) {
        loop_read(p->bridge.loop, op, p->signal_fd, &p->info, sizeof(p->info), (uint64_t)-1);
    }
}

static void tell_manager(const char *state, const char *address)
{
    char text[512];
    snprintf(text, sizeof(text), "%s%s", state, address);
    notify_manager(text);
}

// The mounts have answered for the first time, or cannot.
static void mounts_ready(void *ctx)
{
    struct program *p = ctx;
    struct err err = { 0 };
    for (unsigned i = 0; i < mounts_count(p->bridge.mounts); i++) {
        if (!mounts_is_up(p->bridge.mounts, i)) {
            log_warn("%s: no mount there that answers; asked again every 2 s", mounts_path(p->bridge.mounts, i));
        }
    }
    if (p->bridge.scoring) {
        scoring_follow_mounts(p->bridge.scoring, p->bridge.mounts);
    }
    if (http_start(&p->bridge, p->listen_fd, p->cert, p->key, &p->bridge.http, &err) < 0) {
        p->status = complain(err.msg);
        stop(p);
        return;
    }
    log_info("serving %s", p->options.listen);
    tell_manager("READY=1\nSTATUS=serving ", p->options.listen);
    if (p->bridge.publisher && publisher_start(p->bridge.publisher, p->bridge.mounts) < 0) {
        p->status = complain("out of memory");
        stop(p);
    }
}

static int open_all(struct program *p, struct err *err)
{
    struct bridge *bridge = &p->bridge;
    const struct options *o = &p->options;
    int r = raise_open_files(o, err);
    r = r < 0 ? r : read_pem("--tls-cert", o->tls_cert, &p->cert, err);
    r = r < 0 ? r : read_pem("--tls-key", o->tls_key, &p->key, err);
    r = r < 0 ? r : loop_new(1024, &bridge->loop, err);
    r = r < 0 ? r : exchange_pool_new(bridge->loop, &bridge->files, err);
    r = r < 0 || !o->access_log ? r : access_log_open(bridge->loop, o->access_log, &bridge->log, err);
    if (r == 0 && o->api_keys) {
        r = access_new(bridge->loop, &bridge->access);
        r = r < 0 ? err_set(err, r, "out of memory") : access_load(bridge->access, o->api_keys, err);
    }
    r = r < 0 || !o->score ? r : scoring_new(bridge->loop, bridge->files, o, &bridge->scoring, err);
    r = r < 0 || !o->has_route ? r : router_new(bridge, &bridge->router, err);
    if (r == 0) {
        p->listen_fd = listen_open(o->listen, err);
        r = p->listen_fd < 0 ? p->listen_fd : drop_privileges(o, err);
    }
    return r < 0 || !o->node ? r : publisher_new(bridge->loop, bridge->files, o, &bridge->publisher, err);
}

static int run(struct program *p)
{
    struct bridge *bridge = &p->bridge;
    struct err err = { 0 };
    bridge->options = &p->options;
    int r = open_all(p, &err);
    r = r < 0 ? r
              : mounts_new(bridge->loop, bridge->files, p->options.mounts, p->options.n_mounts, mounts_ready, p,
                           &bridge->mounts);
    if (r < 0) {
        p->status = complain(err.msg[0] ? err.msg : strerror(-r));
        router_stop(bridge->router);
        scoring_stop(bridge->scoring);
        if (bridge->scoring) {
            loop_run_until_idle(bridge->loop);
        }
    } else {
        loop_read(bridge->loop, &p->signals, p->signal_fd, &p->info, sizeof(p->info), (uint64_t)-1);
        r = loop_run(bridge->loop);
        r = r < 0 ? r : loop_run_until_idle(bridge->loop);
        if (r < 0) {
            log_error("the ring failed: %s", strerror(-r));
            p->status = EXIT_FAILURE;
        }
    }
    if (p->listen_fd >= 0) {
        listen_remove(p->options.listen);
    }
    publisher_free(bridge->publisher);
    http_free(bridge->http);
    exchange_pool_free(bridge->files);
    mounts_free(bridge->mounts);
    router_free(bridge->router);
    scoring_free(bridge->scoring);
    access_free(bridge->access);
    access_log_free(bridge->log);
    loop_free(bridge->loop);
    free(p->cert);
    free(p->key);
    return p->status;
}

static int print_hash(void)
{
    char key[KEY_MAX], hash[65];
    size_t n = fread(key, 1, sizeof(key), stdin);
    struct str text = str_trim((struct str){ key, n });
    if (text.len == 0 || n == sizeof(key)) {
        return complain("--hash-key: a key of 1 to 4095 bytes is expected on standard input");
    }
    access_hash(text, hash);
    puts(hash);
    return EXIT_SUCCESS;
}

static int print_index(const struct options *options)
{
    struct redis_url url;
    struct err err;
    int r = redis_url_parse(options->list_index, &url, &err);
    r = r < 0 ? r : share_list(&url, options->share_schema, stdout, &err);
    if (r < 0) {
        return complain(err.msg);
    }
    return fflush(stdout) == 0 ? EXIT_SUCCESS : complain("standard output failed");
}

int main(int argc, char **argv)
{
    static struct program p = { .listen_fd = -1 };
    struct err err = { 0 };
    sigset_t signals;
    log_setup("tokfs-bridge", LOG_LEVEL_INFO, LOG_TARGET_STDERR);
    if (options_parse(argc, argv, &p.options, &err) < 0) {
        complain(err.msg);
        return EXIT_USAGE;
    }
    if (p.options.show_help || p.options.show_version) {
        fputs(p.options.show_help ? options_help : "tokfs-bridge " TOKFS_VERSION "\n", stdout);
        return fflush(stdout) == 0 ? EXIT_SUCCESS : complain("standard output failed");
    }
    if (p.options.hash_key) {
        return print_hash();
    }
    if (p.options.list_index) {
        return print_index(&p.options);
    }
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    p.signals.done = signalled;
    p.drain.done = drain_done;
    p.finish.done = finish_done;
    p.signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
    return p.signal_fd < 0 ? complain("signalfd failed") : run(&p);
}
