/**
 * x87 through the instruction stream of a whole machine, on both tiers: memory operands across pages, pending exceptions as interrupts,
 * lazy switching by CR0.TS, state saved and restored.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { loadMultiboot } from "../../src/machine/boards/multiboot.ts";
import { populateMicrovmBoard } from "../../src/machine/boards/microvm.ts";
import { createMachine } from "../../src/machine/create-machine.ts";
import type { Machine } from "../../src/machine/machine.ts";
import type { Tier } from "../../src/machine/processor.ts";
import { x86Processor } from "../../src/machine/x86_64/engine.ts";
import type { X86Hart } from "../../src/machine/x86_64/hart.ts";
import { makeMultibootImage } from "../support/multiboot-image.ts";

const setGate = (vector: number, handler: string): string => `
        mov    edi, ${vector}
        lea    rsi, [rip + ${handler}]
        call   gate`;

const SOURCE = `
other:  hlt
        jmp    other
main:   mov    rax, cr0
        or     rax, 0x22                # NE, MP
        mov    cr0, rax
        mov    rax, cr4
        or     rax, 0x200               # OSFXSR
        mov    cr4, rax
        ${setGate(16, "error")}
        ${setGate(7, "absent")}
        fninit

        # (1 + 1/2 + … + 1/20) * pi in 64 bits, its words
        fldz
        mov    ecx, 20
1:      fld1
        mov    [rip + word], cx
        fidiv  word ptr [rip + word]
        faddp  st(1), st(0)
        dec    ecx
        jnz    1b
        fldpi
        fmulp  st(1), st(0)
        lea    rbx, [rip + page + 4091] # across two pages
        fstp   tbyte ptr [rbx]
        mov    eax, [rbx]
        call   hex
        mov    eax, [rbx + 4]
        call   hex
        movzx  eax, word ptr [rbx + 8]
        call   hex

        # the loop of printf: an integer out of a number, and back
        fld    tbyte ptr [rbx]
        fistp  qword ptr [rip + word]
        fild   qword ptr [rip + word]
        fistp  dword ptr [rip + word]
        mov    eax, [rip + word]
        call   hex

        # 1 / 0, not masked: an interrupt at the next instruction that waits
        mov    word ptr [rip + word], 0x37b
        fldcw  word ptr [rip + word]
        fld1
        fldz
        fdivp  st(1), st(0)
        fnstsw ax
        movzx  eax, ax
        call   hex
        fwait
        fstp   st(0)
        fstp   st(0)

        # saved across another's use of the unit
        fldpi
        mov    rax, cr0
        or     rax, 8                   # TS
        mov    cr0, rax
        fld1
        fstp   st(0)
        fxsave [rip + image]
        fninit
        fldz
        fxrstor [rip + image]
        fld1
        fcomip st(0), st(1)
        setb   al
        movzx  eax, al
        call   hex
        fnsave [rip + image]
        mov    eax, [rip + image + 8]
        call   hex
        ret
error:  mov    al, 0x45
        call   putc
        fnclex
        iretq
absent: mov    al, 0x4e
        call   putc
        clts
        iretq
        .align 4096
page:   .zero  8192
image:  .zero  512
word:   .quad  0
`;

/** The first three as the host's processor gives them; E is the error, N the unit that is not available. */
const OUTPUT = "ce4d178c b4d79526 00004002 0000000b 0000b0a4 EN00000001 ffff3fff ";

function runOnMicrovm(tier: Tier): string {
  const machine: Machine<X86Hart> = createMachine({
    processor: x86Processor,
    ramBase: 0,
    ramSize: 4 << 20,
    harts: 1,
    tier,
  });
  const output: number[] = [];
  populateMicrovmBoard(machine, { consoleOutput: (byte) => output.push(byte) });
  loadMultiboot(machine, makeMultibootImage(SOURCE), "");
  machine.run({ untilNs: 1_000_000_000 });
  return String.fromCharCode(...output);
}

for (const tier of ["run", "step"] as const) {
  test(`a program that uses x87, on the tier "${tier}"`, () => {
    assert.equal(runOnMicrovm(tier), OUTPUT);
  });
}
