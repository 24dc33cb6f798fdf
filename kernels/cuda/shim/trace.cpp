// A file per launch: lines, some followed by as many bytes as they say.
//
//   program PATH, kernel ADDRESS             where `nm PATH` has the kernel's name
//   grid X Y Z, block X Y Z, shared BYTES
//   params BYTES
//   memory ADDRESS BYTES                     an allocation, of zeros but for
//   before OFFSET BYTES                      what was there before the launch, and
//   after OFFSET BYTES                       what has changed in it
//   end
//
// What a launch can reach: allocations that its parameters point into, and what the bytes of those point into.
#include "kernels/cuda/shim/trace.h"
#include "kernels/cuda/shim/grid.h"
#include <link.h>
#include <map>
#include <stdio.h>
#include <stdlib.h>
#include <string>
#include <unistd.h>

#define BLOCK_BYTES ((size_t)256)

typedef std::vector<unsigned char> bytes_type;

struct shim_trace {
    FILE *file;
    std::map<const unsigned char *, bytes_type> memory; // as it was before
};

// Under way or not, in the whole process: as launches are.
static struct {
    std::map<const unsigned char *, size_t> allocations;
    std::map<std::string, unsigned> n_of_shape;
    unsigned n_files;
} all;

static const char *folder()
{
    static const char *name = getenv("TOKFS_SHIM_TRACE");
    return name;
}

static unsigned most_of_shape()
{
    const char *most = getenv("TOKFS_SHIM_TRACE_MOST");
    return most ? (unsigned)strtoul(most, NULL, 10) : 2;
}

void shim_add_param(std::vector<unsigned char> &params, const void *x, size_t bytes, size_t alignment)
{
    size_t at = (params.size() + alignment - 1) / alignment * alignment;
    params.resize(at + bytes);
    memcpy(&params[at], x, bytes);
}

void shim_trace_memory(const void *mem, size_t bytes)
{
    if (!folder()) {
        return;
    }
    if (bytes > 0) {
        all.allocations[static_cast<const unsigned char *>(mem)] = bytes;
    } else {
        all.allocations.erase(static_cast<const unsigned char *>(mem));
    }
}

// Adds the allocations that words of `from` point into, if they are not there yet, to `found`.
static void follow(const unsigned char *from, size_t n, std::vector<const unsigned char *> &found,
                   std::map<const unsigned char *, bytes_type> &memory)
{
    for (size_t i = 0; i + sizeof(uintptr_t) <= n; i += sizeof(uintptr_t)) {
        uintptr_t word;
        memcpy(&word, from + i, sizeof(word));
        auto next = all.allocations.upper_bound(reinterpret_cast<const unsigned char *>(word));
        if (next == all.allocations.begin()) {
            continue;
        }
        const auto &last = *--next;
        if (word - reinterpret_cast<uintptr_t>(last.first) < last.second && memory.count(last.first) == 0) {
            memory[last.first] = bytes_type(last.first, last.first + last.second);
            found.push_back(last.first);
        }
    }
}

static void reach(const bytes_type &params, std::map<const unsigned char *, bytes_type> &memory)
{
    std::vector<const unsigned char *> found;
    follow(params.data(), params.size(), found, memory);
    while (!found.empty()) {
        const unsigned char *at = found.back();
        found.pop_back();
        follow(at, memory[at].size(), found, memory);
    }
}

// What of `now` is not as in `before`, in whole blocks.
static void write_changes(FILE *f, const char *what, const unsigned char *now, const unsigned char *before, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t end = i;
        while (end < n && memcmp(now + end, before + end, end + BLOCK_BYTES < n ? BLOCK_BYTES : n - end) != 0) {
            end = end + BLOCK_BYTES < n ? end + BLOCK_BYTES : n;
        }
        if (end > i) {
            fprintf(f, "%s %zu %zu\n", what, i, end - i);
            fwrite(now + i, 1, end - i, f);
        }
        i = end + BLOCK_BYTES;
    }
}

static int first_object(struct dl_phdr_info *info, size_t, void *ret)
{
    *static_cast<uintptr_t *>(ret) = info->dlpi_addr;
    return 1; // the program itself
}

static FILE *open_file()
{
    char name[4096];
    snprintf(name, sizeof(name), "%s/%d-%06u.launch", folder(), (int)getpid(), all.n_files++);
    FILE *f = fopen(name, "wb");
    if (!f) {
        fprintf(stderr, "gpu shim: %s: cannot be written: %m\n", name);
        abort();
    }
    return f;
}

static void write_head(FILE *f, const struct shim_call &call, const dim3 &grid, const dim3 &block, size_t shared_bytes)
{
    char program[4096] = "";
    uintptr_t loaded_at = 0;
    if (readlink("/proc/self/exe", program, sizeof(program) - 1) < 0) {
        abort();
    }
    dl_iterate_phdr(first_object, &loaded_at);
    fprintf(f, "program %s\nkernel %zu\n", program, (size_t)(reinterpret_cast<uintptr_t>(call.kernel) - loaded_at));
    fprintf(f, "grid %u %u %u\nblock %u %u %u\n", grid.x, grid.y, grid.z, block.x, block.y, block.z);
    fprintf(f, "shared %zu\nparams %zu\n", shared_bytes, call.params.size());
    fwrite(call.params.data(), 1, call.params.size(), f);
}

struct shim_trace *shim_trace_begin(const struct shim_call &call, const dim3 &grid, const dim3 &block,
                                    size_t shared_bytes)
{
    char shape[256];
    if (!folder()) {
        return NULL;
    }
    snprintf(shape, sizeof(shape), "%p %u %u %u %u %zu", call.kernel, grid.x, grid.y, grid.z, block.x, shared_bytes);
    if (all.n_of_shape[shape]++ >= most_of_shape()) {
        return NULL;
    }
    struct shim_trace *trace = new struct shim_trace();
    trace->file = open_file();
    write_head(trace->file, call, grid, block, shared_bytes);
    reach(call.params, trace->memory);
    return trace;
}

void shim_trace_end(struct shim_trace *trace)
{
    if (!trace) {
        return;
    }
    for (const auto &m : trace->memory) {
        const bytes_type zeros(m.second.size(), 0);
        fprintf(trace->file, "memory %zu %zu\n", (size_t) reinterpret_cast<uintptr_t>(m.first), m.second.size());
        write_changes(trace->file, "before", m.second.data(), zeros.data(), zeros.size());
        write_changes(trace->file, "after", m.first, m.second.data(), zeros.size());
    }
    fprintf(trace->file, "end\n");
    fclose(trace->file);
    delete trace;
}
