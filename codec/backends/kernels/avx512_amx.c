/* AVX-512 with AMX's products of matrices of bytes: Intel's servers since Sapphire Rapids. */

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
