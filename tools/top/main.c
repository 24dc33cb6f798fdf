// tokfs-top: what a mount does, seen through its own files.
#include "engine/base/loop.h"
#include "engine/base/option.h"
#include "tools/top/screen.h"
#include "tools/top/view.h"
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EXIT_USAGE     2
#define SESSIONS_MAX   200
#define ONCE_DELAY_SEC 0.5

static const char help[] =
    "usage: tokfs-top [options] [MOUNTPOINT]\n"
    "\n"
    "Shows the sessions of a mount, its queue, tokens per second, pages and hit rate, as its files tell them. "
    "MOUNTPOINT is\n"
    "the current directory unless given. Keys: q quits, arrows scroll, space looks at once.\n"
    "\n"
    "  -d, --delay S      seconds between two looks (default 1)\n"
    "  -b, --batch        lines of text, one page after the other, as often as --count says (default: without end)\n"
    "  -n, --count N      so many pages, then end\n"
    "      --once         one page: two looks half a second (or --delay) apart\n"
    "      --sessions N   at most so many sessions, those used last (default 200)\n"
    "  -h, --help, -V, --version\n";

struct top {
    const char *mount_dir;
    double delay_s;
    bool is_batch, is_once, has_delay, show_help, show_version;
    int64_t n_pages; // 0: without end
    int64_t n_sessions;
    struct sample before, now;
    bool has_before;
    size_t first_line;
};

static int complain(const char *msg)
{
    fprintf(stderr, "tokfs-top: %s\n", msg);
    return EXIT_FAILURE;
}

// ---- looking -------------------------------------------------------------------------------------------------------

// A look; the one before it becomes `before`.
static int look(struct top *top, struct err *err)
{
    struct sample sample;
    int r = sample_take(top->mount_dir, (size_t)top->n_sessions, &sample, err);
    if (r < 0) {
        return r;
    }
    sample_deinit(&top->before);
    top->before = top->now;
    top->has_before = top->before.at_ns > 0;
    top->now = sample;
    return 0;
}

static int write_page(const struct top *top, struct strbuf *out)
{
    return view_write(top->has_before ? &top->before : NULL, &top->now, top->mount_dir, out);
}

static void wait_for_next(const struct top *top)
{
    struct timespec time = { .tv_sec = (time_t)top->delay_s };
    time.tv_nsec = (long)((top->delay_s - (double)time.tv_sec) * 1e9);
    nanosleep(&time, NULL);
}

// ---- pages of text -------------------------------------------------------------------------------------------------

static int print_page(const struct top *top)
{
    struct strbuf out;
    strbuf_init(&out, 0);
    int r = write_page(top, &out);
    if (r == 0 && (fwrite(out.ptr, 1, out.len, stdout) != out.len || fflush(stdout) != 0)) {
        r = -errno;
    }
    strbuf_deinit(&out);
    return r;
}

static int run_batch(struct top *top)
{
    struct err err = { 0 };
    int r = look(top, &err);
    for (int64_t i = 0; r == 0 && (top->n_pages == 0 || i < top->n_pages); i++) {
        if (i > 0) {
            putchar('\n');
        }
        wait_for_next(top);
        r = look(top, &err);
        r = r == 0 ? print_page(top) : r;
    }
    return r < 0 ? complain(err.code ? err.msg : strerror(-r)) : EXIT_SUCCESS;
}

// ---- a terminal ----------------------------------------------------------------------------------------------------

static void scroll(struct top *top, enum screen_key key)
{
    size_t page = screen_height() > VIEW_HEAD_LINES ? screen_height() - VIEW_HEAD_LINES : 1;
    size_t last = top->now.n_sessions > page ? top->now.n_sessions - page : 0;
    size_t step = key == KEY_LINE_UP || key == KEY_LINE_DOWN ? 1 : page;
    if (key == KEY_LINE_UP || key == KEY_PAGE_UP) {
        top->first_line = top->first_line > step ? top->first_line - step : 0;
    } else if (key == KEY_LINE_DOWN || key == KEY_PAGE_DOWN) {
        top->first_line += step;
    }
    top->first_line = top->first_line < last ? top->first_line : last;
}

static void show_page(struct top *top, const struct err *err)
{
    struct strbuf out;
    strbuf_init(&out, 0);
    if (err->code) {
        strbuf_printf(&out, "%s\nlooking again every %.1f s\n", err->msg, top->delay_s);
    } else {
        write_page(top, &out);
    }
    screen_show(strbuf_str(&out), VIEW_HEAD_LINES, err->code ? 0 : top->first_line);
    strbuf_deinit(&out);
}

// Until the next look is due, or a key asks for something else than scrolling.
static enum screen_key serve_keys(struct top *top, const struct err *err)
{
    uint64_t end_ns = clock_monotonic_ns() + (uint64_t)(top->delay_s * 1e9);
    for (;;) {
        uint64_t now_ns = clock_monotonic_ns();
        enum screen_key key = screen_wait(now_ns < end_ns ? (int)((end_ns - now_ns) / 1000000u) : 0);
        if (key == KEY_QUIT || key == KEY_NOW || clock_monotonic_ns() >= end_ns) {
            return key;
        }
        if (key != KEY_NONE_YET) {
            scroll(top, key);
            show_page(top, err);
        }
    }
}

static int run_screen(struct top *top)
{
    struct err err = { 0 };
    if (look(top, &err) < 0) {
        return complain(err.msg);
    }
    screen_open();
    enum screen_key key;
    do {
        scroll(top, KEY_NONE_YET); // the list may have become shorter
        show_page(top, &err);
        key = serve_keys(top, &err);
        err = (struct err){ 0 };
        look(top, &err); // a daemon that is gone may come back
    } while (key != KEY_QUIT);
    screen_close();
    return EXIT_SUCCESS;
}

// ---- options -------------------------------------------------------------------------------------------------------

enum { OPT_ONCE = 256, OPT_SESSIONS };

static const struct option long_options[] = {
    { "delay", required_argument, NULL, 'd' },
    { "batch", no_argument, NULL, 'b' },
    { "count", required_argument, NULL, 'n' },
    { "once", no_argument, NULL, OPT_ONCE },
    { "sessions", required_argument, NULL, OPT_SESSIONS },
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, 'V' },
    { 0 },
};

static int take_option(struct top *top, int opt, const char *value, struct err *err)
{
    switch (opt) {
    case 'd': top->has_delay = true; return option_real("delay", value, false, 86400, &top->delay_s, err);
    case 'b': top->is_batch = true; return 0;
    case 'n': return option_whole("count", value, 1, 1000000000, &top->n_pages, err);
    case OPT_ONCE: top->is_batch = top->is_once = true; return 0;
    case OPT_SESSIONS: return option_whole("sessions", value, 1, 100000, &top->n_sessions, err);
    case 'h': top->show_help = true; return 0;
    case 'V': top->show_version = true; return 0;
    default: return -EINVAL;
    }
}

static int parse(struct top *top, int argc, char **argv, struct err *err)
{
    int opt, r = 0;
    opterr = 0;
    while (r == 0 && (opt = getopt_long(argc, argv, ":d:bn:hV", long_options, NULL)) != -1) {
        r = option_refused("tokfs-top", opt, argv, err);
        r = r < 0 ? r : take_option(top, opt, optarg, err);
    }
    if (r == 0 && argc - optind > 1) {
        return err_set(err, -EINVAL, "one MOUNTPOINT is taken: %s is too much", option_shown(argv[optind + 1]));
    }
    top->mount_dir = r == 0 && optind < argc ? argv[optind] : ".";
    if (top->is_once) {
        top->n_pages = 1;
        top->delay_s = top->has_delay ? top->delay_s : ONCE_DELAY_SEC;
    }
    return r;
}

int main(int argc, char **argv)
{
    struct top top = { .delay_s = 1, .n_sessions = SESSIONS_MAX };
    struct err err = { 0 };
    if (parse(&top, argc, argv, &err) < 0) {
        complain(err.msg);
        return EXIT_USAGE;
    }
    if (top.show_help || top.show_version) {
        fputs(top.show_help ? help : "tokfs-top " TOKFS_VERSION "\n", stdout);
        return fflush(stdout) == 0 ? EXIT_SUCCESS : complain(strerror(errno));
    }
    if (!top.is_batch && !isatty(STDOUT_FILENO)) {
        return complain("standard output is no terminal: --batch or --once is for pipes");
    }
    int status = top.is_batch ? run_batch(&top) : run_screen(&top);
    sample_deinit(&top.before);
    sample_deinit(&top.now);
    return status;
}
