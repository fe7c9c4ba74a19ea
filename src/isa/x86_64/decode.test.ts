// Tests of decode.ts and of the instruction table: what the manual says of prefixes and forms. What binutils says is in
// test/isa/.

import assert from "node:assert/strict";
import test from "node:test";
import { decode } from "./decode.ts";
import { type CodeMode, type Decoded, newDecoded, NO_REGISTER, OPERAND, REPEAT, RIP } from "./decode-types.ts";
import { instructions, instructionOf, instructionsOf, mnemonicOf } from "./instructions.ts";
import { hasModRm } from "./opcode-index.ts";
import { MAP_NUMBER } from "./opcode-tables.ts";
import { GPR, SEGMENT } from "./registers.ts";

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(hex.split(" "), (byte) => Number.parseInt(byte, 16));
}

/** Decodes bytes that must be one instruction. */
function decodeHex(hex: string, mode: CodeMode = 64): Decoded {
  const bytes = bytesOf(hex);
  const out = newDecoded();
  assert.equal(decode(bytes, 0, bytes.length, mode, out), "ok", hex);
  assert.equal(out.length, bytes.length, hex);
  return out;
}

function failureOf(hex: string, mode: CodeMode = 64): string {
  const bytes = bytesOf(hex);
  return decode(bytes, 0, bytes.length, mode, newDecoded());
}

/** The mnemonic and the operands' kinds, registers and sizes. */
function show(hex: string, mode: CodeMode = 64): string {
  const decoded = decodeHex(hex, mode);
  const operands = decoded.operands.slice(0, decoded.operandCount).map(({ kind, register, isHighByte, size }) => {
    const name = Object.entries(OPERAND).find(([, value]) => value === kind)?.[0] ?? "";
    const isRegister = [OPERAND.gpr, OPERAND.xmm, OPERAND.mmx, OPERAND.st, OPERAND.control, OPERAND.segment].some(
      (registerKind) => registerKind === kind,
    );
    return `${name}${isRegister ? register : ""}${isHighByte ? "h" : ""}:${size}`;
  });
  return [mnemonicOf(decoded.id), ...operands].join(" ");
}

test("opcodes take a ModRM byte for all of their rows or for none", () => {
  for (const row of instructions()) {
    for (let n = 0; n < row.opcodeCount; n++) {
      const opcode = MAP_NUMBER[row.map] * 256 + row.opcode + n;

      assert.equal(hasModRm(opcode), row.modRm !== "none", `${row.mnemonic} ${row.encoding}`);
    }
    assert.ok(row.operands.length <= 4 && row.opcode >= 0 && row.opcode < 256, row.mnemonic);
    assert.equal(instructionOf(row.id), row);
    assert.ok(instructionsOf(row.mnemonic).includes(row));
  }
});

test("operand sizes follow 66 and REX.W, and REX.W beats 66", () => {
  assert.equal(show("01 c8"), "add gpr0:4 gpr1:4");
  assert.equal(show("66 01 c8"), "add gpr0:2 gpr1:2");
  assert.equal(show("66 48 01 c8"), "add gpr0:8 gpr1:8");
  assert.equal(show("00 e0"), "add gpr0:1 gpr0h:1");
  assert.equal(show("40 00 e0"), "add gpr0:1 gpr4:1");
  assert.equal(show("4d 01 c8"), "add gpr8:8 gpr9:8");
  assert.equal(show("01 c8", 32), "add gpr0:4 gpr1:4");
  assert.equal(show("66 01 c8", 32), "add gpr0:2 gpr1:2");
  assert.equal(show("01 c8", 16), "add gpr0:2 gpr1:2");
  assert.equal(show("66 01 c8", 16), "add gpr0:4 gpr1:4");
  assert.equal(show("0f b6 c4"), "movzx gpr0:4 gpr0h:1");
  assert.equal(show("48 63 c1"), "movsxd gpr0:8 gpr1:4");
  assert.equal(decodeHex("00 c8").operandSize, 1);
  assert.equal(decodeHex("ec").operandSize, 1);
  assert.equal(decodeHex("48 ed").operandSize, 4);
  assert.equal(decodeHex("48 a5").operandSize, 8);
});

test("stack and near-branch operands are 64 bits wide in 64-bit mode", () => {
  assert.equal(show("50"), "push gpr0:8");
  assert.equal(show("66 50"), "push gpr0:2");
  assert.equal(show("50", 32), "push gpr0:4");
  assert.equal(show("ff d0"), "call gpr0:8");
  assert.equal(show("66 ff d0"), "call gpr0:8");
  assert.equal(show("66 e8 00 00 00 00"), "call relative:4");
  assert.equal(show("66 e8 00 00", 32), "call relative:2");
  assert.equal(decodeHex("e8 00 00 00 80").immHi, -1);
  assert.equal(show("0f 20 e0"), "mov gpr0:8 control4:8");
  assert.equal(show("44 0f 22 00"), "mov control8:8 gpr0:8"); // mod is ignored
});

test("REX counts only right before the opcode", () => {
  assert.equal(show("48 66 01 c8"), "add gpr0:2 gpr1:2");
  assert.equal(decodeHex("48 66 01 c8").hasRex, false);
  assert.equal(show("48 40 01 c8"), "add gpr0:4 gpr1:4");
});

test("a prefix that is part of the opcode: the last of F2 and F3, before 66", () => {
  assert.equal(mnemonicOf(decodeHex("0f 58 c1").id), "addps");
  assert.equal(mnemonicOf(decodeHex("66 0f 58 c1").id), "addpd");
  assert.equal(mnemonicOf(decodeHex("f3 66 0f 58 c1").id), "addss");
  assert.equal(mnemonicOf(decodeHex("66 f3 f2 0f 58 c1").id), "addsd");
  assert.equal(mnemonicOf(decodeHex("f2 f3 0f 58 c1").id), "addss");
  assert.equal(show("66 f2 0f 38 f1 c1"), "crc32 gpr0:4 gpr1:2");
  assert.equal(show("66 f3 0f b8 c1"), "popcnt gpr0:2 gpr1:2");
  assert.equal(show("f3 0f bc c1"), "bsf gpr0:4 gpr1:4"); // tzcnt of later processors
  assert.equal(failureOf("0f b8 c1"), "undefined");
  assert.equal(failureOf("f3 0f fc c1"), "undefined");
  assert.equal(show("66 48 0f 6e c0"), "movq xmm0:16 gpr0:8");
  assert.equal(show("66 0f 38 82 08"), "invpcid gpr1:8 memory:16");
  assert.equal(show("66 0f 38 82 08", 32), "invpcid gpr1:4 memory:16");
});

test("repeat prefixes are told of strings only", () => {
  assert.equal(decodeHex("f3 a4").repeat, REPEAT.repe);
  assert.equal(decodeHex("f2 a6").repeat, REPEAT.repne);
  assert.equal(decodeHex("f3 01 c8").repeat, REPEAT.none);
  assert.equal(decodeHex("f2 c3").repeat, REPEAT.none);
});

test("90 is nop, pause or an exchange with r8", () => {
  assert.equal(show("90"), "nop");
  assert.equal(show("48 90"), "nop");
  assert.equal(show("f3 90"), "pause");
  assert.equal(show("41 90"), "xchg gpr8:4 gpr0:4");
  assert.equal(show("91"), "xchg gpr1:4 gpr0:4");
  assert.equal(show("f3 0f 1e fa"), "endbr64");
  assert.equal(show("66 0f 1f 44 00 00"), "nop memory:2");
});

test("lock needs a row that takes it, and memory", () => {
  assert.ok(decodeHex("f0 01 08").hasLock);
  assert.equal(failureOf("f0 01 c8"), "undefined");
  assert.equal(failureOf("f0 03 08"), "undefined");
  assert.equal(failureOf("f0 39 08"), "undefined");
  assert.equal(failureOf("f0 90"), "undefined");
  assert.equal(show("f0 48 0f c7 08"), "cmpxchg16b memory:16");
  assert.equal(show("f0 0f c7 08"), "cmpxchg8b memory:8");
});

test("memory operands", () => {
  const rip = decodeHex("8b 05 fc ff ff ff");
  assert.deepEqual([rip.base, rip.dispLo, rip.dispHi, rip.addressSize], [RIP, -4, -1, 8]);
  const absolute = decodeHex("8b 04 25 00 00 00 80");
  assert.deepEqual(
    [absolute.base, absolute.index, absolute.dispLo, absolute.dispHi],
    [NO_REGISTER, NO_REGISTER, -0x80000000, -1],
  );
  const sib = decodeHex("43 8b 44 a5 7f");
  assert.deepEqual([sib.base, sib.index, sib.scale, sib.dispLo, sib.segment], [GPR.r13, GPR.r12, 2, 127, SEGMENT.ds]);
  const stack = decodeHex("8b 44 24 08");
  assert.deepEqual(
    [stack.base, stack.index, stack.segment, stack.hasSegmentPrefix],
    [GPR.rsp, NO_REGISTER, SEGMENT.ss, false],
  );
  assert.equal(decodeHex("8b 45 00").segment, SEGMENT.ss);
  const thread = decodeHex("64 8b 45 00");
  assert.deepEqual([thread.segment, thread.hasSegmentPrefix], [SEGMENT.fs, true]);
  assert.equal(decodeHex("65 2e 8b 00").segment, SEGMENT.gs); // 64-bit mode does not see cs
  assert.equal(decodeHex("2e 8b 00", 32).segment, SEGMENT.cs);
  const short = decodeHex("67 8b 40 01", 32);
  assert.deepEqual([short.base, short.index, short.dispLo, short.addressSize], [GPR.rbx, GPR.rsi, 1, 2]);
  const shortStack = decodeHex("8b 46 80", 16);
  assert.deepEqual(
    [shortStack.base, shortStack.index, shortStack.dispLo, shortStack.segment],
    [GPR.rbp, NO_REGISTER, -128, SEGMENT.ss],
  );
  const moffs = decodeHex("48 a1 88 77 66 55 44 33 22 91");
  assert.deepEqual(
    [moffs.dispLo >>> 0, moffs.dispHi >>> 0, moffs.operands[1].kind],
    [0x55667788, 0x91223344, OPERAND.absolute],
  );
  const moffs32 = decodeHex("67 a1 00 00 00 80");
  assert.deepEqual([moffs32.dispLo >>> 0, moffs32.dispHi], [0x80000000, 0]);
});

test("immediates are extended as the manual says", () => {
  const add = decodeHex("48 83 c0 ff");
  assert.deepEqual([add.immLo, add.immHi], [-1, -1]);
  const shift = decodeHex("c1 e0 ff");
  assert.deepEqual([shift.immLo, shift.immHi], [255, 0]);
  const wide = decodeHex("48 b8 01 00 00 00 00 00 00 80");
  assert.deepEqual([wide.immLo, wide.immHi], [1, -0x80000000]);
  const enter = decodeHex("c8 f0 ff 03");
  assert.deepEqual([enter.immLo, enter.imm2], [0xfff0, 3]);
  const far = decodeHex("ea 78 56 34 12 08 00", 32);
  assert.deepEqual([far.immLo, far.imm2, far.operands[0].kind], [0x12345678, 8, OPERAND.far]);
  assert.equal(decodeHex("cd 80").immLo, 0x80);
  assert.equal(decodeHex("66 83 c0 80").immLo, -128);
});

test("conditions come from the opcode", () => {
  assert.equal(decodeHex("75 00").condition, 5);
  assert.equal(decodeHex("0f 4f c1").condition, 15);
  assert.equal(decodeHex("0f 94 c4").condition, 4);
  assert.equal(show("0f 94 c4"), "setcc gpr0h:1");
});

test("what one mode has and the other has not", () => {
  assert.equal(show("63 c1", 32), "arpl gpr1:2 gpr0:2");
  assert.equal(show("40", 32), "inc gpr0:4");
  for (const hex of ["06", "27", "60", "82 c0 01", "9a 00 00 00 00 00 00", "c4 00", "c5 00", "62 00", "ce", "d4 0a"]) {
    assert.equal(failureOf(hex), "undefined", hex);
  }
  assert.equal(show("82 c0 01", 32), "add gpr0:1 immediate:1");
  assert.equal(show("0f 05", 32), "syscall");
  assert.equal(show("0f 01 f8"), "swapgs");
  assert.equal(failureOf("0f 01 f8", 32), "undefined");
});

test("what is undefined", () => {
  for (const hex of [
    "8e c8",
    "8c f0",
    "0f 20 c8",
    "44 0f 21 c0",
    "0f 0f c1 9a",
    "0f 01 c1",
    "c7 f8 00 00 00 00",
    "0f c7 f0",
    "fe 10",
    "ff 38",
    "8d c0",
    "f3 0f 50 c1",
    "c5 f8 77",
  ]) {
    assert.equal(failureOf(hex), "undefined", hex);
  }
  assert.equal(show("0f 04 05"), "kentry immediate:1");
});

test("an instruction has at most 15 bytes", () => {
  assert.equal(decodeHex("66 66 66 66 66 66 66 66 66 66 66 66 66 66 90").length, 15);
  assert.equal(failureOf("66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 90"), "too-long");
  assert.equal(failureOf("66 66 66 66 66 66 66 66 66 66 66 66 01 84 24 00 00 00 00"), "too-long");
});

test("all beginnings of an instruction are truncated", () => {
  for (const hex of [
    "48 b8 01 02 03 04 05 06 07 08",
    "f0 48 81 84 24 00 01 02 03 04 05 06 07",
    "66 0f 3a 0f c1 08",
    "64 48 a1 00 00 00 00 00 00 00 00",
    "c8 00 00 00",
  ]) {
    const bytes = bytesOf(hex);
    for (let length = 0; length < bytes.length; length++) {
      assert.equal(decode(bytes, 0, length, 64, newDecoded()), "truncated", `${hex}, ${length} bytes`);
    }
    assert.equal(decode(bytes, 0, bytes.length, 64, newDecoded()), "ok");
  }
});
