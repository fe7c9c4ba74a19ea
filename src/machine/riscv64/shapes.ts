/**
 * The interpreter's operations: what an op number of a record stands for.
 *
 * Mostly an operation is one instruction of one length. Some instructions have several shapes, which all come from the one
 * definition of the instruction:
 *   - by operands that are known: `li` is addi with rs1 = x0, `mv` is add with rs1 = x0, `j` is jal with rd = x0;
 *   - by where a branch goes: forwards or backwards in the same page, or elsewhere;
 *   - by rounding mode.
 * And some operations are sequences: adjacent instructions executed as one (sequences.ts).
 */
import { INSTRUCTIONS, type Mnemonic } from "../../isa/riscv64/instructions.ts";
import { type EmittedRounding, ROUNDINGS } from "./emitter.ts";

/** Operands known to be zero: `rs1`, `rs2` or `rd` is x0, `imm` is 0. */
export type KnownZero = "rs1" | "rs2" | "rd" | "imm";

/** Where a direct branch or jump goes. Local targets are added to the record pointer as they are. */
export type Transfer = "none" | "forward" | "backward" | "far";

export interface Shape {
  readonly mnemonic: Mnemonic;
  readonly size: 2 | 4;
  readonly zero: KnownZero | undefined;
  readonly transfer: Transfer;
  readonly rounding: EmittedRounding;
}

/** Operations that are no instruction. */
export const OP = { decode: 0, slow: 1, nextPage: 2, straddle: 3, region: 4, first: 5 } as const;

/** Instructions with a compressed form, with the operands that the form fixes to zero, if it does. */
const compressed: Partial<Record<Mnemonic, readonly (KnownZero | undefined)[]>> = {
  addi: [undefined, "rs1"],
  addiw: [undefined, "imm"],
  lui: [undefined],
  add: [undefined, "rs1"],
  sub: [undefined],
  addw: [undefined],
  subw: [undefined],
  and: [undefined],
  or: [undefined],
  xor: [undefined],
  andi: [undefined],
  slli: [undefined],
  srli: [undefined],
  srai: [undefined],
  lw: [undefined],
  ld: [undefined],
  sw: [undefined],
  sd: [undefined],
  fld: [undefined],
  fsd: [undefined],
  jal: ["rd"],
  jalr: [undefined, "rd"],
  beq: ["rs2"],
  bne: ["rs2"],
};

/** Of the uncompressed instructions, those worth a shape of their own for a known zero. */
const specialised: Partial<Record<Mnemonic, readonly KnownZero[]>> = {
  addi: ["rs1", "imm"],
  addiw: ["imm"],
  sub: ["rs1"],
  subw: ["rs1"],
  sltu: ["rs1"],
  jal: ["rd"],
  jalr: ["rd"],
  beq: ["rs2"],
  bne: ["rs2"],
  blt: ["rs1", "rs2"],
  bge: ["rs1", "rs2"],
  sb: ["rs2"],
  sw: ["rs2"],
  sd: ["rs2"],
};

/** Conversions to integers, which have a shape for each rounding mode: casts, floor, ceil and round are made of them. */
const roundsEveryWay: ReadonlySet<Mnemonic> = new Set(
  (["fcvt.w", "fcvt.wu", "fcvt.l", "fcvt.lu"] as const).flatMap((name) => [`${name}.s`, `${name}.d`] as const),
);

/** Whether the exact tier alone executes it: system instructions, which have no emitted form. */
export function isSystem(mnemonic: Mnemonic): boolean {
  return system.has(mnemonic);
}

const system: ReadonlySet<Mnemonic> = new Set<Mnemonic>(
  INSTRUCTIONS.filter(
    (row) =>
      row.extension === "Zicsr" ||
      row.extension === "Priv" ||
      row.extension === "Zifencei" ||
      row.extension === "Xvitrine" ||
      row.mnemonic === "ecall" ||
      row.mnemonic === "ebreak",
  ).map((row) => row.mnemonic),
);

function transfersOf(mnemonic: Mnemonic, format: string): readonly Transfer[] {
  return format === "Branch" || mnemonic === "jal" ? ["forward", "backward", "far"] : ["none"];
}

/** Every shape; its op is `OP.first` + its index. */
export const SHAPES: readonly Shape[] = INSTRUCTIONS.filter((row) => !isSystem(row.mnemonic)).flatMap((row) => {
  const { mnemonic } = row;
  const forms: { size: 2 | 4; zero: KnownZero | undefined; rounding: EmittedRounding }[] = [
    { size: 4, zero: undefined, rounding: "nearest" },
    ...(specialised[mnemonic] ?? []).map((zero) => ({ size: 4, zero, rounding: "nearest" }) as const),
    ...(compressed[mnemonic] ?? []).map((zero) => ({ size: 2, zero, rounding: "nearest" }) as const),
  ];
  if (roundsEveryWay.has(mnemonic)) {
    forms.push(...ROUNDINGS.slice(1).map((rounding) => ({ size: 4, zero: undefined, rounding }) as const));
  }
  return transfersOf(mnemonic, row.formatName).flatMap((transfer) =>
    forms.map((form) => ({ mnemonic, transfer, ...form })),
  );
});

/** The name that sequences.ts uses. */
export function shapeName({ mnemonic, size, zero, transfer, rounding }: Shape): string {
  const target = { none: "", forward: "@f", backward: "@b", far: "@x" }[transfer];
  return (
    mnemonic +
    (size === 2 ? ".c" : "") +
    (zero === undefined ? "" : `/${zero}`) +
    target +
    (rounding === "zero" ? "/rtz" : "")
  );
}

/** A number for what distinguishes the shapes of an instruction, for looking them up. */
function shapeKey(
  id: number,
  size: number,
  zero: KnownZero | undefined,
  transfer: Transfer,
  rounding: EmittedRounding,
): number {
  const zeroNumber = zero === undefined ? 0 : zero === "rs1" ? 1 : zero === "rs2" ? 2 : zero === "rd" ? 3 : 4;
  const transferNumber = transfer === "none" ? 0 : transfer === "forward" ? 1 : transfer === "backward" ? 2 : 3;
  return (
    (((id * 5 + zeroNumber) * 4 + transferNumber) * 2 + (size >> 2)) * ROUNDINGS.length + ROUNDINGS.indexOf(rounding)
  );
}

const idOf = new Map<Mnemonic, number>(INSTRUCTIONS.map((row) => [row.mnemonic, row.id]));
const opByKey = new Int16Array(shapeKey(INSTRUCTIONS.length, 0, undefined, "none", "nearest"));
SHAPES.forEach((shape, index) => {
  const id = idOf.get(shape.mnemonic) ?? 0;
  opByKey[shapeKey(id, shape.size, shape.zero, shape.transfer, shape.rounding)] = OP.first + index;
});

/** The op of a shape, or 0 where there is none. */
export function findOp(
  id: number,
  size: number,
  zero: KnownZero | undefined,
  transfer: Transfer,
  rounding: EmittedRounding,
): number {
  return opByKey[shapeKey(id, size, zero, transfer, rounding)] ?? 0;
}
