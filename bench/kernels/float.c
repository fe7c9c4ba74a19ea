// Floating point: double and single precision, with and without fused multiply-add.
#include "bench.h"

#include <math.h>
#include <string.h>

static uint64_t bits(double value) {
  uint64_t word;
  memcpy(&word, &value, sizeof word);
  return word;
}

static uint64_t matrix(unsigned rounds) {
  enum { N = 64 };
  static double a[N][N], b[N][N], c[N][N];
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) a[i][j] = 1.0 / (i + j + 1), b[i][j] = i - 0.5 * j;
  for (unsigned round = 0; round < rounds; round++) {
    for (int i = 0; i < N; i++)
      for (int j = 0; j < N; j++) {
        double value = 0;
        for (int k = 0; k < N; k++) value += a[i][k] * b[k][j];
        c[i][j] = value;
      }
    a[round % N][0] = c[0][round % N] * 1e-6;
  }
  return bits(c[3][5]);
}

static uint64_t bodies(unsigned rounds) {
  enum { N = 5 };
  double x[N], y[N], z[N], vx[N] = {0}, vy[N] = {0}, vz[N] = {0}, mass[N];
  for (int i = 0; i < N; i++) x[i] = i * 1.5, y[i] = i * i * 0.7 - 1, z[i] = 0.3 * i, mass[i] = 1.0 / (i + 1), vy[i] = 0.1 * i;
  for (unsigned step = 0; step < rounds; step++) {
    for (int i = 0; i < N; i++)
      for (int j = i + 1; j < N; j++) {
        double dx = x[i] - x[j], dy = y[i] - y[j], dz = z[i] - z[j];
        double squared = dx * dx + dy * dy + dz * dz + 0.01;
        double pull = 0.001 / (squared * sqrt(squared));
        vx[i] -= dx * mass[j] * pull, vy[i] -= dy * mass[j] * pull, vz[i] -= dz * mass[j] * pull;
        vx[j] += dx * mass[i] * pull, vy[j] += dy * mass[i] * pull, vz[j] += dz * mass[i] * pull;
      }
    for (int i = 0; i < N; i++) x[i] += 0.001 * vx[i], y[i] += 0.001 * vy[i], z[i] += 0.001 * vz[i];
  }
  return bits(x[0] + y[1] + z[2]);
}

static uint64_t mandelbrot(unsigned rounds) {
  uint64_t inside = 0;
  for (unsigned row = 0; row < rounds; row++)
    for (unsigned column = 0; column < rounds; column++) {
      double cr = 3.0 * column / rounds - 2.0, ci = 2.0 * row / rounds - 1.0, r = 0, i = 0;
      int step = 0;
      for (; step < 100 && r * r + i * i < 4.0; step++) {
        double next = r * r - i * i + cr;
        i = 2 * r * i + ci;
        r = next;
      }
      inside += (uint64_t)step;
    }
  return inside;
}

// A single-precision filter of 32 taps.
static uint64_t filter(unsigned rounds) {
  enum { TAPS = 32, LENGTH = 1024 };
  static float taps[TAPS], in[LENGTH + TAPS], out[LENGTH];
  for (int i = 0; i < TAPS; i++) taps[i] = 1.0f / (float)(i + 3);
  for (int i = 0; i < LENGTH + TAPS; i++) in[i] = (float)(i % 17) - 8.0f;
  float sum = 0;
  for (unsigned round = 0; round < rounds; round++) {
    for (int i = 0; i < LENGTH; i++) {
      float value = 0;
      for (int tap = 0; tap < TAPS; tap++) value += taps[tap] * in[i + tap];
      out[i] = value;
    }
    in[round % LENGTH] = out[(round * 7) % LENGTH] * 0.01f;
    sum += out[round % LENGTH];
  }
  return bits(sum);
}

const struct kernel float_kernels[] = {
    {"matrix", matrix, 204, "double matrix product (fused multiply-add)"},
    {"bodies", bodies, 255000, "n-body: divide and square root"},
    {"mandelbrot", mandelbrot, 525, "double arithmetic and compares"},
    {"filter", filter, 630, "single-precision filter"},
    {0},
};
