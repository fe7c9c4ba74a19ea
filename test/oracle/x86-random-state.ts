// Random use of control words and x87 environments, of what names its registers by itself, and of strings.

import { GPR } from "../../src/isa/x86_64/registers.ts";
import { type Build, sizeInBytes } from "./x86-random-block.ts";
import { type Code, encode } from "./x86-random-encode.ts";
import { inRecord, op, rowOf, WINDOW } from "./x86-random-program.ts";

// --- Control words ---------------------------------------------------------------------------------------------------

const MXCSR_MASKS = 0x1f80;

/** MXCSR with any rounding, DAZ and FTZ, and everything masked. */
export const loadMxcsr: Build = (maker, row) => {
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
export const loadControlWord: Build = (maker, row) => {
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
export const environment: Build = (maker, row) => {
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
export const compareToFlags: Build = (maker, row) => [
  ...maker.plain(row),
  op("fincstp", "", {}),
  op("fdecstp", "", {}),
];

/** The destination is at rdi. */
export const maskedMove: Build = (maker, row) => {
  if (maker.lacks(GPR.rdi)) return [];
  const size = row.operands[0]?.size === "q" ? 8 : 16;
  return [maker.point(GPR.rdi, maker.place({ size, rex: false })), ...maker.plain(row)];
};

// --- Strings ---------------------------------------------------------------------------------------------------------

const REPEATS = [[], [0xf3], [0xf3], [0xf2]] as const;

/** Source and destination in the window, a count that leaves them there, either direction. */
export const stringItem: Build = (maker, row) => {
  if (maker.lacks(GPR.rsi, GPR.rdi, GPR.rcx)) return [];
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
