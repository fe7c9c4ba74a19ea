// Control flow: calls, recursion, switches, indirect calls.
#include "bench.h"

static __attribute__((noinline)) uint64_t fibonacci(unsigned n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }

static uint64_t calls(unsigned rounds) { return fibonacci(rounds); }

static uint64_t place(unsigned all, unsigned columns, unsigned left, unsigned right) {
  if (columns == all) return 1;
  uint64_t count = 0;
  for (unsigned free = all & ~(columns | left | right); free;) {
    unsigned bit = free & -free;
    free ^= bit;
    count += place(all, columns | bit, (left | bit) << 1, (right | bit) >> 1);
  }
  return count;
}

static uint64_t queens(unsigned rounds) { return place((1u << rounds) - 1, 0, 0, 0); }

// An interpreter for a stack machine: one switch for each of its instructions.
static uint64_t interpreter(unsigned rounds) {
  enum { PUSH, ADD, SUBTRACT, MULTIPLY, XOR, SHIFT, DUPLICATE, SWAP, DECREMENT, JUMP_NONZERO, DROP, HALT };
  static const uint8_t program[] = {PUSH, 17, DUPLICATE, MULTIPLY, PUSH, 3, XOR, SWAP, DUPLICATE, PUSH, 5,   SHIFT,
                                    PUSH, 9,  SUBTRACT,  XOR,      ADD,  PUSH, 1, ADD, DUPLICATE, DROP, DECREMENT, JUMP_NONZERO, 0, HALT};
  uint64_t stack[64] = {1, 1}, counter = rounds;
  unsigned top = 2, at = 0;
  for (;;) {
    switch (program[at++]) {
    case PUSH: stack[top++] = program[at++]; break;
    case ADD: top--; stack[top - 1] += stack[top]; break;
    case SUBTRACT: top--; stack[top - 1] -= stack[top]; break;
    case MULTIPLY: top--; stack[top - 1] *= stack[top]; break;
    case XOR: top--; stack[top - 1] ^= stack[top]; break;
    case SHIFT: top--; stack[top - 1] >>= stack[top] & 63; break;
    case DUPLICATE: stack[top] = stack[top - 1]; top++; break;
    case SWAP: { uint64_t swap = stack[top - 1]; stack[top - 1] = stack[top - 2]; stack[top - 2] = swap; break; }
    case DECREMENT: counter--; if (top > 8) top = 8; break;
    case JUMP_NONZERO: if (counter) at = program[at]; else at++; break;
    case DROP: top--; break;
    case HALT: return stack[0] ^ stack[1] ^ top;
    }
  }
}

static uint64_t step_a(uint64_t x) { return x * 3 + 1; }
static uint64_t step_b(uint64_t x) { return x ^ x >> 7; }
static uint64_t step_c(uint64_t x) { return x + 0x1234567; }
static uint64_t step_d(uint64_t x) { return x - (x << 3); }

static uint64_t indirect(unsigned rounds) {
  static uint64_t (*const volatile steps[4])(uint64_t) = {step_a, step_b, step_c, step_d};
  uint64_t value = 1;
  for (unsigned round = 0; round < rounds; round++) value = steps[value >> 13 & 3](value);
  return value;
}

const struct kernel control_kernels[] = {
    {"calls", calls, 36, "recursive calls"},
    {"queens", queens, 13, "recursion, bit tricks and branches"},
    {"interpreter", interpreter, 2100000, "a switch for each byte"},
    {"indirect", indirect, 27000000, "calls through pointers"},
    {0},
};
