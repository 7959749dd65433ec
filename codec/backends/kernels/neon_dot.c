/* The kernels for NEON with dot products, which add up products of bytes in 32 bits: ARM's processors since 2018 or so,
   all of Apple's. avx2.c says what such a file consists of. */

#include "target.h"
#ifdef ARM_DOT

BEGIN_TARGET(DOTPROD)
#include "lanes_neon.h"
#include "tile_dot.h"
#include "layers.h"
#include "coding.h"

KERNELS(neon_dot);
END_TARGET

#endif
