// cpuid (by way of the compiler's runtime, which also asks whether the kernel saves the registers) to kernel table.
#include "kernels/cpu/isa.h"

#ifdef TOKFS_CPU_X86
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif
#include <errno.h>
#include <stdbool.h>
#include <string.h>

struct isa {
    const struct cpu_kernels *kernels;
    bool is_here;
    bool is_fast; // worth choosing where it is not asked for
};

#define N_ISAS 7

#ifdef TOKFS_CPU_X86
// What not every compiler's runtime knows the names of: Intel 64 and IA-32 Architectures Software Developer's Manual,
// volume 2A, CPUID.
static bool cpuid_f16c(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c >> 29 & 1);
}

static bool cpuid_avx512bf16(void)
{
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 5 & 1);
}

static bool cpuid_avxvnni(void)
{
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
}

// AMX-BF16, AMX-TILE and AMX-INT8; palette 1 with eight registers of 16 rows of 64 bytes; dot products of as many.
static bool cpuid_amx(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d >> 22 & 1) == 0 || (d >> 24 & 3) != 3) {
        return false;
    }
    if (!__get_cpuid_count(0x1d, 1, &a, &b, &c, &d) || (b & 0xffff) != 64 || b >> 16 < 8 || (c & 0xffff) < 16) {
        return false;
    }
    return __get_cpuid_count(0x1e, 0, &a, &b, &c, &d) && (b & 0xff) >= 16 && (b >> 8 & 0xffff) >= 64;
}

// Whether the kernel lets this process use tiles, whose registers it saves for those only that asked: Linux,
// Documentation/arch/x86/xstate.rst. Threads that are made later may, too.
static bool ask_for_tiles(void)
{
    const unsigned tile_config = 1u << 17, tile_data = 1u << 18;
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c >> 27 & 1) == 0) { // OSXSAVE
        return false;
    }
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    const long request_permission = 0x1023, component = 18;
    return (low & tile_config) && (low & tile_data) && syscall(SYS_arch_prctl, request_permission, component) == 0;
}
#endif

// Best first.
static void isa_list(struct isa isas[N_ISAS])
{
    memset(isas, 0, N_ISAS * sizeof(*isas));
#ifdef TOKFS_CPU_X86
    __builtin_cpu_init();
    bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && cpuid_f16c();
    bool has_512 = has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                   __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    bool has_vnni = has_512 && __builtin_cpu_supports("avx512vnni");
    bool has_bf16 = has_vnni && cpuid_avx512bf16();
    isas[0] = (struct isa){ &cpu_kernels_amx, has_vnni && cpuid_amx(), true };
    // Where Intel has VDPBF16PS it issues at half the rate of multiply-adds, and gives less than those do.
    isas[1] = (struct isa){ &cpu_kernels_avx512bf16, has_bf16, !__builtin_cpu_is("intel") };
    isas[2] = (struct isa){ &cpu_kernels_avx512vnni, has_vnni, true };
    isas[3] = (struct isa){ &cpu_kernels_avx512, has_512, true };
    isas[4] = (struct isa){ &cpu_kernels_avx2vnni, has_avx2 && cpuid_avxvnni(), true };
    isas[5] = (struct isa){ &cpu_kernels_avx2, has_avx2, true };
#endif
    isas[N_ISAS - 1] = (struct isa){ &cpu_kernels_scalar, true, true };
}

static bool isa_permitted(const struct isa *isa)
{
#ifdef TOKFS_CPU_X86
    return isa->kernels != &cpu_kernels_amx || ask_for_tiles();
#else
    (void)isa;
    return true;
#endif
}

int isa_choose(const char *isa, const struct cpu_kernels **ret, struct err *err)
{
    static const char *const names[] = { "scalar", "avx2", "avx2vnni", "avx512", "avx512vnni", "avx512bf16", "amx" };
    struct isa isas[N_ISAS];
    isa_list(isas);
    for (size_t i = 0; i < N_ISAS; i++) {
        bool is_wanted = isas[i].is_here && (isa == NULL ? isas[i].is_fast : strcmp(isa, isas[i].kernels->name) == 0);
        if (is_wanted && isa_permitted(&isas[i])) {
            *ret = isas[i].kernels;
            return 0;
        }
    }
    for (size_t i = 0; isa != NULL && i < sizeof(names) / sizeof(*names); i++) {
        if (strcmp(isa, names[i]) == 0) {
            return err_set(err, -EOPNOTSUPP, "isa: this processor has no %s%s", isa,
                           strcmp(isa, "amx") == 0 ? ", or its system does not permit it" : "");
        }
    }
    return err_set(err, -EINVAL, "isa: \"%s\" is none of scalar, avx2, avx2vnni, avx512, avx512vnni, avx512bf16, amx",
                   isa);
}
