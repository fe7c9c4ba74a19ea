// The board `microvm` with the kernel for x86-64.
//
// Hart 0 starts at the image in 32-bit protected mode; the others wait for its start-up messages. The boot tables map kernel text where the
// kernel's own will, so the binding is the same from the first instruction on.

import { bootImage } from "../../kernel/arch/x86_64/image.prebuilt.ts";
import { IMAGE_BASE, RAM_BASE, TEXT_END, TEXT_START } from "../../kernel/arch/x86_64/layout.ts";
import { describeHart, enterKernel } from "../../kernel/arch/x86_64/trap.ts";
import { x86_64 } from "../../kernel/arch/x86_64/x86_64.ts";
import { populateMicrovmBoard } from "../../machine/boards/microvm.ts";
import { createMachine } from "../../machine/create-machine.ts";
import type { Hart } from "../../machine/hart.ts";
import { x86Processor } from "../../machine/x86_64/engine.ts";
import type { Platform, PlatformOptions } from "../platform.ts";

/** Instructions of a run that counts as more than a moment: ten times as many as it takes to the prompt. */
const JOIN_AFTER = 3_000_000;

/** Translated code is ten times as fast as interpreted code, so it is looked for soon. */
const HOTNESS = { pause: 5_000_000, samples: 64, quantum: 10_000, threshold: 3 };

export function createX86Platform(options: PlatformOptions): Platform {
  const { memoryBytes, harts, bootTime, consoleOutput, onStaleTranslation } = options;
  const machine = createMachine({
    processor: x86Processor,
    ramBase: RAM_BASE,
    ramSize: memoryBytes,
    harts,
    joinAfter: JOIN_AFTER,
    ...(onStaleTranslation === undefined ? {} : { onStaleTranslation }),
    hotness: HOTNESS,
    resetPc: IMAGE_BASE,
  });
  const board = populateMicrovmBoard(machine, { bootTime, consoleOutput });
  machine.memory.write(IMAGE_BASE, bootImage().bytes);
  return {
    machine,
    arch: x86_64,
    pushConsoleInput: (bytes) => board.uart.pushInput(bytes),
    bind(k, startUser, guard) {
      const enter = (hart: Hart, entry: number): void => {
        guard(hart, () => enterKernel(k, hart, entry, startUser));
      };
      machine.bindKernel({ text: { start: TEXT_START, end: TEXT_END }, enter });
    },
    describeHart,
  };
}
