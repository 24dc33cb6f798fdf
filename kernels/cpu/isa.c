// cpuid (by way of the compiler's runtime, which also asks whether the kernel saves the registers) to kernel table.
#include "kernels/cpu/isa.h"

#ifdef TOKFS_CPU_X86
#include <cpuid.h>
#endif
#include <errno.h>
#include <stdbool.h>
#include <string.h>

struct isa {
    const struct cpu_kernels *kernels;
    bool is_here;
    bool is_fast; // worth choosing where it is not asked for
};

#define N_ISAS 5

#ifdef TOKFS_CPU_X86
// Two that not every compiler's runtime knows the names of: Intel 64 and IA-32 Architectures Software Developer's
// Manual, volume 2A, CPUID.
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
#endif

// Best first.
static void isa_list(struct isa isas[N_ISAS])
{
    memset(isas, 0, N_ISAS * sizeof(*isas));
#ifdef TOKFS_CPU_X86
    __builtin_cpu_init();
    bool has_fma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    bool has_f16c = cpuid_f16c();
    bool has_512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                   __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    bool has_vnni = has_512 && __builtin_cpu_supports("avx512vnni");
    bool has_bf16 = has_vnni && cpuid_avx512bf16();
    // Where Intel has VDPBF16PS it issues at half the rate of multiply-adds, and gives less than those do.
    isas[0] = (struct isa){ &cpu_kernels_avx512bf16, has_bf16 && has_fma && has_f16c, !__builtin_cpu_is("intel") };
    isas[1] = (struct isa){ &cpu_kernels_avx512vnni, has_vnni && has_fma && has_f16c, true };
    isas[2] = (struct isa){ &cpu_kernels_avx512, has_512 && has_fma && has_f16c, true };
    isas[3] = (struct isa){ &cpu_kernels_avx2, has_fma && has_f16c, true };
#endif
    isas[N_ISAS - 1] = (struct isa){ &cpu_kernels_scalar, true, true };
}

int isa_choose(const char *isa, const struct cpu_kernels **ret, struct err *err)
{
    static const char *const names[] = { "scalar", "avx2", "avx512", "avx512vnni", "avx512bf16" };
    struct isa isas[N_ISAS];
    isa_list(isas);
    for (size_t i = 0; i < N_ISAS; i++) {
        if (isas[i].is_here && (isa == NULL ? isas[i].is_fast : strcmp(isa, isas[i].kernels->name) == 0)) {
            *ret = isas[i].kernels;
            return 0;
        }
    }
    for (size_t i = 0; isa != NULL && i < sizeof(names) / sizeof(*names); i++) {
        if (strcmp(isa, names[i]) == 0) {
            return err_set(err, -EOPNOTSUPP, "isa: this processor has no %s", isa);
        }
    }
    return err_set(err, -EINVAL, "isa: \"%s\" is none of scalar, avx2, avx512, avx512vnni, avx512bf16", isa);
}
