/* AVX2 with products of bytes: Intel since Alder Lake. */

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
