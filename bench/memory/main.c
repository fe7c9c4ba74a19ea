// Finds the rows and announces them.
#define _GNU_SOURCE
#include "rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct row *const groups[] = {process_rows, fault_rows, region_rows, call_rows, shootdown_rows};
static const char *announced; // the row that is measured, or NULL in its warm-up

void begin(void) {
  if (announced) printf("begin %s\n", announced);
}

void end(unsigned operations) {
  if (announced) printf("end %s %u\n", announced, operations);
}

void fail(const char *what) {
  perror(what);
  exit(1);
}

unsigned char *map_memory(size_t length, int advice) {
  // With room to align the start, so that large pages can be had from the first byte on.
  unsigned char *area = mmap(0, length + 2 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (area == MAP_FAILED) fail("mmap");
  unsigned char *start = (unsigned char *)(((uintptr_t)area + 2 * MIB - 1) & -(2 * MIB));
  size_t before = (size_t)(start - area);
  if (before) unmap_memory(area, before);
  unmap_memory(start + length, 2 * MIB - before);
  // A kernel without large pages refuses the advice and gives small ones.
  madvise(start, length, advice);
  return start;
}

void unmap_memory(void *start, size_t length) {
  if (munmap(start, length)) fail("munmap");
}

void touch(unsigned char *start, size_t length) {
  for (size_t at = 0; at < length; at += PAGE) ((volatile unsigned char *)start)[at] = 1;
}

uint64_t next_random(uint64_t *state) {
  uint64_t x = *state;
  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  *state = x;
  return x * 0x2545f4914f6cdd1dull;
}

// The host gives an emulator its memory when it is first used, which is no cost of a guest's kernel: that has happened afterwards.
static void use_all_memory(void) {
  size_t length = 1280 * MIB;
  unsigned char *area = map_memory(length, MADV_HUGEPAGE);
  touch(area, length);
  unmap_memory(area, length);
}

static int is_wanted(const struct row *row, const struct row *group, int count, char **names) {
  for (int i = 0; i < count; i++)
    if (strcmp(names[i], row->name) == 0) return 1;
  return count == 0 && group != shootdown_rows;
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "nothing") == 0) return 0;
  if (argc == 3 && strcmp(argv[1], "processes") == 0) hold_processes(argv[2]);
  if (argc == 3 && strcmp(argv[1], "hold") == 0) hold_memory(argv[2]);
  setvbuf(stdout, 0, _IOLBF, 0);
  // As the first process of a machine; elsewhere these fail, for they are there.
  mkdir("/proc", 0755), mount("proc", "/proc", "proc", 0, 0);
  mkdir("/tmp", 0777);
  use_all_memory();
  for (unsigned group = 0; group < sizeof groups / sizeof *groups; group++) {
    for (const struct row *row = groups[group]; row->name; row++) {
      if (!is_wanted(row, groups[group], argc - 1, argv + 1)) continue;
      announced = 0;
      row->run(row->warm_up);
      announced = row->name;
      row->run(row->operations);
    }
  }
  printf("done\n");
  if (getpid() == 1) pause(); // the end of process 1 would be a panic
  return 0;
}
