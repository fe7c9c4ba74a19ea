// Runs one program on two machines, and narrows a difference down to the instruction that makes it. A program is blocks of items, each
// block followed by a dump of the whole state; its data is
//
//     +-------+--------+-------+--------+-------+---
//     | first | window | state | window | state | ...      a block's memory is its window
//     | state | of     | after | of     | after |
//     |       | block 0|       | block 1|       |
//     +-------+--------+-------+--------+-------+---

/** A program's bytes. */
export interface Image {
  readonly text: Uint8Array;
  readonly data: Uint8Array;
}

export interface BlockOf<Item> {
  readonly items: readonly Item[];
  /** The window as it is at first. */
  readonly window: Uint8Array;
}

export interface ProgramOf<Block> {
  readonly firstState: Uint8Array;
  readonly blocks: readonly Block[];
}

/** What programs of one architecture are made of. */
export interface ProgramKind<Item, Block extends BlockOf<Item>, Program extends ProgramOf<Block>> {
  readonly stateSize: number;
  readonly windowSize: number;
  build(program: Program): Image;
  /** The program of that block alone, from a state; the block's place is as in `program` as far as that matters. */
  alone(program: Program, index: number, block: Block, firstState: Uint8Array): Program;
  /** The block with these items only. */
  withItems(block: Block, items: readonly Item[]): Block;
  /** A line for each instruction. */
  listItems(items: readonly Item[]): string;
  /** What changed, and on what the outcomes disagree. */
  describeStates(before: Uint8Array, expected: Uint8Array, ours: Uint8Array): string;
}

/** What became of a program on a machine. */
export interface Outcome {
  /** The program's data as it is when the program is about to write it out, or where it stopped. */
  readonly data: Uint8Array;
  /** Why it did not come to its end; undefined when it did. */
  readonly failure: string | undefined;
}

/** Runs an image on a machine, for about as many instructions at most. */
export type Runner = (image: Image, instructionLimit: number) => Outcome;

/** The machine that is right, and the one under test. */
export interface Pair {
  readonly reference: Runner;
  readonly tested: Runner;
}

/** Far more instructions than any block executes with its dump and its loops. */
const INSTRUCTIONS_PER_BLOCK = 100_000;
/** Bytes of memory in a line of a report. */
const LINE = 32;

function limitOf({ blocks }: ProgramOf<unknown>): number {
  return (blocks.length + 1) * INSTRUCTIONS_PER_BLOCK;
}

/** Compares two machines by programs of one kind. */
export class Differential<Item, Block extends BlockOf<Item>, Program extends ProgramOf<Block>> {
  private readonly kind: ProgramKind<Item, Block, Program>;

  constructor(kind: ProgramKind<Item, Block, Program>) {
    this.kind = kind;
  }

  /** A report of the first difference between the two machines, or undefined when there is none. */
  findDifference(program: Program, pair: Pair): string | undefined {
    return this.compare(program, pair.reference, [pair.tested]);
  }

  /** The same for several machines under test. */
  compare(program: Program, reference: Runner, tested: readonly Runner[]): string | undefined {
    const image = this.kind.build(program);
    const limit = limitOf(program);
    const expected = reference(image, limit);
    if (expected.failure !== undefined) return `the reference fails: ${expected.failure}`;
    for (const runner of tested) {
      const report = this.explain(program, { reference, tested: runner }, expected, runner(image, limit));
      if (report !== undefined) return report;
    }
    return undefined;
  }

  private explain(program: Program, pair: Pair, expected: Outcome, ours: Outcome): string | undefined {
    const { kind } = this;
    const index = program.blocks.findIndex((_, i) => !this.isSameBlock(expected.data, ours.data, i));
    const block = program.blocks[index];
    if (block === undefined) return ours.failure;
    // The block by itself, from the state that the reference had before it.
    const before = index === 0 ? program.firstState : this.stateAfter(expected.data, index - 1);
    for (let count = 1; count <= block.items.length; count++) {
      const prefix = (length: number): Program =>
        kind.alone(program, index, kind.withItems(block, block.items.slice(0, length)), before);
      const report = this.reportPrefix(prefix, block, count, pair);
      if (report !== undefined) return `block ${index}, item ${count - 1}\n${report}`;
    }
    const states = kind.describeStates(
      before,
      this.stateAfter(expected.data, index),
      this.stateAfter(ours.data, index),
    );
    const what = ours.failure ?? "it ends with another state";
    return `block ${index} differs, but not when it runs alone: ${what}\n${kind.listItems(block.items)}\n${states}`;
  }

  /** Runs the first `count` items of a block; a report when their outcomes differ. */
  private reportPrefix(
    prefix: (length: number) => Program,
    block: Block,
    count: number,
    pair: Pair,
  ): string | undefined {
    const { kind } = this;
    const expected = this.run(pair.reference, prefix(count)).data;
    const { data: ours, failure } = this.run(pair.tested, prefix(count));
    if (this.isSameBlock(expected, ours, 0)) return undefined;
    const before = this.run(pair.reference, prefix(count - 1)).data;
    const rows = [
      failure ?? "it ends with another state",
      kind.listItems(block.items.slice(count - 1, count)),
      kind.describeStates(this.stateAfter(before, 0), this.stateAfter(expected, 0), this.stateAfter(ours, 0)),
    ];
    for (let at = 0; at < kind.windowSize; at += LINE) {
      const line = (data: Uint8Array): string =>
        Buffer.from(data.subarray(kind.stateSize + at, kind.stateSize + at + LINE)).toString("hex");
      if (line(expected) === line(ours)) continue;
      rows.push(
        `memory at ${String(at).padEnd(3)} before ${line(before)}`,
        `            expected ${line(expected)}`,
        `                ours ${line(ours)}`,
      );
    }
    return rows.join("\n");
  }

  private run(runner: Runner, program: Program): Outcome {
    return runner(this.kind.build(program), limitOf(program));
  }

  private blockStart(index: number): number {
    return this.kind.stateSize + index * (this.kind.windowSize + this.kind.stateSize);
  }

  private isSameBlock(a: Uint8Array, b: Uint8Array, index: number): boolean {
    const range = [this.blockStart(index), this.blockStart(index + 1)] as const;
    return Buffer.compare(a.subarray(...range), b.subarray(...range)) === 0;
  }

  private stateAfter(data: Uint8Array, index: number): Uint8Array {
    return data.slice(this.blockStart(index) + this.kind.windowSize, this.blockStart(index + 1));
  }
}
