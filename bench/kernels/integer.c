// Integer arithmetic: hashes, checksums, number theory.
#include "bench.h"

#include <stddef.h>

static uint32_t rotate_right(uint32_t x, unsigned n) { return x >> n | x << (32 - n); }

// The compression function of SHA-256 (FIPS 180-4, 6.2.2) over a block that is fed back, with round constants made here from a
// linear sequence: the work is the same, the digest is not SHA-256's.
static uint64_t sha_like(unsigned rounds) {
  uint32_t state[8] = {1, 2, 3, 4, 5, 6, 7, 8}, constants[64], w[64];
  uint64_t seed = 88172645463325252ull;
  for (int i = 0; i < 64; i++) constants[i] = (uint32_t)next_random(&seed);
  for (unsigned round = 0; round < rounds; round++) {
    for (int i = 0; i < 16; i++) w[i] = state[i & 7] + (uint32_t)i * round;
    for (int i = 16; i < 64; i++) {
      uint32_t s0 = rotate_right(w[i - 15], 7) ^ rotate_right(w[i - 15], 18) ^ w[i - 15] >> 3;
      uint32_t s1 = rotate_right(w[i - 2], 17) ^ rotate_right(w[i - 2], 19) ^ w[i - 2] >> 10;
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
    for (int i = 0; i < 64; i++) {
      uint32_t s1 = rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25);
      uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + constants[i] + w[i];
      uint32_t s0 = rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22);
      uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
      h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e, state[5] += f, state[6] += g, state[7] += h;
  }
  return (uint64_t)state[0] << 32 | state[7];
}

static uint64_t crc(unsigned rounds) {
  static uint32_t table[256];
  static uint8_t data[4096];
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; bit++) value = value & 1 ? value >> 1 ^ 0xedb88320u : value >> 1;
    table[i] = value;
  }
  uint64_t seed = 1;
  for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)next_random(&seed);
  uint32_t sum = ~0u;
  for (unsigned round = 0; round < rounds; round++)
    for (size_t i = 0; i < sizeof data; i++) sum = table[(sum ^ data[i]) & 0xff] ^ sum >> 8;
  return ~sum;
}

static uint64_t collatz(unsigned rounds) {
  uint64_t total = 0, longest = 0;
  for (uint64_t start = 1; start <= rounds; start++) {
    uint64_t n = start, steps = 0;
    while (n != 1) n = n & 1 ? 3 * n + 1 : n >> 1, steps++;
    total += steps;
    if (steps > longest) longest = steps;
  }
  return total ^ longest << 48;
}

static uint64_t modular_power(unsigned rounds) {
  uint64_t sum = 0;
  for (unsigned round = 1; round <= rounds; round++) {
    uint64_t base = round, result = 1, modulus = 1000000007ull;
    for (uint64_t exponent = 1000000005ull; exponent; exponent >>= 1) {
      if (exponent & 1) result = result * base % modulus;
      base = base * base % modulus;
    }
    sum += result;
  }
  return sum;
}

static uint64_t integer_matrix(unsigned rounds) {
  enum { N = 64 };
  static int32_t a[N][N], b[N][N], c[N][N];
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) a[i][j] = i * 3 + j, b[i][j] = i - 2 * j;
  uint64_t sum = 0;
  for (unsigned round = 0; round < rounds; round++) {
    for (int i = 0; i < N; i++)
      for (int j = 0; j < N; j++) {
        int32_t value = 0;
        for (int k = 0; k < N; k++) value += a[i][k] * b[k][j];
        c[i][j] = value;
      }
    sum += (uint32_t)c[round % N][(round * 7) % N];
    a[round % N][0] += 1;
  }
  return sum;
}

const struct kernel integer_kernels[] = {
    {"sha", sha_like, 480000, "rotates and adds of SHA-256"},
    {"crc", crc, 50000, "table-driven checksum of bytes"},
    {"collatz", collatz, 2000000, "data-dependent branches and multiplication"},
    {"modpow", modular_power, 2800000, "64-bit multiply and remainder"},
    {"intmatrix", integer_matrix, 1200, "tight integer matrix loop"},
    {0},
};
