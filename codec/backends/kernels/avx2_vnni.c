/* The kernels for AVX2 with VNNI, which adds up products of bytes in 32 bits: Intel since Alder Lake. avx2.c says what
   such a file consists of. */

#include "target.h"
#ifdef X86_2021

BEGIN_TARGET("avxvnni,avx2,fma")
#define VNNI
#include "lanes_256.h"
#include "tile_dot.h"
#include "layers.h"
#include "coding.h"

KERNELS(avx2_vnni);
END_TARGET

#endif
