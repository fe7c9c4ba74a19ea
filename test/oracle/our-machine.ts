// Runs a program on our machine: in user mode, translation off, until its first system call.

import { CSR } from "../../src/isa/riscv64/csrs.ts";
import { createMachine } from "../../src/machine/create-machine.ts";
import type { MachineOptions } from "../../src/machine/machine.ts";
import { riscv64Processor } from "../../src/machine/riscv64/engine.ts";
import type { Runner } from "./differential.ts";
import { DATA_BASE, TEXT_BASE } from "./program.ts";

/** Which of the machine's tiers executes: the interpreter, or the exact tier alone. */
export type Tier = NonNullable<MachineOptions["tier"]>;

const RAM_SIZE = 16 << 20;
const USER_ECALL = 8;
/** mstatus.FS: dirty. */
const FS_DIRTY = 3 << 13;
/** pmpcfg: NAPOT, readable, writable, executable. */
const PMP_ALL = 0x1f;

/** Runs programs on one tier of our machine. */
export const runOnTier =
  (tier: Tier): Runner =>
  (image, instructionLimit) => {
    const machine = createMachine({
      processor: riscv64Processor,
      ramBase: TEXT_BASE,
      ramSize: RAM_SIZE,
      harts: 1,
      tier,
    });
    machine.memory.write(TEXT_BASE, image.text);
    machine.memory.write(DATA_BASE, image.data);
    const hart = machine.harts[0];
    if (hart === undefined) throw new Error("the machine has no hart");
    hart.writeCsr(CSR.pmpaddr0, -1, -1);
    hart.writeCsr(CSR.pmpcfg0, PMP_ALL, 0);
    hart.writeCsr(CSR.mstatus, FS_DIRTY, 0);
    hart.setPc(TEXT_BASE);
    hart.setPrivilege(0);
    let failure: string | undefined = "it does not end";
    machine.probes.trap = (_, { cause, pc }) => {
      failure = cause === USER_ECALL ? undefined : `trap ${cause} at ${pc.toString(16)}`;
      machine.requestStop();
    };
    machine.run({ instructions: instructionLimit });
    return { data: machine.memory.read(DATA_BASE, image.data.length), failure };
  };
