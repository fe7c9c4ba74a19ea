// A random program for two machines: blocks of random instructions, each followed by a dump of the whole state.
//
//     text                            data, `pointer` moves through it
//     +----------------------+        +--------+--------+-------+--------+-------+---
//     | load the first state |        | first  | window | state | window | state | ...
//     | block 0; jal dump    |        | state  | of     | after | of     | after |
//     | block 1; jal dump    |        |        | block 0|       | block 1|       |
//     | ...                  |        +--------+--------+-------+--------+-------+---
//     | write(1, data); exit |
//     | dump                 |        state: fcsr, x1 to x31, f0 to f31, 8 bytes each
//     +----------------------+
//
// A block's loads and stores stay in its window, which starts out full of interesting values. Two registers, `pointer` and
// `link`, are never written by blocks; which two differs from program to program.

import { assemble } from "../../src/isa/riscv64/assembler.ts";
import { disassemble, disassembleCompressed } from "../../src/isa/riscv64/disassembler.ts";
import { fRegisterName, xRegisterName } from "../../src/isa/riscv64/registers.ts";
import type { BlockOf, Image, ProgramKind, ProgramOf } from "./differential.ts";
import { describeStates } from "./report.ts";

export const TEXT_BASE = 0x80000000;
export const DATA_BASE = 0x80400000;
export const WINDOW_SIZE = 128;
export const STATE_SIZE = 512;
export const BLOCK_SIZE = WINDOW_SIZE + STATE_SIZE;

/** One instruction: its bits, and its length in bytes. */
export interface Code {
  readonly bits: number;
  readonly size: 2 | 4;
}

/** Instructions that belong together, such as a branch and what it jumps over. */
export type Item = readonly Code[];

export type Block = BlockOf<Item>;

export interface Program extends ProgramOf<Block> {
  readonly pointer: number;
  readonly link: number;
}

/** Programs of RISC-V. */
export const RISCV_PROGRAMS: ProgramKind<Item, Block, Program> = {
  stateSize: STATE_SIZE,
  windowSize: WINDOW_SIZE,
  build: buildImage,
  alone: (program, _, block, firstState) => ({ ...program, blocks: [block], firstState }),
  withItems: (block, items) => ({ ...block, items }),
  listItems: (items) =>
    items
      .flat()
      .map(({ bits, size }) => `    ${size === 2 ? disassembleCompressed(bits) : disassemble(bits)}`)
      .join("\n"),
  describeStates,
};

const ALL = Array.from({ length: 32 }, (_, i) => i);

export function lengthOf(codes: readonly Code[]): number {
  return codes.reduce((sum, code) => sum + code.size, 0);
}

/** Puts a program together, to be placed at TEXT_BASE and DATA_BASE and entered at TEXT_BASE. */
export function buildImage(program: Program): Image {
  const { pointer, link, blocks } = program;
  const dataSize = STATE_SIZE + blocks.length * BLOCK_SIZE;
  const [p, l] = [xRegisterName(pointer), xRegisterName(link)];
  // Any other register: it holds fcsr on its way, and gets its own value back.
  const other = xRegisterName(ALL.find((i) => i !== 0 && i !== pointer && i !== link) ?? 0);

  const prologue = `
    li ${p}, ${DATA_BASE}
    ld ${other}, 0(${p})
    fscsr ${other}
    ${ALL.map((i) => `fld ${fRegisterName(i)}, ${256 + 8 * i}(${p})`).join("\n")}
    ${ALL.filter((i) => i !== 0 && i !== pointer)
      .map((i) => `ld ${xRegisterName(i)}, ${8 * i}(${p})`)
      .join("\n")}
    addi ${p}, ${p}, ${STATE_SIZE}
    j blocks
  dump:
    ${ALL.filter((i) => i !== 0)
      .map((i) => `sd ${xRegisterName(i)}, ${WINDOW_SIZE + 8 * i}(${p})`)
      .join("\n")}
    ${ALL.map((i) => `fsd ${fRegisterName(i)}, ${WINDOW_SIZE + 256 + 8 * i}(${p})`).join("\n")}
    frcsr ${other}
    sd ${other}, ${WINDOW_SIZE}(${p})
    ld ${other}, ${WINDOW_SIZE + 8 * ALL.findIndex((i) => xRegisterName(i) === other)}(${p})
    addi ${p}, ${p}, ${BLOCK_SIZE}
    jr ${l}
  blocks:`;
  const head = assemble(prologue, { base: TEXT_BASE });
  const dump = head.symbols.get("dump") ?? TEXT_BASE;

  const chunks: Uint8Array[] = [head.bytes];
  let address = TEXT_BASE + head.bytes.length;
  const append = (bytes: Uint8Array): void => {
    chunks.push(bytes);
    address += bytes.length;
  };
  for (const block of blocks) {
    for (const item of block.items) append(bytesOf(item));
    append(assemble(`jal ${l}, dump`, { base: address, symbols: { dump } }).bytes);
  }
  append(
    assemble(
      `
        li s0, ${DATA_BASE}
        li s1, ${dataSize}
      1:
        li a0, 1
        mv a1, s0
        mv a2, s1
        li a7, 64
        ecall
        blez a0, 2f
        add s0, s0, a0
        sub s1, s1, a0
        bnez s1, 1b
      2:
        li a0, 0
        li a7, 94
        ecall
        j 2b`,
      { base: address },
    ).bytes,
  );

  const data = new Uint8Array(dataSize);
  data.set(program.firstState);
  blocks.forEach((block, i) => data.set(block.window, STATE_SIZE + i * BLOCK_SIZE));
  return { text: concatenate(chunks), data };
}

function bytesOf(item: Item): Uint8Array {
  const bytes = new Uint8Array(lengthOf(item));
  const view = new DataView(bytes.buffer);
  let offset = 0;
  for (const { bits, size } of item) {
    if (size === 2) view.setUint16(offset, bits, true);
    else view.setInt32(offset, bits, true);
    offset += size;
  }
  return bytes;
}

function concatenate(chunks: readonly Uint8Array[]): Uint8Array {
  const result = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let offset = 0;
  for (const chunk of chunks) {
    result.set(chunk, offset);
    offset += chunk.length;
  }
  return result;
}
