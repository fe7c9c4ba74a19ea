// Random instructions that need preparation: division, bit strings, exchanges; and which rows are made by what.

import type { Mnemonic } from "../../src/isa/x86_64/instructions.ts";
import { GPR } from "../../src/isa/x86_64/registers.ts";
import { type Build, type Memory, sizeInBytes } from "./x86-random-block.ts";
import { type Address, type Code, encode } from "./x86-random-encode.ts";
import { call, conditionalJump, countedJump, flagsItem, frame, jump, stackItem } from "./x86-random-jumps.ts";
import { inRecord, op, WINDOW } from "./x86-random-program.ts";
import { compareToFlags, environment, loadControlWord, loadMxcsr, maskedMove, stringItem } from "./x86-random-state.ts";

// --- Division --------------------------------------------------------------------------------------------------------

/**
 * The divisor's lowest bits are made 101, so that it is not 0, 1 or -1; the dividend's upper half is the extension of the lower one, or a part of
 * the divisor: then the quotient fits.
 */
const division: Build = (maker, row) => {
  const { random } = maker;
  const operandSize = maker.operandSize(row);
  const rex = operandSize === 8 || random.oneIn(2);
  const size = sizeInBytes(row.operands[0]?.size ?? "v", operandSize);
  maker.keep(GPR.rax, GPR.rdx);
  const isMemory = random.oneIn(2);
  const memory: Memory = isMemory ? maker.memory({ size, rex }) : { address: inRecord(0), setup: [] };
  const divisor: number | Address = isMemory ? memory.address : maker.gpr(size, rex);
  const both = { operandSize, rex, rm: divisor };
  const isByte = size === 1;
  const operands = isByte ? "Eb,Ib" : "Ev,Ib";
  const setup = [
    ...memory.setup,
    op("or", operands, { ...both, immediates: [5n] }),
    op("and", operands, { ...both, immediates: [~2n] }),
  ];
  const isSigned = row.mnemonic === "idiv";
  if (isByte) {
    setup.push(isSigned ? op("cbw", "", { operandSize: 2 }) : op("movzx", "Gv,Eb", { reg: GPR.rax, rm: GPR.rax }));
  } else if (random.oneIn(2)) {
    setup.push(
      isSigned ? op("cwd", "", { operandSize }) : op("xor", "Ev,Gv", { operandSize: 4, reg: GPR.rdx, rm: GPR.rdx }),
    );
  } else {
    const count = isSigned ? 2n : BigInt(1 + random.below(4));
    setup.push(
      op("mov", "Gv,Ev", { ...both, reg: GPR.rdx }),
      op(isSigned ? "sar" : "shr", "Ev,ub", { operandSize, rm: GPR.rdx, immediates: [count] }),
    );
  }
  return [...setup, encode(row, { ...both, isMain: true })];
};

// --- Bits ------------------------------------------------------------------------------------------------------------

/** With a bit number in a register, memory is a string of bits: the number says how far away from the address. */
const bitTest: Build = (maker, row) => {
  const { random } = maker;
  if (row.operands[1]?.place !== "gpr" || random.oneIn(3)) {
    return maker.plain(row, {
      form: row.operands[1]?.place === "gpr" ? "register" : random.pick(["register", "memory"]),
    });
  }
  const operandSize = maker.operandSize(row);
  const rex = operandSize === 8 || random.oneIn(2);
  const offset = maker.place({ size: operandSize, rex });
  const memory = maker.memoryAt(offset, rex, 32);
  const number = maker.keptRegister(rex);
  const lowest = -Math.floor(offset / operandSize);
  const highest = Math.floor((WINDOW.memorySize - operandSize - offset) / operandSize);
  const unit = lowest + random.below(highest - lowest + 1);
  const bit = BigInt(unit * operandSize * 8 + random.below(operandSize * 8));
  // What is above the operand size does not count.
  const bits = BigInt(operandSize * 8);
  const value = random.oneIn(2)
    ? BigInt.asUintN(64, random.integer() << bits) | BigInt.asUintN(Number(bits), bit)
    : bit;
  const prefixes = row.attributes.has("lock") && random.oneIn(4) ? [0xf0] : [];
  return [
    ...memory.setup,
    maker.set(number, operandSize === 8 ? bit : BigInt.asUintN(64, value)),
    encode(row, { operandSize, rex, reg: number, rm: memory.address, prefixes, isMain: true }),
  ];
};

/** Counts above 16 of 16-bit operands are undefined. */
const doubleShift: Build = (maker, row) => {
  const { random } = maker;
  const isByRegister = row.operands[2]?.place === "fixedGpr";
  if (isByRegister) {
    if (maker.lacks(GPR.rcx)) return [];
    maker.keep(GPR.rcx);
    const count = op("mov", "Zb,Ib", {
      inOpcode: GPR.rcx,
      immediates: [BigInt(random.below(17) + 32 * random.below(8))],
    });
    return [count, ...maker.plain(row)];
  }
  const codes = maker.plain(row);
  const last = codes.at(-1);
  if (last === undefined) return [];
  const bytes = Uint8Array.from(last.bytes);
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) & (random.oneIn(2) ? 0xef : 0x0f);
  return [...codes.slice(0, -1), { ...last, bytes }];
};

// --- Exchanges and moves ---------------------------------------------------------------------------------------------

/** Half of the time the accumulator is what is compared with. */
const compareExchange: Build = (maker, row) => {
  const { random } = maker;
  maker.keep(GPR.rax);
  const operandSize = maker.operandSize(row);
  const rex = operandSize === 8 || random.oneIn(2);
  const size = sizeInBytes(row.operands[0]?.size ?? "v", operandSize);
  const memory = maker.memory({ size, rex });
  const rm: number | Address = random.oneIn(2) ? memory.address : maker.gpr(size, rex);
  const prefixes = typeof rm === "object" && random.oneIn(3) ? [0xf0] : [];
  const copy = op("mov", size === 1 ? "Gb,Eb" : "Gv,Ev", { operandSize, rex, reg: GPR.rax, rm });
  maker.kept.delete(GPR.rax);
  return [
    ...memory.setup,
    ...(random.oneIn(2) ? [copy] : []),
    encode(row, { operandSize, rex, reg: maker.gpr(size, rex), rm, prefixes, isMain: true }),
  ];
};

const compareExchangePair: Build = (maker, row) => {
  const { random } = maker;
  const isLong = row.mnemonic === "cmpxchg16b";
  maker.keep(GPR.rax, GPR.rdx);
  const size = isLong ? 8 : 4;
  const offset = maker.place({ size: 2 * size, rex: true, alignment: isLong ? 16 : 1 });
  const memory = maker.memoryAt(offset, true, 32);
  const prefixes = random.oneIn(2) ? [0xf0] : [];
  const load = (reg: number, from: number): Code =>
    op("mov", "Gv,Ev", { operandSize: size, reg, rm: inRecord(offset + from) });
  return [
    ...memory.setup,
    ...(random.oneIn(2) ? [load(GPR.rax, 0), load(GPR.rdx, size)] : []),
    encode(row, { rm: memory.address, rex: true, prefixes, isMain: true }),
  ];
};

const absoluteMove: Build = (maker, row) => {
  const { random } = maker;
  const operandSize = maker.operandSize(row);
  const size = sizeInBytes(row.operands[0]?.size ?? "v", operandSize);
  const offset = maker.place({ size, rex: true });
  const absolute = { offset, addressSize: random.oneIn(3) ? 4 : 8 } as const;
  return [encode(row, { operandSize, absolute, isMain: true })];
};

const loadAddress: Build = (maker, row) => {
  const operandSize = maker.operandSize(row);
  const rex = operandSize === 8 || maker.random.oneIn(2);
  return [encode(row, { operandSize, rex, reg: maker.register(rex), rm: maker.anyAddress(rex), isMain: true })];
};

const translate: Build = (maker, row) => {
  if (maker.lacks(GPR.rbx)) return [];
  const prefixes = maker.random.oneIn(4) ? [0x67] : [];
  return [maker.point(GPR.rbx, maker.place({ size: 1, rex: false })), encode(row, { prefixes, isMain: true })];
};

/** What is not `plain`. */
export const ITEMS: Readonly<Partial<Record<Mnemonic, Build>>> = {
  div: division,
  idiv: division,
  bt: bitTest,
  bts: bitTest,
  btr: bitTest,
  btc: bitTest,
  shld: doubleShift,
  shrd: doubleShift,
  cmpxchg: compareExchange,
  cmpxchg8b: compareExchangePair,
  cmpxchg16b: compareExchangePair,
  mov: (maker, row) =>
    row.operands.some(({ place }) => place === "absolute") ? absoluteMove(maker, row) : maker.plain(row),
  lea: loadAddress,
  xlat: translate,
  push: stackItem,
  pop: stackItem,
  pushf: flagsItem,
  popf: flagsItem,
  enter: frame,
  leave: frame,
  jmp: jump,
  jcc: conditionalJump,
  loop: countedJump,
  loope: countedJump,
  loopne: countedJump,
  jcxz: countedJump,
  call,
  ret: call,
  ldmxcsr: loadMxcsr,
  fldcw: loadControlWord,
  fldenv: environment,
  fnstenv: environment,
  fnsave: environment,
  frstor: environment,
  fcomi: compareToFlags,
  fcomip: compareToFlags,
  fucomi: compareToFlags,
  fucomip: compareToFlags,
  maskmovq: maskedMove,
  maskmovdqu: maskedMove,
  movs: stringItem,
  cmps: stringItem,
  stos: stringItem,
  lods: stringItem,
  scas: stringItem,
};
