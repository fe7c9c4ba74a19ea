// A text assembler: the kernel's boot and trampoline code, and the tests, are template strings with constants put in.
//
//     source --parse--> statements --lay out, until nothing moves--> addresses --encode--> bytes
//
//         uservec:
//             csrrw  a0, sscratch, a0        # a0 = trapframe
//             sd     ra, ${TRAPFRAME.ra}(a0)
//     1:      ld     t0, 16(a0)
//             bnez   t0, 1b
//
// Understood: every instruction of the table and its pseudo-instructions; labels, local labels (`1:`, `1b`, `1f`); `#`,
// `//` and `/* */` comments; `;` between statements; and the directives of `DIRECTIVES`. One section only. A branch is
// never turned into a branch around a jump: one that does not reach is an error.

import { encodeUtf8 } from "../../lib/bytes.ts";
import { ExpressionError, parseExpression, type Scope, unescape } from "./expression.ts";
import { assembleInstruction, type EncodedInstruction, OperandError } from "./assemble-instruction.ts";
import { parseSource, type SourceStatement, splitOperands } from "./assembler-source.ts";

/** What is wrong with a line of assembly. */
export class AssemblyError extends Error {
  override readonly name = "AssemblyError";
  readonly line: number;
  readonly text: string;

  constructor(message: string, line: number, text: string) {
    super(`line ${line}: ${message}: ${text}`);
    this.line = line;
    this.text = text;
  }
}

export interface AssemblerOptions {
  /** Address of the first byte; negative in the upper half of the address space. */
  readonly base: number;
  /** Symbols that the source may use without defining them. */
  readonly symbols?: Readonly<Record<string, number | bigint>>;
}

export interface AssembledCode {
  readonly bytes: Uint8Array;
  readonly base: number;
  /** Labels and `.equ` symbols of the source, as signed numbers. Local labels are not in it. */
  readonly symbols: ReadonlyMap<string, number>;
}

/** Assembles a program; throws AssemblyError. */
export function assemble(source: string, options: AssemblerOptions): AssembledCode {
  const statements = parseSource(source);
  const predefined = new Map(Object.entries(options.symbols ?? {}).map(([name, value]) => [name, BigInt(value)]));
  let layout = newLayout();
  for (let pass = 0; pass < MAX_PASSES; pass++) {
    const next = runPass(statements, options.base, predefined, layout, "layout");
    const isSettled = pass > 0 && sameAddresses(layout, next);
    layout = next;
    if (isSettled) break;
  }
  const final = runPass(statements, options.base, predefined, layout, "final");
  const symbols = new Map([...final.symbols].map(([name, value]) => [name, Number(value)]));
  return { bytes: concatenate(final.chunks), base: options.base, symbols };
}

/** Sizes only grow from pass to pass, so a program settles long before this; then the final pass finds what is wrong. */
const MAX_PASSES = 64;

/** The outcome of a pass, and what the next one knows of addresses ahead. */
interface Layout {
  /** Labels and `.equ` symbols. */
  readonly symbols: Map<string, bigint>;
  /** Every place of each local label, ascending. */
  readonly locals: Map<string, LocalLabel[]>;
  /** Size of each statement, by its index. */
  readonly sizes: number[];
  readonly chunks: Uint8Array[];
}

/** A local label, `index` being the statement that follows it. */
interface LocalLabel {
  readonly index: number;
  readonly address: bigint;
}

/** In a layout pass what is not yet known is taken as 0, and what does not fit is let through. */
type PassKind = "layout" | "final";

interface PassState {
  readonly kind: PassKind;
  readonly previous: Layout;
  readonly layout: Layout;
  readonly scope: Scope;
  address: bigint;
  compression: "rvc" | "norvc";
  /** What the last bytes were, since padding after instructions is nops. */
  after: "code" | "data";
}

function newLayout(): Layout {
  return { symbols: new Map(), locals: new Map(), sizes: [], chunks: [] };
}

function runPass(
  statements: readonly SourceStatement[],
  base: number,
  predefined: ReadonlyMap<string, bigint>,
  previous: Layout,
  kind: PassKind,
): Layout {
  const layout = newLayout();
  const equs = new Set<string>();
  let index = 0;
  const scope: Scope = (symbol) => {
    if (symbol === ".") return state.address;
    const local = /^([0-9]+)([bf])$/.exec(symbol);
    // A symbol set by .equ may be set again: the latest value so far counts. One that is only set further on has its last.
    const value = local
      ? findLocal(local[1] ?? "", local[2] ?? "")
      : (layout.symbols.get(symbol) ?? previous.symbols.get(symbol) ?? predefined.get(symbol));
    return value ?? (kind === "layout" ? 0n : undefined);
  };
  const findLocal = (label: string, direction: string): bigint | undefined => {
    if (direction === "b") return layout.locals.get(label)?.at(-1)?.address;
    return previous.locals.get(label)?.find((place) => place.index > index)?.address;
  };
  const state: PassState = {
    kind,
    previous,
    layout,
    scope,
    address: BigInt(base),
    compression: "norvc",
    after: "code",
  };
  for (const statement of statements) {
    try {
      for (const label of statement.labels) defineLabel(state, label, index, equs);
      const bytes = encodeStatement(state, statement, index, equs);
      layout.sizes.push(bytes.length);
      layout.chunks.push(bytes);
      state.address += BigInt(bytes.length);
    } catch (error) {
      const isOurs = error instanceof ExpressionError || error instanceof OperandError;
      throw isOurs ? new AssemblyError(error.message, statement.line, statement.text) : error;
    }
    index++;
  }
  return layout;
}

function defineLabel(state: PassState, label: string, index: number, equs: ReadonlySet<string>): void {
  const { symbols, locals } = state.layout;
  if (/^[0-9]+$/.test(label)) {
    // The statement at `index` itself may refer to it as `1b`, so it is not ahead of that statement.
    const places = locals.get(label) ?? [];
    places.push({ index, address: state.address });
    locals.set(label, places);
    return;
  }
  if (symbols.has(label) || equs.has(label)) throw new OperandError(`'${label}' is defined twice`);
  symbols.set(label, state.address);
}

function encodeStatement(state: PassState, statement: SourceStatement, index: number, equs: Set<string>): Uint8Array {
  const { mnemonic, operands } = statement;
  if (mnemonic === "") return NO_BYTES;
  if (mnemonic.startsWith(".")) {
    const directive = DIRECTIVES[mnemonic];
    if (directive === undefined) throw new OperandError(`unknown directive '${mnemonic}'`);
    return directive(state, operands, equs);
  }
  const encoded = assembleInstruction(mnemonic, splitOperands(operands), {
    address: state.address,
    scope: state.scope,
    compression: state.compression,
    fit: state.kind === "final" ? "required" : "assumed",
  });
  state.after = "code";
  return padToPrevious(encoded, state.previous.sizes[index] ?? 0);
}

/** Keeps a statement from shrinking, so that layout ends: what a longer earlier form leaves is filled with nops. */
function padToPrevious(encoded: readonly EncodedInstruction[], previousSize: number): Uint8Array {
  const size = encoded.reduce((sum, instruction) => sum + instruction.size, 0);
  const bytes = new Uint8Array(Math.max(size, previousSize));
  let at = 0;
  for (const instruction of encoded) {
    writeLittleEndian(bytes, at, BigInt(instruction.word >>> 0), instruction.size);
    at += instruction.size;
  }
  fillWithNops(bytes, at);
  return bytes;
}

const NO_BYTES = new Uint8Array(0);

type Directive = (state: PassState, operands: string, equs: Set<string>) => Uint8Array;

const ignore: Directive = () => NO_BYTES;

const DIRECTIVES: Readonly<Record<string, Directive>> = {
  ".byte": (state, operands) => emitNumbers(state, operands, 1),
  ".half": (state, operands) => emitNumbers(state, operands, 2),
  ".word": (state, operands) => emitNumbers(state, operands, 4),
  ".dword": (state, operands) => emitNumbers(state, operands, 8),
  ".quad": (state, operands) => emitNumbers(state, operands, 8),
  ".ascii": (state, operands) => emitStrings(state, operands, ""),
  ".asciz": (state, operands) => emitStrings(state, operands, "\0"),
  ".string": (state, operands) => emitStrings(state, operands, "\0"),
  ".space": emitSpace,
  ".zero": emitSpace,
  ".align": (state, operands) => emitAlignment(state, operands, (n) => 2 ** n),
  ".p2align": (state, operands) => emitAlignment(state, operands, (n) => 2 ** n),
  ".balign": (state, operands) => emitAlignment(state, operands, (n) => n),
  ".equ": defineSymbol,
  ".set": defineSymbol,
  ".option": setOption,
  ".globl": ignore,
  ".global": ignore,
  ".text": ignore,
};

function emitNumbers(state: PassState, operands: string, size: number): Uint8Array {
  const values = splitOperands(operands);
  const bytes = new Uint8Array(values.length * size);
  values.forEach((text, i) => {
    const value = parseExpression(text)(state.scope);
    const isFitting = BigInt.asIntN(size * 8, value) === value || BigInt.asUintN(size * 8, value) === value;
    if (!isFitting && size < 8 && state.kind === "final")
      throw new OperandError(`${value} does not fit ${size * 8} bits`);
    writeLittleEndian(bytes, i * size, value, size);
  });
  state.after = "data";
  return bytes;
}

function emitStrings(state: PassState, operands: string, terminator: string): Uint8Array {
  state.after = "data";
  return concatenate(
    splitOperands(operands).map((text) => {
      const inside = /^"(.*)"$/s.exec(text)?.[1];
      if (inside === undefined) throw new OperandError(`'${text}' is not a string`);
      return encodeUtf8(unescape(inside) + terminator);
    }),
  );
}

function emitSpace(state: PassState, operands: string): Uint8Array {
  const [length = "", fill = "0"] = splitOperands(operands);
  state.after = "data";
  return new Uint8Array(evaluateSize(state, length)).fill(Number(parseExpression(fill)(state.scope) & 255n));
}

function emitAlignment(state: PassState, operands: string, alignmentOf: (n: number) => number): Uint8Array {
  const [amount = "", fill] = splitOperands(operands);
  const alignment = alignmentOf(evaluateSize(state, amount));
  if (!(alignment >= 1 && alignment <= MAX_SIZE)) throw new OperandError(`bad alignment '${amount}'`);
  const past = Number(((state.address % BigInt(alignment)) + BigInt(alignment)) % BigInt(alignment));
  const bytes = new Uint8Array((alignment - past) % alignment);
  if (fill !== undefined) return bytes.fill(Number(parseExpression(fill)(state.scope) & 255n));
  if (state.after === "code") fillWithNops(bytes, 0);
  return bytes;
}

function defineSymbol(state: PassState, operands: string, equs: Set<string>): Uint8Array {
  const [name = "", value = ""] = splitOperands(operands);
  if (!/^[A-Za-z_.$][\w.$]*$/.test(name)) throw new OperandError(`bad symbol '${name}'`);
  if (state.layout.symbols.has(name) && !equs.has(name)) throw new OperandError(`'${name}' is defined twice`);
  state.layout.symbols.set(name, parseExpression(value)(state.scope));
  equs.add(name);
  return NO_BYTES;
}

function setOption(state: PassState, operands: string): Uint8Array {
  const option = operands.trim();
  if (option !== "rvc" && option !== "norvc") throw new OperandError(`unknown option '${option}'`);
  state.compression = option;
  return NO_BYTES;
}

/** What a directive may take up: a slip in an expression must not take the host's memory. */
const MAX_SIZE = 64 * 1024 * 1024;

function evaluateSize(state: PassState, text: string): number {
  const value = parseExpression(text)(state.scope);
  if (value >= 0n && value <= BigInt(MAX_SIZE)) return Number(value);
  if (state.kind === "layout") return 0;
  throw new OperandError(`bad size '${text}'`);
}

const NOP = 0x00000013n;
const COMPRESSED_NOP = 0x0001n;

/** Fills from `start` to the end: zeros up to a half-word, then nops. The end is on an instruction boundary. */
function fillWithNops(bytes: Uint8Array, start: number): void {
  let at = start + ((bytes.length - start) % 2);
  if ((bytes.length - at) % 4 === 2) {
    writeLittleEndian(bytes, at, COMPRESSED_NOP, 2);
    at += 2;
  }
  for (; at < bytes.length; at += 4) writeLittleEndian(bytes, at, NOP, 4);
}

function writeLittleEndian(bytes: Uint8Array, offset: number, value: bigint, size: number): void {
  let rest = BigInt.asUintN(64, value);
  for (let i = 0; i < size; i++) {
    bytes[offset + i] = Number(rest & 255n);
    rest >>= 8n;
  }
}

function sameAddresses(a: Layout, b: Layout): boolean {
  const isSame = a.sizes.length === b.sizes.length && a.sizes.every((size, i) => size === b.sizes[i]);
  return isSame && [...b.symbols].every(([name, value]) => a.symbols.get(name) === value);
}

function concatenate(chunks: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
