// Tests of decode.ts.

import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { decode, encode, findId, immediateFits, type EncodeFields } from "./decode.ts";
import { FORMATS, INSTRUCTIONS, findInstruction, instructionId, instructionOf, type Operand } from "./instructions.ts";
import { fRegisterName, fRegisterNumber, xRegisterName, xRegisterNumber } from "./registers.ts";

const register = fc.nat(31);

/** The fields an operand fills, with arbitrary contents. */
function fieldsOf(operand: Operand): fc.Arbitrary<EncodeFields> {
  switch (operand) {
    case "rd":
    case "frd":
      return fc.record({ rd: register });
    case "rs1":
    case "frs1":
    case "address":
    case "uimm5":
      return fc.record({ rs1: register });
    case "rs2":
    case "frs2":
      return fc.record({ rs2: register });
    case "frs3":
      return fc.record({ rs3: register });
    case "imm12":
      return fc.record({ imm: fc.integer({ min: -2048, max: 2047 }) });
    case "loadAddress":
    case "storeAddress":
      return fc.record({ imm: fc.integer({ min: -2048, max: 2047 }), rs1: register });
    case "imm20":
      return fc.record({ imm: fc.integer({ min: -524288, max: 524287 }).map((n) => n << 12) });
    case "branchTarget":
      return fc.record({ imm: fc.integer({ min: -2048, max: 2047 }).map((n) => n * 2) });
    case "jumpTarget":
      return fc.record({ imm: fc.integer({ min: -524288, max: 524287 }).map((n) => n * 2) });
    case "shift5":
      return fc.record({ imm: fc.nat(31) });
    case "shift6":
      return fc.record({ imm: fc.nat(63) });
    case "csr":
    case "entry":
    case "predecessor":
    case "successor":
      return fc.record({ imm: fc.nat(4095) });
    case "rm":
    case "rmExact":
      return fc.record({ rm: fc.nat(7) });
  }
}

test("every row round-trips from fields to word to fields", () => {
  for (const { id, mnemonic, format, extension } of INSTRUCTIONS) {
    const isAtomic = extension === "A";
    const arbitraries = format.operands.map(fieldsOf);
    if (isAtomic) arbitraries.push(fc.record({ aq: fc.nat(1), rl: fc.nat(1) }));
    const fieldSets = fc.tuple(...arbitraries).map((sets): EncodeFields => Object.assign({}, ...sets));
    fc.assert(
      fc.property(fieldSets, (fields) => {
        const decoded = decode(encode(id, fields));
        assert.ok(decoded !== undefined, mnemonic);
        assert.equal(decoded.id, id, mnemonic);
        for (const key of Object.keys(fields) as (keyof EncodeFields)[]) {
          assert.equal(decoded[key], fields[key], `${mnemonic} ${key}`);
        }
      }),
      { numRuns: 60 },
    );
  }
});

test("no word matches two rows, and a mask covers its match", () => {
  for (const a of INSTRUCTIONS) {
    assert.equal(a.match & ~a.mask, 0, a.mnemonic);
    for (const b of INSTRUCTIONS) {
      const shared = a.mask & b.mask;
      assert.ok(a.id === b.id || (a.match & shared) !== (b.match & shared), `${a.mnemonic} ${b.mnemonic}`);
    }
  }
});

test("decoding agrees with a linear search of the table", () => {
  fc.assert(
    fc.property(fc.integer(), (random) => {
      const word = random | 3;
      const row = INSTRUCTIONS.find(({ mask, match }) => (word & mask) === match);
      assert.equal(findId(word), row?.id ?? -1);
    }),
    { numRuns: 20_000 },
  );
});

test("what is not in the table is no instruction", () => {
  for (const word of [0, -1, 0x00000001, 0x0000707f, 0x0000008b, 0x0000100b, 0x10100073, 0xe0003053]) {
    assert.equal(decode(word), undefined, word.toString(16));
  }
});

test("encoding refuses immediates and fields that do not fit", () => {
  assert.throws(() => encode(instructionId("addi"), { imm: 2048 }), RangeError);
  assert.throws(() => encode(instructionId("beq"), { imm: 1 }), RangeError);
  assert.throws(() => encode(instructionId("ecall"), { rd: 1 }), RangeError);
  assert.throws(() => encode(instructionId("add"), { rm: 1 }), RangeError);
  assert.ok(!immediateFits("I", 0.5) && immediateFits("J", -1048576));
});

test("known words of the manuals and of xv6 decode", () => {
  const show = (word: number): unknown[] => {
    const d = decode(word);
    return d === undefined ? [] : [instructionOf(d.id).mnemonic, d.rd, d.rs1, d.imm];
  };
  assert.deepEqual(show(0x14051573), ["csrrw", 10, 10, 0x140]); // csrrw a0, sscratch, a0
  assert.deepEqual(show(0xfe010113), ["addi", 2, 2, -32]); // addi sp, sp, -32
  assert.deepEqual(show(0x80000537), ["lui", 10, 0, -0x80000000]);
  assert.deepEqual(show(0x0ff0000f), ["fence", 0, 0, 0xff]);
  assert.deepEqual(show(0x0050000b), ["kentry", 0, 0, 5]);
});

test("register names and numbers are inverse", () => {
  for (let n = 0; n < 32; n++) {
    assert.equal(xRegisterNumber(xRegisterName(n)), n);
    assert.equal(fRegisterNumber(fRegisterName(n)), n);
    assert.equal(xRegisterNumber(`x${n}`), n);
  }
  assert.equal(xRegisterNumber("fp"), 8);
  assert.equal(xRegisterNumber("x32"), undefined);
  assert.ok(findInstruction("nosuch") === undefined && FORMATS.None.operands.length === 0);
});
