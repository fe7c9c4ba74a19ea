// The RISC-V instruction table: one row per 32-bit instruction, from which decoder, encoder, assembler and disassembler
// are driven. Compressed instructions are in compressed.ts; each expands to one of these.
//
//     31      25 24   20 19   15 14  12 11      7 6       0
//    +----------+-------+-------+------+---------+---------+
//    |  funct7  |  rs2  |  rs1  |funct3|   rd    | opcode  |   R   (R4: rs3 in 31..27; atomics: aq 26, rl 25)
//    |      imm[11:0]   |  rs1  |funct3|   rd    | opcode  |   I
//    | imm[11:5]|  rs2  |  rs1  |funct3|imm[4:0] | opcode  |   S   (B: the bits of a branch offset, permuted)
//    |            imm[31:12]           |   rd    | opcode  |   U   (J: the bits of a jump offset, permuted)
//    +----------+-------+-------+------+---------+---------+
//
// Sources: RISC-V unprivileged ISA, "RV32/64G Instruction Set Listings" and the chapters on Zba, Zbb and Zbs; privileged
// architecture, "Supervisor-Mode Privileged Instructions". The last row is ours and sits in the custom-0 space.

/**
 * One operand as it is written in assembly, and so the field it fills.
 * `frd`, `frs1`, … are floating-point registers in the fields of `rd`, `rs1`, …
 */
export type Operand =
  | "rd"
  | "rs1"
  | "rs2"
  | "frd"
  | "frs1"
  | "frs2"
  | "frs3"
  | "imm12" // signed, bits 31..20
  | "loadAddress" // imm12(rs1)
  | "storeAddress" // imm12(rs1), the immediate split as in S
  | "address" // (rs1), no offset
  | "imm20" // bits 31..12, written unshifted
  | "branchTarget"
  | "jumpTarget"
  | "shift5"
  | "shift6"
  | "csr" // unsigned, bits 31..20
  | "uimm5" // in the field of rs1
  | "predecessor" // fence sets, "iorw"
  | "successor"
  | "entry" // unsigned, bits 31..20: the number of a kernel entry
  | "rm" // rounding mode; dynamic when it is not written
  | "rmExact"; // rounding mode of a conversion that never rounds; rne when it is not written

/** Where a format's immediate lies, and so how `Decoded.imm` is read. */
export type ImmediateKind = "none" | "I" | "S" | "B" | "U" | "J" | "shift5" | "shift6" | "unsigned12";

/** The operands of an instruction in assembly order, and the bits that its match value fixes. */
export interface Format {
  readonly operands: readonly Operand[];
  readonly immediate: ImmediateKind;
  readonly mask: number;
}

/** Instruction formats by name. */
export const FORMATS = {
  None: { operands: [], immediate: "none", mask: 0xffffffff },
  R: { operands: ["rd", "rs1", "rs2"], immediate: "none", mask: 0xfe00707f },
  Unary: { operands: ["rd", "rs1"], immediate: "none", mask: 0xfff0707f },
  I: { operands: ["rd", "rs1", "imm12"], immediate: "I", mask: 0x0000707f },
  Shift64: { operands: ["rd", "rs1", "shift6"], immediate: "shift6", mask: 0xfc00707f },
  Shift32: { operands: ["rd", "rs1", "shift5"], immediate: "shift5", mask: 0xfe00707f },
  Load: { operands: ["rd", "loadAddress"], immediate: "I", mask: 0x0000707f },
  Store: { operands: ["rs2", "storeAddress"], immediate: "S", mask: 0x0000707f },
  Branch: { operands: ["rs1", "rs2", "branchTarget"], immediate: "B", mask: 0x0000707f },
  U: { operands: ["rd", "imm20"], immediate: "U", mask: 0x0000007f },
  J: { operands: ["rd", "jumpTarget"], immediate: "J", mask: 0x0000007f },
  // fm, rd and rs1 of fence are for finer-grain fences, and "base implementations shall ignore" them: so no bits of the mask.
  Fence: { operands: ["predecessor", "successor"], immediate: "unsigned12", mask: 0x0000707f },
  FenceI: { operands: [], immediate: "none", mask: 0x0000707f },
  Csr: { operands: ["rd", "csr", "rs1"], immediate: "unsigned12", mask: 0x0000707f },
  CsrImmediate: { operands: ["rd", "csr", "uimm5"], immediate: "unsigned12", mask: 0x0000707f },
  SfenceVma: { operands: ["rs1", "rs2"], immediate: "none", mask: 0xfe007fff },
  LoadReserved: { operands: ["rd", "address"], immediate: "none", mask: 0xf9f0707f },
  Atomic: { operands: ["rd", "rs2", "address"], immediate: "none", mask: 0xf800707f },
  FloatLoad: { operands: ["frd", "loadAddress"], immediate: "I", mask: 0x0000707f },
  FloatStore: { operands: ["frs2", "storeAddress"], immediate: "S", mask: 0x0000707f },
  FloatR4: { operands: ["frd", "frs1", "frs2", "frs3", "rm"], immediate: "none", mask: 0x0600007f },
  FloatRm: { operands: ["frd", "frs1", "frs2", "rm"], immediate: "none", mask: 0xfe00007f },
  Float: { operands: ["frd", "frs1", "frs2"], immediate: "none", mask: 0xfe00707f },
  FloatCompare: { operands: ["rd", "frs1", "frs2"], immediate: "none", mask: 0xfe00707f },
  FloatUnaryRm: { operands: ["frd", "frs1", "rm"], immediate: "none", mask: 0xfff0007f },
  FloatUnaryExact: { operands: ["frd", "frs1", "rmExact"], immediate: "none", mask: 0xfff0007f },
  FloatToInteger: { operands: ["rd", "frs1"], immediate: "none", mask: 0xfff0707f },
  FloatToIntegerRm: { operands: ["rd", "frs1", "rm"], immediate: "none", mask: 0xfff0007f },
  IntegerToFloat: { operands: ["frd", "rs1"], immediate: "none", mask: 0xfff0707f },
  IntegerToFloatRm: { operands: ["frd", "rs1", "rm"], immediate: "none", mask: 0xfff0007f },
  IntegerToFloatExact: { operands: ["frd", "rs1", "rmExact"], immediate: "none", mask: 0xfff0007f },
  KernelEntry: { operands: ["entry"], immediate: "unsigned12", mask: 0x000fffff },
} as const satisfies Record<string, Format>;

export type FormatName = keyof typeof FORMATS;

export type Extension =
  | "I"
  | "Zifencei"
  | "Zicsr"
  | "Priv"
  | "M"
  | "A"
  | "F"
  | "D"
  | "Zba"
  | "Zbb"
  | "Zbs"
  | "Xvitrine";

type Row = readonly [mnemonic: string, format: FormatName, match: number, extension: Extension];

const ROWS = [
  // RV64I: upper immediates and jumps
  ["lui", "U", 0x00000037, "I"],
  ["auipc", "U", 0x00000017, "I"],
  ["jal", "J", 0x0000006f, "I"],
  ["jalr", "Load", 0x00000067, "I"],
  // RV64I: branches
  ["beq", "Branch", 0x00000063, "I"],
  ["bne", "Branch", 0x00001063, "I"],
  ["blt", "Branch", 0x00004063, "I"],
  ["bge", "Branch", 0x00005063, "I"],
  ["bltu", "Branch", 0x00006063, "I"],
  ["bgeu", "Branch", 0x00007063, "I"],
  // RV64I: loads and stores
  ["lb", "Load", 0x00000003, "I"],
  ["lh", "Load", 0x00001003, "I"],
  ["lw", "Load", 0x00002003, "I"],
  ["ld", "Load", 0x00003003, "I"],
  ["lbu", "Load", 0x00004003, "I"],
  ["lhu", "Load", 0x00005003, "I"],
  ["lwu", "Load", 0x00006003, "I"],
  ["sb", "Store", 0x00000023, "I"],
  ["sh", "Store", 0x00001023, "I"],
  ["sw", "Store", 0x00002023, "I"],
  ["sd", "Store", 0x00003023, "I"],
  // RV64I: register and immediate
  ["addi", "I", 0x00000013, "I"],
  ["slti", "I", 0x00002013, "I"],
  ["sltiu", "I", 0x00003013, "I"],
  ["xori", "I", 0x00004013, "I"],
  ["ori", "I", 0x00006013, "I"],
  ["andi", "I", 0x00007013, "I"],
  ["slli", "Shift64", 0x00001013, "I"],
  ["srli", "Shift64", 0x00005013, "I"],
  ["srai", "Shift64", 0x40005013, "I"],
  ["addiw", "I", 0x0000001b, "I"],
  ["slliw", "Shift32", 0x0000101b, "I"],
  ["srliw", "Shift32", 0x0000501b, "I"],
  ["sraiw", "Shift32", 0x4000501b, "I"],
  // RV64I: register and register
  ["add", "R", 0x00000033, "I"],
  ["sub", "R", 0x40000033, "I"],
  ["sll", "R", 0x00001033, "I"],
  ["slt", "R", 0x00002033, "I"],
  ["sltu", "R", 0x00003033, "I"],
  ["xor", "R", 0x00004033, "I"],
  ["srl", "R", 0x00005033, "I"],
  ["sra", "R", 0x40005033, "I"],
  ["or", "R", 0x00006033, "I"],
  ["and", "R", 0x00007033, "I"],
  ["addw", "R", 0x0000003b, "I"],
  ["subw", "R", 0x4000003b, "I"],
  ["sllw", "R", 0x0000103b, "I"],
  ["srlw", "R", 0x0000503b, "I"],
  ["sraw", "R", 0x4000503b, "I"],
  // RV64I: memory ordering and system
  ["fence", "Fence", 0x0000000f, "I"],
  ["ecall", "None", 0x00000073, "I"],
  ["ebreak", "None", 0x00100073, "I"],
  // Zifencei and Zicsr
  ["fence.i", "FenceI", 0x0000100f, "Zifencei"],
  ["csrrw", "Csr", 0x00001073, "Zicsr"],
  ["csrrs", "Csr", 0x00002073, "Zicsr"],
  ["csrrc", "Csr", 0x00003073, "Zicsr"],
  ["csrrwi", "CsrImmediate", 0x00005073, "Zicsr"],
  ["csrrsi", "CsrImmediate", 0x00006073, "Zicsr"],
  ["csrrci", "CsrImmediate", 0x00007073, "Zicsr"],
  // Privileged
  ["sret", "None", 0x10200073, "Priv"],
  ["mret", "None", 0x30200073, "Priv"],
  ["wfi", "None", 0x10500073, "Priv"],
  ["sfence.vma", "SfenceVma", 0x12000073, "Priv"],
  // M
  ["mul", "R", 0x02000033, "M"],
  ["mulh", "R", 0x02001033, "M"],
  ["mulhsu", "R", 0x02002033, "M"],
  ["mulhu", "R", 0x02003033, "M"],
  ["div", "R", 0x02004033, "M"],
  ["divu", "R", 0x02005033, "M"],
  ["rem", "R", 0x02006033, "M"],
  ["remu", "R", 0x02007033, "M"],
  ["mulw", "R", 0x0200003b, "M"],
  ["divw", "R", 0x0200403b, "M"],
  ["divuw", "R", 0x0200503b, "M"],
  ["remw", "R", 0x0200603b, "M"],
  ["remuw", "R", 0x0200703b, "M"],
  // A
  ["lr.w", "LoadReserved", 0x1000202f, "A"],
  ["sc.w", "Atomic", 0x1800202f, "A"],
  ["amoswap.w", "Atomic", 0x0800202f, "A"],
  ["amoadd.w", "Atomic", 0x0000202f, "A"],
  ["amoxor.w", "Atomic", 0x2000202f, "A"],
  ["amoand.w", "Atomic", 0x6000202f, "A"],
  ["amoor.w", "Atomic", 0x4000202f, "A"],
  ["amomin.w", "Atomic", 0x8000202f, "A"],
  ["amomax.w", "Atomic", 0xa000202f, "A"],
  ["amominu.w", "Atomic", 0xc000202f, "A"],
  ["amomaxu.w", "Atomic", 0xe000202f, "A"],
  ["lr.d", "LoadReserved", 0x1000302f, "A"],
  ["sc.d", "Atomic", 0x1800302f, "A"],
  ["amoswap.d", "Atomic", 0x0800302f, "A"],
  ["amoadd.d", "Atomic", 0x0000302f, "A"],
  ["amoxor.d", "Atomic", 0x2000302f, "A"],
  ["amoand.d", "Atomic", 0x6000302f, "A"],
  ["amoor.d", "Atomic", 0x4000302f, "A"],
  ["amomin.d", "Atomic", 0x8000302f, "A"],
  ["amomax.d", "Atomic", 0xa000302f, "A"],
  ["amominu.d", "Atomic", 0xc000302f, "A"],
  ["amomaxu.d", "Atomic", 0xe000302f, "A"],
  // F
  ["flw", "FloatLoad", 0x00002007, "F"],
  ["fsw", "FloatStore", 0x00002027, "F"],
  ["fmadd.s", "FloatR4", 0x00000043, "F"],
  ["fmsub.s", "FloatR4", 0x00000047, "F"],
  ["fnmsub.s", "FloatR4", 0x0000004b, "F"],
  ["fnmadd.s", "FloatR4", 0x0000004f, "F"],
  ["fadd.s", "FloatRm", 0x00000053, "F"],
  ["fsub.s", "FloatRm", 0x08000053, "F"],
  ["fmul.s", "FloatRm", 0x10000053, "F"],
  ["fdiv.s", "FloatRm", 0x18000053, "F"],
  ["fsqrt.s", "FloatUnaryRm", 0x58000053, "F"],
  ["fsgnj.s", "Float", 0x20000053, "F"],
  ["fsgnjn.s", "Float", 0x20001053, "F"],
  ["fsgnjx.s", "Float", 0x20002053, "F"],
  ["fmin.s", "Float", 0x28000053, "F"],
  ["fmax.s", "Float", 0x28001053, "F"],
  ["feq.s", "FloatCompare", 0xa0002053, "F"],
  ["flt.s", "FloatCompare", 0xa0001053, "F"],
  ["fle.s", "FloatCompare", 0xa0000053, "F"],
  ["fclass.s", "FloatToInteger", 0xe0001053, "F"],
  ["fcvt.w.s", "FloatToIntegerRm", 0xc0000053, "F"],
  ["fcvt.wu.s", "FloatToIntegerRm", 0xc0100053, "F"],
  ["fcvt.l.s", "FloatToIntegerRm", 0xc0200053, "F"],
  ["fcvt.lu.s", "FloatToIntegerRm", 0xc0300053, "F"],
  ["fcvt.s.w", "IntegerToFloatRm", 0xd0000053, "F"],
  ["fcvt.s.wu", "IntegerToFloatRm", 0xd0100053, "F"],
  ["fcvt.s.l", "IntegerToFloatRm", 0xd0200053, "F"],
  ["fcvt.s.lu", "IntegerToFloatRm", 0xd0300053, "F"],
  ["fmv.x.w", "FloatToInteger", 0xe0000053, "F"],
  ["fmv.w.x", "IntegerToFloat", 0xf0000053, "F"],
  // D
  ["fld", "FloatLoad", 0x00003007, "D"],
  ["fsd", "FloatStore", 0x00003027, "D"],
  ["fmadd.d", "FloatR4", 0x02000043, "D"],
  ["fmsub.d", "FloatR4", 0x02000047, "D"],
  ["fnmsub.d", "FloatR4", 0x0200004b, "D"],
  ["fnmadd.d", "FloatR4", 0x0200004f, "D"],
  ["fadd.d", "FloatRm", 0x02000053, "D"],
  ["fsub.d", "FloatRm", 0x0a000053, "D"],
  ["fmul.d", "FloatRm", 0x12000053, "D"],
  ["fdiv.d", "FloatRm", 0x1a000053, "D"],
  ["fsqrt.d", "FloatUnaryRm", 0x5a000053, "D"],
  ["fsgnj.d", "Float", 0x22000053, "D"],
  ["fsgnjn.d", "Float", 0x22001053, "D"],
  ["fsgnjx.d", "Float", 0x22002053, "D"],
  ["fmin.d", "Float", 0x2a000053, "D"],
  ["fmax.d", "Float", 0x2a001053, "D"],
  ["feq.d", "FloatCompare", 0xa2002053, "D"],
  ["flt.d", "FloatCompare", 0xa2001053, "D"],
  ["fle.d", "FloatCompare", 0xa2000053, "D"],
  ["fclass.d", "FloatToInteger", 0xe2001053, "D"],
  ["fcvt.s.d", "FloatUnaryRm", 0x40100053, "D"],
  ["fcvt.d.s", "FloatUnaryExact", 0x42000053, "D"],
  ["fcvt.w.d", "FloatToIntegerRm", 0xc2000053, "D"],
  ["fcvt.wu.d", "FloatToIntegerRm", 0xc2100053, "D"],
  ["fcvt.l.d", "FloatToIntegerRm", 0xc2200053, "D"],
  ["fcvt.lu.d", "FloatToIntegerRm", 0xc2300053, "D"],
  ["fcvt.d.w", "IntegerToFloatExact", 0xd2000053, "D"],
  ["fcvt.d.wu", "IntegerToFloatExact", 0xd2100053, "D"],
  ["fcvt.d.l", "IntegerToFloatRm", 0xd2200053, "D"],
  ["fcvt.d.lu", "IntegerToFloatRm", 0xd2300053, "D"],
  ["fmv.x.d", "FloatToInteger", 0xe2000053, "D"],
  ["fmv.d.x", "IntegerToFloat", 0xf2000053, "D"],
  // Zba
  ["add.uw", "R", 0x0800003b, "Zba"],
  ["sh1add", "R", 0x20002033, "Zba"],
  ["sh1add.uw", "R", 0x2000203b, "Zba"],
  ["sh2add", "R", 0x20004033, "Zba"],
  ["sh2add.uw", "R", 0x2000403b, "Zba"],
  ["sh3add", "R", 0x20006033, "Zba"],
  ["sh3add.uw", "R", 0x2000603b, "Zba"],
  ["slli.uw", "Shift64", 0x0800101b, "Zba"],
  // Zbb
  ["andn", "R", 0x40007033, "Zbb"],
  ["orn", "R", 0x40006033, "Zbb"],
  ["xnor", "R", 0x40004033, "Zbb"],
  ["max", "R", 0x0a006033, "Zbb"],
  ["maxu", "R", 0x0a007033, "Zbb"],
  ["min", "R", 0x0a004033, "Zbb"],
  ["minu", "R", 0x0a005033, "Zbb"],
  ["rol", "R", 0x60001033, "Zbb"],
  ["ror", "R", 0x60005033, "Zbb"],
  ["rolw", "R", 0x6000103b, "Zbb"],
  ["rorw", "R", 0x6000503b, "Zbb"],
  ["rori", "Shift64", 0x60005013, "Zbb"],
  ["roriw", "Shift32", 0x6000501b, "Zbb"],
  ["clz", "Unary", 0x60001013, "Zbb"],
  ["clzw", "Unary", 0x6000101b, "Zbb"],
  ["ctz", "Unary", 0x60101013, "Zbb"],
  ["ctzw", "Unary", 0x6010101b, "Zbb"],
  ["cpop", "Unary", 0x60201013, "Zbb"],
  ["cpopw", "Unary", 0x6020101b, "Zbb"],
  ["sext.b", "Unary", 0x60401013, "Zbb"],
  ["sext.h", "Unary", 0x60501013, "Zbb"],
  ["zext.h", "Unary", 0x0800403b, "Zbb"],
  ["rev8", "Unary", 0x6b805013, "Zbb"],
  ["orc.b", "Unary", 0x28705013, "Zbb"],
  // Zbs
  ["bclr", "R", 0x48001033, "Zbs"],
  ["bclri", "Shift64", 0x48001013, "Zbs"],
  ["bext", "R", 0x48005033, "Zbs"],
  ["bexti", "Shift64", 0x48005013, "Zbs"],
  ["binv", "R", 0x68001033, "Zbs"],
  ["binvi", "Shift64", 0x68001013, "Zbs"],
  ["bset", "R", 0x28001033, "Zbs"],
  ["bseti", "Shift64", 0x28001013, "Zbs"],
  // Xvitrine: enters the resident kernel by number. Legal only in supervisor mode inside the text of a resident kernel (the
  // machine knows that text); everywhere else, and on a board without one, it is an illegal instruction like any other.
  ["kentry", "KernelEntry", 0x0000000b, "Xvitrine"],
] as const satisfies readonly Row[];

/** The mnemonics of the table, as a literal union: a record keyed by it is checked for completeness by the compiler. */
export type Mnemonic = (typeof ROWS)[number][0];

/** The mnemonics of one or more formats. */
export type MnemonicOfFormat<F extends FormatName> = Extract<
  (typeof ROWS)[number],
  readonly [string, F, ...unknown[]]
>[0];

/** The mnemonics of one or more extensions. */
export type MnemonicOfExtension<E extends Extension> = Extract<
  (typeof ROWS)[number],
  readonly [string, FormatName, number, E]
>[0];

/** The index of an instruction's row in `INSTRUCTIONS`. */
export type InstructionId = number;

/** One instruction. `mask` and `match` are int32: a word is this instruction when `(word & mask) === match`. */
export interface Instruction {
  readonly id: InstructionId;
  readonly mnemonic: Mnemonic;
  readonly formatName: FormatName;
  readonly format: Format;
  readonly match: number;
  readonly mask: number;
  readonly extension: Extension;
}

/** The table, indexed by `InstructionId`. No two rows match the same word. */
export const INSTRUCTIONS: readonly Instruction[] = ROWS.map(([mnemonic, formatName, match, extension], id) => {
  const format: Format = FORMATS[formatName];
  return { id, mnemonic, formatName, format, match: match | 0, mask: format.mask | 0, extension };
});

const idsByMnemonic: ReadonlyMap<string, InstructionId> = new Map(INSTRUCTIONS.map((row) => [row.mnemonic, row.id]));

/** The row of an instruction; throws RangeError for a number that is not an id. */
export function instructionOf(id: InstructionId): Instruction {
  const row = INSTRUCTIONS[id];
  if (row === undefined) throw new RangeError(`no instruction has id ${id}`);
  return row;
}

/** The id of a mnemonic of the table. */
export function instructionId(mnemonic: Mnemonic): InstructionId {
  return idsByMnemonic.get(mnemonic) ?? -1; // the type admits only mnemonics of the table, so never -1
}

/** The row with the given mnemonic, if there is one. */
export function findInstruction(mnemonic: string): Instruction | undefined {
  const id = idsByMnemonic.get(mnemonic);
  return id === undefined ? undefined : INSTRUCTIONS[id];
}
