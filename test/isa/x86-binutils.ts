// GNU as of x86-64 as an oracle for the assembler.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CodeMode } from "../../src/isa/x86_64/decode-types.ts";
import { inScratchFolder, runTool } from "../support/tools.ts";

const PREFIX = "x86_64-linux-gnu-";

/** The tools that the functions below need. */
export const X86_BINUTILS = ["as", "ld", "objcopy", "objdump"].map((tool) => PREFIX + tool);

/** Bytes that GNU as and ld make of a source in Intel syntax that is linked at an address. */
export function gnuAssembleX86(source: string, base: bigint, mode: CodeMode): Uint8Array {
  return inScratchFolder((folder) => {
    const at = (name: string): string => join(folder, name);
    writeFileSync(at("a.s"), `.intel_syntax noprefix\n.code${mode}\n${source}\n`);
    runTool(`${PREFIX}as`, ["-o", at("a.o"), at("a.s")]);
    const address = `0x${BigInt.asUintN(64, base).toString(16)}`;
    runTool(`${PREFIX}ld`, [`-Ttext=${address}`, "-e", address, "-o", at("a.elf"), at("a.o")]);
    runTool(`${PREFIX}objcopy`, ["-O", "binary", "-j", ".text", at("a.elf"), at("a.bin")]);
    return new Uint8Array(readFileSync(at("a.bin")));
  });
}

/** How objdump reads bytes that hold one instruction every `stride` bytes: its text, by its place. */
export function gnuDisassembleX86(bytes: Uint8Array, stride: number, mode: 32 | 64): string[] {
  const text = inScratchFolder((folder) => {
    const path = join(folder, "a.bin");
    writeFileSync(path, bytes);
    const machine = mode === 64 ? "i386:x86-64" : "i386";
    const flags = ["-D", "-z", "-b", "binary", "-m", machine, "-M", "intel", "--insn-width=16"];
    return runTool(`${PREFIX}objdump`, [...flags, path]).toString();
  });
  const lines: string[] = [];
  for (const [, address = "", instruction = ""] of text.matchAll(/^\s*([0-9a-f]+):\t[0-9a-f ]+\t(.*)$/gm)) {
    const offset = Number.parseInt(address, 16);
    if (offset % stride === 0) lines[offset / stride] = instruction.replace(/\s+/g, " ").trim();
  }
  return lines;
}
