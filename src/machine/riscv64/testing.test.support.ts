/** For tests: a bare machine with a program in it, run to its end on either tier. */
import { assemble, type AssembledCode } from "../../isa/riscv64/assembler.ts";
import { createMachine } from "../create-machine.ts";
import type { Machine, MachineOptions } from "../machine.ts";
import { riscv64Processor } from "./engine.ts";
import type { RiscvHart } from "./hart.ts";

export const RAM = 0x8000_0000;
export const TIERS = ["run", "step"] as const;
export type TestTier = (typeof TIERS)[number];

export interface Bench {
  readonly machine: Machine<RiscvHart>;
  readonly harts: readonly RiscvHart[];
  /** The first hart. */
  readonly hart: RiscvHart;
  readonly symbols: ReadonlyMap<string, number>;
  /** Runs until the program executes `wfi` for good, or so many instructions. */
  finish(instructions?: number): void;
  symbol(name: string): number;
}

/**
 * A machine with the program at the start of RAM. The program may use the labels of `EPILOGUE`: `stop` waits for ever,
 * `table` begins 64 KiB of zeros, page-aligned.
 */
export function bench(tier: TestTier, source: string, harts = 1, options: Partial<MachineOptions> = {}): Bench {
  const machine = createMachine({
    ...options,
    processor: riscv64Processor,
    ramBase: RAM,
    ramSize: 4 << 20,
    harts,
    tier,
  });
  const program: AssembledCode = assemble(`${source}\n${EPILOGUE}`, { base: RAM });
  machine.memory.write(program.base, program.bytes);
  const [hart] = machine.harts;
  if (hart === undefined) throw new Error("no hart");
  const symbol = (name: string): number => {
    const address = program.symbols.get(name);
    if (address === undefined) throw new Error(`no symbol ${name}`);
    return address;
  };
  return {
    machine,
    harts: machine.harts,
    hart,
    symbols: program.symbols,
    finish: (instructions = 100_000) => void machine.run({ instructions }),
    symbol,
  };
}

const EPILOGUE = `
stop:
  csrw mie, zero
  wfi
  j stop
  .balign 4096
table:
`;

/** One PTE: the physical address of a page, and its flags. */
export function pte(physical: number, flags: number): { lo: number; hi: number } {
  const frame = physical / 4096;
  return { lo: ((frame % 4194304) << 10) | flags, hi: Math.floor(frame / 4194304) };
}

/** Writes a PTE of a table. */
export function writePte(machine: Machine, table: number, index: number, entry: { lo: number; hi: number }): void {
  machine.memory.write32(table + index * 8, entry.lo);
  machine.memory.write32(table + index * 8 + 4, entry.hi);
}
