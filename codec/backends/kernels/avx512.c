/* The kernels for AVX-512 without VNNI: Intel's Skylake for servers. avx2.c says what such a file consists of. */

#include "target.h"
#ifdef X86

BEGIN_TARGET("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")
#include "lanes_512.h"
#include "tile_pairs.h"
#include "layers.h"
#include "coding.h"

KERNELS(avx512);
END_TARGET

#endif
