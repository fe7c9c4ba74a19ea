// A use of a stale translation (machine/engine/translation-check.ts) in words: the instruction, what its TLB entry says, what the page
// tables say, and who changed them without a flush.

import type { Kernel } from "../kernel/kernel.ts";
import { hexNumber64 } from "../lib/word64.ts";
import type { PteChange, StaleTranslation } from "../machine/engine/translation-check.ts";
import type { Disassemble } from "../system/platform.ts";

/** Lines of TypeScript that a change is traced back through at most. */
const TRACE_LINES = 16;

/** The report of one stale translation, several lines without a last newline; `disassemble` is that of the kernel's architecture. */
export function describeStaleTranslation(k: Kernel, stale: StaleTranslation, disassemble: Disassemble): string {
  const { hart, entry, tables } = stale;
  const asid = entry.isGlobal ? "global" : `${k.arch.narration.asidName} ${stale.asid}`;
  return [
    `stale translation used on hart ${hart.id} at pc ${hexNumber64(stale.pc)}: ${instruction(disassemble, stale.pc, stale.code)}`,
    `  ${stale.access} at ${hexNumber64(stale.address)}, ${asid}, privilege ${hart.privilege}`,
    `  TLB entry:  -> ${hexNumber64(entry.physical)}, ${entry.rights}; ${size(entry.size)} from ${hexNumber64(entry.virtual)}, filled for a ${entry.filledFor} at pc ${hexNumber64(entry.filledAt)}`,
    `  tables now: ${tables === undefined ? "the access faults" : `-> ${hexNumber64(tables.physical)}, ${tables.rights}`}`,
    ...(stale.changes.length === 0
      ? ["  no PTE of the entry has changed: the identifier was given to other tables without a flush"]
      : stale.changes.flatMap((change) => describeChange(disassemble, change))),
  ].join("\n");
}

function describeChange(disassemble: Disassemble, { location, level, writer }: PteChange): string[] {
  const where = `  changed and not flushed: the PTE at ${hexNumber64(location)}, level ${level},`;
  if (writer === undefined) return [`${where} nobody knows by whom`];
  if (writer.kind === "hart") {
    const text = instruction(disassemble, writer.pc, writer.code);
    return [`${where} by hart ${writer.hart} at pc ${hexNumber64(writer.pc)}: ${text}`];
  }
  return [`${where} by the host`, ...traceOf(writer.trace)];
}

/** The frames of a trace outside the machine, innermost first. */
function traceOf({ stack = "" }: Error): string[] {
  return stack
    .split("\n")
    .filter((line) => /^\s+at /.test(line) && !/\/src\/machine\//.test(line))
    .map((line) => line.replace(/\(?(file:\/\/)?\S*\/(dist\/)?(src\/)/, "($3"))
    .slice(0, TRACE_LINES);
}

function instruction(disassemble: Disassemble, pc: number, code: Uint8Array): string {
  return code.length === 0 ? "(the fetch itself)" : disassemble(code, pc);
}

function size(bytes: number): string {
  if (bytes >= 2 ** 30) return `${bytes / 2 ** 30} GiB`;
  return bytes >= 2 ** 20 ? `${bytes / 2 ** 20} MiB` : `${bytes / 2 ** 10} KiB`;
}
