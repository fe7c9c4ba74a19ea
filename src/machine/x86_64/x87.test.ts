/** x87 beyond arithmetic: pending exceptions, faults of images, pointers, images. Arithmetic is compared with the host's in test/oracle. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CELL } from "./layout.ts";
import { packFxsaveX87, readStack, STATUS, unpackFxsaveX87 } from "./x87-state.ts";
import { TestHart } from "./x87.test.support.ts";

const FLD1 = [0xd9, 0xe8];
const FLDZ = [0xd9, 0xee];
const FLDPI = [0xd9, 0xeb];
const FDIVP = [0xde, 0xf9];
const FSQRT = [0xd9, 0xfa];
const FWAIT = [0x9b];
const FNCLEX = [0xdb, 0xe2];
const FNINIT = [0xdb, 0xe3];
const FNSTSW_AX = [0xdf, 0xe0];
const FLDCW = [0xd9, 0x2f];
const FNSTCW = [0xd9, 0x3f];
const FNSTENV = [0xd9, 0x37];
const FLDENV = [0xd9, 0x27];
const FNSAVE = [0xdd, 0x37];
const FRSTOR = [0xdd, 0x27];
const FSTP_SINGLE = [0xd9, 0x1f];
const FSTP_EXTENDED = [0xdb, 0x3f];
const FLD_DOUBLE = [0xdd, 0x07];

function run(hart: TestHart, ...instructions: readonly (readonly number[])[]): void {
  for (const code of instructions) assert.equal(hart.execute(...code), "done");
}

/** Loads a control word. */
function setControl(hart: TestHart, control: number): void {
  hart.memory.set([control & 0xff, control >> 8]);
  run(hart, FLDCW);
}

/** A hart with an unmasked division by zero pending. */
function hartWithPending(): TestHart {
  const hart = new TestHart();
  setControl(hart, 0x37b);
  run(hart, FLD1, FLDZ, FDIVP);
  return hart;
}

const statusOf = (hart: TestHart): number => hart.registers.get(CELL.fpuStatus);

test("an unmasked exception waits for the next waiting instruction", () => {
  const hart = hartWithPending();
  assert.equal(statusOf(hart) & (STATUS.ES | STATUS.BUSY | 4), STATUS.ES | STATUS.BUSY | 4);
  // The operands are still there.
  assert.equal(readStack(hart.registers, 1).head, 0x3fff);
  for (const code of [FWAIT, FLD1, FSQRT, FLDCW, FLDENV, FRSTOR]) assert.equal(hart.execute(...code), "x87-error");
  run(hart, FNSTSW_AX, FNSTCW, FNCLEX, FWAIT);
  assert.equal(statusOf(hart) & 0x80ff, 0);
});

test("fninit, fnsave and fnstenv do not wait; fnstenv masks everything", () => {
  run(hartWithPending(), FNINIT, FWAIT);
  run(hartWithPending(), FNSAVE, FWAIT);
  const hart = hartWithPending();
  run(hart, FNSTENV, FWAIT);
  assert.equal(hart.registers.get(CELL.fpuControl), 0x37f);
  // The flag is still there, and pending as soon as it is unmasked.
  setControl(hart, 0x37b);
  assert.equal(hart.execute(...FWAIT), "x87-error");
});

test("an unmasked exception keeps a store from memory, and the stack as it is", () => {
  const hart = new TestHart();
  const largest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xef, 0x7f];
  hart.memory.set(largest);
  run(hart, FLD_DOUBLE);
  setControl(hart, 0x377);
  hart.memory.set(largest);
  assert.equal(hart.execute(...FSTP_SINGLE), "suppressed");
  assert.deepEqual([...hart.memory.subarray(0, 8)], largest);
  assert.equal((statusOf(hart) & STATUS.TOP) >> STATUS.TOP_SHIFT, 7);
});

test("an image that faults leaves the state as it is", () => {
  const hart = new TestHart();
  run(hart, FLDPI);
  const before = hart.registers.bytes.slice(CELL.fpuControl, CELL.xmm);
  hart.isFaulting = true;
  for (const code of [FNSAVE, FNSTENV, FRSTOR, FLDENV, [0x66, ...FNSTENV], [0x66, ...FLDENV]]) {
    assert.equal(hart.execute(...code), "faulted");
    assert.deepEqual(hart.registers.bytes.slice(CELL.fpuControl, CELL.xmm), before);
  }
});

test("pointers are those of the last instruction that is not of control, and its opcode that of an unmasked exception", () => {
  const hart = new TestHart();
  hart.registers.setWords(CELL.pc, 0x1234, 0x56);
  [hart.operandLo, hart.operandHi] = [0x1000, 0x20];
  run(hart, FLD_DOUBLE);
  hart.registers.setWords(CELL.pc, 0x5678, 0x56);
  run(hart, FLD1, FNSTSW_AX, FNSTCW);
  const { registers } = hart;
  assert.deepEqual([registers.get(CELL.fpuInstruction), registers.get(CELL.fpuInstruction + 4)], [0x5678, 0x56]);
  assert.deepEqual([registers.get(CELL.fpuData), registers.get(CELL.fpuData + 4)], [0x1000, 0x20]);
  assert.equal(registers.get(CELL.fpuOpcode), 0);
  assert.equal(hartWithPending().registers.get(CELL.fpuOpcode), 0x6f9);
});

test("fnsave and frstor, fnstenv and fldenv, in both sizes", () => {
  for (const prefix of [[], [0x66]]) {
    const hart = new TestHart();
    hart.registers.setWords(CELL.pc, 0x1234, 0);
    run(hart, FLD1, FLDPI, FLDZ);
    const before = hart.registers.bytes.slice(CELL.fpuControl, CELL.xmm);
    run(hart, [...prefix, ...FNSAVE]);
    assert.equal(hart.registers.get(CELL.fpuTag), 0xffff);
    const view = new DataView(hart.memory.buffer);
    const width = prefix.length === 0 ? 4 : 2;
    assert.equal(view.getUint16(0, true), 0x37f);
    assert.equal(view.getUint16(width, true), 5 << 11);
    // R7 valid, R6 valid, R5 zero, the others empty.
    assert.equal(view.getUint16(2 * width, true), 0x07ff);
    assert.equal(view.getUint16(3 * width, true), 0x1234);
    assert.equal(view.getUint16(7 * width + 10 + 8, true), 0x4000);
    run(hart, [...prefix, ...FRSTOR]);
    assert.deepEqual(hart.registers.bytes.slice(CELL.fpuControl, CELL.xmm), before);
    run(hart, [...prefix, ...FNSTENV], FNINIT, [...prefix, ...FLDENV]);
    assert.equal(hart.registers.get(CELL.fpuTag), 0x03ff);
    assert.equal(statusOf(hart), 5 << 11);
  }
});

test("the fxsave image has the abridged tags by register, and st(0) first", () => {
  const hart = new TestHart();
  run(hart, FLD1, FLDPI);
  const before = hart.registers.bytes.slice(CELL.fpuControl, CELL.xmm);
  const image = new Uint8Array(512);
  const view = new DataView(image.buffer);
  packFxsaveX87(hart.registers, view, true);
  assert.equal(image[4], 0xc0);
  assert.equal(view.getUint16(32 + 8, true), 0x4000);
  assert.equal(view.getUint16(48 + 8, true), 0x3fff);
  run(hart, FNINIT, FLDZ);
  unpackFxsaveX87(hart.registers, view, true);
  assert.deepEqual(hart.registers.bytes.slice(CELL.fpuControl, CELL.xmm), before);
  // Nothing but the x87 part is touched.
  assert.ok(image.subarray(160).every((byte) => byte === 0));
});

test("long double as printf and strtod use it: 10 / 3 in 64 bits", () => {
  const hart = new TestHart();
  new DataView(hart.memory.buffer).setFloat64(0, 10, true);
  run(hart, FLD_DOUBLE);
  new DataView(hart.memory.buffer).setFloat64(0, 3, true);
  run(hart, FLD_DOUBLE, FDIVP, FSTP_EXTENDED);
  assert.equal(Buffer.from(hart.memory.subarray(0, 10)).reverse().toString("hex"), "4000d555555555555555");
});
