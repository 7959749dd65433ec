/* The kernels for any processor: operands and weights in float32, vectors of the compiler's. avx2.c says what such a
   file consists of. */

#include "target.h"
#include "lanes_plain.h"
#include "tile_dot.h"
#include "layers.h"
#include "coding.h"

KERNELS(plain);
