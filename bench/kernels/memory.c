// Memory: streams, sorting, pointer chasing, tables.
#include "bench.h"

#include <stdlib.h>
#include <string.h>

static uint64_t sieve(unsigned rounds) {
  enum { LIMIT = 1 << 20 };
  static uint8_t composite[LIMIT];
  uint64_t count = 0;
  for (unsigned round = 0; round < rounds; round++) {
    memset(composite, 0, sizeof composite);
    for (unsigned i = 2; i < LIMIT; i++) {
      if (composite[i]) continue;
      count++;
      for (unsigned j = 2 * i; j < LIMIT; j += i) composite[j] = 1;
    }
  }
  return count;
}

static void quick_sort(uint32_t *data, long low, long high) {
  while (low < high) {
    uint32_t pivot = data[(low + high) / 2];
    long i = low, j = high;
    while (i <= j) {
      while (data[i] < pivot) i++;
      while (data[j] > pivot) j--;
      if (i <= j) {
        uint32_t swap = data[i];
        data[i++] = data[j];
        data[j--] = swap;
      }
    }
    if (j - low < high - i) {
      quick_sort(data, low, j);
      low = i;
    } else {
      quick_sort(data, i, high);
      high = j;
    }
  }
}

static uint64_t sort(unsigned rounds) {
  enum { COUNT = 100000 };
  static uint32_t data[COUNT];
  uint64_t seed = 42, sum = 0;
  for (unsigned round = 0; round < rounds; round++) {
    for (int i = 0; i < COUNT; i++) data[i] = (uint32_t)next_random(&seed);
    quick_sort(data, 0, COUNT - 1);
    sum = sum * 31 + data[round % COUNT];
  }
  return sum;
}

// A random cycle through 4 MiB: every load depends on the one before.
static uint64_t chase(unsigned rounds) {
  enum { COUNT = 1 << 19 };
  static uint64_t next[COUNT];
  uint64_t seed = 7;
  for (uint64_t i = 0; i < COUNT; i++) next[i] = i;
  for (uint64_t i = COUNT - 1; i > 0; i--) {
    uint64_t j = next_random(&seed) % i, swap = next[i];
    next[i] = next[j];
    next[j] = swap;
  }
  uint64_t at = 0, sum = 0;
  for (unsigned round = 0; round < rounds; round++)
    for (int i = 0; i < 1000; i++) at = next[at], sum += at;
  return sum;
}

// Byte strings: length, comparison, search and copy, as the C library does them.
static uint64_t strings(unsigned rounds) {
  static char text[8192], copy[8192];
  for (unsigned i = 0; i < sizeof text - 1; i++) text[i] = (char)('a' + i * i % 23);
  uint64_t sum = 0;
  for (unsigned round = 0; round < rounds; round++) {
    text[round % 8000] = 'Z';
    memcpy(copy, text, sizeof text);
    sum += strlen(copy) + (uint64_t)(strchr(copy, 'Z') - copy);
    sum += (uint64_t)memcmp(copy, text, sizeof text) + (strstr(copy, "Zq") != 0);
    text[round % 8000] = 'q';
  }
  return sum;
}

static uint64_t hash_table(unsigned rounds) {
  enum { SLOTS = 1 << 16 };
  static uint64_t keys[SLOTS];
  static uint32_t counts[SLOTS];
  uint64_t seed = 99, sum = 0;
  for (unsigned round = 0; round < rounds; round++) {
    uint64_t key = next_random(&seed) % 40000 + 1;
    uint64_t slot = key * 0x9e3779b97f4a7c15ull >> 48;
    while (keys[slot] && keys[slot] != key) slot = (slot + 1) & (SLOTS - 1);
    keys[slot] = key;
    sum += ++counts[slot];
  }
  return sum;
}

const struct kernel memory_kernels[] = {
    {"sieve", sieve, 84, "byte stores with a stride"},
    {"sort", sort, 48, "quick sort of 100,000 words"},
    {"chase", chase, 40000, "dependent loads through 4 MiB"},
    {"strings", strings, 3000, "the C library's string functions"},
    {"hash", hash_table, 50000000, "open-addressed hash table"},
    {0},
};
