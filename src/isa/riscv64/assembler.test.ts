// Tests of assembler.ts.

import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { readI32, readU16 } from "../../lib/bytes.ts";
import { assemble, AssemblyError } from "./assembler.ts";
import { decode, encode } from "./decode.ts";
import { instructionId, instructionOf, type Mnemonic } from "./instructions.ts";

const words = (source: string, base = 0): number[] => {
  const { bytes } = assemble(source, { base });
  assert.equal(bytes.length % 4, 0);
  return Array.from({ length: bytes.length / 4 }, (_, i) => readI32(bytes, i * 4));
};
const word = (mnemonic: Mnemonic, fields: Parameters<typeof encode>[1]): number =>
  encode(instructionId(mnemonic), fields);
const refuses = (source: string, pattern: RegExp, line = 1): void => {
  assert.throws(
    () => assemble(source, { base: 0 }),
    (error) => error instanceof AssemblyError && pattern.test(error.message) && error.line === line,
    source,
  );
};

/** Runs the few instructions that `li` is made of. */
function runConstant(code: readonly number[]): bigint {
  let value = 0n;
  for (const instruction of code) {
    const d = decode(instruction);
    assert.ok(d !== undefined);
    const name = instructionOf(d.id).mnemonic;
    const source = d.rs1 === 0 ? 0n : value;
    if (name === "lui") value = BigInt(d.imm);
    else if (name === "addi") value = BigInt.asIntN(64, source + BigInt(d.imm));
    else if (name === "addiw") value = BigInt.asIntN(32, source + BigInt(d.imm));
    else if (name === "slli") value = BigInt.asIntN(64, source << BigInt(d.imm));
    else assert.fail(name);
  }
  return value;
}

test("a piece of a trampoline assembles to the words that the manual gives", () => {
  const source = `
    # the shape of xv6's trampoline
    .globl uservec
  uservec:
        csrrw a0, sscratch, a0     // swap
        sd    ra, ${40}(a0)
        ld    t1, 0(a0); csrw satp, t1 /* two
        lines */
        sfence.vma
        jr    t0
  1:    bnez  a0, 1b
        sret
  `;
  const code = assemble(source, { base: -4096 });
  const expected = [0x14051573, 0x02153423, 0x00053303, 0x18031073, 0x12000073, 0x00028067, 0x00051063, 0x10200073];
  assert.deepEqual(
    Array.from({ length: 8 }, (_, i) => readI32(code.bytes, i * 4)),
    expected.map((n) => n | 0),
  );
  assert.equal(code.symbols.get("uservec"), -4096);
  assert.equal(code.base, -4096);
});

test("li reaches every 64-bit constant", () => {
  const shapes = fc.oneof(
    fc.bigInt({ min: -(1n << 63n), max: (1n << 64n) - 1n }),
    fc.tuple(fc.integer(), fc.nat(63)).map(([n, shift]) => BigInt.asIntN(64, BigInt(n) << BigInt(shift))),
    fc.integer({ min: -5000, max: 5000 }).map(BigInt),
    fc.constantFrom(0x7fffffffn, 0x80000000n, -0x80000000n, 0x7ffff800n, (1n << 63n) - 1n, 1n << 63n),
  );
  fc.assert(
    fc.property(shapes, (value) => {
      const code = words(`li a0, ${value}`);
      assert.equal(runConstant(code), BigInt.asIntN(64, value));
      assert.ok(code.length <= 8);
    }),
    { numRuns: 2000 },
  );
});

test("labels, local labels and the location counter resolve forwards and backwards", () => {
  const back = words("1: nop\n1: j 1b\n j 1f\n 1: nop\n beq a0, a1, . + 8\n nop\n");
  assert.equal(back[1], word("jal", { imm: 0 }), "1b is the nearest before, also on the same line");
  assert.equal(back[2], word("jal", { imm: 4 }));
  assert.equal(back[4], word("beq", { rs1: 10, rs2: 11, imm: 8 }));
  const { bytes } = assemble("start: nop\n data: .dword data, data - start", { base: 0x80000000 });
  assert.deepEqual([readI32(bytes, 4), readI32(bytes, 8), readI32(bytes, 12)], [0x80000004 | 0, 0, 4]);
});

test("pc-relative pairs reach both ways", () => {
  const base = 0x80000000;
  const [auipc = 0, addi = 0] = words("la a0, target\n.set target, 0x80000ffc", base);
  const [d1, d2] = [decode(auipc), decode(addi)];
  assert.equal(base + (d1?.imm ?? 0) + (d2?.imm ?? 0), 0x80000ffc);
  const [up = 0, jump = 0] = words("call target\n.set target, 0x7ffff7fc", base);
  const [d3, d4] = [decode(up), decode(jump)];
  assert.equal(base + (d3?.imm ?? 0) + (d4?.imm ?? 0), 0x7ffff7fc);
  assert.equal(d4?.rd, 1);
});

test("directives lay out data, and padding between instructions is nops", () => {
  const { bytes, symbols } = assemble(
    `.equ MAGIC, 0x40 | 1 << 1
     .set two, 2
     a: .byte MAGIC, -1, 'A', '\\n'
     .half 0x1234
     .balign 4, 0xff
     b: .word two * (3 + 4) % 8, ~0 & 0xff
     .dword 0xffffffc000000000
     .ascii "x#;,", "\\x41\\101\\"" ; .asciz "é"
     .space 3, 7
     .align 3
     c: .byte 1
     .align 2
     nop
     .balign 16
     end:`,
    { base: 0x1000 },
  );
  const expected = [
    ...[0x42, 0xff, 65, 10, 0x34, 0x12, 0xff, 0xff, 6, 0, 0, 0, 0xff, 0, 0, 0],
    ...[0, 0, 0, 0, 0xc0, 0xff, 0xff, 0xff, 120, 35, 59, 44, 65, 65, 34, 0xc3],
    ...[0xa9, 0, 7, 7, 7, 0, 0, 0, 1, 0, 0, 0, 0x13, 0, 0, 0],
  ];
  assert.deepEqual([...bytes], expected);
  assert.equal(symbols.get("c"), 0x1028);
  assert.equal(symbols.get("end"), 0x1030);
  assert.deepEqual(words("nop\n.balign 16"), [0x13, 0x13, 0x13, 0x13]);
});

test("compression is on only between .option rvc and norvc, and every branch still reaches", () => {
  const source = (option: string): string => `
    .option ${option}
    start: addi sp, sp, -16
    mv a0, a1
    beqz a0, far
    lw a3, 4(a2)
    j start
    ${"xor t0, t0, t1\n".repeat(70)}
    far: ret`;
  const short = assemble(source("rvc"), { base: 0 });
  const long = assemble(source("norvc"), { base: 0 });
  assert.equal(long.bytes.length, 4 * 76);
  assert.equal(readU16(short.bytes, 0), 0x1141); // c.addi sp, -16
  assert.equal(readU16(short.bytes, 2), 0x852e); // c.mv a0, a1
  assert.equal(short.bytes.length, 2 + 2 + 4 + 2 + 2 + 280 + 2, "the branch to 'far' is out of reach for c.beqz");
  const branch = decode(readI32(short.bytes, 4));
  assert.equal(4 + (branch?.imm ?? 0), short.symbols.get("far"));
});

test("rounding modes, atomic orderings and fences", () => {
  assert.deepEqual(
    words("fadd.d fa0, fa1, fa2\n fadd.d fa0, fa1, fa2, rtz\n fcvt.d.w fa0, a0\n fcvt.w.d a0, fa0, rup"),
    [
      word("fadd.d", { rd: 10, rs1: 11, rs2: 12, rm: 7 }),
      word("fadd.d", { rd: 10, rs1: 11, rs2: 12, rm: 1 }),
      word("fcvt.d.w", { rd: 10, rs1: 10, rm: 0 }),
      word("fcvt.w.d", { rd: 10, rs1: 10, rm: 3 }),
    ],
  );
  assert.deepEqual(
    words("lr.d.aq a0, (a1)\n sc.w.rl a0, a2, (a1)\n amoadd.w.aqrl a0, a1, 0(a2)\n amoswap.d a0, a1, (a2)"),
    [
      word("lr.d", { rd: 10, rs1: 11, aq: 1 }),
      word("sc.w", { rd: 10, rs1: 11, rs2: 12, rl: 1 }),
      word("amoadd.w", { rd: 10, rs1: 12, rs2: 11, aq: 1, rl: 1 }),
      word("amoswap.d", { rd: 10, rs1: 12, rs2: 11 }),
    ],
  );
  assert.deepEqual(words("fence\n fence rw, w\n fence.tso\n pause\n fence.i"), [
    ...[0x0ff0000f, 0x0310000f, 0x8330000f | 0, 0x0100000f, 0x0000100f],
  ]);
});

test("a kernel entry is one word of the custom-0 space", () => {
  assert.deepEqual(words("kentry 3"), [0x0030000b]);
});

test("mistakes name their line", () => {
  refuses("nop\nnosuch a0", /unknown instruction 'nosuch'/, 2);
  refuses("addi a0, a1, 2048", /2048 does not fit/);
  refuses("addi a0, a1", /takes 3 operands/);
  refuses("addi a0, f1, 1", /not an integer register/);
  refuses("fadd.d fa0, a0, fa1", /not a floating-point register/);
  refuses("fadd.d fa0, fa0, fa1, up", /not a rounding mode/);
  refuses("j nowhere", /undefined symbol 'nowhere'/);
  refuses("a:\na: nop", /defined twice/, 2);
  refuses("/*\n*/ .bogus 1", /unknown directive/, 2);
  refuses("beq a0, a1, 4096", /4096 does not fit/);
  refuses("li a0, 0x10000000000000000", /does not fit 64 bits/);
  refuses("li a0, 1 / 0", /division by zero/);
  refuses("li a0, (1", /missing '\)'/);
  refuses("ld a0, a1", /offset\(register\)/);
  refuses("slli a0, a0, 64", /does not fit/);
  refuses("csrw 4096, a0", /does not fit/);
  refuses(".byte 256", /does not fit 8 bits/);
  refuses(".space 1 << 40", /bad size/);
  refuses("kentry -1", /does not fit/);
  refuses("lr.w.aqx a0, (a1)", /unknown instruction/);
  refuses("constructor a0", /unknown instruction/);
  refuses("li a0, 1 constructor 2", /unexpected 'constructor'/);
  refuses("1: j 2b", /undefined symbol '2b'/);
});
