/* Sums of TILE positions in registers. */

/* Compilers keep sums in registers if each has a name of its own. */
#if TILE == 12
#define EACH(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)
#elif TILE == 8
#define EACH(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
#elif TILE == 6
#define EACH(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5)
#else
#define EACH(DO) DO(0) DO(1) DO(2) DO(3)
#endif

/* Has GCC hold a sum in a register from one step of a loop to the next, where it would rather store all of them each
   time. */
#if defined(X86)
#define KEEP(sum) __asm__("" : "+v"(sum));
#elif defined(ARM)
#define KEEP(sum) __asm__("" : "+w"(sum));
#else
#define KEEP(sum)
#endif
