// The kernel's memory costs, one static program for both peers: bench/memory.mjs runs it and says how it measures.
//
//   memory [ROW …]            runs those rows, or all; those of shootdown.c want four CPUs and run only when named
//   memory nothing            ends at once: what the exec row executes
//   memory processes COUNT    forks so many children that wait, says "held" and waits
//   memory hold MEBIBYTES     touches so much memory, says "held" and waits
//
// A row prints "begin ROW" and "end ROW OPERATIONS" around what counts, as often as it likes; preparation lies outside. Each row first
// does the same unannounced, smaller, so that neither peer is measured cold. It ends with "done"; as process 1 it then waits for ever.
#ifndef MEMORY_ROWS_H
#define MEMORY_ROWS_H

#include <stddef.h>
#include <stdint.h>

#define PAGE 4096ul
#define MIB (1ul << 20)

struct row {
  const char *name;
  // Does its operations `operations` times; the warm-up has fewer of them and does not announce itself.
  void (*run)(unsigned operations);
  unsigned warm_up;
  unsigned operations;
};

extern const struct row process_rows[];
extern const struct row fault_rows[];
extern const struct row region_rows[];
extern const struct row call_rows[];
extern const struct row shootdown_rows[];

void hold_processes(const char *count);
void hold_memory(const char *mebibytes);

// Announce the part that counts.
void begin(void);
void end(unsigned operations);

// Ends the program with the error of the call `what`.
void fail(const char *what);

// Anonymous private memory, readable and writable; `advice` is a MADV_ value for it.
unsigned char *map_memory(size_t length, int advice);
void unmap_memory(void *start, size_t length);
// Writes to each page.
void touch(unsigned char *start, size_t length);
// xorshift64*: the same stream on every machine.
uint64_t next_random(uint64_t *state);

#endif
