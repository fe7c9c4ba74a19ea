// objdump as an oracle for the decoder and the disassembler of x86-64.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Syntax } from "../../src/isa/x86_64/disassembler.ts";
import type { CodeMode } from "../../src/isa/x86_64/decode-types.ts";
import { inScratchFolder, runTool } from "../support/tools.ts";

export const X86_OBJDUMP = "x86_64-linux-gnu-objdump";

/** One instruction as objdump shows it, with single spaces. */
export interface DumpedX86 {
  readonly address: number;
  readonly bytes: Uint8Array;
  readonly text: string;
}

/** Bytes that lie from address 0, as code of a mode. Near branches are read as Intel's processors do. */
export function objdumpBytes(bytes: Uint8Array, mode: CodeMode, syntax: Syntax): DumpedX86[] {
  return inScratchFolder((folder) => {
    const path = join(folder, "a.bin");
    writeFileSync(path, bytes);
    const machine = mode === 64 ? "i386:x86-64" : mode === 32 ? "i386" : "i8086";
    return objdump(["-D", "-z", "-b", "binary", "-m", machine, path], syntax);
  });
}

/** The code of an ELF file's `.text`. */
export function objdumpText(path: string, syntax: Syntax): DumpedX86[] {
  return objdump(["-d", "-j", ".text", path], syntax);
}

function objdump(args: readonly string[], syntax: Syntax): DumpedX86[] {
  const options = syntax === "intel" ? "intel,intel64" : "intel64";
  const text = runTool(X86_OBJDUMP, ["-w", "-M", options, "--insn-width=16", ...args]).toString();
  return [...text.matchAll(/^\s*([0-9a-f]+):\t([0-9a-f ]+?)\s*\t(.*)$/gm)].map(
    ([, address = "", bytes = "", instruction = ""]) => ({
      address: Number.parseInt(address, 16),
      bytes: Uint8Array.from(bytes.trim().split(" "), (byte) => Number.parseInt(byte, 16)),
      text: instruction.replace(/\s+/g, " ").trim(),
    }),
  );
}
