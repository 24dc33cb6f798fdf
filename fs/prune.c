// A name that is still in use (a file is open, somebody stands in the directory) stays, and is tried again: soon after
// it ended, then less and less often.
//
// The notification is written by the loop thread: the kernel answers it without asking back. FORGET requests follow.
#include "fs/prune.h"
#include "engine/base/log.h"
#include "fs/mount.h"
#include "fs/session.h"
#include <errno.h>
#include <linux/fuse.h>
#include <stddef.h>
#include <unistd.h>

#define DELAY_MIN_NS   UINT64_C(1000000000)
#define DELAY_MAX_NS   (64 * DELAY_MIN_NS)
#define IDS_PER_NOTICE 512

// linux/fuse.h of Linux 6.18; older ones lack them.
#define NOTIFY_PRUNE 9
struct notify_prune_out {
    uint32_t count, padding;
    uint64_t spare;
};

struct notice {
    struct fuse_out_header head;
    struct notify_prune_out out;
    uint64_t ids[IDS_PER_NOTICE];
};

static void send(struct pruner *pruner, struct notice *notice)
{
    size_t len = offsetof(struct notice, ids) + notice->out.count * sizeof(notice->ids[0]);
    notice->head.len = (uint32_t)len;
    if (notice->out.count > 0 && write(fuse_session_fd(pruner->mount->fuse), notice, len) < 0 && errno == EINVAL) {
        log_debug("this kernel does not forget names when it is asked to");
        pruner->is_not_supported = true;
    }
    notice->out.count = 0;
}

static void add(struct pruner *pruner, struct notice *notice, const struct node *node)
{
    if (node->n_lookups == 0) {
        return;
    }
    if (notice->out.count == IDS_PER_NOTICE) {
        send(pruner, notice);
    }
    notice->ids[notice->out.count++] = node_number(pruner->mount, node);
}

static bool is_ended(const struct session *session)
{
    return session && session->is_removed && session->n_files == 0;
}

// Directories come last: the kernel keeps them for what it knows in them.
static void prune(struct pruner *pruner)
{
    struct notice notice = { .head = { .error = NOTIFY_PRUNE } };
    list_for_each(link, next, &pruner->mount->fresh_nodes)
    {
        const struct node *node = list_entry(link, struct node, link);
        if (is_ended(node->session)) {
            add(pruner, &notice, node);
        }
    }
    list_for_each(link, next, &pruner->ended)
    {
        const struct session *session = list_entry(link, struct session, ended_link);
        for (size_t i = 0; i < SESSION_N_FILES && is_ended(session); i++) {
            add(pruner, &notice, &session->files[i]);
        }
    }
    list_for_each(link, next, &pruner->ended)
    {
        const struct session *session = list_entry(link, struct session, ended_link);
        if (is_ended(session)) {
            add(pruner, &notice, &session->dir);
        }
    }
    send(pruner, &notice);
}

static void arm(struct pruner *pruner)
{
    if (!pruner->timer_op.is_pending && !pruner->is_not_supported && !list_is_empty(&pruner->ended)) {
        loop_timer(pruner->mount->loop, &pruner->timer_op, pruner->delay_ns);
    }
}

static void on_timer(struct loop_op *op, int res)
{
    struct pruner *pruner = list_entry(op, struct pruner, timer_op);
    if (res < 0 || pruner->mount->phase == MOUNT_STOPPED) {
        return;
    }
    if (!list_is_empty(&pruner->ended)) {
        prune(pruner);
    }
    pruner->delay_ns = pruner->delay_ns < DELAY_MAX_NS ? 2 * pruner->delay_ns : DELAY_MAX_NS;
    arm(pruner);
}

void pruner_init(struct pruner *pruner, struct mount *mount)
{
    *pruner = (struct pruner){ .mount = mount, .delay_ns = DELAY_MIN_NS, .timer_op = { .done = on_timer } };
    list_init(&pruner->ended);
}

void pruner_add(struct pruner *pruner, struct session *session)
{
    if (session->dir.n_lookups == 0) {
        return;
    }
    list_append(&pruner->ended, &session->ended_link);
    pruner->delay_ns = DELAY_MIN_NS;
    if (pruner->mount->phase != MOUNT_STOPPED) {
        arm(pruner);
    }
}

void pruner_stop(struct pruner *pruner)
{
    loop_cancel(pruner->mount->loop, &pruner->timer_op);
}
