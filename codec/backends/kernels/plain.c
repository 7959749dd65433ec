/* What every processor can do. */

#include "target.h"
#include "lanes_plain.h"
#include "tile_dot.h"
#include "layers.h"
#include "coding.h"

KERNELS(plain);
