// An address space with 100,000 regions: pairs of pages of unlike protection, each pair followed by a page of nothing.
//
//   page    0    1    2    3    4    5
//         | rw | r  | -- | rw | r  | -- | …
#define _GNU_SOURCE
#include "rows.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAIRS = 50000 };

static unsigned char *area; // NULL until it is made

// Whether the kernel lets a process have so many; a row without them has no figure.
static int allow_regions(void) {
  int descriptor = open("/proc/sys/vm/max_map_count", O_WRONLY);
  int is_allowed = descriptor >= 0 && write(descriptor, "400000\n", 7) == 7;
  close(descriptor);
  return is_allowed;
}

// Makes the regions anew: an operation is a munmap and an mprotect.
static void build(unsigned pairs) {
  if (!allow_regions()) return;
  if (area) unmap_memory(area, PAIRS * 3 * PAGE);
  area = map_memory(PAIRS * 3 * PAGE, MADV_NOHUGEPAGE);
  begin();
  for (size_t i = 0; i < pairs; i++) {
    if (mprotect(area + (3 * i + 1) * PAGE, PAGE, PROT_READ)) fail("mprotect");
    unmap_memory(area + (3 * i + 2) * PAGE, PAGE);
  }
  end(pairs);
}

static unsigned char *random_pair(uint64_t *random) { return area + next_random(random) % PAIRS * 3 * PAGE; }

static int prepare(void) {
  if (area) return 1;
  if (!allow_regions()) return 0;
  area = map_memory(PAIRS * 3 * PAGE, MADV_NOHUGEPAGE);
  for (size_t i = 0; i < PAIRS; i++) {
    if (mprotect(area + (3 * i + 1) * PAGE, PAGE, PROT_READ)) fail("mprotect");
    unmap_memory(area + (3 * i + 2) * PAGE, PAGE);
  }
  return 1;
}

// Drops a random page and faults it in again: an operation is a call and a fault.
static void fault(unsigned operations) {
  if (!prepare()) return;
  uint64_t random = 1;
  begin();
  for (unsigned i = 0; i < operations; i++) {
    unsigned char *page = random_pair(&random);
    if (madvise(page, PAGE, MADV_DONTNEED)) fail("madvise");
    *(volatile unsigned char *)page = 1;
  }
  end(operations);
}

static void protect(unsigned operations) {
  if (!prepare()) return;
  uint64_t random = 2;
  begin();
  for (unsigned i = 0; i < operations; i += 2) {
    unsigned char *page = random_pair(&random);
    if (mprotect(page, PAGE, PROT_NONE) || mprotect(page, PAGE, PROT_READ | PROT_WRITE)) fail("mprotect");
  }
  end(operations);
}

static void in_core(unsigned operations) {
  if (!prepare()) return;
  uint64_t random = 3;
  unsigned char present;
  begin();
  for (unsigned i = 0; i < operations; i++)
    if (mincore(random_pair(&random), PAGE, &present)) fail("mincore");
  end(operations);
}

// None of the 50,000 gaps of a page is large enough.
static void gap(unsigned operations) {
  if (!prepare()) return;
  begin();
  for (unsigned i = 0; i < operations; i++) {
    void *found = mmap(0, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (found == MAP_FAILED) fail("mmap");
    unmap_memory(found, 2 * PAGE);
  }
  end(operations);
}

// Gives the regions back; it counts as a row, since the rows after it are to find a space with few of them.
static void clear(unsigned operations) {
  if (!operations || !prepare()) return;
  begin();
  unmap_memory(area, PAIRS * 3 * PAGE);
  end(2 * PAIRS);
  area = 0;
}

const struct row region_rows[] = {
    {"regions-build", build, PAIRS, PAIRS},
    {"regions-fault", fault, 20000, 50000},
    {"regions-protect", protect, 20000, 50000},
    {"regions-mincore", in_core, 20000, 100000},
    {"regions-gap", gap, 10000, 50000},
    {"regions-clear", clear, 0, 1},
    {0},
};
