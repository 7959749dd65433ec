/* AVX-512 with products of bytes: Intel since Ice Lake, AMD since Zen 4. */

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
