// GNU binutils as an oracle for the assembler, the disassembler and the compressed expansion.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inScratchFolder, runTool } from "../support/tools.ts";

const PREFIX = "riscv64-linux-gnu-";

/** The tools that the functions below need. */
export const BINUTILS = ["as", "ld", "objcopy", "objdump"].map((tool) => PREFIX + tool);

const ARCHITECTURE = {
  G: "rv64imafd_zicsr_zifencei_zihintpause_zba_zbb_zbs_sstc",
  GC: "rv64imafdc_zicsr_zifencei_zihintpause_zba_zbb_zbs_sstc",
} as const;

/** Bytes that GNU as and ld make of a source that is linked at an address. */
export function gnuAssemble(source: string, base: bigint, architecture: keyof typeof ARCHITECTURE): Uint8Array {
  return inScratchFolder((folder) => {
    const [linked, binary] = [join(folder, "a.elf"), join(folder, "a.bin")];
    const object = assembleObject(folder, source, architecture);
    const address = `0x${BigInt.asUintN(64, base).toString(16)}`;
    runTool(`${PREFIX}ld`, ["--no-relax", `-Ttext=${address}`, "-e", address, "-o", linked, object]);
    runTool(`${PREFIX}objcopy`, ["-O", "binary", "-j", ".text", linked, binary]);
    return new Uint8Array(readFileSync(binary));
  });
}

/** One instruction as objdump shows it. */
export interface DumpedInstruction {
  readonly address: number;
  readonly mnemonic: string;
  readonly operands: string;
}

/** `objdump -d -M no-aliases` of raw words of 2 or 4 bytes, laid out from address 0. */
export function gnuDisassemble(words: readonly number[], size: 2 | 4): DumpedInstruction[] {
  const text = inScratchFolder((folder) => {
    // As instructions of an ELF file, whose attributes tell objdump the architecture; of raw bytes it knows only RV64GC.
    const source = words.map((word) => `.insn ${size}, 0x${(word >>> 0).toString(16)}`).join("\n");
    const object = assembleObject(folder, source, "GC");
    return runTool(`${PREFIX}objdump`, ["-d", "-M", "no-aliases", object]).toString();
  });
  return [...text.matchAll(/^\s*([0-9a-f]+):\t[0-9a-f ]+\t(\S+)[^\S\n]*(.*)$/gm)].map((match) => ({
    address: Number.parseInt(match[1] ?? "", 16),
    mnemonic: match[2] ?? "",
    operands: (match[3] ?? "").trim(),
  }));
}

function assembleObject(folder: string, source: string, architecture: keyof typeof ARCHITECTURE): string {
  const [input, object] = [join(folder, "a.s"), join(folder, "a.o")];
  writeFileSync(input, `.option norelax\n${source}\n`);
  runTool(`${PREFIX}as`, [`-march=${ARCHITECTURE[architecture]}`, "-o", object, input]);
  return object;
}
