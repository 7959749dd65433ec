/* AVX2: Intel since Haswell, AMD since Zen. */

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
