/* Which levels of instructions this processor has. */

#include "kernels.h"
#include "target.h"

#if defined(X86_2021)
#include <cpuid.h>

/* A bit of what the processor says of itself: register 0 .. 3 of a leaf and its part. */
static int cpuid_bit(unsigned leaf, unsigned part, int number, int bit) {
    unsigned found[4];
    if (!__get_cpuid_count(leaf, part, &found[0], &found[1], &found[2], &found[3])) return 0;
    return found[number] >> bit & 1;
}

/* Not every compiler has a name for it. */
static int has_avx_vnni(void) { return cpuid_bit(7, 1, 0, 4); }

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>

/* Whether the processor has AMX with products of bytes, and the system lets this process use it. */
static int has_amx(void) {
    if (!cpuid_bit(7, 0, 3, 24) || !cpuid_bit(7, 0, 3, 25)) return 0;
    return syscall(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, 18 /* XFEATURE_XTILEDATA */) == 0;
}
#else
static int has_amx(void) { return 0; }
#endif
#endif

#if defined(__ARM_FEATURE_DOTPROD)
static int has_dot_products(void) { return 1; }
#elif defined(ARM_DOT) && defined(__linux__)
#include <sys/auxv.h>
static int has_dot_products(void) { return getauxval(AT_HWCAP) >> 20 & 1; } /* HWCAP_ASIMDDP */
#elif defined(ARM_DOT)
static int has_dot_products(void) { return 0; }
#endif

#define EXPORT __attribute__((visibility("default")))

/* The level with this index, the best one first: NULL if this processor lacks it. `count`: how many levels there are,
   none if kernels.h has another version. */
EXPORT const Kernels *cae_kernels(int64_t version, int64_t index, int64_t *count) {
    *count = 0;
    if (version != CAE_KERNELS_VERSION) return NULL;
#ifdef X86
    __builtin_cpu_init();
    int wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    int narrow = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const Kernels *levels[] = {
#ifdef X86_2021
        wide && __builtin_cpu_supports("avx512vnni") && has_amx() ? &cae_avx512_amx : NULL,
#endif
        wide && __builtin_cpu_supports("avx512vnni") ? &cae_avx512_vnni : NULL,
#ifdef X86_2021
        narrow && has_avx_vnni() ? &cae_avx2_vnni : NULL,
#endif
        wide ? &cae_avx512 : NULL,
        narrow ? &cae_avx2 : NULL,
        &cae_plain,
    };
#elif defined(ARM_DOT)
    const Kernels *levels[] = {has_dot_products() ? &cae_neon_dot : NULL, &cae_plain};
#else
    const Kernels *levels[] = {&cae_plain};
#endif
    *count = sizeof levels / sizeof *levels;
    return 0 <= index && index < *count ? levels[index] : NULL;
}
