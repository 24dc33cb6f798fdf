// tokfs-model pack: the file that tokfs --pack-cache takes the weights from, made beforehand or checked.
#include "engine/base/loop.h"
#include "engine/model/model.h"
#include "engine/model/weights_packed.h"
#include "tools/model/command.h"
#include <stdio.h>

struct pack {
    const char *model, *file;
    unsigned form; // enum weight_form
    struct backend_options backend;
};

static int open_model(const struct pack *p, struct backend *backend, struct model **ret, struct err *err)
{
    const struct model_options options = { .dir = p->model,
                                           .backend = backend,
                                           .weights = (enum weight_form)p->form,
                                           .pack_cache = p->file,
                                           .batch_rows_max = 1,
                                           .logit_rows_max = 1,
                                           .page_tokens = 16 };
    return model_open(&options, ret, err);
}

static int pack(const struct command *command, const struct pack *p)
{
    struct backend *backend = NULL;
    struct model *model = NULL;
    struct err err = { 0 };
    int status = 0, rc = backend_open("cpu", &p->backend, &backend, &err);
    uint64_t start_ns = clock_monotonic_ns();
    rc = rc < 0 ? rc : open_model(p, backend, &model, &err);
    if (rc < 0) {
        status = command_fail(command, "%s", err.msg);
    } else if (model_packed_note(model)->is_bad) {
        status = command_fail(command, "%s", model_packed_note(model)->msg);
    } else {
        printf("%s (%.2f s)\n", model_packed_note(model)->msg, (double)(clock_monotonic_ns() - start_ns) * 1e-9);
    }
    model_free(model);
    if (backend) {
        backend->ops->close(backend);
    }
    return status;
}

static int run(const struct command *command, int argc, char **argv)
{
    static const struct option options[] = { { "weights", required_argument, NULL, 'w' },
                                             { "isa", required_argument, NULL, 'i' },
                                             { "threads", required_argument, NULL, 't' },
                                             { "help", no_argument, NULL, 'h' },
                                             { 0 } };
    struct pack p = { 0 };
    struct err err = { 0 };
    int64_t n_threads = 0;
    int rc = 0;
    for (int opt; rc == 0 && (opt = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (opt) {
        case 'w': rc = option_choice("weights", optarg, option_weights, &p.form, &err); break;
        case 'i':
            rc = option_choice("isa", optarg, option_isas, NULL, &err);
            p.backend.isa = optarg;
            break;
        case 't': rc = option_whole("threads", optarg, 1, 4096, &n_threads, &err); break;
        case 'h': return command_help(command);
        default: return 2;
        }
    }
    if (rc < 0) {
        return command_misuse(command, &err);
    }
    if (argc - optind < 1 || argc - optind > 2) {
        return command_usage(command);
    }
    p.model = argv[optind];
    p.file = argc - optind == 2 ? argv[optind + 1] : "auto";
    p.backend.n_threads = (unsigned)n_threads;
    int status = pack(command, &p);
    return status ? status : command_finish(command);
}

const struct command command_pack = {
    .name = "pack",
    .synopsis = "[--weights FORM] [--threads N] [--isa NAME] MODEL [FILE]",
    .summary = "makes, or checks, the file of packed weights that tokfs --pack-cache takes",
    .options = "  --weights FORM  stored (default), q8 or q4: as tokfs will be told\n"
               "  --threads N     default: one per processor\n"
               "  --isa NAME      scalar, avx2, avx2vnni, avx512, avx512vnni, avx512bf16, amx (default: the best there "
               "is)\n",
    .run = run,
};
