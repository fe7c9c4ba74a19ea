// All half-words against binutils: which are legal, which instruction they are, and what they stand for.

import assert from "node:assert/strict";
import test from "node:test";
import { compress, compressedMnemonic, expandCompressed, isCompressed } from "../../src/isa/riscv64/compressed.ts";
import { assemble } from "../../src/isa/riscv64/assembler.ts";
import { disassembleCompressed } from "../../src/isa/riscv64/disassembler.ts";
import { readU16 } from "../../src/lib/bytes.ts";
import { skipWithout } from "../support/tools.ts";
import { BINUTILS, gnuAssemble, gnuDisassemble } from "./binutils.ts";

const skip = skipWithout(...BINUTILS);
const HALVES = Array.from({ length: 0x10000 }, (_, half) => half).filter(isCompressed);

test("objdump and the table agree which half-words are which instruction", { skip }, () => {
  const dumped = gnuDisassemble(HALVES, 2);
  assert.equal(dumped.length, HALVES.length);
  const differences = HALVES.flatMap((half, i) => {
    const gnu = dumped[i]?.mnemonic.replace(/64$/, "");
    const ours = compressedMnemonic(half) ?? ".2byte";
    if (ours === gnu) return [];
    // objdump gives the all-zero half-word, which is defined illegal, a name.
    if (half === 0 && gnu === "c.unimp") return [];
    // The code points of c.addi with x0 are c.nop and its HINTs.
    if (ours === "c.nop" && gnu === "c.addi") return [];
    // c.addi16sp with an immediate of zero is reserved, which objdump does not say.
    if (half === 0x6101 && gnu === "c.addi16sp") return [];
    return [`${half.toString(16)}: ${ours}, objdump ${gnu ?? "nothing"}`];
  });
  assert.deepEqual(differences, []);
});

test("GNU as compresses what a half-word stands for into that half-word", { skip }, () => {
  // A half-word that `compress` does not give back is a HINT, or another one stands for the same instruction.
  const canonical = HALVES.filter((half) => {
    const word = expandCompressed(half);
    return word !== 0 && compress(word) === half;
  });
  assert.ok(canonical.length > 40_000, `${canonical.length} half-words`);
  const lines = canonical.map((half) => {
    const text = disassembleCompressed(half, { pc: 0 });
    const target = /^(?:j|beqz|bnez) .*(0x[0-9a-f]+)$/.exec(text)?.[1];
    if (target === undefined) return text;
    return text.replace(target, `. + ${BigInt.asIntN(64, BigInt(target))}`);
  });
  const ours = assemble(`.option rvc\n${lines.join("\n")}`, { base: 0 }).bytes;
  const gnu = gnuAssemble(lines.join("\n"), 0n, "GC");
  assert.equal(gnu.length, canonical.length * 2, "all are compressed");
  const differences = canonical.flatMap((half, i) => {
    const [mine, theirs] = [readU16(ours, i * 2), readU16(gnu, i * 2)];
    if (mine === half && theirs === half) return [];
    return [`${lines[i] ?? ""}: ${half.toString(16)}, assembled ${mine.toString(16)}, GNU ${theirs.toString(16)}`];
  });
  assert.deepEqual(differences.slice(0, 20), []);
});

test("every half-word is illegal or expands to a 32-bit instruction of the table", () => {
  const legal = HALVES.filter((half) => expandCompressed(half) !== 0);
  for (const half of legal) assert.doesNotMatch(disassembleCompressed(half), /^\.half/);
  assert.equal(expandCompressed(0), 0);
});
