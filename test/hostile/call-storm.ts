// A hostile guest for tests: pid 1 forks one child after the other, and each makes its own list of system calls, whatever they are.
//
//   pid 1 ──clone──> child: calls of `setup`, then its own `CALLS_PER_CHILD` ──> exit
//     └── sleeps a moment, kill(-1, SIGKILL), waits until no child is left ──> next child … ──> exit 0
//
// Calls are records of 7 words (number, six arguments) behind the code, so that a test makes them in JavaScript.

import type { Architecture } from "../../src/system/platform.ts";
import { portableProgram, PROGRAM_BASE } from "../support/guest.ts";
import { callNumber } from "../support/portable.ts";

/** A system call: number and up to six arguments. */
export type CallRecord = readonly [number: number, ...args: (number | bigint)[]];

const RECORD = 56;

/** Where bytes that records may point to lie: at a fixed address above the code, readable and writable. */
export const BLOB = 0x20000;

const SOURCE = `
_start:
    set s0, FIRST                   # the records of the next child
    set s1, CHILDREN
next:
    if s1 == 0 goto finished
    sys clone, 17, 0, 0, 0, 0       # SIGCHLD
    if r == 0 goto child
    sys nanosleep, &moment, 0
reap:
    sys kill, -1, 9
    sys wait4, -1, 0, 0x40000000, 0 # __WALL
    if r != -10 goto reap           # ECHILD
    add s0, SIZE
    sub s1, 1
    goto next
finished:
    sys exit_group, 0
child:
    set s2, SETUP
    set s3, SETUP_END
prepare:
    if s2 >= s3 goto prepared
    gosub make
    goto prepare
prepared:
    set s2, s0
    set s3, s0
    add s3, SIZE
continue:
    if s2 >= s3 goto over
    gosub make
    goto continue
over:
    sys exit_group, 0
@riscv64 ebreak
@x86_64 int3
make:
@riscv64 ld a7, 0(s2)
@riscv64 ld a0, 8(s2)
@riscv64 ld a1, 16(s2)
@riscv64 ld a2, 24(s2)
@riscv64 ld a3, 32(s2)
@riscv64 ld a4, 40(s2)
@riscv64 ld a5, 48(s2)
@x86_64 mov rax, [r12]
@x86_64 mov rdi, [r12 + 8]
@x86_64 mov rsi, [r12 + 16]
@x86_64 mov rdx, [r12 + 24]
@x86_64 mov r10, [r12 + 32]
@x86_64 mov r8, [r12 + 40]
@x86_64 mov r9, [r12 + 48]
@x86_64 add r12, ${RECORD}
@riscv64 addi s2, s2, ${RECORD}
@x86_64 syscall
@riscv64 ecall
    return
    .balign 8
moment:
    .quad 0, 20000000
`;

/** The program. Every child makes the calls of `setup` and then its own list. `blob` lies at `BLOB`. */
export function callStorm(
  arch: Architecture,
  blob: Uint8Array,
  setup: readonly CallRecord[],
  children: readonly (readonly CallRecord[])[],
): Uint8Array {
  const perChild = Math.max(0, ...children.map((calls) => calls.length));
  const setupAt = BLOB + Math.ceil(blob.length / 4096) * 4096;
  const setupEnd = setupAt + setup.length * RECORD;
  const code = portableProgram(arch, SOURCE, {
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
    Array.from({ length: perChild }, (_, i) => calls[i] ?? [callNumber(arch, "getpid")]);
  children.forEach((calls, index) => put(setupEnd + index * perChild * RECORD, padded(calls)));
  view.setBigUint64(0x60, BigInt(file.length), true);
  view.setBigUint64(0x68, BigInt(file.length), true);
  return file;
}
