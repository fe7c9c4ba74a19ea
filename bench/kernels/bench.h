// Compute kernels and system measurements, one static program for both peers.
//
//   bench NAME [ROUNDS]     runs one kernel and prints "NAME CHECKSUM"
//   bench                   lists the names
//
// A kernel returns a checksum that depends on all its work, so that two machines can be compared for results as well as for time.
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>

typedef uint64_t (*kernel_function)(unsigned rounds);

struct kernel {
  const char *name;
  kernel_function run;
  unsigned rounds; // default: about a second on a fast emulator
  const char *what;
};

extern const struct kernel integer_kernels[];
extern const struct kernel memory_kernels[];
extern const struct kernel float_kernels[];
extern const struct kernel control_kernels[];
extern const struct kernel system_kernels[];

// xorshift64*: the same stream on every machine.
static inline uint64_t next_random(uint64_t *state) {
  uint64_t x = *state;
  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  *state = x;
  return x * 0x2545f4914f6cdd1dull;
}

#endif
