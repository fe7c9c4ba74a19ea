// A board with the kernel's image in its RAM, for each architecture: what only the machine and the architecture know.
//
//   createPlatform ──> machine, kernel image at the base of RAM, `kentry` bound to the kernel
//
// Before paging is on, kernel text runs at its physical address; the binding moves with it.

import { PAGE_SIZE } from "../lib/address.ts";
import type { Arch } from "../kernel/arch/arch.ts";
import { bootImage } from "../kernel/arch/riscv64/boot.ts";
import { ENTRY } from "../kernel/arch/riscv64/entries.ts";
import { IMAGE, imagePage, RAM_BASE, TEXT_END, TEXT_START } from "../kernel/arch/riscv64/layout.ts";
import { riscv64 } from "../kernel/arch/riscv64/riscv64.ts";
import { describeHart, enterKernel } from "../kernel/arch/riscv64/trap.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { populateVirtBoard } from "../machine/boards/virt.ts";
import { createMachine } from "../machine/create-machine.ts";
import type { Hart } from "../machine/hart.ts";
import type { Machine } from "../machine/machine.ts";
import { riscv64Processor } from "../machine/riscv64/engine.ts";

export type Architecture = "riscv64";

export interface PlatformOptions {
  readonly memoryBytes: number;
  readonly harts: number;
  readonly bootTime: { readonly seconds: number; readonly nanoseconds: number };
  readonly consoleOutput: (byte: number) => void;
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

/** Instructions of a run that counts as more than a moment: ten times as many as it takes to the prompt. */
const JOIN_AFTER = 3_000_000;

/** Least RAM that can hold the kernel, its tables and a program. */
export const MINIMUM_MEMORY = 4 * 1024 * 1024;

/** Makes the board. Throws a RangeError for memory or hart counts that it cannot have. */
export function createPlatform(_arch: Architecture, options: PlatformOptions): Platform {
  const machine = createMachine({
    processor: riscv64Processor,
    ramBase: RAM_BASE,
    ramSize: options.memoryBytes,
    harts: options.harts,
    joinAfter: JOIN_AFTER,
  });
  const board = populateVirtBoard(machine, { bootTime: options.bootTime, consoleOutput: options.consoleOutput });
  machine.memory.write(RAM_BASE, bootImage().bytes);
  return {
    machine,
    arch: riscv64,
    pushConsoleInput: (bytes) => board.uart.pushInput(bytes),
    bind(k, startUser, guard) {
      const enter = (hart: Hart, entry: number): void => {
        guard(hart, () => enterKernel(k, hart, entry, startUser));
        if (entry === ENTRY.start) machine.bindKernel({ text: { start: TEXT_START, end: TEXT_END }, enter });
      };
      const start = imagePage(IMAGE.text);
      machine.bindKernel({ text: { start, end: start + PAGE_SIZE }, enter });
    },
    describeHart,
  };
}
