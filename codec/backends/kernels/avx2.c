/* The kernels for AVX2: Intel since Haswell, AMD since Zen.

   Each level of instructions is such a file: its vectors (lanes_*.h), its product of operands and weights (tile_*.h),
   and the layers that are written in terms of both (layers.h, coding.h), compiled for these instructions. */

#include "target.h"
#ifdef X86

BEGIN_TARGET("avx2,fma")
#include "lanes_256.h"
#include "tile_pairs.h"
#include "layers.h"
#include "coding.h"

KERNELS(avx2);
END_TARGET

#endif
