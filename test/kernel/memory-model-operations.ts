// Random operations for the memory model: plain data, so that a sequence of them can be repeated, cut down and printed.
//
//   windows of the address space where things happen
//     small     40 pages                              most of all
//     straddle  24 pages around a 2-MiB boundary      tables come and go
//     heap      16 pages                              brk
//     large     4 MiB, aligned                        mappings that large pages could serve
//     chosen    where the kernel has put something

import * as abi from "../../src/abi/linux/memory.ts";
import { EXECUTE, HEAD, PAGE, READ, TAIL, WRITE, type ModelProcess } from "./memory-model.ts";

export const SLOTS = 5;
/** Not on a page: brk counts bytes. */
export const BREAK_START = 0x3000_0800;
const HEAP_PAGES = 16;
const LARGE_WINDOW = { first: 0x4000_0000 / PAGE, pages: 1024 };
const WINDOWS = [
  { first: 0x1000_0000 / PAGE, pages: 40 },
  { first: 0x1000_0000 / PAGE, pages: 40 },
  { first: 0x2020_0000 / PAGE - 12, pages: 24 },
  { first: Math.ceil(BREAK_START / PAGE), pages: HEAP_PAGES },
] as const;
/** A stack begins at the end and grows down into the rest. */
export const STACK_WINDOW = { first: 0x5000_0000 / PAGE, pages: 300 };
const FILE_PAGES = 12;
/** Segments that operations speak of; of more, the latest. */
export const SEGMENTS = 4;
/** Files, besides memfds; the last one is on the host. */
export const FILE_NAMES = ["/f0", "/f1", "/h/f2"] as const;
const FILES = FILE_NAMES.length;

interface Common {
  /** Which process: a slot that may be empty when the operation comes. */
  readonly slot: number;
  readonly hart: number;
  /** Which allocation of a frame fails while the operation is tried; 0: none. It is then tried again without. */
  readonly fail: number;
}

export type Operation = Common &
  (
    | {
        readonly kind: "map";
        readonly page: number;
        readonly pages: number;
        readonly rights: number;
        readonly place: "anywhere" | "hint" | "fixed" | "no-replace";
        readonly shared: boolean;
        /** -1: anonymous. */
        readonly fd: number;
        readonly offset: number;
        readonly populate: boolean;
      }
    | { readonly kind: "unmap"; readonly page: number; readonly pages: number }
    | { readonly kind: "protect"; readonly page: number; readonly pages: number; readonly rights: number }
    | {
        readonly kind: "remap";
        readonly page: number;
        readonly pages: number;
        readonly newPages: number;
        readonly flags: number;
        readonly target: number;
      }
    | { readonly kind: "break"; readonly address: number }
    | { readonly kind: "fork"; readonly child: number }
    | { readonly kind: "exit" }
    | { readonly kind: "advise"; readonly page: number; readonly pages: number; readonly advice: number }
    | { readonly kind: "sync"; readonly page: number; readonly pages: number }
    | {
        readonly kind: "write";
        readonly page: number;
        readonly word: number;
        readonly value: number;
        /** By a system call of the process, and not by the process. */
        readonly byKernel: boolean;
      }
    | { readonly kind: "read"; readonly page: number }
    | { readonly kind: "execute"; readonly page: number }
    | { readonly kind: "open"; readonly file: number }
    | { readonly kind: "memfd"; readonly length: number }
    | { readonly kind: "close"; readonly fd: number }
    | { readonly kind: "truncate"; readonly fd: number; readonly length: number }
    /** The kernel reads the user's page into the file, or the file into the user's page. */
    | { readonly kind: "to-file" | "from-file"; readonly fd: number; readonly index: number; readonly page: number }
    /** System V shared memory, by the order in which segments were made. */
    | { readonly kind: "segment"; readonly pages: number }
    | { readonly kind: "attach"; readonly segment: number; readonly page: number; readonly anywhere: boolean }
    | { readonly kind: "detach"; readonly page: number }
    | { readonly kind: "remove"; readonly segment: number }
    /** fallocate: pages of a file become holes. */
    | { readonly kind: "punch"; readonly fd: number; readonly index: number; readonly pages: number }
    /** All that is swapped out comes back, and the area is used again. */
    | { readonly kind: "swapoff" }
    /** A region that grows down, at the top of its window. */
    | { readonly kind: "stack"; readonly pages: number }
    /** Reclaim takes up to so many frames from whoever has them. */
    | { readonly kind: "evict"; readonly frames: number }
    | { readonly kind: "bad"; readonly what: number }
  );

/** What the generator knows of the kernel under test. */
export interface Features {
  readonly memfd: boolean;
  readonly segments: boolean;
  readonly swap: boolean;
  readonly dontUnmap: boolean;
  /** Advice that is not EINVAL. */
  readonly advice: ReadonlySet<number>;
}

/** A 32-bit generator with the state in one word (splitmix). */
export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = seed | 0;
  }

  below(limit: number): number {
    this.state = (this.state + 0x9e3779b9) | 0;
    let z = this.state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return Math.floor((((z ^ (z >>> 15)) >>> 0) / 2 ** 32) * limit);
  }

  pick<T>(list: readonly T[]): T {
    const chosen = list[this.below(list.length)];
    if (chosen === undefined) throw new RangeError("a choice among nothing");
    return chosen;
  }

  chance(one: number, outOf: number): boolean {
    return this.below(outOf) < one;
  }
}

/** Kinds by how often they are wanted. */
const WEIGHTS: readonly (readonly [Operation["kind"], number])[] = [
  ["write", 30],
  ["read", 14],
  ["execute", 3],
  ["map", 14],
  ["unmap", 7],
  ["protect", 9],
  ["remap", 7],
  ["break", 3],
  ["fork", 4],
  ["exit", 3],
  ["advise", 7],
  ["sync", 1],
  ["open", 1],
  ["memfd", 1],
  ["close", 1],
  ["truncate", 3],
  ["to-file", 2],
  ["from-file", 2],
  ["segment", 1],
  ["attach", 3],
  ["detach", 1],
  ["remove", 1],
  ["evict", 3],
  ["punch", 1],
  ["swapoff", 1],
  ["stack", 1],
  ["bad", 1],
];
const CHOICES: readonly Operation["kind"][] = WEIGHTS.flatMap(([kind, weight]) =>
  Array.from({ length: weight }, () => kind),
);

const RIGHTS = [
  READ | WRITE,
  READ | WRITE,
  READ | WRITE,
  READ,
  0,
  READ | EXECUTE,
  EXECUTE,
  WRITE,
  READ | WRITE | EXECUTE,
];

/** A next operation for a process of `slots` that is alive. */
export function nextOperation(
  random: Random,
  slots: readonly (ModelProcess | undefined)[],
  harts: number,
  features: Features,
): Operation {
  const alive = slots.flatMap((process, slot) => (process === undefined ? [] : [slot]));
  const slot = random.pick(alive);
  const process = slots[slot];
  if (process === undefined) throw new RangeError("the slot is alive");
  const kind = random.pick(CHOICES);
  const common = { slot, hart: random.below(harts), fail: random.chance(1, 4) ? 1 + random.below(5) : 0 };
  const { page, pages } = range(random, process);
  switch (kind) {
    case "map":
      return { ...common, kind, ...mapping(random, process, page, pages) };
    case "unmap":
    case "sync":
      return { ...common, kind, page, pages };
    case "protect":
      return { ...common, kind, page, pages, rights: random.pick(RIGHTS) };
    case "remap":
      return { ...common, kind, ...remapping(random, process, page, pages, features) };
    case "break":
      return { ...common, kind, address: BREAK_START + random.below(HEAP_PAGES * PAGE) };
    case "fork": {
      const free = slots.findIndex((other) => other === undefined);
      return free < 0 ? { ...common, kind: "exit" } : { ...common, kind, child: free };
    }
    case "exit":
      return alive.length > 1 ? { ...common, kind } : { ...common, kind: "read", page };
    case "advise":
      return { ...common, kind, page, pages, advice: random.pick([...features.advice]) };
    case "write":
      return {
        ...common,
        kind,
        page,
        word: random.pick([HEAD, TAIL]),
        value: 1 + random.below(2 ** 31 - 1),
        byKernel: random.chance(1, 5),
      };
    case "read":
    case "execute":
      return { ...common, kind, page };
    case "open":
      return { ...common, kind, file: random.below(FILES) };
    case "memfd":
      return features.memfd
        ? { ...common, kind, length: random.below(FILE_PAGES * 2) * (PAGE / 2) }
        : { ...common, kind: "open", file: random.below(FILES) };
    case "evict":
      return features.swap
        ? { ...common, kind, frames: random.pick([1, 1, 4, 32, 1000]) }
        : { ...common, kind: "read", page };
    case "swapoff":
      return features.swap && random.chance(1, 8) ? { ...common, kind } : { ...common, kind: "read", page };
    case "stack":
      return { ...common, kind, pages: 1 + random.below(3) };
    case "segment":
    case "attach":
    case "detach":
    case "remove":
      return features.segments
        ? segmentOperation(random, process, common, kind, page)
        : { ...common, kind: "read", page };
    default:
      return fileOperation(random, process, common, kind, page);
  }
}

function segmentOperation(
  random: Random,
  process: ModelProcess,
  common: Common,
  kind: "segment" | "attach" | "detach" | "remove",
  page: number,
): Operation {
  if (kind === "segment") return { ...common, kind, pages: 1 + random.below(6) };
  const segment = random.below(SEGMENTS);
  if (kind === "attach") return { ...common, kind, segment, page, anywhere: random.chance(1, 2) };
  if (kind === "remove") return { ...common, kind, segment };
  const attached = [...process.pages].flatMap(([number, { kind: what }]) => (what === "segment" ? [number] : []));
  return { ...common, kind, page: attached.length === 0 ? page : random.pick(attached) };
}

function fileOperation(
  random: Random,
  process: ModelProcess,
  common: Common,
  kind: "close" | "truncate" | "to-file" | "from-file" | "punch" | "bad",
  page: number,
): Operation {
  if (kind === "bad") return { ...common, kind, what: random.below(1000) };
  const fds = [...process.files.keys()];
  if (fds.length === 0) return { ...common, kind: "open", file: random.below(FILES) };
  const fd = random.pick(fds);
  if (kind === "close") return { ...common, kind, fd };
  if (kind === "truncate") return { ...common, kind, fd, length: random.below(FILE_PAGES * 2) * (PAGE / 2) };
  const index = random.below(FILE_PAGES);
  return kind === "punch"
    ? { ...common, kind, fd, index, pages: 1 + random.below(4) }
    : { ...common, kind, fd, index, page };
}

/** Some pages of a window, or around something that the process has mapped. */
function range(random: Random, process: ModelProcess): { page: number; pages: number } {
  if (random.chance(1, 8) && process.pages.size > 0) {
    const keys = [...process.pages.keys()];
    return { page: Math.max(16, random.pick(keys) - random.below(2)), pages: 1 + random.below(5) };
  }
  if (random.chance(1, 25)) {
    const page = LARGE_WINDOW.first + random.pick([0, 0, 512, random.below(1024)]);
    const room = LARGE_WINDOW.first + LARGE_WINDOW.pages - page;
    return { page, pages: Math.min(room, random.pick([1, 3, 512, 512, 1024])) };
  }
  if (random.chance(1, 25)) {
    const page = STACK_WINDOW.first + STACK_WINDOW.pages - random.pick([1, 2, 4, 10, 40, 290]);
    return { page, pages: 1 };
  }
  const window = random.pick(WINDOWS);
  const at = random.below(window.pages);
  return {
    page: window.first + at,
    pages: 1 + random.below(Math.min(random.chance(1, 6) ? 24 : 6, window.pages - at)),
  };
}

function mapping(
  random: Random,
  process: ModelProcess,
  page: number,
  pages: number,
): Omit<Extract<Operation, { kind: "map" }>, keyof Common | "kind"> {
  const fds = [...process.files.keys()];
  const fd = fds.length > 0 && random.chance(1, 3) ? random.pick(fds) : -1;
  const place = random.pick(["fixed", "fixed", "fixed", "no-replace", "hint", "anywhere"] as const);
  return {
    page,
    pages,
    rights: random.pick(RIGHTS),
    place,
    shared: random.chance(1, 3),
    fd,
    offset: fd < 0 ? 0 : random.below(FILE_PAGES),
    populate: random.chance(1, 12),
  };
}

function remapping(
  random: Random,
  process: ModelProcess,
  page: number,
  pages: number,
  features: Features,
): Omit<Extract<Operation, { kind: "remap" }>, keyof Common | "kind"> {
  const target = range(random, process).page;
  const newPages = random.chance(1, 2) ? pages : 1 + random.below(8);
  const kinds = [0, abi.MREMAP_MAYMOVE, abi.MREMAP_MAYMOVE, abi.MREMAP_MAYMOVE | abi.MREMAP_FIXED];
  if (features.dontUnmap) {
    kinds.push(abi.MREMAP_MAYMOVE | abi.MREMAP_DONTUNMAP);
    kinds.push(abi.MREMAP_MAYMOVE | abi.MREMAP_DONTUNMAP | abi.MREMAP_FIXED);
  }
  const flags = random.pick(kinds);
  return { page, pages, newPages: (flags & abi.MREMAP_DONTUNMAP) !== 0 ? pages : newPages, flags, target };
}

/** One line for a report. */
export function describeOperation(operation: Operation): string {
  const { kind, slot, hart, fail, ...rest } = operation;
  const details = Object.entries(rest).map(([name, value]) => {
    const isPlace = typeof value === "number" && (name === "page" || name === "target" || name === "address");
    return `${name} ${isPlace ? `0x${value.toString(16)}` : String(value)}`;
  });
  const failure = fail === 0 ? "" : `, allocation ${fail} fails`;
  return `process ${slot} on hart ${hart}: ${kind} ${details.join(", ")}${failure}`;
}
