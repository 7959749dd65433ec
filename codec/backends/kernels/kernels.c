/* Choice of kernels at run time: cae_kernels lists the levels of instructions that were compiled, the fastest first,
   and leaves out those that this processor, or its operating system, lacks. */

#include "kernels.h"
#include "target.h"

#if defined(X86)
#include <cpuid.h>

/* The numbers are from Intel's Software Developer's Manual: volume 2, CPUID, and volume 1, chapter 13. They are read
   here because the compilers' __builtin_cpu_supports does not work everywhere: zig's finds nothing. */

enum { EAX, EBX, ECX, EDX };

/* A bit of what CPUID writes to a register, EAX .. EDX, for a leaf and its sub-leaf. */
static int has(unsigned leaf, unsigned part, int number, int bit) {
    unsigned found[4];
    if (!__get_cpuid_count(leaf, part, &found[EAX], &found[EBX], &found[ECX], &found[EDX])) return 0;
    return found[number] >> bit & 1;
}

/* Whether the system saves the vector registers when it switches threads: those of AVX, and if `wide` AVX-512's. */
static int keeps(int wide) {
    unsigned low, high, vectors = 0x06, masks_and_wide = 0xe0;
    if (!has(1, 0, ECX, 27)) return 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
#if defined(__APPLE__)
    masks_and_wide = 0; /* macOS saves them from a thread's first use on, so the bits say nothing */
#endif
    return (~low & (vectors | (wide ? masks_and_wide : 0))) == 0;
}

static int has_avx2(void) { return keeps(0) && has(7, 0, EBX, 5) && has(1, 0, ECX, 12) /* fused multiply-add */; }
static int has_avx2_vnni(void) { return has_avx2() && has(7, 1, EAX, 4); }

/* AVX-512's parts F, BW (bytes and words), VL (narrower vectors) and DQ (double and quad words). */
static int has_avx512(void) {
    return keeps(1) && has_avx2() && has(7, 0, EBX, 16) && has(7, 0, EBX, 30) && has(7, 0, EBX, 31) &&
           has(7, 0, EBX, 17);
}
static int has_avx512_vnni(void) { return has_avx512() && has(7, 0, ECX, 11); }

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>

/* Whether the processor has AMX with products of bytes, and Linux lets this process use it. */
static int has_amx(void) {
    if (!has_avx512_vnni() || !has(7, 0, EDX, 24) || !has(7, 0, EDX, 25)) return 0;
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

EXPORT const Kernels *cae_kernels(int64_t version, int64_t index, int64_t *count) {
    *count = 0;
    if (version != CAE_KERNELS_VERSION) return NULL;
#ifdef X86
    const Kernels *levels[] = {
#ifdef X86_2021
        has_amx() ? &cae_avx512_amx : NULL,
#endif
        has_avx512_vnni() ? &cae_avx512_vnni : NULL,
#ifdef X86_2021
        has_avx2_vnni() ? &cae_avx2_vnni : NULL,
#endif
        has_avx512() ? &cae_avx512 : NULL,
        has_avx2() ? &cae_avx2 : NULL,
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
