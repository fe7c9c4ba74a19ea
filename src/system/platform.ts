// A board with the kernel's image in its RAM, for each architecture: what only the machine and the architecture know.
//
//   loadPlatform ──> CreatePlatform ──> machine, kernel image in RAM, `kentry` bound to the kernel        platforms/*.ts

import type { Arch } from "../kernel/arch/arch.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Hart } from "../machine/hart.ts";
import type { StaleTranslation } from "../machine/engine/translation-check.ts";
import type { Machine } from "../machine/machine.ts";

export interface PlatformOptions {
  readonly memoryBytes: number;
  readonly harts: number;
  readonly bootTime: { readonly seconds: number; readonly nanoseconds: number };
  readonly consoleOutput: (byte: number) => void;
  /** As MachineOptions.onStaleTranslation. */
  readonly onStaleTranslation?: ((stale: StaleTranslation) => void) | undefined;
}

export interface Platform {
  readonly machine: Machine;
  readonly arch: Arch;
  /** Bytes from the host to the console's UART. */
  pushConsoleInput(bytes: Uint8Array): void;
  /** Binds the kernel's entries. `enter` runs one; it must not throw. */
  bind(k: Kernel, startUser: (k: Kernel) => void, guard: (hart: Hart, work: () => void) => void): void;
  describeHart(hart: Hart): string;
}

/** Least RAM that can hold the kernel, its tables and a program. */
export const MINIMUM_MEMORY = 4 * 1024 * 1024;

/** Makes the board. Throws a RangeError for memory or hart counts that it cannot have. */
export type CreatePlatform = (options: PlatformOptions) => Platform;

/** Each architecture is loaded when it is asked for: who runs one has no use for the other. */
const LOADERS = {
  riscv64: async () => (await import("./platforms/riscv64.ts")).createRiscvPlatform,
  x86_64: async () => (await import("./platforms/x86_64.ts")).createX86Platform,
} satisfies Record<string, () => Promise<CreatePlatform>>;

export type Architecture = keyof typeof LOADERS;

export const ARCHITECTURES = Object.keys(LOADERS) as Architecture[]; // the keys are known above

/** The text of the instruction at `pc`, whose bytes `code` begins with. */
export type Disassemble = (code: Uint8Array, pc: number) => string;

const DISASSEMBLERS: Readonly<Record<Architecture, () => Promise<Disassemble>>> = {
  riscv64: async () => {
    const { disassembleAt } = await import("../isa/riscv64/disassembler.ts");
    return (code, pc) => disassembleAt(code, 0, { pc }).text;
  },
  x86_64: async () => {
    const { disassembleAt } = await import("../isa/x86_64/disassembler.ts");
    return (code, pc) => disassembleAt(code, 0, { pc }).text;
  },
};

export function loadDisassembler(arch: Architecture): Promise<Disassemble> {
  return DISASSEMBLERS[arch]();
}

export function loadPlatform(arch: Architecture): Promise<CreatePlatform> {
  return LOADERS[arch]();
}
