// The assembler against GNU as: every instruction with random operands, every pseudo-instruction, constants, addresses.

import assert from "node:assert/strict";
import test from "node:test";
import { assemble } from "../../src/isa/riscv64/assembler.ts";
import { csrName, namedCsrs } from "../../src/isa/riscv64/csrs.ts";
import { decode } from "../../src/isa/riscv64/decode.ts";
import { disassemble } from "../../src/isa/riscv64/disassembler.ts";
import { INSTRUCTIONS } from "../../src/isa/riscv64/instructions.ts";
import { PSEUDO_INSTRUCTIONS } from "../../src/isa/riscv64/pseudo-instructions.ts";
import { readI32 } from "../../src/lib/bytes.ts";
import { skipWithout } from "../support/tools.ts";
import { BINUTILS, gnuAssemble } from "./binutils.ts";
import { int32Generator, randomWritableWord } from "./random-words.ts";

const skip = skipWithout(...BINUTILS);
const SEED = 20261120;
const WORDS_PER_ROW = 40;

/** A branch's text has an absolute target; in a long source it must be relative. */
function relativeText(word: number): string {
  const text = disassemble(word, { pc: 0, aliases: "no-aliases" });
  const d = decode(word);
  return /, 0x[0-9a-f]+$/.test(text) && /^(b|jal )/.test(text)
    ? text.replace(/0x[0-9a-f]+$/, `. + ${d?.imm ?? 0}`)
    : text;
}

function assertSameWords(lines: readonly string[], ours: Uint8Array, gnu: Uint8Array): void {
  const differences = lines.flatMap((line, i) => {
    const [a, b] = [readI32(ours, i * 4) >>> 0, readI32(gnu, i * 4) >>> 0];
    return a === b ? [] : [`${line}: ${a.toString(16)}, GNU ${b.toString(16)}`];
  });
  assert.deepEqual(differences.slice(0, 20), [], `seed ${SEED}`);
  assert.equal(ours.length, gnu.length);
}

test("every instruction with random operands assembles as GNU as has it", { skip }, () => {
  const next = int32Generator(SEED);
  const lines = INSTRUCTIONS.filter((row) => row.extension !== "Xvitrine").flatMap((row) =>
    Array.from({ length: WORDS_PER_ROW }, () => relativeText(randomWritableWord(row, next))),
  );
  const source = lines.join("\n");
  assertSameWords(lines, assemble(source, { base: 0 }).bytes, gnuAssemble(source, 0n, "G"));
});

test("every pseudo-instruction assembles as GNU as has it", { skip }, () => {
  const next = int32Generator(SEED);
  const pick = (names: readonly string[]): string => names[(next() >>> 0) % names.length] ?? "";
  const x = (): string => pick(["a0", "s11", "t6", "zero", "x17", "fp"]);
  const f = (): string => pick(["fa0", "fs11", "ft8", "f31"]);
  const csr = (): string => pick(["sscratch", "satp", "mstatus", "pmpaddr63", "stimecmp", "mhpmcounter31", "0x7c0"]);
  const operandsOf = (pseudo: string, count: number): string[] => {
    if (/^(j|jal) /.test(pseudo)) return [". + 1024"];
    if (/^csr[wsc]i/.test(pseudo)) return [csr(), "31"];
    if (/^csr[wsc] /.test(pseudo)) return [csr(), x()];
    if (pseudo.startsWith("csrr ")) return [x(), csr()];
    if (/^(fsrmi|fsflagsi)/.test(pseudo)) return count === 2 ? [x(), "5"] : ["5"];
    if (/^(fgt|fge)/.test(pseudo)) return [x(), f(), f()];
    if (/^(fmv|fneg|fabs)/.test(pseudo)) return [f(), f()];
    if (pseudo.startsWith("b")) return [...Array.from({ length: count - 1 }, x), ". - 64"];
    if (pseudo.startsWith("li ")) return [x(), "-7"];
    return Array.from({ length: count }, x);
  };
  const lines = PSEUDO_INSTRUCTIONS.flatMap(([pseudo]) =>
    Array.from({ length: 5 }, () => {
      const count = pseudo.match(/\$/g)?.length ?? 0;
      return `${pseudo.split(" ")[0] ?? ""} ${operandsOf(pseudo, count).join(", ")}`;
    }),
  );
  lines.push("fence.tso", "jalr a0, 8(a1)", "jalr a0, a1, 8", "jalr a0, a1", "jalr 8(a1)", "jr 8(a1)", "fence rw, io");
  const source = lines.join("\n");
  assertSameWords(lines, assemble(source, { base: 0 }).bytes, gnuAssemble(source, 0n, "G"));
});

test("every CSR's name has the number that GNU as gives it", { skip }, () => {
  // pmpcfg1, pmpcfg3, … are of RV32.
  const names = namedCsrs()
    .map((n) => csrName(n) ?? "")
    .filter((name) => !/^pmpcfg\d*[13579]$/.test(name));
  const lines = names.map((name) => `csrr a0, ${name}`);
  const source = lines.join("\n");
  assertSameWords(lines, assemble(source, { base: 0 }).bytes, gnuAssemble(source, 0n, "G"));
});

test("li of random constants is what GNU as makes of it", { skip }, () => {
  const next = int32Generator(SEED);
  const constants = Array.from({ length: 2000 }, () => {
    const wide = (BigInt(next()) << 32n) ^ BigInt(next());
    return BigInt.asIntN(64, (wide >> BigInt(next() & 63)) << BigInt(next() & next() & 63));
  });
  const source = constants.map((n) => `li a0, ${n}`).join("\n");
  const ours = assemble(source, { base: 0 }).bytes;
  const gnu = gnuAssemble(source, 0n, "G");
  assert.equal(ours.length, gnu.length);
  // Where a sequence begins with a small constant, GNU as loads it by addiw, which is no `li` to a disassembler.
  const addi = assemble("addi a0, zero, 0", { base: 0 }).bytes;
  const addiw = assemble("addiw a0, zero, 0", { base: 0 }).bytes;
  for (let at = 0; at < ours.length; at += 4) {
    const [mine, theirs] = [readI32(ours, at), readI32(gnu, at)];
    const isSmallConstant = (mine & 0xfffff) === readI32(addi, 0) && (theirs & 0xfffff) === readI32(addiw, 0);
    assert.equal(
      isSmallConstant ? mine >>> 20 : mine,
      isSmallConstant ? theirs >>> 20 : theirs,
      `seed ${SEED}, at ${at}`,
    );
  }
});

test("labels, addresses and directives are laid out as GNU as and ld have it", { skip }, () => {
  const source = `
    .globl _start
    _start:  la    a0, table
             lla   t6, _start
             call  function
             tail  function
             nop
    1:       bnez  a0, 1f
             beqz  a1, 1b
    1:       bgtu  a2, a3, 1b
             j     function
             .balign 32
    table:   .dword table, function - table, 0x8000000000000000, -1
             .word  0xdeadbeef, 'x', (3 + 4) * 2 - 1
             .half  0xffff, -32768
             .byte  1, 255, -128
             .ascii "no\\tzero\\n\\"\\\\ # // ;"
             .asciz "zero", "two"
             .zero  5
             .space 3, 0x55
             .balign 8, 0
    function:
             li    a7, 64
             ecall
             ret
    .set   twelve, 12
             ld    s1, twelve * 8(sp)
             addi  sp, sp, -(twelve + 4)`;
  for (const base of [0x80000000n, 0x3ffffff000n, -0x4000000000n]) {
    const { bytes } = assemble(source, { base: Number(base) });
    // ld fills the section up to its alignment.
    assert.deepEqual(bytes, gnuAssemble(source, base, "G").subarray(0, bytes.length));
  }
});
