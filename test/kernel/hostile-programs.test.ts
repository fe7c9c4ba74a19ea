// Damaged program files: exec refuses them with an error, or they run into a signal; the kernel stays whole and nothing leaks.
// The seed is printed; VITRINE_SEED chooses another.

import assert from "node:assert/strict";
import { checkInvariants } from "../../src/kernel/mem/checker.ts";
import { freeFrameCount } from "../../src/kernel/mem/frames.ts";
import { checkProcessInvariants } from "../../src/kernel/process/checker.ts";
import { boot, VitrineError, type Vitrine } from "../../src/node/index.ts";
import { createRandom, type Random } from "../oracle/random.ts";
import { eachArch } from "../support/architectures.ts";
import { makeTar, portableProgram } from "../support/guest.ts";

const SEED = Number(process.env["VITRINE_SEED"] ?? 1);
const SIGKILL = 9;
/** A program that loops is ended after this; one that must end by itself has time enough on a busy host. */
const PATIENCE_MS = 20;
const AMPLE_MS = 10_000;
/** Bytes of the ELF header and the one program header. */
const HEADERS = 0x78;

const SOURCE = `
_start:
    sys exit, 0
    .zero 5000
`;

/** Offsets of 64-bit fields that decide how a program is mapped. */
const FIELDS = [24, 32, 0x48, 0x50, 0x60, 0x68, 0x70];
const VALUES = [
  0,
  1,
  8,
  0xfff,
  0x1000,
  0x10000,
  2 ** 31,
  2 ** 32,
  2 ** 38 - 4096,
  2 ** 38,
  2 ** 47,
  2 ** 53,
  -1,
  -4096,
];

function damage(program: Uint8Array, random: Random): Uint8Array {
  const bytes = program.slice();
  const view = new DataView(bytes.buffer);
  for (let count = 1 + random.below(3); count > 0; count--) {
    switch (random.below(4)) {
      case 0:
        bytes[random.below(HEADERS)] = random.below(256);
        break;
      case 1:
        view.setBigInt64(random.pick(FIELDS), BigInt(random.pick(VALUES)), true);
        break;
      case 2:
        view.setUint32(0x40, random.pick([0, 1, 2, 3, 4, 6, 7, 0x6474e551]), true);
        break;
      default:
        return bytes.slice(0, random.below(bytes.length));
    }
  }
  return bytes;
}

/** Runs the program if the kernel takes it; one that does not end by itself is killed. */
async function run(system: Vitrine, path: string, patienceMs = PATIENCE_MS): Promise<string> {
  try {
    const program = system.spawn([path]);
    const timer = setTimeout(() => program.kill(SIGKILL), patienceMs);
    const status = await program.status;
    clearTimeout(timer);
    return status.kind === "exited" ? `exit ${status.code}` : `signal ${status.signal}`;
  } catch (error) {
    assert.ok(error instanceof VitrineError, String(error));
    return "refused";
  }
}

eachArch(({ arch, test }) => {
  const program = portableProgram(arch, SOURCE);

  test(`damaged program files harm nobody (seed ${SEED})`, { timeout: 60_000 }, async () => {
    const random = createRandom(SEED);
    const files: Record<string, Uint8Array> = { "bin/good": program };
    for (let i = 0; i < 300; i++) files[`bin/bad${i}`] = damage(program, random);
    files["bin/script"] = new TextEncoder().encode("#!");
    files["bin/script2"] = new TextEncoder().encode(`#!/bin/${"x".repeat(300)}`);
    files["bin/script3"] = new Uint8Array([0x23, 0x21, 0, 0x2f, 0xff]);
    await using system = await boot({ arch, root: { archive: makeTar(files) }, memory: 32 << 20 });
    await run(system, "/bin/good", AMPLE_MS);
    const before = freeFrameCount(system.kernel);
    const outcomes = new Map<string, number>();
    for (const name of Object.keys(files)) {
      const outcome = await run(system, `/${name}`);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    assert.ok((outcomes.get("refused") ?? 0) > 100, "most are refused");
    assert.equal(await run(system, "/bin/good", AMPLE_MS), "exit 0");
    assert.deepEqual([...checkInvariants(system.kernel), ...checkProcessInvariants(system.kernel)], []);
    assert.equal(freeFrameCount(system.kernel), before);
  });
});
