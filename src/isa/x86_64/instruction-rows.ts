// How a row of the instruction table is written, and what it says once parsed.
//
//     ["add", "00 /r", "Eb,Gb", "lock"]          mnemonic, encoding, operands, attributes
//
// An encoding is written as in the SDM: mandatory prefix (NP none of them, 66, F3, F2; without any, prefixes do not
// matter), opcode bytes, then
//
//     /r        a ModRM byte with a register (or nothing) in its reg field    /0 … /7   a ModRM byte whose reg field is part of the opcode
//     +r        the low three bits of the opcode name a register              +cc       … the low four name a condition
//     m  r      memory only, or register only (mod), where the operands do not say it
//     w0 w1     REX.W is part of the opcode                                   b0        REX.B must be 0
//     C0        after D9 and the like: a literal byte stands for a whole ModRM byte
//     ib iw …   immediates are known from the operands
//
// Operands are in Intel's order, written as in SDM volume 2, appendix A.2: a letter for the place
//
//     E  general register or memory (ModRM.rm)   R  general register (ModRM.rm)   M  memory (ModRM.rm)
//     G  general register (ModRM.reg)            Z  general register (opcode)     O  memory at an absolute address
//     V  xmm (ModRM.reg)   W  xmm or memory      U  xmm (ModRM.rm)                I  immediate, sign-extended; u  zero-extended
//     P  mmx (ModRM.reg)   Q  mmx or memory      N  mmx (ModRM.rm)                J  relative   A  far pointer
//     S  segment   C  control   D  debug register (ModRM.reg)                     X  string at ds:rsi   Y  string at es:rdi
//
// then one for the size (`OperandSize`), or two: as a register, and as memory. Or a register by name (AL, CL, DX, AX,
// rAX of size v, eAX of size z, ES … GS, ST0, STi of ModRM.rm, XMM0), or the constant 1. Attributes are listed at
// `Attribute`.

/** Row of the table as it is written. */
export type Row<M extends string = string> = readonly [
  mnemonic: M,
  encoding: string,
  operands: string,
  attributes?: string,
];

/** Rows whose mnemonics the compiler keeps as a union. */
export function rows<const M extends string>(list: readonly Row<M>[]): readonly Row<M>[] {
  return list;
}

/** Opcode maps: one-byte, 0F, 0F 38, 0F 3A. */
export type OpcodeMap = "" | "0f" | "0f38" | "0f3a";

/** The prefix that is part of an opcode; "none": there must be none of 66, F3, F2; "any": they do not matter here. */
export type MandatoryPrefix = "any" | "none" | "66" | "f3" | "f2";

export type Attribute =
  /** Takes a lock prefix when its first operand is memory. */
  | "lock"
  /** A string instruction that F3 and F2 repeat. */
  | "rep"
  /** … that F3 repeats while equal, F2 while not. */
  | "repe"
  /** In 64-bit mode the operand size is 8, or 2 with 66. */
  | "d64"
  /** In 64-bit mode the operand size is 8. */
  | "f64"
  /** Undefined in 64-bit mode. */
  | "i64"
  /** Undefined outside 64-bit mode. */
  | "o64"
  /** Mod is ignored: ModRM.rm is a register. */
  | "modless"
  /** A second encoding of the row that has the same operands: for decoding alone. */
  | "alias";

/** Where an operand is. */
export type OperandPlace =
  | "gprOrMemory"
  | "gpr"
  | "gprInRm"
  | "memory"
  | "gprInOpcode"
  | "absolute"
  | "immediate"
  | "unsigned"
  | "relative"
  | "far"
  | "xmmOrMemory"
  | "xmm"
  | "xmmInRm"
  | "mmxOrMemory"
  | "mmx"
  | "mmxInRm"
  | "segment"
  | "control"
  | "debug"
  | "stringSource"
  | "stringDestination"
  /** The general register, segment register, x87 or xmm register `register`. */
  | "fixedGpr"
  | "fixedSegment"
  | "fixedSt"
  | "fixedXmm"
  | "stInRm"
  | "one";

/**
 * Sizes: b 1, w 2, d 4, q 8, t 10, x 16 and o 512 bytes; v the operand size; z that, but at most 4; y that, but at
 * least 4; p a far pointer (2 more than v); a a pair of v; s a pseudo-descriptor (6, or 10 in 64-bit mode); e an x87
 * environment (14 or 28), f an x87 state (94 or 108); "" none.
 */
export type OperandSize = "" | "b" | "w" | "d" | "q" | "t" | "x" | "o" | "v" | "z" | "y" | "p" | "a" | "s" | "e" | "f";

/** An operand of a row. */
export interface OperandTemplate {
  /** As it is written in the row. */
  readonly text: string;
  readonly place: OperandPlace;
  readonly size: OperandSize;
  /** The size as memory, where that differs from the size as a register. */
  readonly memorySize: OperandSize;
  /** The register of a fixed place. */
  readonly register: number;
}

/** What ModRM says of a row; `byte`: all of it is part of the opcode. */
export type ModRm = "none" | "register" | "digit" | "byte";

/** A row once parsed. */
export interface ParsedRow<M extends string, E> {
  /** Its index in the table. */
  readonly id: number;
  readonly mnemonic: M;
  readonly extension: E;
  /** As it is written in the table. */
  readonly encoding: string;
  readonly prefix: MandatoryPrefix;
  readonly map: OpcodeMap;
  /** The last opcode byte; the first one of those that the row has. */
  readonly opcode: number;
  /** How many opcodes the row has: 8 where the opcode names a register, 16 where it names a condition, or 1. */
  readonly opcodeCount: 1 | 8 | 16;
  readonly modRm: ModRm;
  /** The value of reg for "digit", of the whole byte for "byte", or 0. */
  readonly modRmValue: number;
  readonly mod: "any" | "memory" | "register";
  /** REX.W where it is part of the opcode. */
  readonly rexW: 0 | 1 | undefined;
  readonly rexB: 0 | undefined;
  readonly operands: readonly OperandTemplate[];
  readonly attributes: ReadonlySet<Attribute>;
  /** What the operand size is made of: byte: 1; word: at most 4 (in, out). */
  readonly width: "byte" | "word" | "full";
}

const PLACES: Readonly<Record<string, OperandPlace>> = {
  E: "gprOrMemory",
  G: "gpr",
  R: "gprInRm",
  M: "memory",
  Z: "gprInOpcode",
  O: "absolute",
  I: "immediate",
  u: "unsigned",
  J: "relative",
  A: "far",
  W: "xmmOrMemory",
  V: "xmm",
  U: "xmmInRm",
  Q: "mmxOrMemory",
  P: "mmx",
  N: "mmxInRm",
  S: "segment",
  C: "control",
  D: "debug",
  X: "stringSource",
  Y: "stringDestination",
};

type FixedOperand = readonly [place: OperandPlace, size: OperandSize, register: number];

const FIXED: Readonly<Record<string, FixedOperand>> = {
  AL: ["fixedGpr", "b", 0],
  CL: ["fixedGpr", "b", 1],
  AX: ["fixedGpr", "w", 0],
  DX: ["fixedGpr", "w", 2],
  eAX: ["fixedGpr", "z", 0],
  rAX: ["fixedGpr", "v", 0],
  ES: ["fixedSegment", "w", 0],
  CS: ["fixedSegment", "w", 1],
  SS: ["fixedSegment", "w", 2],
  DS: ["fixedSegment", "w", 3],
  FS: ["fixedSegment", "w", 4],
  GS: ["fixedSegment", "w", 5],
  ST0: ["fixedSt", "t", 0],
  STi: ["stInRm", "t", 0],
  XMM0: ["fixedXmm", "x", 0],
  "1": ["one", "b", 0],
};

/** The template of an operand; the same object for the same text. */
const parseOperand = remember((text: string): OperandTemplate => {
  const fixed = FIXED[text];
  const place = fixed?.[0] ?? PLACES[text.charAt(0)];
  if (place === undefined) throw new Error(`operand ${text}`);
  // The letters after the place are of OperandSize: the tests decode every row.
  const size = fixed?.[1] ?? (text.charAt(1) as OperandSize);
  const memorySize = fixed === undefined && text.length > 2 ? (text.charAt(2) as OperandSize) : size;
  return { text, place, size, memorySize, register: fixed?.[2] ?? 0 };
});

interface ParsedOperands {
  readonly operands: readonly OperandTemplate[];
  readonly mod: "any" | "memory" | "register";
  readonly width: "byte" | "word" | "full";
}

const parseOperands = remember((text: string): ParsedOperands => {
  const operands = text === "" ? [] : text.split(",").map(parseOperand);
  return { operands, mod: modOf(operands), width: widthOf(operands) };
});

const parseAttributes = remember(
  // See parseOperand.
  (text: string): ReadonlySet<Attribute> => new Set(text === "" ? [] : (text.split(" ") as Attribute[])),
);

interface ParsedTail {
  modRm: ModRm;
  modRmValue: number;
  mod: "memory" | "register" | undefined;
  rexW: 0 | 1 | undefined;
  rexB: 0 | undefined;
}

/** What comes behind the opcode. */
const parseTail = remember((text: string): ParsedTail => {
  const tail: ParsedTail = { modRm: "none", modRmValue: 0, mod: undefined, rexW: undefined, rexB: undefined };
  for (const token of text.split(" ")) {
    if (token === "") continue;
    if (token === "m") tail.mod = "memory";
    else if (token === "r") tail.mod = "register";
    else if (token === "w0" || token === "w1") tail.rexW = token === "w0" ? 0 : 1;
    else if (token === "b0") tail.rexB = 0;
    else if (token === "/r") tail.modRm = "register";
    else if (token.startsWith("/")) {
      tail.modRm = "digit";
      tail.modRmValue = Number(token.slice(1));
    } else {
      tail.modRm = "byte";
      tail.modRmValue = Number.parseInt(token, 16);
    }
  }
  return tail;
});

const ENCODING = /^(?:(NP|66|F3|F2) )?(0F (?:38 |3A )?)?([0-9A-Fa-f]{2})(\+r|\+cc)?(.*)$/;
const PREFIXES: Readonly<Record<string, MandatoryPrefix>> = { NP: "none", "66": "66", F3: "f3", F2: "f2" };
const MAPS: Readonly<Record<string, OpcodeMap>> = { "0F ": "0f", "0F 38 ": "0f38", "0F 3A ": "0f3a" };

/**
 * Parses a row of the table. Rows have much in common, and their parts are parsed once.
 */
export function parseRow<M extends string, E>(row: Row<M>, id: number, extension: E): ParsedRow<M, E> {
  const [mnemonic, encoding, operandText, attributeText = ""] = row;
  const match = ENCODING.exec(encoding);
  if (match === null) throw new Error(`encoding ${encoding}`);
  const [, prefix = "", map = "", opcode = "", suffix, tailText = ""] = match;
  const { operands, mod, width } = parseOperands(operandText);
  const tail = parseTail(tailText);
  return {
    id,
    mnemonic,
    extension,
    encoding,
    prefix: PREFIXES[prefix] ?? "any",
    map: MAPS[map] ?? "",
    opcode: Number.parseInt(opcode, 16),
    opcodeCount: suffix === undefined ? 1 : suffix === "+r" ? 8 : 16,
    modRm: tail.modRm,
    modRmValue: tail.modRmValue,
    mod: tail.mod ?? mod,
    rexW: tail.rexW,
    rexB: tail.rexB,
    operands,
    attributes: parseAttributes(attributeText),
    width,
  };
}

function remember<T>(parse: (text: string) => T): (text: string) => T {
  const known = new Map<string, T>();
  return (text) => {
    let value = known.get(text);
    if (value === undefined) {
      value = parse(text);
      known.set(text, value);
    }
    return value;
  };
}

function modOf(operands: readonly OperandTemplate[]): "any" | "memory" | "register" {
  for (const { place } of operands) {
    if (place === "memory") return "memory";
    if (place === "xmmInRm" || place === "mmxInRm" || place === "gprInRm" || place === "stInRm") return "register";
  }
  return "any";
}

function widthOf(operands: readonly OperandTemplate[]): "byte" | "word" | "full" {
  let width: "byte" | "word" | "full" = "full";
  for (const { place, size } of operands) {
    if (place === "immediate" || place === "unsigned" || place === "relative" || place === "one") continue;
    if (size === "z" && place !== "gprOrMemory") return "word";
    if (size === "v" || size === "y" || size === "z") return "full";
    if (size === "b") width = "byte";
  }
  return width;
}
