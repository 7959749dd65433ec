/* The kernels for AVX-512 with VNNI, which adds up products of bytes in 32 bits: Intel since Ice Lake, AMD since Zen 4.
   avx2.c says what such a file consists of. */

#include "target.h"
#ifdef X86

BEGIN_TARGET("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma")
#define VNNI
#include "lanes_512.h"
#include "tile_dot.h"
#include "layers.h"
#include "coding.h"

KERNELS(avx512_vnni);
END_TARGET

#endif
