/* What depends on compiler and system: macros that compile a file for instructions that not every processor has, checks
   that floating point is exact, and aligned memory. */

#ifndef CAE_TARGET_H
#define CAE_TARGET_H

#include <float.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Each operation has to be rounded by itself, and to float32, as in numpy. */
#if defined(__FAST_MATH__) || FLT_EVAL_METHOD != 0
#error "these kernels are not exact with such floating point"
#endif

/* Memory at a multiple of 64 bytes, a cache line and the widest vector; `bytes` is one, too. */
#if defined(_WIN32)
#include <malloc.h>
static inline void *aligned_memory(size_t bytes) { return _aligned_malloc(bytes, 64); }
static inline void free_aligned(void *memory) { _aligned_free(memory); }
#else
static inline void *aligned_memory(size_t bytes) { return aligned_alloc(64, bytes); }
static inline void free_aligned(void *memory) { free(memory); }
#endif

#if defined(__x86_64__)
#define X86
#include <immintrin.h>
#if defined(__clang__) || __GNUC__ >= 11
#define X86_2021 /* compilers since then know AVX-VNNI and AMX */
#endif
#elif defined(__aarch64__)
#define ARM
/* Clang before 16 has the functions of dot products only if the whole file is compiled for them. */
#if !defined(__clang__) || defined(__ARM_FEATURE_DOTPROD) || __clang_major__ >= 16
#define ARM_DOT
#endif
#endif

/* Functions between BEGIN_TARGET and END_TARGET are compiled for the instructions that it names. */
#define PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define BEGIN_TARGET(names) PRAGMA(clang attribute push(__attribute__((target(names))), apply_to = function))
#define END_TARGET _Pragma("clang attribute pop")
#define DOTPROD "dotprod"
#else
#define BEGIN_TARGET(names) PRAGMA(GCC target(names))
#define END_TARGET
#define DOTPROD "arch=armv8.2-a+dotprod"
#endif

#endif
