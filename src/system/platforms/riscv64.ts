// The board `virt` with the kernel for RISC-V.
//
// Hart 0 starts at the base of RAM, where the image is. Before paging is on, kernel text runs at its physical address; the binding
// moves with it.

import { PAGE_SIZE } from "../../lib/address.ts";
import { bootImage } from "../../kernel/arch/riscv64/image.prebuilt.ts";
import { ENTRY } from "../../kernel/arch/riscv64/entries.ts";
import { IMAGE, imagePage, RAM_BASE, TEXT_END, TEXT_START } from "../../kernel/arch/riscv64/layout.ts";
import { riscv64 } from "../../kernel/arch/riscv64/riscv64.ts";
import { describeHart, enterKernel } from "../../kernel/arch/riscv64/trap.ts";
import { populateVirtBoard } from "../../machine/boards/virt.ts";
import { createMachine } from "../../machine/create-machine.ts";
import type { Hart } from "../../machine/hart.ts";
import { riscv64Processor } from "../../machine/riscv64/engine.ts";
import type { Platform, PlatformOptions } from "../platform.ts";

/** Instructions of a run that counts as more than a moment: ten times as many as it takes to the prompt. */
const JOIN_AFTER = 3_000_000;

export function createRiscvPlatform(options: PlatformOptions): Platform {
  const { memoryBytes, harts, bootTime, consoleOutput, onStaleTranslation } = options;
  const machine = createMachine({
    processor: riscv64Processor,
    ramBase: RAM_BASE,
    ramSize: memoryBytes,
    harts,
    joinAfter: JOIN_AFTER,
    ...(onStaleTranslation === undefined ? {} : { onStaleTranslation }),
  });
  const board = populateVirtBoard(machine, { bootTime, consoleOutput });
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
