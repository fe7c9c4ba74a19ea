// Four threads on four CPUs: one takes a page's right or the page away, which the three others have in their TLBs. They spin on it, or
// sleep, after having touched it.
#define _GNU_SOURCE
#include "rows.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { OTHERS = 3 };

static atomic_int stop, ready;
static int sleeps;
static unsigned char *page; // read by all

static void pin(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (sched_setaffinity(0, sizeof set, &set)) fail("sched_setaffinity");
}

static void *other(void *argument) {
  pin((int)(intptr_t)argument);
  unsigned sum = *(volatile unsigned char *)page;
  atomic_fetch_add(&ready, 1);
  while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
    if (sleeps) syscall(SYS_futex, &stop, FUTEX_WAIT, 0, 0, 0, 0);
    else sum += *(volatile unsigned char *)page;
  }
  return (void *)(uintptr_t)sum;
}

static void protect(unsigned operations) {
  for (unsigned i = 0; i < operations; i += 2) {
    if (mprotect(page, PAGE, PROT_READ) || mprotect(page, PAGE, PROT_READ | PROT_WRITE)) fail("mprotect");
    *(volatile unsigned char *)page = 1;
  }
}

static void unmap(unsigned operations) {
  for (unsigned i = 0; i < operations; i++) {
    volatile unsigned char *own = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (own == MAP_FAILED) fail("mmap");
    *own = 1;
    unmap_memory((void *)own, PAGE);
  }
}

static void with_others(void (*work)(unsigned operations), unsigned operations, int asleep) {
  if (sysconf(_SC_NPROCESSORS_ONLN) <= OTHERS) return;
  page = map_memory(PAGE, MADV_NOHUGEPAGE);
  touch(page, PAGE);
  stop = ready = 0;
  sleeps = asleep;
  pin(0);
  pthread_t threads[OTHERS];
  for (intptr_t i = 0; i < OTHERS; i++)
    if (pthread_create(&threads[i], 0, other, (void *)(i + 1))) fail("pthread_create");
  while (ready < OTHERS) usleep(1000);
  if (asleep) usleep(20000);
  begin();
  work(operations);
  end(operations);
  stop = 1;
  syscall(SYS_futex, &stop, FUTEX_WAKE, OTHERS, 0, 0, 0);
  for (int i = 0; i < OTHERS; i++) pthread_join(threads[i], 0);
  unmap_memory(page, PAGE);
}

static void protect_spinning(unsigned operations) { with_others(protect, operations, 0); }
static void unmap_spinning(unsigned operations) { with_others(unmap, operations, 0); }
static void protect_sleeping(unsigned operations) { with_others(protect, operations, 1); }
static void unmap_sleeping(unsigned operations) { with_others(unmap, operations, 1); }

const struct row shootdown_rows[] = {
    {"shootdown-protect", protect_spinning, 40, 400},
    {"shootdown-unmap", unmap_spinning, 40, 400},
    {"idle-protect", protect_sleeping, 2000, 10000},
    {"idle-unmap", unmap_sleeping, 2000, 10000},
    {0},
};
