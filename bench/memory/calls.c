// One page at a time, in a process with few regions.
#define _GNU_SOURCE
#include "rows.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static void null_call(unsigned operations) {
  begin();
  for (unsigned i = 0; i < operations; i++) syscall(SYS_getppid);
  end(operations);
}

// mmap, touch, munmap.
static void map_page(unsigned operations) {
  begin();
  for (unsigned i = 0; i < operations; i++) {
    volatile unsigned char *page = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) fail("mmap");
    *page = 1;
    unmap_memory((void *)page, PAGE);
  }
  end(operations);
}

// A page in the middle loses the right to be written, and gets it back.
static void protect_page(unsigned operations) {
  unsigned char *area = map_memory(16 * PAGE, MADV_NOHUGEPAGE);
  touch(area, 16 * PAGE);
  begin();
  for (unsigned i = 0; i < operations; i += 2) {
    unsigned char *page = area + (1 + i / 2 % 14) * PAGE;
    if (mprotect(page, PAGE, PROT_READ) || mprotect(page, PAGE, PROT_READ | PROT_WRITE)) fail("mprotect");
    *(volatile unsigned char *)page = 2;
  }
  end(operations);
  unmap_memory(area, 16 * PAGE);
}

// A touched page moves to and fro.
static void move_page(unsigned operations) {
  unsigned char *area = map_memory(2 * PAGE, MADV_NOHUGEPAGE);
  touch(area, PAGE);
  unmap_memory(area + PAGE, PAGE);
  begin();
  for (unsigned i = 0; i < operations; i += 2) {
    if (mremap(area, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, area + PAGE) == MAP_FAILED) fail("mremap");
    if (mremap(area + PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, area) == MAP_FAILED) fail("mremap");
  }
  end(operations);
  unmap_memory(area, PAGE);
}

// The break goes up a page, which is touched, and down again: two calls and a fault.
static void move_break(unsigned operations) {
  volatile unsigned char *start = sbrk(0);
  begin();
  for (unsigned i = 0; i < operations; i++) {
    if (brk((void *)(start + PAGE))) fail("brk");
    *start = 1;
    if (brk((void *)start)) fail("brk");
  }
  end(operations);
}

static void drop_page(unsigned operations) {
  unsigned char *area = map_memory(16 * PAGE, MADV_NOHUGEPAGE);
  begin();
  for (unsigned i = 0; i < operations; i++) {
    unsigned char *page = area + i % 16 * PAGE;
    *(volatile unsigned char *)page = 1;
    if (madvise(page, PAGE, MADV_DONTNEED)) fail("madvise");
  }
  end(operations);
  unmap_memory(area, 16 * PAGE);
}

const struct row call_rows[] = {
    {"null-call", null_call, 100000, 300000},
    {"map-page", map_page, 20000, 50000},
    {"protect-page", protect_page, 20000, 100000},
    {"move-page", move_page, 20000, 50000},
    {"break-page", move_break, 20000, 50000},
    {"drop-page", drop_page, 20000, 50000},
    {0},
};
