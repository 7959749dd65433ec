/* Compiling a file for instructions that not every processor has. */

#ifndef CAE_TARGET_H
#define CAE_TARGET_H

#include <float.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Every operation is rounded once, and to float32. */
#if defined(__FAST_MATH__) || FLT_EVAL_METHOD != 0
#error "these kernels are not exact with such floating point"
#endif

/* A multiple of 64 bytes, at one. */
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
#define X86_2021 /* what compilers know since then */
#endif
#elif defined(__aarch64__)
#define ARM
/* Older versions of Clang have its functions only where all that is compiled may use them. */
#if !defined(__clang__) || defined(__ARM_FEATURE_DOTPROD) || __clang_major__ >= 16
#define ARM_DOT
#endif
#endif

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
