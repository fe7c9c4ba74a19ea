// Page faults, and what becomes of many pages at once. An operation is a page of 4 KiB, but a GiB in the last rows.
#define _GNU_SOURCE
#include "rows.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void first_writes(unsigned pages, int advice) {
  unsigned char *area = map_memory(pages * PAGE, advice);
  begin();
  touch(area, pages * PAGE);
  end(pages);
  unmap_memory(area, pages * PAGE);
}

static void anonymous_small(unsigned pages) { first_writes(pages, MADV_NOHUGEPAGE); }
static void anonymous_large(unsigned pages) { first_writes(pages, MADV_HUGEPAGE); }

// Reads the pages of a 16-MiB file in the page cache, in order, through one mapping after another.
static void file(unsigned pages) {
  enum { LENGTH = 16 << 20 };
  static const char name[] = "/tmp/memory-file";
  int descriptor = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (descriptor < 0) fail(name);
  unsigned char *buffer = map_memory(MIB, MADV_NOHUGEPAGE);
  touch(buffer, MIB);
  for (unsigned written = 0; written < LENGTH; written += MIB)
    if (write(descriptor, buffer, MIB) != (ssize_t)MIB) fail(name);
  unmap_memory(buffer, MIB);
  unsigned sum = 0, mappings = pages / (LENGTH / PAGE);
  volatile unsigned char *areas[64];
  for (unsigned i = 0; i < mappings; i++) {
    areas[i] = mmap(0, LENGTH, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (areas[i] == MAP_FAILED) fail("mmap");
  }
  begin();
  for (unsigned i = 0; i < mappings; i++)
    for (size_t at = 0; at < LENGTH; at += PAGE) sum += areas[i][at];
  end(pages);
  if (sum != pages) fail("contents");
  for (unsigned i = 0; i < mappings; i++) unmap_memory((void *)areas[i], LENGTH);
  close(descriptor);
  unlink(name);
}

// Writes to pages that a child which waits shares.
static void copy_on_write(unsigned pages) {
  unsigned char *area = map_memory(pages * PAGE, MADV_NOHUGEPAGE);
  touch(area, pages * PAGE);
  int gate[2];
  if (pipe(gate)) fail("pipe");
  pid_t child = fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    char byte;
    close(gate[1]);
    _exit(read(gate[0], &byte, 1) != 0);
  }
  begin();
  touch(area, pages * PAGE);
  end(pages);
  close(gate[1]);
  waitpid(child, 0, 0);
  close(gate[0]);
  unmap_memory(area, pages * PAGE);
}

static void gibibyte(unsigned operations, int advice) {
  begin();
  for (unsigned i = 0; i < operations; i++) {
    unsigned char *area = map_memory(1024 * MIB, advice);
    touch(area, 1024 * MIB);
    unmap_memory(area, 1024 * MIB);
  }
  end(operations);
}

static void gibibyte_small(unsigned operations) { gibibyte(operations, MADV_NOHUGEPAGE); }
static void gibibyte_large(unsigned operations) { gibibyte(operations, MADV_HUGEPAGE); }

const struct row fault_rows[] = {
    {"fault-small", anonymous_small, 40000, 131072},
    {"fault-large", anonymous_large, 262144, 262144},
    {"fault-file", file, 65536, 262144},
    {"fault-copy", copy_on_write, 40000, 98304},
    {"gib-small", gibibyte_small, 1, 1},
    {"gib-large", gibibyte_large, 1, 2},
    {0},
};
