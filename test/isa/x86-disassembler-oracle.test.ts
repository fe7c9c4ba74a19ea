// The disassembler of x86-64 against objdump: every row of the table in both syntaxes, and the code of real libraries.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import test from "node:test";
import type { CodeMode } from "../../src/isa/x86_64/decode-types.ts";
import { disassemble, disassembleAt, type Syntax } from "../../src/isa/x86_64/disassembler.ts";
import { type Instruction, instructions } from "../../src/isa/x86_64/instructions.ts";
import { skipWithout } from "../support/tools.ts";
import { int32Generator } from "./random-words.ts";
import { type DumpedX86, objdumpBytes, objdumpText, X86_OBJDUMP } from "./x86-objdump.ts";
import { randomEncoding } from "./x86-random-encodings.ts";

const skip = skipWithout(X86_OBJDUMP);
const SEED = 20261125;
const SLOT = 32;

/** What objdump writes otherwise, and we on purpose do not. */
function normalize(text: string): string {
  return (
    text
      .replace(/ <[^>]*>/g, "")
      .replace(/\b(call|j[a-z]+|loop[n]?e?)([wl]?) ([0-9a-f]+)$/, "$1$2 0x$3")
      .replace(/# (?!0x)/, "# 0x")
      // An index that is none.
      .replace(/\+[re]iz\*[1248]/, "")
      .replace(/,%[re]iz,[1248]/, "")
      // 32-bit addresses relative to eip are cut to 32 bits.
      .replace(/(eip.*) #.*/, "$1")
      // 66 with REX.W, which objdump takes for part of these opcodes.
      .replace(/^data16 ((rex\.\w+ )?bs[fr] )/, "$1")
      .replace(/^(notrack|ds) /, "")
      // Only the low word of the register matters.
      .replace(/^(.*mov )([%a-z0-9]+),(%?[c-gs]s)$|^(.*mov [c-gs]s),[a-z0-9]+$/, "$1$3$4")
  );
}

/** Rows and forms whose text differs: far pointers of 10 bytes, sizes of descriptor tables, fences with another rm. */
function isOtherwise(row: Instruction, bytes: readonly number[], theirs: string, mode: CodeMode): boolean {
  if (theirs.includes("iz") && /\[[re]iz|\(,?%?[re]iz/.test(theirs)) return true;
  if (row.operands.some(({ size }) => size === "p") && bytes.some((byte) => (byte & 0xf8) === 0x48)) return true;
  if (row.mnemonic === "movsxd" && bytes.includes(0x66)) return true;
  if (/^s[gi]dt$|^l[gi]dt$/.test(row.mnemonic) && mode !== 64) return true;
  return /^[ms]fence$/.test(row.mnemonic) && theirs === "(bad)";
}

for (const mode of [64, 32] as const) {
  for (const syntax of ["intel", "att"] as const) {
    test(`every row with random operands is shown as objdump shows it: ${mode}-bit, ${syntax}`, { skip }, () => {
      assert.deepEqual(differencesOfRows(mode, syntax).slice(0, 20), [], `seed ${SEED}`);
    });
  }
}

test("every row with random operands is as long as objdump says: 16-bit", { skip }, () => {
  const { image, cases, dumped } = dumpRows(16, "intel");
  const differences = cases.filter(({ row, bytes }, i) => {
    const theirs = dumped.get(i * SLOT);
    const ours = disassembleAt(image, i * SLOT, { mode: 16 }).length;
    const isFence = theirs !== undefined && isOtherwise(row, bytes, theirs.text, 16);
    return ours !== bytes.length || (theirs?.bytes.length !== ours && !isFence);
  });
  assert.deepEqual(differences, [], `seed ${SEED}`);
});

/** Rows with random operands, one in each slot of an image, and what objdump makes of it, by address. */
function dumpRows(
  mode: CodeMode,
  syntax: Syntax,
): {
  cases: { row: Instruction; bytes: number[] }[];
  image: Uint8Array;
  dumped: Map<number, DumpedX86>;
} {
  const next = int32Generator(SEED);
  const rows = instructions().filter(
    ({ extension, attributes }) =>
      extension !== "vitrine" && !attributes.has("alias") && !attributes.has(mode === 64 ? "i64" : "o64"),
  );
  const cases = rows
    .filter(({ rexW }) => mode === 64 || rexW !== 1)
    .flatMap((row) =>
      Array.from({ length: 12 }, (_, i) => ({
        row,
        bytes: randomEncoding(row, next, { mode, prefixes: i < 3 ? "none" : "few" }),
      })),
    );
  const image = new Uint8Array(cases.length * SLOT).fill(0x90);
  for (const [i, { bytes }] of cases.entries()) image.set(bytes, i * SLOT);
  return { cases, image, dumped: new Map(objdumpBytes(image, mode, syntax).map((line) => [line.address, line])) };
}

function differencesOfRows(mode: CodeMode, syntax: Syntax): string[] {
  const { image, cases, dumped } = dumpRows(mode, syntax);
  return cases.flatMap(({ row, bytes }, i) => {
    const line = dumped.get(i * SLOT);
    assert.ok(line !== undefined);
    const ours = disassembleAt(image, i * SLOT, { pc: i * SLOT, mode, syntax });
    if (isOtherwise(row, bytes, line.text, mode)) return ours.length === bytes.length ? [] : [`length of ${bytes}`];
    // An address of 16 bits is no signed number for us.
    const isShortAbsolute = syntax === "att" && bytes.includes(0x67) && mode === 32;
    const hasSameText = isShortAbsolute || normalize(ours.text) === normalize(line.text);
    const isSame = hasSameText && ours.length === line.bytes.length && ours.length === bytes.length;
    const hex = bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    return isSame ? [] : [`${row.mnemonic} ${row.encoding}: ${hex}: ${ours.text}, objdump ${line.text}`];
  });
}

/** What came after the level that the table describes: VEX and EVEX, BMI, TSX, protection keys, movbe. */
const LATER =
  /^(v|k(mov|x?n?or|andn?|not|unpck|shift|add|test)|bzhi|blsmsk|blsr|[rs][ahl]rx|shlx|rorx|mulx|andn|xbegin|xabort|xend|xtest|(rd|wr)pkru|movbe|rdrand|rdseed|tzcnt|lzcnt|.*aes|pclmul|sha)/;

const LIBRARIES = [
  ["intel", "/lib/x86_64-linux-gnu/libc.so.6"],
  ["att", "/lib/x86_64-linux-gnu/libm.so.6"],
] as const;

for (const [syntax, path] of LIBRARIES) {
  const skipLibrary = skip !== false ? skip : existsSync(path) ? false : `needs ${path}`;
  test(`the code of ${path} is shown as objdump shows it: ${syntax}`, { skip: skipLibrary }, () => {
    const differences: string[] = [];
    let count = 0;
    for (const { address, bytes, text } of objdumpText(path, syntax)) {
      // fwait before an x87 instruction makes another name of both.
      if (LATER.test(text.replace(/^((\{evex\}|repz|repnz|rex\.\w+|lock) )+/, "")) || bytes[0] === 0x9b) continue;
      count++;
      const ours = disassemble(bytes, address, { syntax });
      if (ours.length !== bytes.length || normalize(ours.text) !== normalize(text)) {
        differences.push(`${Buffer.from(bytes).toString("hex")}: ${ours.text}, objdump ${text}`);
      }
    }
    assert.deepEqual(differences.slice(0, 20), []);
    assert.ok(count > 10_000);
  });
}
