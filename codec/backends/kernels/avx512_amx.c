/* The kernels for AVX-512 with AMX, which multiplies matrices of bytes: Intel's servers since Sapphire Rapids. avx2.c
   says what such a file consists of. */

#include "target.h"
#ifdef X86_2021

BEGIN_TARGET("amx-tile,amx-int8,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma")
#define VNNI
#include "lanes_512.h"
#include "tile_amx.h"
#include "layers.h"
#include "coding.h"

KERNELS(avx512_amx);
END_TARGET

#endif
