/* NEON with products of bytes: ARM's processors since 2018 or so, Apple's all. */

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
