// Random instructions that need preparation, or that belong together: division, bit strings, the stack, jumps, control words.

import type { Instruction, Mnemonic } from "../../src/isa/x86_64/instructions.ts";
import { GPR } from "../../src/isa/x86_64/registers.ts";
import { type BlockMaker, type Memory, sizeInBytes } from "./x86-random-block.ts";
import { type Address, type Code, encode, type Fields, immediateBytes } from "./x86-random-encode.ts";
import { inRecord, type Item, lengthOf, op, rowOf, WINDOW } from "./x86-random-program.ts";

type Build = (maker: BlockMaker, row: Instruction) => Item;

const SIMPLE: readonly Mnemonic[] = ["add", "sub", "xor", "and", "or", "cmp", "mov", "test", "adc", "sbb", "xadd"];

function filler(maker: BlockMaker): Code[] {
  return Array.from({ length: 1 + maker.random.below(3) }, () => maker.simple(SIMPLE)).flat();
}

/** Whether the item would write a register that it must not. */
const lacks = (maker: BlockMaker, ...registers: readonly number[]): boolean =>
  registers.some((register) => !maker.mayWrite(register));

const PLAIN_BUILD: Build = (maker, row) => maker.plain(row);

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
    if (lacks(maker, GPR.rcx)) return [];
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
  if (lacks(maker, GPR.rbx)) return [];
  const prefixes = maker.random.oneIn(4) ? [0x67] : [];
  return [maker.point(GPR.rbx, maker.place({ size: 1, rex: false })), encode(row, { prefixes, isMain: true })];
};

// --- Stack -----------------------------------------------------------------------------------------------------------

const LOWEST_STACK = WINDOW.stack + 104;
const HIGHEST_STACK = WINDOW.stack + 184;

/** Moves rsp back to where there is room; nothing where there is. */
function adjustStack(maker: BlockMaker): Code[] {
  const { random, stack } = maker;
  if (stack >= LOWEST_STACK && stack <= HIGHEST_STACK && !random.oneIn(12)) return [];
  const target = LOWEST_STACK + random.below(HIGHEST_STACK - LOWEST_STACK + 1);
  const difference = BigInt(target - stack);
  maker.stack = target;
  return [
    random.oneIn(2)
      ? op("add", "Ev,Ib", { operandSize: 8, rm: GPR.rsp, immediates: [difference] })
      : op("sub", "Ev,Iz", { operandSize: 8, rm: GPR.rsp, immediates: [-difference] }),
  ];
}

/** A push or a pop of anything. In a loop they come in pairs. */
const stackItem: Build = (maker, row) => {
  const { random } = maker;
  const codes = maker.isInLoop ? [] : adjustStack(maker);
  const operandSize = maker.operandSize(row);
  const isPush = row.mnemonic === "push";
  const move = (): void => void (maker.stack += isPush ? -operandSize : operandSize);
  const fields: Fields = { operandSize, rex: random.oneIn(2), isMain: true };
  const [operand] = row.operands;
  if (maker.isInLoop && !isPush) codes.push(op("push", "Ib", { operandSize, immediates: [5n] }));
  if (operand?.place === "immediate") {
    codes.push(encode(row, { ...fields, immediates: [maker.immediate(immediateBytes(operand.size, operandSize))] }));
  } else if (operand?.place === "gprInOpcode") {
    codes.push(encode(row, { ...fields, inOpcode: maker.register(fields.rex === true) }));
  } else if (random.oneIn(2)) {
    codes.push(encode(row, { ...fields, rm: maker.register(fields.rex === true) }));
  } else {
    const memory = maker.memory({ size: operandSize, rex: fields.rex === true });
    codes.push(...memory.setup, encode(row, { ...fields, rm: memory.address }));
  }
  if (maker.isInLoop) {
    if (isPush) codes.push(op("pop", "Zv", { operandSize, rex: true, inOpcode: maker.register(true) }));
  } else move();
  return codes;
};

/** Arithmetic flags and DF. */
const USER_FLAGS = 0xcd5;

const flagsItem: Build = (maker, row) => {
  const value = BigInt((maker.random.next() & USER_FLAGS) | 2);
  if (row.mnemonic === "popf")
    return [op("push", "Iz", { operandSize: 8, immediates: [value] }), encode(row, { operandSize: 8, isMain: true })];
  const operandSize = maker.operandSize(row);
  const register = maker.register(true);
  return [encode(row, { operandSize, isMain: true }), op("pop", "Zv", { operandSize, rex: true, inOpcode: register })];
};

const frame: Build = (maker, row) => {
  if (lacks(maker, GPR.rbp)) return [];
  const { random } = maker;
  maker.keep(GPR.rbp);
  const above = maker.isInLoop ? [] : adjustStack(maker);
  const enter = rowOf("enter", "uw,ub");
  const immediates = [BigInt(random.below(17)), BigInt(random.below(4) + 32 * random.below(2))];
  const below: Address = { ...stackAddress, displacement: 32 + 8 * random.below(4) };
  return [
    ...above,
    op("lea", "Gv,M", { operandSize: 8, reg: GPR.rbp, rm: below }),
    encode(enter, { operandSize: 8, immediates, isMain: row.mnemonic === "enter" }),
    ...filler(maker),
    op("leave", "", { operandSize: 8, isMain: row.mnemonic === "leave" }),
  ];
};

const stackAddress: Address = {
  base: GPR.rsp,
  index: -1,
  scale: 0,
  displacement: 0,
  inRecord: false,
  addressSize: 8,
  segment: undefined,
  isLong: false,
};

// --- Jumps -----------------------------------------------------------------------------------------------------------

/** rip and a distance: where the code goes on. */
const ahead = (distance: number): Address => ({ ...stackAddress, base: 16, displacement: distance });

/** Jumps over a filler, by the row: a displacement, a register or memory. */
function jumpOver(maker: BlockMaker, row: Instruction, over: readonly Code[], extra: Partial<Fields> = {}): Code[] {
  const { random } = maker;
  const distance = lengthOf(over);
  if (row.operands[0]?.place === "relative")
    return [
      encode(row, { ...extra, operandSize: 8, rex: false, immediates: [BigInt(distance)], isMain: true }),
      ...over,
    ];
  const rex = random.oneIn(2);
  const target = maker.keptRegister(rex);
  const lea = (beyond: readonly Code[]): Code =>
    op("lea", "Gv,M", { operandSize: 8, reg: target, rm: ahead(lengthOf(beyond) + distance) });
  if (random.oneIn(2)) {
    const jump = encode(row, { rex, rm: target, isMain: true });
    return [lea([jump]), jump, ...over];
  }
  const memory = maker.memory({ size: 8, rex });
  const rest = [
    op("mov", "Ev,Gv", { operandSize: 8, rex: true, reg: target, rm: memory.address }),
    encode(row, { rex, rm: memory.address, isMain: true }),
  ];
  return [...memory.setup, lea(rest), ...rest, ...over];
}

const jump: Build = (maker, row) => jumpOver(maker, row, filler(maker));

const conditionalJump: Build = (maker, row) =>
  jumpOver(maker, row, filler(maker), { inOpcode: maker.random.below(16) });

const RCX_ADDRESS_SIZE = 0x67;

/** loop and jcxz forwards. */
const countedJump: Build = (maker, row) => {
  if (lacks(maker, GPR.rcx)) return [];
  const { random } = maker;
  const over = filler(maker);
  const prefixes = random.oneIn(3) ? [RCX_ADDRESS_SIZE] : [];
  const count = random.oneIn(2) ? [maker.set(GPR.rcx, BigInt(random.below(3)))] : [];
  return [...count, ...jumpOver(maker, row, over, { prefixes })];
};

const SUBROUTINE_RETURNS = ["plain", "popping"] as const;

/** A call of a subroutine that lies behind, and the jump over it. */
const call: Build = (maker, row) => {
  const { random } = maker;
  const before = maker.isInLoop ? [] : adjustStack(maker);
  const kind = random.pick(SUBROUTINE_RETURNS);
  const pushes = kind === "popping" ? [op("push", "Ib", { operandSize: 8, immediates: [1n] })] : [];
  const body = [
    ...filler(maker),
    kind === "popping"
      ? op("ret", "uw", { immediates: [8n], isMain: row.mnemonic === "ret" })
      : op("ret", "", { isMain: row.mnemonic === "ret" }),
  ];
  const after = filler(maker);
  const skip = op("jmp", "Jb", { operandSize: 8, immediates: [BigInt(lengthOf(body))] });
  const callRow = row.mnemonic === "ret" ? rowOf("call", "Jz") : row;
  return [...before, ...pushes, ...jumpOver(maker, callRow, [...after, skip]), ...body];
};

// --- Control words ---------------------------------------------------------------------------------------------------

const MXCSR_MASKS = 0x1f80;

/** MXCSR with any rounding, DAZ and FTZ, and everything masked. */
const loadMxcsr: Build = (maker, row) => {
  const { random } = maker;
  const memory = maker.memory({ size: 4, rex: true });
  const modes = random.oneIn(2) ? 0 : random.next() & 0xe040;
  const value = BigInt(MXCSR_MASKS | modes | (random.next() & 0x3f));
  return [
    ...memory.setup,
    op("mov", "Ev,Iz", { operandSize: 4, rex: true, rm: memory.address, immediates: [value] }),
    encode(row, { rex: true, rm: memory.address, isMain: true }),
  ];
};

/** A control word with any rounding and precision, and everything masked. */
const loadControlWord: Build = (maker, row) => {
  const { random } = maker;
  const memory = maker.memory({ size: 2, rex: true });
  const value = BigInt(
    0x3f | (random.oneIn(2) ? 0x300 : random.pick([0, 2, 3]) << 8) | (random.below(4) << 10) | (random.below(2) << 12),
  );
  return [
    ...memory.setup,
    op("mov", "Ev,Iz", { operandSize: 2, rex: true, rm: memory.address, immediates: [value] }),
    encode(row, { rex: true, rm: memory.address, isMain: true }),
  ];
};

/**
 * Stores of environments and states, and loads of what was stored. The pointers and the opcode of the last instruction, which some processors
 * do not tell, are overwritten.
 */
const environment: Build = (maker, row) => {
  const { random } = maker;
  const isState = row.mnemonic === "fnsave" || row.mnemonic === "frstor";
  const operandSize = random.pick([2, 4]);
  const size = sizeInBytes(isState ? "f" : "e", operandSize);
  const offset = maker.place({ size, rex: true });
  const memory = maker.memoryAt(offset, true, WINDOW.size);
  const at = (place: number, bytes: 2 | 4, value: bigint): Code =>
    op("mov", "Ev,Iz", { operandSize: bytes, rm: inRecord(offset + place), immediates: [value] });
  const store = rowOf(isState ? "fnsave" : "fnstenv", isState ? "Mf" : "Me");
  const isLoad = row.mnemonic === "fldenv" || row.mnemonic === "frstor";
  const codes = [...memory.setup, encode(store, { operandSize, rm: memory.address, isMain: !isLoad })];
  if (operandSize === 2) for (let place = 6; place < 14; place += 2) codes.push(at(place, 2, 0n));
  else for (let place = 12; place < 28; place += 4) codes.push(at(place, 4, 0n));
  // Tags of the program's own making: only whether a register is empty is kept.
  if (isLoad && random.oneIn(2)) codes.push(at(operandSize === 2 ? 4 : 8, 2, BigInt(random.next() & 0xffff)));
  if (isLoad) codes.push(encode(row, { operandSize, rm: memory.address, isMain: true }));
  return codes;
};

/** fcomi and the like are to clear C1, but AMD's processors leave it; fincstp clears it. */
const compareToFlags: Build = (maker, row) => [...maker.plain(row), op("fincstp", "", {}), op("fdecstp", "", {})];

/** The destination is at rdi. */
const maskedMove: Build = (maker, row) => {
  if (lacks(maker, GPR.rdi)) return [];
  const size = row.operands[0]?.size === "q" ? 8 : 16;
  return [maker.point(GPR.rdi, maker.place({ size, rex: false })), ...maker.plain(row)];
};

// --- Strings ---------------------------------------------------------------------------------------------------------

const REPEATS = [[], [0xf3], [0xf3], [0xf2]] as const;

/** Source and destination in the window, a count that leaves them there, either direction. */
const stringItem: Build = (maker, row) => {
  if (lacks(maker, GPR.rsi, GPR.rdi, GPR.rcx)) return [];
  const { random } = maker;
  const operandSize = maker.operandSize(row);
  const size = row.width === "byte" ? 1 : operandSize;
  const count = random.below(random.pick([4, 16, Math.floor(WINDOW.memorySize / size)]) + 1);
  const repeat = random.pick(REPEATS);
  const isBackwards = random.oneIn(3);
  const length = size * Math.max(1, repeat.length === 0 ? 1 : count);
  const addressPrefix = random.oneIn(4) ? [0x67] : [];
  const place = (): number => maker.place({ size: length, rex: false }) + (isBackwards ? length - size : 0);
  const pointTo = (register: number, offset: number): Code => {
    if (addressPrefix.length === 0) return maker.point(register, offset);
    // Only the lower half counts.
    const upper = BigInt(random.next()) << 32n;
    const move = op("mov", "Zv,Iv", { operandSize: 8, inOpcode: register, immediates: [upper] });
    return { ...move, fixups: [{ at: 2, kind: "absolute4", offset }] };
  };
  const garbage = addressPrefix.length === 0 || count === 0 ? 0n : BigInt(random.next()) << 32n;
  return [
    pointTo(GPR.rsi, place()),
    pointTo(GPR.rdi, place()),
    maker.set(GPR.rcx, garbage | BigInt(count)),
    op(isBackwards ? "std" : "cld", "", {}),
    encode(row, { operandSize, prefixes: [...addressPrefix, ...repeat], isMain: true }),
  ];
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
    row.operands.some(({ place }) => place === "absolute") ? absoluteMove(maker, row) : PLAIN_BUILD(maker, row),
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

/** A loop around items: by dec and a jump, or by `loop`. */
export function loopAround(maker: BlockMaker, times: number, body: () => readonly Code[]): Item {
  const { random } = maker;
  const useLoop = maker.mayWrite(GPR.rcx) && random.oneIn(3);
  const counter = useLoop ? GPR.rcx : maker.keptRegister(true);
  if (useLoop) maker.keep(GPR.rcx);
  const kept = [...maker.kept];
  const { isInLoop } = maker;
  maker.isInLoop = true;
  const inside = body();
  maker.isInLoop = isInLoop;
  maker.keep(...kept);
  const count = maker.set(counter, BigInt(times));
  if (useLoop && lengthOf(inside) < 120) {
    const end = encode(rowOf("loop", "Jb"), { immediates: [BigInt(-lengthOf(inside) - 2)] });
    return [count, ...inside, end];
  }
  const decrement = op("dec", "Ev", { operandSize: 8, rm: counter });
  const jumpRow = rowOf("jcc", "Jz");
  const distance = lengthOf(inside) + decrement.bytes.length + encode(jumpRow, {}).bytes.length;
  return [count, ...inside, decrement, encode(jumpRow, { inOpcode: 5, immediates: [BigInt(-distance)] })];
}
