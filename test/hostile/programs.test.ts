// Files that are no programs, and programs that are nonsense: each ends with an error of the spawn or a signal, and the next one runs.

import assert from "node:assert/strict";
import { test } from "node:test";
import { checkInvariants } from "../../src/kernel/mem/checker.ts";
import { freeFrameCount } from "../../src/kernel/mem/frames.ts";
import { boot, VitrineError, type Vitrine } from "../../src/node/index.ts";
import { createRandom, type Random } from "../oracle/random.ts";
import { assembleProgram, CALL, makeTar } from "../support/guest.ts";

const SEED = Number(process.env["VITRINE_SEED"] ?? 1);
const SIGKILL = 9;
const HEADERS = 0x78;
/** A program that loops is ended after this. */
const PATIENCE_MS = 100;

const good = assembleProgram(`
_start:
    li a0, 0
    li a7, ${CALL.exit}
    ecall
`);

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
];

/** Changes one to three fields of the headers. */
function mutate(random: Random): Uint8Array {
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
function garbage(random: Random): Uint8Array {
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
async function ends(system: Vitrine, path: string): Promise<string> {
  try {
    const program = system.spawn([path]);
    const timer = setTimeout(() => program.kill(SIGKILL), PATIENCE_MS);
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

const FILES: Readonly<Record<string, (random: Random) => Uint8Array[]>> = {
  "a program that is cut off at any length": () => Array.from(good, (_, length) => good.slice(0, length)),
  "a program whose headers are changed": (random) => Array.from({ length: 400 }, () => mutate(random)),
  "random bytes as instructions": (random) => Array.from({ length: 300 }, () => garbage(random)),
};

for (const [name, make] of Object.entries(FILES)) {
  test(`${name} is refused or ends by itself`, async (context) => {
    context.diagnostic(`seed ${SEED}`);
    const files = make(createRandom(SEED));
    const archive = makeTar({
      "bin/good": good,
      ...Object.fromEntries(files.map((bytes, i) => [`m/${i}`, bytes])),
    });
    await using system = await boot({ memory: 32 << 20, root: { archive } });
    assert.equal(await ends(system, "/bin/good"), "exited 0");
    const free = freeFrameCount(system.kernel);
    const outcomes = new Map<string, number>();
    for (const [i] of files.entries()) {
      const outcome = await ends(system, `/m/${i}`);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    context.diagnostic(JSON.stringify(Object.fromEntries(outcomes)));
    assert.equal(await ends(system, "/bin/good"), "exited 0");
    assert.equal(freeFrameCount(system.kernel), free);
    assert.deepEqual(checkInvariants(system.kernel), []);
  });
}

/** One instruction that user mode may not execute, or an address that it may not touch, and the signal that it gets. */
const FORBIDDEN: Readonly<Record<string, readonly [source: string, outcome: string]>> = {
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
  "rt_sigreturn from a stack of nothing": [`li sp, 0\n li a7, ${CALL.rt_sigreturn}\n ecall`, "signal 11"],
  "rt_sigreturn from the kernel's memory": [`li sp, -4096\n li a7, ${CALL.rt_sigreturn}\n ecall`, "signal 11"],
};

test("what user mode may not do is a signal", async () => {
  const entries = Object.entries(FORBIDDEN);
  const programs = entries.map(([, [source]], i) => {
    return [`m/${i}`, assembleProgram(`_start:\n ${source}\n li a0, 0\n li a7, ${CALL.exit}\n ecall\n`)] as const;
  });
  await using system = await boot({ memory: 32 << 20, root: { archive: makeTar(Object.fromEntries(programs)) } });
  const outcomes: Record<string, string> = {};
  for (const [i, [name]] of entries.entries()) outcomes[name] = await ends(system, `/m/${i}`);
  assert.deepEqual(outcomes, Object.fromEntries(entries.map(([name, [, outcome]]) => [name, outcome])));
});
