// Random use of the stack, jumps, calls and loops.

import { NO_REGISTER, RIP } from "../../src/isa/x86_64/decode-types.ts";
import type { Instruction, Mnemonic } from "../../src/isa/x86_64/instructions.ts";
import { GPR } from "../../src/isa/x86_64/registers.ts";
import type { BlockMaker, Build } from "./x86-random-block.ts";
import { type Address, type Code, encode, type Fields, immediateBytes } from "./x86-random-encode.ts";
import { type Item, lengthOf, op, rowOf, WINDOW } from "./x86-random-program.ts";

const SIMPLE: readonly Mnemonic[] = ["add", "sub", "xor", "and", "or", "cmp", "mov", "test", "adc", "sbb", "xadd"];

function filler(maker: BlockMaker): Code[] {
  return Array.from({ length: 1 + maker.random.below(3) }, () => maker.simple(SIMPLE)).flat();
}

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
export const stackItem: Build = (maker, row) => {
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

export const flagsItem: Build = (maker, row) => {
  const value = BigInt((maker.random.next() & USER_FLAGS) | 2);
  if (row.mnemonic === "popf")
    return [op("push", "Iz", { operandSize: 8, immediates: [value] }), encode(row, { operandSize: 8, isMain: true })];
  const operandSize = maker.operandSize(row);
  const register = maker.register(true);
  return [encode(row, { operandSize, isMain: true }), op("pop", "Zv", { operandSize, rex: true, inOpcode: register })];
};

export const frame: Build = (maker, row) => {
  if (maker.lacks(GPR.rbp)) return [];
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
  index: NO_REGISTER,
  scale: 0,
  displacement: 0,
  inRecord: false,
  addressSize: 8,
  segment: undefined,
  isLong: false,
};

// --- Jumps -----------------------------------------------------------------------------------------------------------

/** rip and a distance: where the code goes on. */
const ahead = (distance: number): Address => ({ ...stackAddress, base: RIP, displacement: distance });

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

export const jump: Build = (maker, row) => jumpOver(maker, row, filler(maker));

export const conditionalJump: Build = (maker, row) =>
  jumpOver(maker, row, filler(maker), { inOpcode: maker.random.below(16) });

const RCX_ADDRESS_SIZE = 0x67;

/** loop and jcxz forwards. */
export const countedJump: Build = (maker, row) => {
  if (maker.lacks(GPR.rcx)) return [];
  const { random } = maker;
  const over = filler(maker);
  const prefixes = random.oneIn(3) ? [RCX_ADDRESS_SIZE] : [];
  const count = random.oneIn(2) ? [maker.set(GPR.rcx, BigInt(random.below(3)))] : [];
  return [...count, ...jumpOver(maker, row, over, { prefixes })];
};

const SUBROUTINE_RETURNS = ["plain", "popping"] as const;

/** A call of a subroutine that lies behind, and the jump over it. */
export const call: Build = (maker, row) => {
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
