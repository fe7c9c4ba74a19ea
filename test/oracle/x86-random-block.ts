// What a random block is made with: registers, memory operands in all forms, and any instruction of the table that needs no preparation.

import { NO_REGISTER, RIP } from "../../src/isa/x86_64/decode-types.ts";
import type { Instruction, Mnemonic, OperandSize } from "../../src/isa/x86_64/instructions.ts";
import { GPR } from "../../src/isa/x86_64/registers.ts";
import { type Address, type Code, encode, type Fields, immediateBytes } from "./x86-random-encode.ts";
import { inRecord, type Item, op, SEGMENT_BASES, STACK_TOP, WINDOW } from "./x86-random-program.ts";
import type { Random } from "./random.ts";

/** A memory operand, and the instructions that make its registers. */
export interface Memory {
  readonly address: Address;
  readonly setup: readonly Code[];
}

export interface MemoryWish {
  readonly size: number;
  readonly rex: boolean;
  /** Its place is a multiple of this; 1 unless told. */
  readonly alignment?: number;
  /** Bytes of the window's memory that must lie before and after it. */
  readonly before?: number;
  readonly after?: number;
}

/** Vectors in memory that need not be aligned. */
const UNALIGNED = /^(movup[sd]|movdqu|lddqu|pcmp[ei]str[im])$/;
/** Instructions that have an operand size but no operand to tell it. */
const SIZED = /^(cbw|cwd|pushf|popf|push|leave|enter)$/;
/** Segment overrides that 64-bit mode ignores. */
const NULL_PREFIXES = [0x26, 0x2e, 0x36, 0x3e];
const LOCK = 0xf0;
const MAX_INSTRUCTION_LENGTH = 15;

const MOST_ATTEMPTS = 200;

/** All registers that would do are needed otherwise: there is no such item now. */
export class NoRegisterError extends Error {}

/** Makes an item of a row; an empty one where the registers for it are needed otherwise. */
export type Build = (maker: BlockMaker, row: Instruction) => Item;

export class BlockMaker {
  readonly random: Random;
  readonly pointer: number;
  /** The pointer is the window's address plus this. */
  readonly bias: number;
  /** Registers that must not be written until the item is made. */
  readonly kept = new Set<number>();
  /** rsp, from the start of the record. */
  stack = STACK_TOP;
  /** Whether the item being made must leave rsp as it is. */
  isInLoop = false;
  private readonly favourites: readonly number[];

  constructor(random: Random) {
    this.random = random;
    this.pointer = random.pick([3, 5, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    this.bias = random.pick([0, 0, random.below(512) - 128, random.below(4096)]);
    this.favourites = Array.from({ length: 6 }, () => random.below(16));
  }

  mayWrite(register: number): boolean {
    return register !== GPR.rsp && register !== this.pointer && !this.kept.has(register);
  }

  /** Whether one of them must not be written. */
  lacks(...registers: readonly number[]): boolean {
    return registers.some((register) => !this.mayWrite(register));
  }

  /** A register that may be written; without a REX prefix one of the first eight. */
  register(rex: boolean): number {
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      const register = this.random.oneIn(2) ? this.random.pick(this.favourites) : this.random.below(16);
      if ((rex || register < 8) && this.mayWrite(register)) return register;
    }
    throw new NoRegisterError();
  }

  /** The number of a byte register: 4 to 7 are ah to bh without a REX prefix. */
  byteRegister(rex: boolean): number {
    if (rex) return this.register(true);
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      const register = this.random.below(8);
      if (this.mayWrite(register & 3)) return register;
    }
    throw new NoRegisterError();
  }

  gpr(size: number, rex: boolean): number {
    return size === 1 ? this.byteRegister(rex) : this.register(rex);
  }

  /** As `register`, and the rest of the item does not write it. */
  keptRegister(rex: boolean): number {
    const register = this.register(rex);
    this.kept.add(register);
    return register;
  }

  keep(...registers: readonly number[]): void {
    for (const register of registers) this.kept.add(register);
  }

  /** Loads a register with a number. */
  set(register: number, value: bigint): Code {
    const rex = register >= 8;
    if (value >= 0n && value < 1n << 32n) return op("mov", "Zv,Iv", { inOpcode: register, rex, immediates: [value] });
    if (value === BigInt.asIntN(32, value))
      return op("mov", "Ev,Iz", { operandSize: 8, rm: register, immediates: [value] });
    return op("mov", "Zv,Iv", { operandSize: 8, inOpcode: register, immediates: [value] });
  }

  /** Loads a register with the address of a place in the record. */
  point(register: number, offset: number): Code {
    return op("lea", "Gv,M", { operandSize: 8, reg: register, rm: inRecord(offset) });
  }

  // --- Memory ------------------------------------------------------------------------------------------------------

  /** A place in the window's memory. */
  place({ size, alignment = 1, before = 0, after = 0 }: MemoryWish): number {
    const room = WINDOW.memorySize - size - before - after;
    const at = before + this.random.below(room + 1);
    return at - (at % alignment);
  }

  /** A memory operand in the window, in any form. Registers made for it are kept. */
  memory(wish: MemoryWish): Memory {
    return this.memoryAt(this.place(wish), wish.rex, wish.size);
  }

  memoryAt(offset: number, rex: boolean, size: number): Memory {
    const { random, bias } = this;
    const isPointerNamed = rex || this.pointer < 8;
    const segment = random.oneIn(12) ? random.pick([0x64, 0x65] as const) : undefined;
    const segmentBase = segment === undefined ? 0 : segment === 0x64 ? SEGMENT_BASES.fs : SEGMENT_BASES.gs;
    const plain: Address = {
      base: this.pointer,
      index: NO_REGISTER,
      scale: 0,
      displacement: offset - bias - segmentBase,
      inRecord: false,
      addressSize: 8,
      segment,
      isLong: random.oneIn(6),
    };
    const choice = random.below(12);
    if (choice < 4 && isPointerNamed) return { address: plain, setup: [] };
    if (choice < 5)
      return {
        address: { ...inRecord(offset - segmentBase), segment, addressSize: random.oneIn(6) ? 4 : 8 },
        setup: [],
      };
    if (choice < 6) {
      const address = { ...plain, base: NO_REGISTER, inRecord: true, displacement: offset - segmentBase };
      return { address: { ...address, addressSize: random.oneIn(4) ? 4 : 8 }, setup: [] };
    }
    if (choice < 8) {
      // A register of its own.
      const base = this.keptRegister(rex);
      const displacement = random.pick([0, random.below(256) - 128, random.next() >> random.below(16)]);
      const from = plain.displacement - displacement;
      if (from === (from | 0)) {
        const setup = op("lea", "Gv,M", {
          operandSize: 8,
          reg: base,
          rm: { ...plain, segment: undefined, displacement: from },
        });
        return { address: { ...plain, base, displacement }, setup: [setup] };
      }
      this.kept.delete(base);
    }
    if (choice < 11 && isPointerNamed) {
      const index = this.keptRegister(rex);
      const scale = random.below(4);
      if (random.oneIn(4)) {
        // The upper halves of registers do not count.
        const value = BigInt.asUintN(64, random.integer());
        const low = Number(BigInt.asIntN(32, value));
        const displacement = (plain.displacement - (low << scale)) | 0;
        return {
          address: { ...plain, index, scale, displacement, addressSize: 4 },
          setup: [this.set(index, value)],
        };
      }
      const value = random.oneIn(3) ? random.below(64) : (random.next() | 0) >> (8 + random.below(20));
      const displacement = plain.displacement - value * 2 ** scale;
      return { address: { ...plain, index, scale, displacement }, setup: [this.set(index, BigInt(value))] };
    }
    if (choice === 11 && size <= 16) {
      // The stack, above its pointer.
      const above = random.below(4) * 8;
      return { address: { ...plain, base: GPR.rsp, displacement: above - segmentBase, addressSize: 8 }, setup: [] };
    }
    return { address: inRecord(offset), setup: [] };
  }

  /** Any address at all, for lea. */
  anyAddress(rex: boolean): Address {
    const { random } = this;
    const anyRegister = (): number => random.below(rex ? 16 : 8);
    const index = anyRegister();
    const base = random.pick([anyRegister, anyRegister, anyRegister, () => RIP, () => NO_REGISTER])();
    return {
      base,
      index: base === RIP || index === GPR.rsp || random.oneIn(3) ? NO_REGISTER : index,
      scale: random.below(4),
      displacement: random.pick([0, random.below(256) - 128, random.next() | 0]),
      inRecord: false,
      addressSize: random.oneIn(4) ? 4 : 8,
      segment: random.oneIn(10) ? 0x64 : undefined,
      isLong: random.oneIn(5),
    };
  }

  // --- Instructions ------------------------------------------------------------------------------------------------

  /** An immediate of an encoded size. */
  immediate(bytes: number): bigint {
    const { random } = this;
    if (random.oneIn(3)) return BigInt(random.below(256) - 128);
    return bytes === 8 ? random.integer() : BigInt(random.next());
  }

  /** An operand size that the row can have. */
  operandSize(row: Instruction): number {
    const { random } = this;
    const takesSize = row.operands.some(({ size }) => /^[vze]$|^f$/.test(size)) || SIZED.test(row.mnemonic);
    if (row.attributes.has("f64")) return 8;
    if (row.attributes.has("d64")) return random.oneIn(3) ? 2 : 8;
    // bswap of 16 bits is undefined.
    if (row.mnemonic === "bswap") return random.pick([4, 8]);
    if (row.width === "byte" || row.rexW !== undefined) return 4;
    if (takesSize) return row.extension === "x87" ? random.pick([2, 4]) : random.pick([2, 4, 4, 8, 8]);
    return row.operands.some(({ size }) => size === "y") ? random.pick([4, 8]) : 4;
  }

  /** An instruction of the row with any operands: what it is prepared with, and itself. */
  plain(row: Instruction, wish: { form?: "register" | "memory"; alignment?: number } = {}): Code[] {
    const { random } = this;
    const operandSize = this.operandSize(row);
    const rex = operandSize === 8 || row.rexW === 1 || random.oneIn(2);
    const setup: Code[] = [];
    const fields: { -readonly [K in keyof Fields]: Fields[K] } = { operandSize, rex, isMain: true };
    const prefixes: number[] = [];
    const immediates: bigint[] = [];
    for (const template of row.operands) {
      const { place, size } = template;
      const canBeMemory = place === "gprOrMemory" || place === "xmmOrMemory" || place === "mmxOrMemory";
      const isMemory =
        place === "memory" ||
        (canBeMemory &&
          (row.mod === "memory" ||
            (row.mod === "any" && (wish.form ?? random.pick(["register", "memory"])) === "memory")));
      if (isMemory) {
        const bytes = sizeInBytes(template.memorySize, operandSize);
        const needsAlignment = bytes === 16 && row.extension !== "base" && !UNALIGNED.test(row.mnemonic);
        const alignment = wish.alignment ?? (needsAlignment || row.mnemonic === "cmpxchg16b" ? 16 : 1);
        const keptBefore = new Set(this.kept);
        const memory = alignment > 1 ? this.alignedMemory(bytes, rex, alignment) : this.memory({ size: bytes, rex });
        setup.push(...memory.setup);
        fields.rm = memory.address;
        if (template === row.operands[0] && row.attributes.has("lock") && random.oneIn(4)) prefixes.push(LOCK);
        // The other operand may be a register of the address.
        if (random.oneIn(2))
          for (const register of this.kept) if (!keptBefore.has(register)) this.kept.delete(register);
        continue;
      }
      switch (place) {
        case "gprOrMemory":
        case "gprInRm":
          fields.rm = this.gpr(sizeInBytes(size, operandSize), rex);
          break;
        case "gpr":
          fields.reg = this.gpr(sizeInBytes(size, operandSize), rex);
          break;
        case "gprInOpcode":
          fields.inOpcode = this.gpr(sizeInBytes(size, operandSize), rex);
          break;
        case "xmmOrMemory":
        case "xmmInRm":
          fields.rm = random.below(rex ? 16 : 8);
          break;
        case "xmm":
          fields.reg = random.below(rex ? 16 : 8);
          break;
        case "mmxOrMemory":
        case "mmxInRm":
        case "stInRm":
          fields.rm = random.below(8);
          break;
        case "mmx":
          fields.reg = random.below(8);
          break;
        case "immediate":
        case "unsigned":
          immediates.push(this.immediate(immediateBytes(size, operandSize)));
          break;
        case "fixedGpr":
        case "fixedSt":
        case "fixedXmm":
        case "one":
          break;
        default:
          throw new Error(`${row.mnemonic}: an operand ${template.text} needs an item of its own`);
      }
    }
    if (row.opcodeCount === 16) fields.inOpcode = random.below(16);
    if (random.oneIn(20)) prefixes.push(random.pick(NULL_PREFIXES));
    const code = encode(row, { ...fields, immediates, prefixes });
    const fits = code.bytes.length <= MAX_INSTRUCTION_LENGTH;
    return [...setup, fits ? code : encode(row, { ...fields, immediates })];
  }

  /** A memory operand whose address is aligned: the window is, and so is the stack pointer only sometimes. */
  alignedMemory(size: number, rex: boolean, alignment: number): Memory {
    for (;;) {
      const memory = this.memory({ size, rex, alignment });
      if (memory.address.base !== GPR.rsp) return memory;
    }
  }

  /** An instruction on general registers alone. */
  simple(mnemonics: readonly Mnemonic[]): Code[] {
    const mnemonic = this.random.pick(mnemonics);
    const rows = SIMPLE_OPERANDS.map((operands) => [mnemonic, operands] as const);
    const [name, operands] = this.random.pick(rows);
    const size = operands.includes("b") ? 4 : this.random.pick([2, 4, 8]);
    const rex = size === 8 || this.random.oneIn(2);
    const isByte = operands.includes("b");
    const pick = (): number => this.gpr(isByte ? 1 : size, rex);
    return [op(name, operands, { operandSize: size, rex, reg: pick(), rm: pick() })];
  }
}

const SIMPLE_OPERANDS = ["Ev,Gv", "Eb,Gb"] as const;

const LETTER_SIZES: Readonly<Record<Exclude<OperandSize, "v" | "z" | "y" | "p" | "a" | "s" | "e" | "f">, number>> = {
  "": 0,
  b: 1,
  w: 2,
  d: 4,
  q: 8,
  t: 10,
  x: 16,
  o: 512,
};

/** Bytes of a size letter. */
export function sizeInBytes(size: OperandSize, operandSize: number): number {
  switch (size) {
    case "v":
      return operandSize;
    case "z":
      return Math.min(operandSize, 4);
    case "y":
      return Math.max(operandSize, 4);
    case "e":
      return operandSize === 2 ? 14 : 28;
    case "f":
      return operandSize === 2 ? 94 : 108;
    case "p":
    case "a":
    case "s":
      throw new Error(`no random operand of size ${size}`);
    default:
      return LETTER_SIZES[size];
  }
}
