// Files that are no programs, and programs that are nonsense: each ends with an error of the spawn or a signal, and the next one runs.

import assert from "node:assert/strict";
import type { ArchitectureName } from "../../src/abi/linux/abi.ts";
import { layout } from "../../src/kernel/arch/x86_64/layout.ts";
import { checkInvariants } from "../../src/kernel/mem/checker.ts";
import { freeFrameCount } from "../../src/kernel/mem/frames.ts";
import { boot, VitrineError, type Vitrine } from "../../src/node/index.ts";
import { createRandom, type Random } from "../oracle/random.ts";
import { eachArch } from "../support/architectures.ts";
import { assembleProgram, makeTar, portableProgram } from "../support/guest.ts";
import { translate } from "../support/portable.ts";

const SEED = Number(process.env["VITRINE_SEED"] ?? 1);
const SIGKILL = 9;
const HEADERS = 0x78;
/** A program that loops is ended after this. */
const PATIENCE_MS = 100;
/** One that must end by itself has time enough on a busy host. */
const AMPLE_MS = 10_000;

const GOOD = `
_start:
    sys exit, 0
`;

/** Numbers that a field of a header may not expect. */
const ODD: readonly bigint[] = [
  0n,
  1n,
  2n,
  0xffn,
  0xfffn,
  0x1000n,
  0x1001n,
  0x10000n,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  1n << 30n,
  1n << 37n,
  (1n << 38n) - 4096n,
  (1n << 38n) - 1n,
  1n << 38n,
  1n << 47n,
  1n << 53n,
  (1n << 63n) - 1n,
  1n << 63n,
  (1n << 64n) - 1n,
  0x3f_ffff_f000n,
  0x3f_ffff_e000n,
  0x7fff_ffff_e000n,
  0x7fff_ffff_4000n,
];

/** Changes one to three fields of the headers. */
function mutate(good: Uint8Array, random: Random): Uint8Array {
  const file = good.slice();
  const view = new DataView(file.buffer);
  for (let changes = 1 + random.below(3); changes > 0; changes--) {
    const size = random.pick([1, 2, 4, 8]);
    const at = Math.floor(random.below(HEADERS) / size) * size;
    const value = random.oneIn(3) ? random.integer() : random.pick(ODD);
    for (let i = 0; i < size; i++) view.setUint8(at + i, Number((value >> BigInt(i * 8)) & 0xffn));
  }
  return file;
}

/** A program of random bytes. */
function garbage(good: Uint8Array, random: Random): Uint8Array {
  const file = new Uint8Array(HEADERS + 512);
  file.set(good.subarray(0, HEADERS));
  for (let i = HEADERS; i < file.length; i++) file[i] = random.below(256);
  const view = new DataView(file.buffer);
  view.setBigUint64(24, BigInt(0x10000 + HEADERS), true);
  view.setBigUint64(0x60, BigInt(file.length), true);
  view.setBigUint64(0x68, BigInt(file.length), true);
  return file;
}

/** Starts the program and sees that it ends. Returns how. */
async function ends(system: Vitrine, path: string, patienceMs = PATIENCE_MS): Promise<string> {
  try {
    const program = system.spawn([path]);
    const timer = setTimeout(() => program.kill(SIGKILL), patienceMs);
    const status = await program.status;
    clearTimeout(timer);
    return status.kind === "exited" ? `exited ${status.code}` : `signal ${status.signal}`;
  } catch (error) {
    assert.ok(error instanceof VitrineError, String(error));
    assert.ok(error.status === 126 || error.status === 127, error.message);
    assert.doesNotMatch(error.message, /\n/);
    return "refused";
  }
}

const FILES: Readonly<Record<string, (good: Uint8Array, random: Random) => Uint8Array[]>> = {
  "a program that is cut off at any length": (good) => Array.from(good, (_, length) => good.slice(0, length)),
  "a program whose headers are changed": (good, random) => Array.from({ length: 400 }, () => mutate(good, random)),
  "random bytes as instructions": (good, random) => Array.from({ length: 300 }, () => garbage(good, random)),
};

/** One instruction that user mode may not execute, or an address that it may not touch, and the signal that it gets. */
type Forbidden = Readonly<Record<string, readonly [source: string, outcome: string]>>;

const FORBIDDEN: Readonly<Record<ArchitectureName, Forbidden>> = {
  riscv64: {
    sret: ["sret", "signal 4"],
    mret: ["mret", "signal 4"],
    "sfence.vma": ["sfence.vma", "signal 4"],
    "a supervisor CSR": ["csrr a0, sscratch", "signal 4"],
    "writing satp": ["csrw satp, a0", "signal 4"],
    "a machine CSR": ["csrr a0, mstatus", "signal 4"],
    "the kernel's entry instruction": [".word 0x0000000b", "signal 4"],
    "an instruction of all ones": [".word 0xffffffff", "signal 4"],
    "an instruction of zeros": [".word 0", "signal 4"],
    "a jump to 0": ["jr zero", "signal 11"],
    "a jump beyond user space": ["li t0, 0x4000000000\n jr t0", "signal 11"],
    "a jump to a non-canonical address": ["li t0, 0x7000000000000000\n jr t0", "signal 11"],
    "a jump into the kernel": ["li t0, -4096\n jr t0", "signal 11"],
    "a jump to the trampoline": ["li t0, 0x3ffffff000\n jr t0", "signal 11"],
    "a store to the trampoline": ["li t0, 0x3ffffff000\n sd t0, 0(t0)", "signal 11"],
    "a load from the trapframe": ["li t0, 0x3fffffe000\n ld t0, 0(t0)", "signal 11"],
    "a load from the kernel": ["li t0, -0x4000000000\n ld t0, 0(t0)", "signal 11"],
    "a misaligned atomic": ["addi t0, sp, 1\n amoadd.w t0, t0, (t0)", "signal 7"],
    "rt_sigreturn from a stack of nothing": [`li sp, 0\n li a7, 139\n ecall`, "signal 11"],
    "rt_sigreturn from the kernel's memory": [`li sp, -4096\n li a7, 139\n ecall`, "signal 11"],
  },
  x86_64: {
    hlt: ["hlt", "signal 11"],
    sysretq: ["sysretq", "signal 11"],
    iretq: ["iretq", "signal 11"],
    swapgs: ["swapgs", "signal 11"],
    invlpg: ["invlpg [rax]", "signal 11"],
    "a control register": ["mov rax, cr0", "signal 11"],
    "writing CR3": ["mov cr3, rax", "signal 11"],
    "a model-specific register": ["rdmsr", "signal 11"],
    "a port": ["in al, 0x60", "signal 11"],
    cli: ["cli", "signal 11"],
    "the kernel's entry instruction": [".byte 0x0f, 0x04, 2", "signal 4"],
    ud2: ["ud2", "signal 4"],
    "a lock prefix where there is none": [".byte 0xf0, 0x90", "signal 4"],
    "an instruction of too many prefixes": [
      ".byte 0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x90",
      "signal 11",
    ],
    int3: ["int3", "signal 5"],
    "a breakpoint by number": ["int 3", "signal 5"],
    "a vector that is the hart's": ["int 14", "signal 11"],
    "a division by zero": ["xor ecx, ecx\n div ecx", "signal 8"],
    "a quotient that does not fit": ["mov edx, 2\n mov ecx, 1\n div ecx", "signal 8"],
    "a masked-out SSE exception": [
      "sub rsp, 8\n mov dword ptr [rsp], 0x1d80\n ldmxcsr [rsp]\n xorps xmm0, xmm0\n mov eax, 1\n cvtsi2ss xmm1, eax\n divss xmm1, xmm0",
      "signal 8",
    ],
    "a jump to 0": ["xor eax, eax\n jmp rax", "signal 11"],
    "a jump to a non-canonical address": ["movabs rax, 0x7000000000000000\n jmp rax", "signal 11"],
    "a load from a non-canonical address": ["movabs rax, 0x7000000000000000\n mov rax, [rax]", "signal 11"],
    "a jump into the kernel": ["mov rax, -4096\n jmp rax", "signal 11"],
    "a jump to the trampoline": [`movabs rax, ${layout.trampoline}\n jmp rax`, "signal 11"],
    "a store to the trampoline": [`movabs rax, ${layout.trampoline}\n mov [rax], rax`, "signal 11"],
    "a load from the trapframe": [`movabs rax, ${layout.trapframe}\n mov rax, [rax]`, "signal 11"],
    "a load from the kernel": [`movabs rax, ${layout.directMap}\n mov rax, [rax]`, "signal 11"],
    "a far jump to the kernel's code": ["push 0x10\n push 0\n retfq", "signal 11"],
    "a stack segment of the kernel": ["mov eax, 0x18\n mov ss, eax", "signal 11"],
    "rt_sigreturn from a stack of nothing": ["xor esp, esp\n mov eax, 15\n syscall", "signal 11"],
    "rt_sigreturn from the kernel's memory": ["mov rsp, -4096\n mov eax, 15\n syscall", "signal 11"],
  },
};

eachArch(({ arch, test }) => {
  const good = portableProgram(arch, GOOD);

  for (const [name, make] of Object.entries(FILES)) {
    test(`${name} is refused or ends by itself`, async (context) => {
      context.diagnostic(`seed ${SEED}`);
      const files = make(good, createRandom(SEED));
      const archive = makeTar({
        "bin/good": good,
        ...Object.fromEntries(files.map((bytes, i) => [`m/${i}`, bytes])),
      });
      await using system = await boot({ arch, memory: 32 << 20, root: { archive } });
      assert.equal(await ends(system, "/bin/good", AMPLE_MS), "exited 0");
      const free = freeFrameCount(system.kernel);
      const outcomes = new Map<string, number>();
      for (const [i] of files.entries()) {
        const outcome = await ends(system, `/m/${i}`);
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      }
      context.diagnostic(JSON.stringify(Object.fromEntries(outcomes)));
      assert.equal(await ends(system, "/bin/good", AMPLE_MS), "exited 0");
      assert.equal(freeFrameCount(system.kernel), free);
      assert.deepEqual(checkInvariants(system.kernel), []);
    });
  }

  test("what user mode may not do is a signal", async () => {
    const entries = Object.entries(FORBIDDEN[arch]);
    const programs = entries.map(([, [source]], i) => {
      return [`m/${i}`, assembleProgram(arch, `_start:\n ${source}\n${translate("sys exit, 0", arch)}\n`)] as const;
    });
    await using system = await boot({
      arch,
      memory: 32 << 20,
      root: { archive: makeTar(Object.fromEntries(programs)) },
    });
    const outcomes: Record<string, string> = {};
    for (const [i, [name]] of entries.entries()) outcomes[name] = await ends(system, `/m/${i}`, AMPLE_MS);
    assert.deepEqual(outcomes, Object.fromEntries(entries.map(([name, [, outcome]]) => [name, outcome])));
  });
});
