/**
 * The instructions that the exact tier executes in TypeScript: those of the system, strings, and what only 32-bit mode has. Here is
 * what they have in common, and the table of them all.
 */
import type { Decoded } from "../../isa/x86_64/decode-types.ts";
import {
  instructionOf,
  type Extension,
  type InstructionId,
  type MnemonicOfExtension,
} from "../../isa/x86_64/instructions.ts";
import type { EngineMachine } from "../processor.ts";
import type { MemoryAccess } from "./access.ts";
import type { LocalApicPort } from "./local-apic-port.ts";
import type { Operands } from "./operands.ts";
import type { Registers } from "./registers.ts";
import type { Segmentation } from "./segmentation.ts";
import { farSemantics } from "./system-far.ts";
import { legacySemantics } from "./system-legacy.ts";
import { machineSemantics } from "./system-machine.ts";
import { portSemantics } from "./system-ports.ts";
import { registerSemantics } from "./system-registers.ts";
import { segmentSemantics } from "./system-segments.ts";
import { stateSemantics } from "./system-state.ts";
import { stringSemantics } from "./strings.ts";

/** What the system instructions need of the hart. */
export interface SystemHart {
  /** Harts of the machine. */
  readonly hartCount: number;
  readonly id: number;
  readonly registers: Registers;
  readonly access: MemoryAccess;
  readonly operands: Operands;
  readonly segmentation: Segmentation;
  readonly apic: LocalApicPort | undefined;
  readonly machine: Pick<EngineMachine, "bus" | "ram">;
  /** The privilege, RFLAGS, or a control register that translation depends on has changed. */
  onModesChanged(): void;
  /** CR3 was written: tells the probe. */
  onSpaceChanged(): void;
  /** Drops translations: of an address or all, of a PCID or all. */
  /** `takesGlobal`, which is by default where all PCIDs are meant: global translations go as well. */
  flush(virtualAddress: number | undefined, pcid: number | undefined, takesGlobal?: boolean): void;
  /** `int` and its kin: delivers the vector, from the next instruction. */
  interrupt(vector: number, source: "software" | "trap"): void;
  /** `syscall` or `sysenter` at `pc` has gone to its handler from that privilege. */
  onSystemCall(pc: number, from: number): void;
  /** A return from an interrupt or system call has come from that privilege. */
  onReturn(from: number): void;
  /** Enters the resident kernel if there is one and the pc is in its text; false if not. The instruction has retired then. */
  enterKernel(index: number): boolean;
}

/** How an instruction ended. */
export type SystemOutcome =
  /** The pc goes on to CELL.nextPc. */
  | "done"
  /** The pc has been set, and that is a check point; the instruction retires. */
  | "jumped"
  /** The pc has been set and time has been taken. */
  | "entered"
  /** Some of a repeated instruction is done; it is executed again. */
  | "repeat"
  /** #UD. */
  | "undefined"
  /** The fault is noted in `access`. */
  | "faulted";

export type SystemSemantics = (hart: SystemHart, decoded: Decoded) => SystemOutcome;

export type SystemMnemonic = MnemonicOfExtension<"system" | "string" | "legacy" | "vitrine">;

/** Of the legacy instructions those that are exact definitions on registers alone are elsewhere (semantics/integer-exact.ts). */
type DecimalMnemonic = "daa" | "das" | "aaa" | "aas" | "aam" | "aad";
/** Base instructions that have no emitted form. */
const BASE_MNEMONICS = ["clflush"] as const;
type BaseMnemonic = (typeof BASE_MNEMONICS)[number];

const systemSemantics: Readonly<Record<Exclude<SystemMnemonic, DecimalMnemonic> | BaseMnemonic, SystemSemantics>> = {
  ...farSemantics,
  ...legacySemantics,
  ...machineSemantics,
  ...portSemantics,
  ...registerSemantics,
  ...segmentSemantics,
  ...stateSemantics,
  ...stringSemantics,
};

const EXTENSIONS: ReadonlySet<Extension> = new Set(["system", "string", "legacy", "vitrine"]);
const baseMnemonics: ReadonlySet<string> = new Set(BASE_MNEMONICS);

/** By id, as far as they were asked for; null where TypeScript does not execute it. */
const semanticsById: (SystemSemantics | null | undefined)[] = [];

function findSemantics(id: InstructionId): SystemSemantics | null {
  const { mnemonic, extension } = instructionOf(id);
  const byName: Readonly<Partial<Record<string, SystemSemantics>>> = systemSemantics;
  return (EXTENSIONS.has(extension) || baseMnemonics.has(mnemonic) ? byName[mnemonic] : undefined) ?? null;
}

/** What an instruction does that TypeScript executes, by its id; undefined for the others. */
export function systemSemanticsOf(id: InstructionId): SystemSemantics | undefined {
  let found = semanticsById[id];
  if (found === undefined) {
    found = findSemantics(id);
    semanticsById[id] = found;
  }
  return found ?? undefined;
}
