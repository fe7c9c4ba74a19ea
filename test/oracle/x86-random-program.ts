// A random x86-64 program for the host's processor and our machine: blocks of random instructions, each followed by a dump of the whole state.
//
//     text                                    data, at DATA_BASE and `skew`: a record for each block
//     +------------------------------+        +-------+--------+-------+--------+-------+---
//     | start: set fs and gs base    |        | first | window | state | window | state | ...
//     | begin: load the first state  |        | state |        |       |        |       |
//     | block 0 n times; dump        |        +-------+--------+-------+--------+-------+---
//     | block 1 n times; dump        |
//     | ...                          |        window: 256 bytes that memory operands are in, 256 of stack, 512 for flags
//     | write(1, data); exit         |        state: rax to r15, rflags, a counter; at 512 what fxsave64 stores
//     +------------------------------+
//
// A block's memory operands and its stack stay in its window, which starts out full of interesting values. Each block sets rsp, and a register
// that points into the window and that its instructions do not write. What of fxsave's image is not defined, or is told by some
// processors and not by others (FOP, FIP, FDP, what is reserved), is made 0 before images are compared.

import { NO_REGISTER, RIP } from "../../src/isa/x86_64/decode-types.ts";
import { disassemble } from "../../src/isa/x86_64/disassembler.ts";
import { assemble } from "../../src/isa/x86_64/assembler.ts";
import { type Instruction, instructionsOf, type Mnemonic } from "../../src/isa/x86_64/instructions.ts";
import { GPR_NAMES } from "../../src/isa/x86_64/registers.ts";
import type { BlockOf, Image, ProgramKind, ProgramOf } from "./differential.ts";
import { type Address, type Code, encode, type Fields } from "./x86-random-encode.ts";

export const TEXT_BASE = 0x400000;
export const DATA_BASE = 0x1000000;
/** What fs and gs begin at. */
export const SEGMENT_BASES = { fs: 0x3_0008, gs: 0x5_4321 } as const;

export const STATE_SIZE = 1024;
export const WINDOW = { memory: 0, memorySize: 256, stack: 256, stackSize: 256, flags: 512, size: 1024 } as const;
/** Where a block's stack pointer is at first. */
export const STACK_TOP = WINDOW.stack + 160;
/** How many items can leave their flags. */
export const FLAG_SLOTS = 64;
const RECORD_SIZE = WINDOW.size + STATE_SIZE;

/** Offsets in a state. */
export const STATE = { gpr: 0, rflags: 128, counter: 136, float: 512 } as const;
const FLOAT_SIZE = 512;

/** Instructions that belong together, such as a jump and what it jumps over. */
export type Item = readonly Code[];

export interface Block extends BlockOf<Item> {
  /** How often it is executed. */
  readonly repeats: number;
  /** The register that has the address of the window plus `bias`. */
  readonly pointer: number;
  readonly bias: number;
}

export interface Program extends ProgramOf<Block> {
  /** Where the data begins in its page; a multiple of 64. */
  readonly skew: number;
}

export const X86_PROGRAMS: ProgramKind<Item, Block, Program> = {
  stateSize: STATE_SIZE,
  windowSize: WINDOW.size,
  build: buildImage,
  alone: (program, index, block, firstState) => ({
    skew: (program.skew + RECORD_SIZE * (index % 2)) % 4096,
    blocks: [block],
    firstState,
  }),
  withItems: (block, items) => ({ ...block, items }),
  listItems: (items) =>
    items
      .flat()
      .map(
        ({ bytes }) =>
          `    ${disassemble(bytes, 0, { syntax: "intel" }).text.padEnd(48)} ${Buffer.from(bytes).toString("hex")}`,
      )
      .join("\n"),
  describeStates,
};

const rowsByText = new Map<string, Instruction>();

/** The row of a mnemonic with these operands, as the table writes them. */
export function rowOf(mnemonic: Mnemonic, operands: string): Instruction {
  const key = `${mnemonic} ${operands}`;
  const known = rowsByText.get(key);
  if (known !== undefined) return known;
  const row = instructionsOf(mnemonic).find((one) => one.operands.map(({ text }) => text).join() === operands);
  if (row === undefined) throw new Error(`no row ${key}`);
  rowsByText.set(key, row);
  return row;
}

/** Encodes the row of a mnemonic that has these operands. */
export function op(mnemonic: Mnemonic, operands: string, fields: Fields): Code {
  return encode(rowOf(mnemonic, operands), fields);
}

/** An address in the block's record, relative to rip. */
export function inRecord(offset: number): Address {
  return {
    base: RIP,
    index: NO_REGISTER,
    scale: 0,
    displacement: offset,
    inRecord: true,
    addressSize: 8,
    segment: undefined,
    isLong: true,
  };
}

export function lengthOf(codes: readonly Code[]): number {
  return codes.reduce((sum, { bytes }) => sum + bytes.length, 0);
}

const RSP = 4;
/** ARCH_SET_FS, ARCH_SET_GS of arch_prctl. */
const PROLOGUE = (data: number): string => `
    mov eax, 158
    mov edi, 0x1002
    mov rsi, ${SEGMENT_BASES.fs}
    syscall
    mov eax, 158
    mov edi, 0x1001
    mov rsi, ${SEGMENT_BASES.gs}
    syscall
  begin:
    mov r15, ${data}
    fxrstor64 [r15 + ${STATE.float}]
    lea rsp, [r15 + ${STATE.float}]
    push qword ptr [r15 + ${STATE.rflags}]
    popfq
    ${GPR_NAMES.filter((name) => name !== "rsp" && name !== "r15")
      .map((name) => `mov ${name}, [r15 + ${8 * GPR_NAMES.indexOf(name)}]`)
      .join("\n")}
    mov r15, [r15 + ${8 * 15}]
`;

const EPILOGUE = (data: number, size: number): string => `
    mov rbx, ${data}
    mov rbp, ${size}
  again:
    mov eax, 1
    mov edi, 1
    mov rsi, rbx
    mov rdx, rbp
    syscall
    test rax, rax
    jle done
    add rbx, rax
    sub rbp, rax
    jnz again
  done:
    mov eax, 231
    mov edi, 0
    syscall
    jmp done
`;

/** Where our machine begins: after the system calls at the start. */
export const BEGIN = assemble(PROLOGUE(DATA_BASE), { base: TEXT_BASE }).symbols.get("begin") ?? TEXT_BASE;

/** Puts a program together: text for TEXT_BASE, entered there by the host; data for DATA_BASE + skew. */
function buildImage({ skew, blocks, firstState }: Program): Image {
  const base = DATA_BASE + skew;
  const dataSize = STATE_SIZE + blocks.length * RECORD_SIZE;
  const chunks: Uint8Array[] = [];
  let address = TEXT_BASE;
  const append = (bytes: Uint8Array): void => {
    chunks.push(bytes);
    address += bytes.length;
  };
  append(assemble(PROLOGUE(base), { base: address }).bytes);
  blocks.forEach((block, i) => {
    const record = base + STATE_SIZE + i * RECORD_SIZE;
    for (const code of codesOf(block)) append(placed(code, address, record));
  });
  append(assemble(EPILOGUE(base, dataSize), { base: address }).bytes);

  const data = new Uint8Array(dataSize);
  data.set(firstState);
  blocks.forEach((block, i) => data.set(block.window, STATE_SIZE + i * RECORD_SIZE));
  return { text: Buffer.concat(chunks), data };
}

/** The code of a block: a loop around its items where it is repeated, then the dump. */
function codesOf({ items, repeats, pointer, bias }: Block): Code[] {
  const counter = saved(STATE.counter);
  const body = [
    op("lea", "Gv,M", { operandSize: 8, reg: RSP, rm: inRecord(STACK_TOP) }),
    op("lea", "Gv,M", { operandSize: 8, reg: pointer, rm: inRecord(bias) }),
    ...items.flat(),
    op("lea", "Gv,M", { operandSize: 8, reg: RSP, rm: inRecord(STACK_TOP) }),
    op("pushf", "", { operandSize: 8 }),
    op("pop", "Ev", { operandSize: 8, rm: saved(STATE.rflags) }),
  ];
  return [...(repeats === 1 ? body : repeated(body, counter, repeats)), ...dump()];
}

let dumpCodes: readonly Code[] | undefined;

/** Stores the registers and the floating-point state. */
function dump(): readonly Code[] {
  dumpCodes ??= [
    ...GPR_NAMES.map((_, reg) => op("mov", "Ev,Gv", { operandSize: 8, reg, rm: saved(STATE.gpr + 8 * reg) })),
    op("fxsave", "Mo", { operandSize: 8, rm: saved(STATE.float) }),
  ];
  return dumpCodes;
}

/** A place in the state after the block. */
function saved(offset: number): Address {
  return inRecord(WINDOW.size + offset);
}

function repeated(body: readonly Code[], counter: Address, repeats: number): Code[] {
  const decrement = op("dec", "Ev", { operandSize: 4, rm: counter });
  const jump = rowOf("jcc", "Jz");
  const size = lengthOf(body) + decrement.bytes.length + encode(jump, {}).bytes.length;
  return [
    op("mov", "Ev,Iz", { operandSize: 4, rm: counter, immediates: [BigInt(repeats)] }),
    ...body,
    decrement,
    encode(jump, { inOpcode: 5, immediates: [BigInt(-size)] }),
  ];
}

function placed({ bytes, fixups }: Code, address: number, record: number): Uint8Array {
  if (fixups.length === 0) return bytes;
  const result = Uint8Array.from(bytes);
  const view = new DataView(result.buffer);
  for (const { at, kind, offset } of fixups) {
    const target = record + offset;
    if (kind === "relative") view.setInt32(at, target - (address + bytes.length), true);
    else if (kind === "absolute4") view.setInt32(at, target, true);
    else view.setBigUint64(at, BigInt(target), true);
  }
  return result;
}

/** Clears what is not compared in every image of fxsave. */
export function withoutUndefined(data: Uint8Array): Uint8Array {
  for (let at = STATE_SIZE + WINDOW.size + STATE.float; at < data.length; at += RECORD_SIZE) {
    data.fill(0, at + 5, at + 24);
    data.fill(0, at + 28, at + 32);
    for (let n = 0; n < 8; n++) data.fill(0, at + 32 + 16 * n + 10, at + 48 + 16 * n);
    data.fill(0, at + 416, at + FLOAT_SIZE);
  }
  return data;
}

interface Named {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
}

const FIELDS: readonly Named[] = [
  ...GPR_NAMES.map((name, n) => ({ name, offset: 8 * n, size: 8 })),
  { name: "rflags", offset: STATE.rflags, size: 8 },
  { name: "fcw", offset: STATE.float, size: 2 },
  { name: "fsw", offset: STATE.float + 2, size: 2 },
  { name: "ftw", offset: STATE.float + 4, size: 1 },
  { name: "mxcsr", offset: STATE.float + 24, size: 4 },
  ...Array.from({ length: 8 }, (_, n) => ({ name: `st${n}`, offset: STATE.float + 32 + 16 * n, size: 10 })),
  ...Array.from({ length: 16 }, (_, n) => ({ name: `xmm${n}`, offset: STATE.float + 160 + 16 * n, size: 16 })),
];

/** A line for each register of a dump that the block changed, or on which the outcomes disagree (marked). */
function describeStates(before: Uint8Array, expected: Uint8Array, ours: Uint8Array): string {
  return FIELDS.map((field) => ({
    name: field.name,
    before: hexOf(before, field),
    expected: hexOf(expected, field),
    ours: hexOf(ours, field),
  }))
    .filter((row) => row.before !== row.expected || row.expected !== row.ours)
    .map(
      (row) =>
        `${row.expected === row.ours ? " " : "*"} ${row.name.padEnd(6)} ${row.before} -> expected ${row.expected} ours ${row.ours}`,
    )
    .join("\n");
}

function hexOf(state: Uint8Array, { offset, size }: Named): string {
  return Buffer.from(state.slice(offset, offset + size))
    .reverse()
    .toString("hex");
}
