// fork, exec and exit.
#define _GNU_SOURCE
#include "rows.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void fork_and_wait(unsigned operations) {
  begin();
  for (unsigned i = 0; i < operations; i++) {
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child == 0) _exit(0);
    if (waitpid(child, 0, 0) != child) fail("waitpid");
  }
  end(operations);
}

static void fork_with(unsigned operations, int advice) {
  unsigned char *area = map_memory(64 * MIB, advice);
  touch(area, 64 * MIB);
  fork_and_wait(operations);
  unmap_memory(area, 64 * MIB);
}

static void fork_small_pages(unsigned operations) { fork_with(operations, MADV_NOHUGEPAGE); }
static void fork_large_pages(unsigned operations) { fork_with(operations, MADV_HUGEPAGE); }

static void exec(unsigned operations) {
  begin();
  for (unsigned i = 0; i < operations; i++) {
    pid_t child = vfork();
    if (child < 0) fail("vfork");
    if (child == 0) {
      execl("/proc/self/exe", "memory", "nothing", (char *)0);
      _exit(127);
    }
    int status;
    if (waitpid(child, &status, 0) != child || status != 0) fail("exec");
  }
  end(operations);
}

const struct row process_rows[] = {
    {"fork", fork_and_wait, 100, 500},
    {"fork-64M-small", fork_small_pages, 10, 50},
    {"fork-64M-large", fork_large_pages, 20, 200},
    {"exec", exec, 50, 200},
    {0},
};
