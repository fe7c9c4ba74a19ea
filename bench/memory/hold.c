// Holds processes or memory, for bench/memory-overhead.mjs to look at what they cost the host.
#include "rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static void hold(void) {
  printf("held\n");
  fflush(stdout);
  for (;;) pause();
}

void hold_processes(const char *count) {
  for (int i = atoi(count); i > 0; i--) {
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child == 0)
      for (;;) pause();
  }
  hold();
}

void hold_memory(const char *mebibytes) {
  size_t length = strtoul(mebibytes, 0, 10) * MIB;
  touch(map_memory(length, MADV_NOHUGEPAGE), length);
  hold();
}
