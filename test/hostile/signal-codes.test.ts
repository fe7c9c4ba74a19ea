// What a handler is told: si_code and error code where a processor's cause is not what the signal alone says.

import assert from "node:assert/strict";
import { test } from "node:test";
import { boot } from "../../src/node/index.ts";
import { assembleProgram, makeTar } from "../support/guest.ts";

/** Exits with the byte of siginfo or ucontext that `FIELD` loads into edi. */
const program = (field: string, provoke: string): Uint8Array =>
  assembleProgram(
    "x86_64",
    `
_start:
    mov ebx, 5                      # SIGTRAP
    call handle
    mov ebx, 11                     # SIGSEGV
    call handle
    ${provoke}
    ud2
handle:
    mov edi, ebx
    lea rsi, [rip + action]
    xor edx, edx
    mov r10d, 8
    mov eax, 13
    syscall
    ret
handler:
    ${field}
    mov eax, 60
    syscall
    .balign 8
action:
    .quad handler, 0x44000004, handler, 0
seen:
    .quad 0
`,
  );

const SI_CODE = "mov edi, [rsi + 8]";
/** uc_mcontext.gregs[REG_ERR]. */
const ERROR_CODE = "mov edi, [rdx + 40 + 152]";
const STEP = "pushfq\n or qword ptr [rsp], 0x100\n popfq\n nop";

const PROGRAMS: Readonly<Record<string, readonly [bytes: Uint8Array, status: number]>> = {
  "int1 is TRAP_BRKPT": [program(SI_CODE, "int1"), 1],
  "a step is TRAP_TRACE": [program(SI_CODE, STEP), 2],
  "int1 after a step was reported is TRAP_BRKPT": [
    program(`cmp dword ptr [rip + seen], 0\n jne second\n inc dword ptr [rip + seen]\n int1\nsecond: ${SI_CODE}`, STEP),
    1,
  ],
  "an address of the kernel looks mapped": [program(ERROR_CODE, "mov rax, [-4096]"), 5],
  "an address of nobody does not": [program(ERROR_CODE, "mov eax, [16]"), 4],
};

test("handlers are told the codes that Linux has on x86-64", async () => {
  const archive = makeTar(Object.fromEntries(Object.values(PROGRAMS).map(([bytes], i) => [`m/${i}`, bytes])));
  await using system = await boot({ arch: "x86_64", memory: 32 << 20, root: { archive } });
  for (const [i, [name, [, expected]]] of Object.entries(PROGRAMS).entries()) {
    assert.deepEqual(await system.spawn([`/m/${i}`]).status, { kind: "exited", code: expected }, name);
  }
});
