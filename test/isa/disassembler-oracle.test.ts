// The disassembler and the decoder against objdump, for words of the table and for arbitrary ones.

import assert from "node:assert/strict";
import test from "node:test";
import { decode } from "../../src/isa/riscv64/decode.ts";
import { disassemble } from "../../src/isa/riscv64/disassembler.ts";
import { INSTRUCTIONS, instructionOf } from "../../src/isa/riscv64/instructions.ts";
import { csrName } from "../../src/isa/riscv64/csrs.ts";
import { skipWithout } from "../support/tools.ts";
import { BINUTILS, gnuDisassemble } from "./binutils.ts";
import { int32Generator, randomWritableWord } from "./random-words.ts";

const skip = skipWithout(...BINUTILS);
const SEED = 20261121;

/** Privileged instructions of drafts or of extensions, which objdump shows whatever the architecture is. */
const UNSUPPORTED = /^(uret|hret|dret|sfence\.vm)$/;

/** Both texts in one form: no spaces, numbers in decimal, modulo 2^64. */
function normalize(text: string): string {
  return text
    .replace(/<[^>]*>|#.*$/g, "")
    .replace(/\s+/g, " ")
    .replace(/, /g, ",")
    .replace(/-?\b(0x[0-9a-f]+|[0-9]+)\b/g, (n) => {
      const value = n.startsWith("-") ? -BigInt(n.slice(1)) : BigInt(n);
      return BigInt.asUintN(64, value).toString();
    })
    .trim();
}

test("every instruction with random operands is shown as objdump shows it", { skip }, () => {
  const next = int32Generator(SEED);
  const rows = INSTRUCTIONS.filter((row) => row.extension !== "Xvitrine");
  const words = rows.flatMap((row) =>
    Array.from({ length: 40 }, () => {
      const word = randomWritableWord(row, next);
      // objdump names CSRs that this table does not have, so only those with a name here are compared.
      return row.formatName.startsWith("Csr") && csrName(word >>> 20) === undefined
        ? (word & 0xfffff) | 0x34100000
        : word;
    }),
  );
  const dumped = gnuDisassemble(words, 4);
  assert.equal(dumped.length, words.length);
  const differences = words.flatMap((word, i) => {
    const { address, mnemonic, operands } = dumped[i] ?? { address: 0, mnemonic: "", operands: "" };
    const ours = normalize(disassemble(word, { pc: address, aliases: "no-aliases" }));
    // Targets are bare hexadecimal.
    const immediate = instructionOf(decode(word)?.id ?? -1).format.immediate;
    const isJump = immediate === "B" || immediate === "J";
    const gnu = normalize(`${mnemonic} ${isJump ? operands.replace(/([0-9a-f]+)( <.*)?$/, "0x$1") : operands}`);
    return ours === gnu ? [] : [`${(word >>> 0).toString(16)}: ${ours}, objdump ${gnu}`];
  });
  assert.deepEqual(differences.slice(0, 20), [], `seed ${SEED}`);
});

test("an arbitrary word is an instruction here when it is one for objdump", { skip }, () => {
  const next = int32Generator(SEED);
  const candidates = [
    ...Array.from({ length: 60_000 }, () => next() | 3),
    // Near misses: words of the table with one bit of the mask turned.
    ...INSTRUCTIONS.flatMap((row) =>
      Array.from({ length: 32 }, (_, bit) => ((row.match | (next() & ~row.mask)) ^ (1 << bit)) | 3),
    ),
  ];
  // Words that end in 11111 are the beginning of a longer instruction for objdump; the table has none such.
  const words = candidates.filter((word) => (word & 31) !== 31);
  const dumped = gnuDisassemble(words, 4);
  const unexplained = words.flatMap((word, i) => {
    const { mnemonic = "", operands = "" } = dumped[i] ?? {};
    const decoded = decode(word);
    const ours = decoded === undefined ? undefined : instructionOf(decoded.id).mnemonic;
    const gnu = /^\.|^unimp|^unknown/.test(mnemonic) ? undefined : mnemonic.replace(/\.(aq|rl|aqrl)$/, "");
    if (ours === gnu || isExplained(word, ours, gnu)) return [];
    return [`${(word >>> 0).toString(16)}: ${ours ?? "none"}, objdump ${gnu ?? "none"} ${operands}`];
  });
  assert.deepEqual(unexplained.slice(0, 30), [], `seed ${SEED}`);
});

function isExplained(word: number, ours: string | undefined, gnu: string | undefined): boolean {
  if (ours === "kentry") return gnu === undefined; // our own
  if (ours === undefined) return gnu !== undefined && UNSUPPORTED.test(gnu);
  const row = INSTRUCTIONS.find((candidate) => candidate.mnemonic === ours);
  // The manual has fence and fence.i ignore the fields that they do not use.
  if (ours === "fence" || ours === "fence.i") return gnu === undefined || /^(fence|pause)/.test(gnu);
  // A rounding mode other than rne on a conversion that never rounds is legal, but objdump does not show it.
  const isExact = row?.format.operands.includes("rmExact") ?? false;
  return isExact && ((word >>> 12) & 7) !== 0 && gnu === undefined;
}
