// The kernel's own costs: null call, fork, exec, page fault, pipe. Rounds are operations.
//
// A user-mode emulator cannot exec its guest's own file without help from its host: with BENCH_LAUNCHER (the emulator) and
// BENCH_SELF (this file) in the environment, fork-exec executes the emulator on this file.
#include "bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static uint64_t null_call(unsigned rounds) {
  uint64_t changes = 0;
  long parent = syscall(SYS_getppid);
  for (unsigned round = 0; round < rounds; round++) changes += syscall(SYS_getppid) != parent;
  return changes;
}

static uint64_t fork_exit(unsigned rounds) {
  uint64_t sum = 0;
  for (unsigned round = 0; round < rounds; round++) {
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child == 0) _exit((int)(round & 127));
    int status;
    if (waitpid(child, &status, 0) != child) fail("waitpid");
    sum += (uint64_t)WEXITSTATUS(status);
  }
  return sum;
}

static uint64_t fork_exec(unsigned rounds) {
  uint64_t sum = 0;
  for (unsigned round = 0; round < rounds; round++) {
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child == 0) {
      int null = open("/dev/null", O_WRONLY);
      if (null < 0 || dup2(null, 1) < 0) _exit(126);
      const char *launcher = getenv("BENCH_LAUNCHER"), *self = getenv("BENCH_SELF");
      if (launcher && self) execl(launcher, launcher, self, "nothing", "1", (char *)0);
      else execl("/proc/self/exe", "bench", "nothing", "1", (char *)0);
      _exit(127);
    }
    int status;
    if (waitpid(child, &status, 0) != child) fail("waitpid");
    sum += (uint64_t)WEXITSTATUS(status);
  }
  return sum;
}

static uint64_t page_fault(unsigned rounds) {
  enum { PAGES = 1024 };
  uint64_t sum = 0;
  for (unsigned done = 0; done < rounds; done += PAGES) {
    volatile unsigned char *area = mmap(0, PAGES * 4096ul, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED) fail("mmap");
    for (unsigned page = 0; page < PAGES; page++) area[page * 4096ul] = (unsigned char)page, sum += area[page * 4096ul];
    if (munmap((void *)area, PAGES * 4096ul)) fail("munmap");
  }
  return sum;
}

// One byte there and back between two processes.
static uint64_t ping_pong(unsigned rounds) {
  int there[2], back[2];
  if (pipe(there) || pipe(back)) fail("pipe");
  pid_t child = fork();
  if (child < 0) fail("fork");
  unsigned char byte = 0;
  if (child == 0) {
    close(there[1]);
    while (read(there[0], &byte, 1) == 1) {
      byte++;
      if (write(back[1], &byte, 1) != 1) _exit(1);
    }
    _exit(0);
  }
  uint64_t sum = 0;
  for (unsigned round = 0; round < rounds; round++) {
    if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1) fail("pipe");
    sum += byte;
  }
  close(there[1]);
  waitpid(child, 0, 0);
  return sum;
}

static uint64_t nothing(unsigned rounds) { return rounds; }

const struct kernel system_kernels[] = {
    {"nothing", nothing, 1, "start and end of a process"},
    {"null-call", null_call, 300000, "getppid"},
    {"fork-exit", fork_exit, 1000, "fork, exit, wait"},
    {"fork-exec", fork_exec, 300, "fork, exec, exit, wait"},
    {"page-fault", page_fault, 65536, "first touch of an anonymous page"},
    {"ping-pong", ping_pong, 20000, "a byte through two pipes and back"},
    {0},
};
