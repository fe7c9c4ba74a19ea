// A hostile guest for tests: pid 1 forks one child after the other, and each makes its own list of system calls, whatever they are.
//
//   pid 1 ──clone──> child: calls of `setup`, then its own `CALLS_PER_CHILD` ──> exit
//     └── sleeps a moment, kill(-1, SIGKILL), waits until no child is left ──> next child … ──> exit 0
//
// Calls are records of 7 words (number, six arguments) behind the code, so that a test makes them in JavaScript.

import { assembleProgram, CALL, PROGRAM_BASE } from "../support/guest.ts";

/** A system call: number and up to six arguments. */
export type CallRecord = readonly [number: number, ...args: (number | bigint)[]];

const RECORD = 56;

/** Where bytes that records may point to lie: at a fixed address above the code, readable and writable. */
export const BLOB = 0x20000;

const SOURCE = `
_start:
    li s0, FIRST                    # the records of the next child
    li s1, CHILDREN
next:
    beqz s1, finished
    li a0, 17                       # SIGCHLD
    li a1, 0
    li a2, 0
    li a3, 0
    li a4, 0
    li a7, ${CALL.clone}
    ecall
    beqz a0, child
    lla a0, moment
    li a1, 0
    li a7, ${CALL.nanosleep}
    ecall
reap:
    li a0, -1
    li a1, 9
    li a7, ${CALL.kill}
    ecall
    li a0, -1
    li a1, 0
    li a2, 0x40000000               # __WALL
    li a3, 0
    li a7, ${CALL.wait4}
    ecall
    li t0, -10                      # ECHILD
    bne a0, t0, reap
    li t0, SIZE
    add s0, s0, t0
    addi s1, s1, -1
    j next
finished:
    li a0, 0
    li a7, 94
    ecall
child:
    li s2, SETUP
    li s3, SETUP_END
1:  bgeu s2, s3, 2f
    call make
    j 1b
2:  mv s2, s0
    li t0, SIZE
    add s3, s0, t0
3:  bgeu s2, s3, 4f
    call make
    j 3b
4:  li a0, 0
    li a7, 94
    ecall
    ebreak
make:
    ld a7, 0(s2)
    ld a0, 8(s2)
    ld a1, 16(s2)
    ld a2, 24(s2)
    ld a3, 32(s2)
    ld a4, 40(s2)
    ld a5, 48(s2)
    addi s2, s2, ${RECORD}
    ecall
    ret
    .align 3
moment:
    .dword 0
    .dword 20000000
`;

/** The program. Every child makes the calls of `setup` and then its own list. `blob` lies at `BLOB`. */
export function callStorm(
  blob: Uint8Array,
  setup: readonly CallRecord[],
  children: readonly (readonly CallRecord[])[],
): Uint8Array {
  const perChild = Math.max(0, ...children.map((calls) => calls.length));
  const setupAt = BLOB + Math.ceil(blob.length / 4096) * 4096;
  const setupEnd = setupAt + setup.length * RECORD;
  const code = assembleProgram(SOURCE, {
    FIRST: setupEnd,
    CHILDREN: children.length,
    SIZE: perChild * RECORD,
    SETUP: setupAt,
    SETUP_END: setupEnd,
  });
  const file = new Uint8Array(setupEnd + children.length * perChild * RECORD - PROGRAM_BASE);
  file.set(code);
  file.set(blob, BLOB - PROGRAM_BASE);
  const view = new DataView(file.buffer);
  const put = (at: number, calls: readonly CallRecord[]): void => {
    calls.forEach((words, index) =>
      words.forEach((word, i) =>
        view.setBigUint64(at - PROGRAM_BASE + index * RECORD + i * 8, BigInt.asUintN(64, BigInt(word)), true),
      ),
    );
  };
  put(setupAt, setup);
  // A shorter list is filled up with getpid.
  const padded = (calls: readonly CallRecord[]): CallRecord[] =>
    Array.from({ length: perChild }, (_, i) => calls[i] ?? [CALL.getpid]);
  children.forEach((calls, index) => put(setupEnd + index * perChild * RECORD, padded(calls)));
  view.setBigUint64(0x60, BigInt(file.length), true);
  view.setBigUint64(0x68, BigInt(file.length), true);
  return file;
}
