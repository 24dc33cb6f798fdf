// VEX.128.0F38.W0 in three bytes (C4, then the inverted high bits of register numbers and the map, then vvvv and the
// prefix), an opcode, ModRM, and for memory SIB and displacement. Encodings: Intel 64 and IA-32 Architectures Software
// Developer's Manual, volume 2.
#include "tests/kernels/tile_trap.h"

#include "tests/kernels/tile_model.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <ucontext.h>

static _Atomic uint64_t n_carried_out;

struct decoded {
    const unsigned char *at; // behind what was read
    unsigned prefix;         // 0: none, 2: F3, 3: F2
    unsigned opcode, mod, reg, rm, vvvv;
    bool has_high_index, has_high_base;
};

// By the number that instructions have for them.
static uint64_t general_register(const ucontext_t *context, unsigned number)
{
    static const int regs[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                  REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15 };
    return (uint64_t)context->uc_mcontext.gregs[regs[number]];
}

static bool decode(const unsigned char *code, struct decoded *ret)
{
    // R of a tile register must be clear, W and L are 0, and the map is 0F38.
    if (code[0] != 0xc4 || (code[1] & 0x9f) != 0x82 || (code[2] & 0x84) != 0) {
        return false;
    }
    *ret = (struct decoded){ .at = code + 5,
                             .prefix = code[2] & 3u,
                             .opcode = code[3],
                             .mod = code[4] >> 6,
                             .reg = code[4] >> 3 & 7u,
                             .rm = code[4] & 7u,
                             .vvvv = ~code[2] >> 3 & 15u,
                             .has_high_index = (code[1] & 0x40) == 0,
                             .has_high_base = (code[1] & 0x20) == 0 };
    return true;
}

// Of a memory operand; *ret_index is what the index register holds, scaled: the stride of a tile.
static uint64_t address(const ucontext_t *context, struct decoded *d, uint64_t *ret_index)
{
    unsigned base = d->rm, high_base = d->has_high_base ? 8 : 0;
    uint64_t sum = 0;
    *ret_index = 0;
    if (d->rm == 4) {
        unsigned sib = *d->at++, index = (sib >> 3 & 7u) + (d->has_high_index ? 8 : 0);
        base = sib & 7u;
        *ret_index = index == 4 ? 0 : general_register(context, index) << (sib >> 6);
    }
    int32_t displacement = 0;
    if (d->mod == 1) {
        displacement = (int8_t)*d->at++;
    } else if (d->mod == 2 || base == 5) {
        memcpy(&displacement, d->at, sizeof(displacement));
        d->at += sizeof(displacement);
    }
    if (d->mod == 0 && d->rm == 5) {
        sum = (uint64_t)(uintptr_t)d->at; // relative to the next instruction
    } else if (d->mod != 0 || base != 5) {
        sum = general_register(context, base + high_base);
    }
    return sum + (uint64_t)(int64_t)displacement;
}

static const char *carry_out(const ucontext_t *context, struct decoded *d)
{
    struct tile_model *m = &tile_model_here;
    if (d->opcode == 0x5c && d->prefix == 2 && d->mod == 3) {
        return tile_model_dot_bf16(m, d->reg, d->rm, d->vvvv);
    }
    if (d->opcode == 0x5e && d->prefix == 3 && d->mod == 3) {
        return tile_model_dot_int8(m, d->reg, d->rm, d->vvvv);
    }
    if (d->vvvv != 0) {
        return "an operand too many";
    }
    if (d->opcode == 0x49 && d->mod == 3) {
        if (d->prefix == 3 && d->rm == 0) {
            return tile_model_zero(m, d->reg);
        }
        tile_model_release(m);
        return d->prefix == 0 && d->reg == 0 && d->rm == 0 ? NULL : "an instruction that is none of AMX";
    }
    if (d->mod == 3 || (d->opcode == 0x4b && d->rm != 4)) {
        return "an instruction that is none of AMX";
    }
    uint64_t stride, at = address(context, d, &stride);
    if (d->opcode == 0x49 && d->prefix == 0 && d->reg == 0) {
        return tile_model_config(m, (const void *)(uintptr_t)(at + stride));
    }
    if (d->opcode == 0x4b && d->prefix == 3) {
        return tile_model_load(m, d->reg, (const void *)(uintptr_t)at, stride);
    }
    if (d->opcode == 0x4b && d->prefix == 2) {
        return tile_model_store(m, d->reg, (void *)(uintptr_t)at, stride);
    }
    return "an instruction that is none of AMX";
}

static void on_illegal(int signal_number, siginfo_t *info, void *ctx)
{
    (void)signal_number, (void)info;
    ucontext_t *context = ctx;
    struct decoded d;
    const unsigned char *code = (const unsigned char *)(uintptr_t)context->uc_mcontext.gregs[REG_RIP];
    tile_model_must(decode(code, &d) ? carry_out(context, &d) : "an illegal instruction that is none of AMX");
    context->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)d.at;
    atomic_fetch_add_explicit(&n_carried_out, 1, memory_order_relaxed);
}

void tile_trap_install(void)
{
    struct sigaction action = { .sa_sigaction = on_illegal, .sa_flags = SA_SIGINFO };
    sigemptyset(&action.sa_mask);
    sigaction(SIGILL, &action, NULL);
}

uint64_t tile_trap_count(void)
{
    return atomic_load(&n_carried_out);
}
