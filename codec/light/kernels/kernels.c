/* Which levels of instructions this processor has. */

#include "kernels.h"
#include "target.h"

#if defined(X86) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Whether the processor has AMX, and the system lets this process use it. */
static int has_amx(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d >> 24 & 3) != 3) return 0; /* tiles, and products of bytes */
    return syscall(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, 18 /* XFEATURE_XTILEDATA */) == 0;
}
#else
static inline int has_amx(void) { return 0; }
#endif

#if defined(__ARM_FEATURE_DOTPROD)
static inline int has_dot_products(void) { return 1; }
#elif defined(ARM) && defined(__linux__)
#include <sys/auxv.h>
static int has_dot_products(void) { return getauxval(AT_HWCAP) >> 20 & 1; } /* HWCAP_ASIMDDP */
#elif defined(ARM)
static inline int has_dot_products(void) { return 0; }
#endif

#define EXPORT __attribute__((visibility("default")))

/* The level with this index, the best one first: NULL if this processor lacks it. `count`: how many levels there are. */
EXPORT const Kernels *cae_kernels(int64_t index, int64_t *count) {
#ifdef X86
    __builtin_cpu_init();
    int wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    int narrow = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const Kernels *levels[] = {
        wide && __builtin_cpu_supports("avx512vnni") && has_amx() ? &cae_avx512_amx : NULL,
        wide && __builtin_cpu_supports("avx512vnni") ? &cae_avx512_vnni : NULL,
        narrow && __builtin_cpu_supports("avxvnni") ? &cae_avx2_vnni : NULL,
        wide ? &cae_avx512 : NULL,
        narrow ? &cae_avx2 : NULL,
        &cae_plain,
    };
#elif defined(ARM)
    const Kernels *levels[] = {has_dot_products() ? &cae_neon_dot : NULL, &cae_plain};
#else
    const Kernels *levels[] = {&cae_plain};
#endif
    *count = sizeof levels / sizeof *levels;
    return levels[index];
}
