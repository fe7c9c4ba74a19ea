// The part of an assembler that is the same for every architecture: passes over the statements of a source until no address
// moves. What an instruction is, is for a `Dialect` to say.
//
//     source --parse--> statements --lay out, until nothing moves--> addresses --encode--> bytes
//
// Labels, local labels (`1:`, `1b`, `1f`), the location counter `.`, and symbols set by `.equ`. One section only.

import { AssemblyError, OperandError } from "./errors.ts";
import { ExpressionError } from "./expression.ts";
import { runDirective } from "./directives.ts";
import { parseSource, type SourceStatement } from "./source.ts";
import type { Place, Status } from "./value.ts";

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

/** What an assembler knows of an architecture. */
export interface Dialect {
  /** Directives that list numbers, and how many bytes each takes. */
  readonly numberSizes: Readonly<Record<string, number>>;
  /** What the operand of `.align` is. */
  readonly alignment: "bytes" | "power of two";
  /** State that a source changes as it goes, such as the mode of the processor, begins anew in every pass. */
  beginPass(): DialectPass;
}

export interface DialectPass {
  /** Bytes of an instruction; throws OperandError or ExpressionError. */
  assemble(mnemonic: string, operands: string, context: StatementContext): Uint8Array;
  /** Directives of this dialect alone, which emit nothing. */
  readonly directives: Readonly<Record<string, (operands: string) => void>>;
  /** Fills padding between instructions, from `start` to the end. */
  fillWithNops(bytes: Uint8Array, start: number): void;
}

/**
 * Where an instruction is, and what it may refer to. An instruction that asks for nothing but constants is assembled once; what
 * else is read here may be another in the next pass.
 */
export interface StatementContext extends Place {
  readonly address: bigint;
  /** In a layout pass what is not yet known is taken as 0, and what does not fit must be let through. */
  readonly pass: PassKind;
  /** Bytes that the instruction had in the pass before, else 0. It must not become smaller, or layout might never end. */
  readonly previousSize: number;
}

export type PassKind = "layout" | "final";

/** Assembles a program; throws AssemblyError. */
export function assembleSource(source: string, options: AssemblerOptions, dialect: Dialect): AssembledCode {
  const statements = parseSource(source);
  const given = new Map(Object.entries(options.symbols ?? {}).map(([name, value]) => [name, BigInt(value)]));
  const program: Program = { statements, base: options.base, given, dialect, settled: new Map() };
  let layout = newLayout();
  for (let pass = 0; pass < MAX_PASSES; pass++) {
    const next = runPass(program, layout, "layout");
    const isSettled = pass > 0 && sameAddresses(layout, next);
    layout = next;
    if (isSettled) break;
  }
  const final = runPass(program, layout, "final");
  const symbols = new Map([...final.symbols].map(([name, value]) => [name, Number(value)]));
  return { bytes: concatenate(final.chunks), base: options.base, symbols };
}

/** Sizes only grow from pass to pass, so a program settles long before this; then the final pass finds what is wrong. */
const MAX_PASSES = 64;

interface Program {
  readonly statements: readonly SourceStatement[];
  readonly base: number;
  readonly given: ReadonlyMap<string, bigint>;
  readonly dialect: Dialect;
  /** Bytes of instructions that are the same in every pass. */
  readonly settled: Map<SourceStatement, Uint8Array>;
}

/** The outcome of a pass, and what the next one knows of addresses ahead. */
interface Layout {
  /** Labels and `.equ` symbols. */
  readonly symbols: Map<string, bigint>;
  /** Every place of each local label, ascending. */
  readonly locals: Map<string, LocalLabel[]>;
  /** Those of `symbols` that `.equ` set, and how far their values are settled. */
  readonly equs: Map<string, Status>;
  /** Address and size of each statement, by its index. */
  readonly addresses: bigint[];
  readonly sizes: number[];
  readonly chunks: Uint8Array[];
}

/** A local label, `index` being the statement that follows it. */
interface LocalLabel {
  readonly index: number;
  readonly address: bigint;
}

/** What directives work on. */
export interface PassState extends Place {
  readonly base: number;
  readonly kind: PassKind;
  readonly dialect: Dialect;
  readonly dialectPass: DialectPass;
  readonly symbols: Map<string, bigint>;
  /** Symbols that `.equ` set, which it may set again, and how far their values are settled. */
  readonly equs: Map<string, Status>;
  address: bigint;
  /** What the last bytes were, since padding after instructions is nops. */
  after: "code" | "data";
}

function newLayout(): Layout {
  return { symbols: new Map(), locals: new Map(), equs: new Map(), addresses: [], sizes: [], chunks: [] };
}

function runPass(program: Program, previous: Layout, kind: PassKind): Layout {
  const layout = newLayout();
  let index = 0;
  const find = (symbol: string): bigint | undefined => {
    if (symbol === ".") return state.address;
    const local = LOCAL_REFERENCE.exec(symbol);
    if (local !== null) return findLocal(local[1] ?? "", local[2] ?? "");
    // A symbol set by .equ may be set again: the latest value so far counts. One that is only set further on has its last.
    const value = layout.symbols.get(symbol) ?? findAhead(previous.symbols.get(symbol), previous.equs.has(symbol));
    return value ?? program.given.get(symbol);
  };
  const findLocal = (label: string, direction: string): bigint | undefined => {
    if (direction === "b") return layout.locals.get(label)?.at(-1)?.address;
    return findAhead(previous.locals.get(label)?.find((place) => place.index > index)?.address, false);
  };
  // What is ahead is taken to have moved as far as this place has since the pass before, so that distances are true.
  const findAhead = (value: bigint | undefined, isEqu: boolean): bigint | undefined => {
    if (value === undefined || isEqu) return value;
    return value + state.address - (previous.addresses[index] ?? state.address);
  };
  const status = (symbol: string): Status => {
    const equ = state.equs.get(symbol);
    if (equ !== undefined) return equ;
    if (find(symbol) === undefined) return "unknown";
    const isGiven = program.given.has(symbol) && !layout.symbols.has(symbol) && !previous.symbols.has(symbol);
    return isGiven ? "given" : "address";
  };
  const state: PassState = {
    base: program.base,
    kind,
    dialect: program.dialect,
    dialectPass: program.dialect.beginPass(),
    scope: (symbol) => find(symbol) ?? (kind === "layout" ? 0n : undefined),
    status,
    symbols: layout.symbols,
    equs: layout.equs,
    address: BigInt(program.base),
    after: "code",
  };
  for (const statement of program.statements) {
    try {
      for (const label of statement.labels) defineLabel(state, layout, label, index);
      const bytes = encodeStatement(state, program, statement, previous.sizes[index] ?? 0);
      layout.addresses.push(state.address);
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

const LOCAL_REFERENCE = /^([0-9]+)([bf])$/;

function defineLabel(state: PassState, layout: Layout, label: string, index: number): void {
  const { symbols, locals } = layout;
  if (/^[0-9]+$/.test(label)) {
    // The statement at `index` itself may refer to it as `1b`, so it is not ahead of that statement.
    const places = locals.get(label) ?? [];
    places.push({ index, address: state.address });
    locals.set(label, places);
    return;
  }
  if (symbols.has(label) || state.equs.has(label)) throw new OperandError(`'${label}' is defined twice`);
  symbols.set(label, state.address);
}

function encodeStatement(
  state: PassState,
  program: Program,
  statement: SourceStatement,
  previousSize: number,
): Uint8Array {
  const { mnemonic, operands } = statement;
  if (mnemonic === "") return NO_BYTES;
  if (mnemonic.startsWith(".")) return runDirective(state, mnemonic, operands);
  state.after = "code";
  const settled = program.settled.get(statement);
  if (settled !== undefined) return settled;
  const context = newStatementContext(state, previousSize);
  const bytes = state.dialectPass.assemble(mnemonic, operands, context);
  if (context.isSettled()) program.settled.set(statement, bytes);
  return bytes;
}

function newStatementContext(state: PassState, previousSize: number): StatementContext & { isSettled(): boolean } {
  let isSettled = true;
  const unsettle = <T>(value: T): T => {
    isSettled = false;
    return value;
  };
  const status = (symbol: string): Status => {
    const found = state.status(symbol);
    return found === "constant" ? found : unsettle(found);
  };
  return {
    scope: (symbol) => (status(symbol) === "constant" ? state.scope(symbol) : unsettle(state.scope(symbol))),
    status,
    isSettled: () => isSettled,
    get address() {
      return unsettle(state.address);
    },
    get pass() {
      return unsettle(state.kind);
    },
    get previousSize() {
      return unsettle(previousSize);
    },
  };
}

const NO_BYTES = new Uint8Array(0);

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
