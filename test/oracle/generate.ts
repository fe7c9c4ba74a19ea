// Random programs, one extension at a time: most instructions are of that extension, the rest integer ones.

import { compress, expandCompressed } from "../../src/isa/riscv64/compressed.ts";
import { decode, encode, type EncodeFields } from "../../src/isa/riscv64/decode.ts";
import { type Instruction, INSTRUCTIONS, instructionId, type Mnemonic } from "../../src/isa/riscv64/instructions.ts";
import { type Block, type Code, type Item, lengthOf, type Program, STATE_SIZE, WINDOW_SIZE } from "./program.ts";
import { createRandom, type Random } from "./random.ts";

const EXTENSIONS = ["I", "M", "A", "F", "D", "C", "Zba", "Zbb", "Zbs"] as const;
type Extension = (typeof EXTENSIONS)[number];

/** What a program exercises: an extension, or all of them side by side. */
export const GROUPS = [...EXTENSIONS, "mixed"] as const;
export type Group = (typeof GROUPS)[number];

const ITEMS_PER_BLOCK = 24;

/** Bytes that a load or store of a mnemonic touches. */
const ACCESS_SIZES: Partial<Record<Mnemonic, number>> = {
  lb: 1,
  lbu: 1,
  sb: 1,
  lh: 2,
  lhu: 2,
  sh: 2,
  lw: 4,
  lwu: 4,
  sw: 4,
  flw: 4,
  fsw: 4,
  ld: 8,
  sd: 8,
  fld: 8,
  fsd: 8,
};

const FLOAT_CSRS = { fflags: 1, frm: 2, fcsr: 3 };
const DYNAMIC = 7;

/** Makes the program of a seed. */
export function generateProgram(group: Group, seed: number, blockCount: number): Program {
  return new Generator(group, createRandom(seed)).program(blockCount);
}

/** How many instructions of its group a program holds: 16-bit ones for "C", all for "mixed". */
export function countOfGroup(group: Group, { blocks }: Program): number {
  const codes = blocks.flatMap((block) => block.items.flat());
  if (group === "mixed") return codes.length;
  return codes.filter(({ bits, size }) => {
    if (group === "C" || size === 2) return group === "C" && size === 2;
    return INSTRUCTIONS[decode(bits)?.id ?? -1]?.extension === group;
  }).length;
}

class Generator {
  private readonly group: Group;
  /** The extension of the item being made. */
  private extension: Extension = "I";
  private readonly random: Random;
  private readonly pointer: number;
  private readonly link: number;
  /** Registers that the item being made must not write, beside pointer and link. */
  private readonly kept = new Set<number>();
  /** A few registers that this block prefers, so that results are used. */
  private favourites: readonly number[] = [];

  constructor(group: Group, random: Random) {
    this.group = group;
    this.random = random;
    // Compressed loads and stores reach sp and x8 to x15 only; c.jalr writes ra.
    const isCompressed = group === "C" || group === "mixed";
    this.pointer = isCompressed ? random.pick([2, 2, 2, 8, 9, 10, 11, 12, 13, 14, 15]) : 1 + random.below(31);
    do this.link = 3 + random.below(29);
    while (this.link === this.pointer || (isCompressed && this.link >= 8 && this.link <= 15));
  }

  program(blockCount: number): Program {
    const { random, pointer, link } = this;
    const firstState = new Uint8Array(STATE_SIZE);
    const view = new DataView(firstState.buffer);
    for (let i = 1; i < 32; i++) view.setBigUint64(8 * i, random.integer(), true);
    for (let i = 0; i < 32; i++) view.setBigUint64(256 + 8 * i, this.floatRegister(), true);
    const blocks = Array.from({ length: blockCount }, () => this.block());
    return { pointer, link, firstState, blocks };
  }

  private block(): Block {
    const { random } = this;
    this.favourites = Array.from({ length: 6 }, () => random.below(32));
    const window = new Uint8Array(WINDOW_SIZE);
    const view = new DataView(window.buffer);
    for (let offset = 0; offset < WINDOW_SIZE; offset += 8) view.setBigUint64(offset, this.memoryWord(), true);
    const items = [...this.refresh(), ...Array.from({ length: ITEMS_PER_BLOCK }, () => this.item())];
    return { items, window };
  }

  /** Loads some registers anew, so that values do not all decay to zero or NaN. */
  private refresh(): Item[] {
    const { random, pointer } = this;
    const at = (): number => 8 * random.below(WINDOW_SIZE / 8);
    const items = [1, 2].map(() => [this.op("ld", { rd: this.target(), rs1: pointer, imm: at() })]);
    if (this.group === "F" || this.group === "D" || this.group === "mixed") {
      for (let i = 0; i < 4; i++) items.push([this.op("fld", { rd: this.register(), rs1: pointer, imm: at() })]);
    }
    return items;
  }

  private item(): Item {
    return this.random.oneIn(20) ? this.loop() : this.straightItem();
  }

  /** An item that goes through its instructions once, forwards. */
  private straightItem(): Item {
    const { random, group } = this;
    this.extension = group === "mixed" ? random.pick(EXTENSIONS) : random.oneIn(8) ? "I" : group;
    if (this.extension === "C") return random.oneIn(5) ? this.itemOf(random.pick(rowsOf("I"))) : this.compressedItem();
    if (this.isFloat() && random.oneIn(10)) return [this.floatCsr()];
    return this.itemOf(random.pick(rowsOf(this.extension)));
  }

  private itemOf(row: Instruction): Item {
    const { mnemonic } = row;
    switch (row.formatName) {
      case "Branch":
        return this.skip((distance) =>
          this.op(mnemonic, { rs1: this.register(), rs2: this.register(), imm: distance }),
        );
      case "J":
        return this.skip((distance) => this.op(mnemonic, { rd: this.target(), imm: distance }));
      case "LoadReserved":
      case "Atomic":
        return this.atomic(row);
      default:
        if (mnemonic === "jalr") return this.indirectJump();
        return mnemonic === "ctzw" ? this.countTrailingZerosOfWord() : [this.plain(row)];
    }
  }

  /** An instruction that goes on to the next. */
  private plain(row: Instruction): Code {
    const { random } = this;
    const { mnemonic, format, formatName } = row;
    const size = ACCESS_SIZES[mnemonic];
    if (size !== undefined) return this.access(row, size);
    const fields: EncodeFields = {};
    for (const operand of format.operands) {
      if (operand === "rd") fields.rd = this.target();
      else if (operand === "frd") fields.rd = this.register();
      else if (operand === "rs1" || operand === "frs1") fields.rs1 = this.register();
      else if (operand === "rs2" || operand === "frs2") fields.rs2 = this.register();
      else if (operand === "frs3") fields.rs3 = this.register();
      else if (operand === "imm12") fields.imm = random.oneIn(3) ? random.below(32) - 16 : random.below(4096) - 2048;
      else if (operand === "imm20") fields.imm = random.next() & 0xfffff000;
      else if (operand === "shift5") fields.imm = random.below(32);
      else if (operand === "shift6") fields.imm = random.below(64);
      else if (operand === "predecessor") fields.imm = random.below(256);
      else if (operand === "rm") fields.rm = random.oneIn(2) ? DYNAMIC : random.below(5);
      else if (operand === "rmExact") fields.rm = 0;
      else if (operand !== "successor") throw new Error(`${formatName}: operand ${operand} has no random value`);
    }
    return this.op(mnemonic, fields);
  }

  /** A load or store in the window, mostly aligned. */
  private access(row: Instruction, size: number): Code {
    const { random, pointer } = this;
    const imm = random.oneIn(4)
      ? random.below(WINDOW_SIZE - size + 1)
      : Math.floor(random.below(WINDOW_SIZE) / size) * size;
    const isStore = row.format.immediate === "S";
    const isInteger = row.formatName === "Load";
    const value = isStore ? { rs2: this.register() } : { rd: isInteger ? this.target() : this.register() };
    return this.op(row.mnemonic, { rs1: pointer, imm, ...value });
  }

  /** `jump` over a few instructions. */
  private skip(jump: (distance: number) => Code): Item {
    const filler = this.filler();
    return [jump(4 + lengthOf(filler)), ...filler];
  }

  private filler(): Code[] {
    return Array.from({ length: 1 + this.random.below(3) }, () => this.simple());
  }

  /** An integer instruction that neither jumps nor touches memory. */
  private simple(): Code {
    return this.plain(this.random.pick(SIMPLE_ROWS));
  }

  private indirectJump(): Item {
    const base = this.keptTarget();
    const filler = this.filler();
    // The lowest bit of the sum is ignored.
    const imm = 8 + lengthOf(filler) + this.random.below(2);
    const item = [this.op("auipc", { rd: base }), this.op("jalr", { rd: this.target(), rs1: base, imm }), ...filler];
    this.kept.delete(base);
    return item;
  }

  /**
   * ctzw, of a word that is not 0. For 0 qemu 7.2 looks on into the upper word; the manual (Zbb, ctzw): "if the
   * least-significant word is 0, the output is 32".
   */
  private countTrailingZerosOfWord(): Item {
    const operand = this.keptTarget();
    this.kept.delete(operand);
    return [
      this.op("bseti", { rd: operand, rs1: this.register(), imm: 31 }),
      this.op("ctzw", { rd: this.target(), rs1: operand }),
    ];
  }

  /** A counted loop. */
  private loop(): Item {
    const counter = this.keptTarget();
    const body = [this.straightItem(), this.straightItem(), this.straightItem()].flat();
    const item = [
      this.op("addi", { rd: counter, imm: 1 + this.random.below(4) }),
      ...body,
      this.op("addi", { rd: counter, rs1: counter, imm: -1 }),
      this.op("bne", { rs1: counter, imm: -(lengthOf(body) + 4) }),
    ];
    this.kept.delete(counter);
    return item;
  }

  /** An atomic with its address made first; a conditional store comes after a reservation of its width. */
  private atomic(row: Instruction): Item {
    const { random, pointer } = this;
    const width = row.mnemonic.endsWith(".w") ? "w" : "d";
    const size = width === "w" ? 4 : 8;
    const address = this.keptTarget();
    const offset = size * random.below(WINDOW_SIZE / size);
    const order = { aq: random.below(2), rl: random.below(2) };
    const item = [this.op("addi", { rd: address, rs1: pointer, imm: offset })];
    if (row.formatName === "LoadReserved" || row.mnemonic.startsWith("sc.")) {
      item.push(this.op(`lr.${width}`, { rd: this.target(), rs1: address, ...order }));
      if (random.oneIn(2)) item.push(this.simple());
      // Now and then another address, at which it must fail.
      const moved = random.oneIn(4) ? (offset === 0 ? size : -size) : 0;
      if (moved !== 0) item.push(this.op("addi", { rd: address, rs1: address, imm: moved }));
      item.push(this.op(`sc.${width}`, { rd: this.target(), rs1: address, rs2: this.register(), ...order }));
    } else {
      item.push(this.op(row.mnemonic, { rd: this.target(), rs1: address, rs2: this.register(), ...order }));
    }
    this.kept.delete(address);
    return item;
  }

  /** Reads or writes the floating-point CSRs; frm stays valid. */
  private floatCsr(): Code {
    const { random } = this;
    const rd = this.target();
    return random.pick([
      () => this.op("csrrwi", { rd, imm: FLOAT_CSRS.frm, rs1: random.below(5) }),
      () => this.op("csrrwi", { rd, imm: FLOAT_CSRS.fflags, rs1: random.below(32) }),
      () => this.op("csrrwi", { rd, imm: FLOAT_CSRS.fflags }),
      () => this.op("csrrw", { rd, imm: FLOAT_CSRS.fflags, rs1: this.register() }),
      () => this.op("csrrs", { rd, imm: random.pick([1, 2, 3]) }),
      () => this.op("csrrci", { rd, imm: FLOAT_CSRS.fcsr, rs1: random.below(32) }),
    ])();
  }

  private compressedItem(): Item {
    const { random, pointer } = this;
    for (;;) {
      const half = random.below(0x10000);
      const word = expandCompressed(half);
      if ((half & 3) === 3 || word === 0) continue;
      const instruction = decode(word);
      const row = INSTRUCTIONS[instruction?.id ?? -1];
      if (instruction === undefined || row === undefined || row.mnemonic === "ebreak") continue;
      if (row.formatName === "Branch") {
        return this.compressedSkip((imm) => this.op(row.mnemonic, { rs1: instruction.rs1, imm }));
      }
      if (row.formatName === "J") return this.compressedSkip((imm) => this.op("jal", { imm }));
      if (row.mnemonic === "jalr")
        return this.compressedIndirectJump(this.mayWrite(instruction.rd) ? instruction.rd : 0);
      const size = ACCESS_SIZES[row.mnemonic];
      if (size !== undefined && (instruction.rs1 !== pointer || instruction.imm + size > WINDOW_SIZE)) continue;
      if (row.format.operands.includes("rd") && !this.mayWrite(instruction.rd)) continue;
      return [{ bits: half, size: 2 }];
    }
  }

  private compressedSkip(jump: (distance: number) => Code): Item {
    const filler = this.filler();
    return [compressed(jump(2 + lengthOf(filler))), ...filler];
  }

  private compressedIndirectJump(rd: number): Item {
    const base = this.keptTarget();
    const filler = this.filler();
    const item = [
      this.op("auipc", { rd: base }),
      compressed(this.op("addi", { rd: base, rs1: base, imm: 8 + lengthOf(filler) })),
      compressed(this.op("jalr", { rd, rs1: base })),
      ...filler,
    ];
    this.kept.delete(base);
    return item;
  }

  private op(mnemonic: Mnemonic, fields: EncodeFields): Code {
    return { bits: encode(instructionId(mnemonic), fields), size: 4 };
  }

  /** Any register, to be read; or a floating-point one to be written. */
  private register(): number {
    return this.random.oneIn(2) ? this.random.pick(this.favourites) : this.random.below(32);
  }

  /** An integer register to be written. */
  private target(): number {
    for (;;) {
      const register = this.register();
      if (this.mayWrite(register)) return register;
    }
  }

  /** An integer register that the rest of the item does not write; the caller takes it out of `kept` again. */
  private keptTarget(): number {
    for (;;) {
      const register = this.target();
      if (register === 0) continue;
      this.kept.add(register);
      return register;
    }
  }

  private mayWrite(register: number): boolean {
    return register !== this.pointer && register !== this.link && !this.kept.has(register);
  }

  private isFloat(): boolean {
    return this.extension === "F" || this.extension === "D";
  }

  private memoryWord(): bigint {
    const { random, group } = this;
    const isFloat = group === "F" || group === "D" || (group === "mixed" && random.oneIn(2));
    if (!isFloat || random.oneIn(4)) return random.integer();
    return random.oneIn(8) ? (random.single() << 32n) | random.single() : this.floatRegister();
  }

  /** What a floating-point register may hold: mostly what the group computes with. */
  private floatRegister(): bigint {
    const { random, group } = this;
    const isSingle = group === "F" ? !random.oneIn(12) : random.oneIn(group === "D" ? 6 : 2);
    return isSingle ? 0xffffffff00000000n | random.single() : random.double();
  }
}

/** The 16-bit form, which must exist. */
function compressed(code: Code): Code {
  const bits = compress(code.bits);
  if (bits === undefined) throw new Error(`${code.bits.toString(16)} has no compressed form`);
  return { bits, size: 2 };
}

const rowsByExtension = new Map<string, readonly Instruction[]>();

function rowsOf(extension: string): readonly Instruction[] {
  const known = rowsByExtension.get(extension);
  if (known !== undefined) return known;
  const rows = INSTRUCTIONS.filter(
    (row) => row.extension === extension && row.mnemonic !== "ecall" && row.mnemonic !== "ebreak",
  );
  rowsByExtension.set(extension, rows);
  return rows;
}

const SIMPLE_ROWS = rowsOf("I").filter((row) => ["R", "I", "U", "Shift64", "Shift32"].includes(row.formatName));
