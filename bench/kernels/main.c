// Finds the kernel by name and prints its checksum.
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct kernel *const groups[] = {integer_kernels, memory_kernels, float_kernels, control_kernels, system_kernels};

int main(int argc, char **argv) {
  for (unsigned group = 0; group < sizeof groups / sizeof *groups; group++) {
    for (const struct kernel *kernel = groups[group]; kernel->name; kernel++) {
      if (argc < 2) {
        printf("%-12s %8u  %s\n", kernel->name, kernel->rounds, kernel->what);
      } else if (strcmp(argv[1], kernel->name) == 0) {
        unsigned rounds = argc > 2 ? (unsigned)strtoul(argv[2], 0, 10) : kernel->rounds;
        printf("%s %016llx\n", kernel->name, (unsigned long long)kernel->run(rounds));
        return 0;
      }
    }
  }
  if (argc < 2) return 0;
  fprintf(stderr, "bench: no kernel “%s”\n", argv[1]);
  return 2;
}
