/* Macros that keep the sums of TILE positions in registers: EACH repeats a statement for every position, so that each
   sum is a variable of its own, and KEEP holds it in a register. Compilers put arrays of sums into memory. */

/* DO(i) for i = 0 .. TILE - 1. */
#if TILE == 12
#define EACH(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)
#elif TILE == 8
#define EACH(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
#elif TILE == 6
#define EACH(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5)
#else
#define EACH(DO) DO(0) DO(1) DO(2) DO(3)
#endif

/* Makes GCC hold a sum in a vector register from one step of a loop to the next; otherwise it stores all of them in
   each step. */
#if defined(X86)
#define KEEP(sum) __asm__("" : "+v"(sum));
#elif defined(ARM)
#define KEEP(sum) __asm__("" : "+w"(sum));
#else
#define KEEP(sum)
#endif
