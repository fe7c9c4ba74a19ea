// The two that random x86-64 programs run on: the host's processor, and our machine in user mode with a page table, until its first system call.

import { arch, platform } from "node:os";
import { CR0, CR4, EFER, RFLAGS, SEGMENT } from "../../src/isa/x86_64/registers.ts";
import { SYSTEM_CALL } from "../../src/isa/x86_64/vectors.ts";
import { createMachine } from "../../src/machine/create-machine.ts";
import type { Hotness } from "../../src/machine/engine/hotness.ts";
import { x86Processor } from "../../src/machine/x86_64/engine.ts";
import type { X86Hart } from "../../src/machine/x86_64/hart.ts";
import type { Machine, MachineOptions } from "../../src/machine/machine.ts";
import type { Image, Outcome, Runner } from "./differential.ts";
import { runStaticElf } from "./static-elf.ts";
import { BEGIN, DATA_BASE, SEGMENT_BASES, TEXT_BASE, withoutUndefined } from "./x86-random-program.ts";

/** Why the host cannot run the programs, or false. */
export const skipHost = arch() === "x64" && platform() === "linux" ? false : "needs an x86-64 Linux host";

const MACHINE_X86_64 = 62;

/** Runs a program on the host's processor; its data begins at `skew` in a page. */
export const runOnHost =
  (skew: number): Runner =>
  (image) => {
    const target = {
      machine: MACHINE_X86_64,
      flags: 0,
      entry: TEXT_BASE,
      textBase: TEXT_BASE,
      dataBase: DATA_BASE + skew,
    };
    try {
      return { data: withoutUndefined(runStaticElf(image, target, [])), failure: undefined };
    } catch (error) {
      return { data: image.data, failure: String(error) };
    }
  };

/** How our machine executes: the interpreter, the exact tier, the interpreter that translates whatever it sees, or the one without sequences. */
export const TIERS = ["run", "step", "regions", "first"] as const;
export type Tier = (typeof TIERS)[number];

const COLD: Hotness = { pause: Infinity, samples: 1, quantum: 1, threshold: 1 };
const HOT: Hotness = { pause: 700, samples: 8, quantum: 7, threshold: 1 };
const OPTIONS: Readonly<Record<Tier, Pick<MachineOptions, "tier" | "hotness" | "joinAfter">>> = {
  run: { tier: "run", hotness: COLD },
  step: { tier: "step", hotness: COLD },
  regions: { tier: "run", hotness: HOT },
  first: { tier: "run", hotness: COLD, joinAfter: Infinity },
};

const RAM_SIZE = 32 << 20;
/** Page tables, and code that halts. */
const PML4 = 0x1000;
const PDPT = 0x2000;
const DIRECTORY = 0x3000;
const HALT = 0x4000;
const HLT = 0xf4;
const PRESENT_WRITABLE_USER = 7;
const LARGE = 0x80;
const USER_CODE = { selector: 0x33, base: { hi: 0, lo: 0 }, limit: -1, attributes: 0xa0fb };
const USER_DATA = { selector: 0x2b, base: { hi: 0, lo: 0 }, limit: -1, attributes: 0xc0f3 };

/** Runs a program on one tier of our machine. */
export const runOnTier =
  (tier: Tier, skew: number): Runner =>
  (image, instructionLimit) => {
    const machine = createMachine({
      processor: x86Processor,
      ramBase: 0,
      ramSize: RAM_SIZE,
      harts: 1,
      codePages: 256,
      ...OPTIONS[tier],
    });
    return runImage(machine, image, skew, instructionLimit);
  };

function runImage(machine: Machine<X86Hart>, image: Image, skew: number, instructionLimit: number): Outcome {
  const { memory, harts } = machine;
  const hart = harts[0];
  if (hart === undefined) throw new Error("the machine has no hart");
  memory.write32(PML4, PDPT | PRESENT_WRITABLE_USER);
  memory.write32(PDPT, DIRECTORY | PRESENT_WRITABLE_USER);
  for (let n = 0; n < RAM_SIZE >> 21; n++) memory.write32(DIRECTORY + 8 * n, (n << 21) | PRESENT_WRITABLE_USER | LARGE);
  memory.write8(HALT, HLT);
  memory.write(TEXT_BASE, image.text);
  memory.write(DATA_BASE + skew, image.data);
  hart.setSystemRegister("cr3", PML4, 0);
  hart.setSystemRegister("cr4", CR4.PAE | CR4.OSFXSR | CR4.OSXMMEXCPT, 0);
  hart.setSystemRegister("efer", EFER.SCE | EFER.LME | EFER.LMA, 0);
  hart.setSystemRegister("cr0", CR0.PG | CR0.WP | CR0.NE | CR0.ET | CR0.MP | CR0.PE, 0);
  hart.setSystemRegister("lstar", HALT, 0);
  hart.setSystemRegister("star", 0, 0x00230010);
  hart.setSegment(SEGMENT.cs, USER_CODE);
  for (const segment of [SEGMENT.es, SEGMENT.ss, SEGMENT.ds]) hart.setSegment(segment, USER_DATA);
  hart.setSegment(SEGMENT.fs, { ...USER_DATA, base: { hi: 0, lo: SEGMENT_BASES.fs } });
  hart.setSegment(SEGMENT.gs, { ...USER_DATA, base: { hi: 0, lo: SEGMENT_BASES.gs } });
  hart.setRflags(RFLAGS.IF);
  hart.setPc(BEGIN);
  let failure: string | undefined = "it does not end";
  machine.probes.trap = (_, { cause, pc, tval }) => {
    failure = cause === SYSTEM_CALL ? undefined : `exception ${cause} at ${pc.toString(16)}, ${tval.toString(16)}`;
    machine.requestStop();
  };
  const stop = machine.run({ instructions: instructionLimit });
  if (stop.kind !== "stopped") failure = `${JSON.stringify(stop)} at ${hart.pc.toString(16)}`;
  return { data: withoutUndefined(memory.read(DATA_BASE + skew, image.data.length)), failure };
}
