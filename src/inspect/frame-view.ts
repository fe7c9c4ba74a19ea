// Physical memory as a picture: who owns each frame, what is free and in which order it will be handed out.
//
//   0x80000000 KKKKKKKKKKKKKKKKSSTTTTRAAAAFFFFFFFFAAAAaa...__________     a letter a group of frames; a small one: some of them are free
//
// Counted anew from the state, apart from the kernel's own totals.

import type { Kernel } from "../kernel/kernel.ts";
import { BLOCK_FRAMES, listFreeBlocks, listFreeFrames } from "../kernel/mem/frames.ts";
import { watermarks } from "../kernel/mem/reclaim.ts";
import { framesInLimbo } from "../kernel/mem/shootdown.ts";
import { FRAME_OWNERS, type FrameOwner } from "../kernel/mem/types.ts";
import { formatAddress } from "./page-table-view.ts";
import { readSwap, type SwapView } from "./swap-view.ts";
import { wrapText, wrapWords } from "./wrap.ts";

/** Letter of each owner in the map; free frames have signs instead. */
const LETTERS: Readonly<Record<FrameOwner, string>> = {
  free: ".",
  "free-block": "_",
  kernel: "K",
  "page-table": "T",
  trapframe: "R",
  anonymous: "A",
  freeable: "L",
  file: "F",
  "kernel-stack": "S",
};

/** SGR codes (ECMA-48, 8.3.117): foreground colours. */
const COLOURS: Readonly<Record<FrameOwner, number>> = {
  free: 2,
  "free-block": 2,
  kernel: 31,
  "page-table": 33,
  trapframe: 35,
  anonymous: 32,
  freeable: 92,
  file: 36,
  "kernel-stack": 34,
};

export interface FrameView {
  readonly firstFrame: number;
  readonly frameCount: number;
  readonly free: number;
  /** Frames by owner, and how many of them have more than one use. */
  readonly owners: readonly { readonly owner: FrameOwner; readonly frames: number; readonly shared: number }[];
  /** Used frames by share count, ascending. */
  readonly shareCounts: readonly { readonly count: number; readonly frames: number }[];
  /** Runs of adjacent free frames: how many, and the longest. */
  readonly freeRuns: { readonly count: number; readonly longest: number; readonly longestAt: number };
  /** In the order in which they are handed out, as many as were asked for: frame numbers; of blocks, of the first frame. */
  readonly freeList: readonly number[];
  readonly freeBlocks: readonly number[];
  readonly freeSingles: number;
  readonly freeBlockCount: number;
  /** Blocks all of whose frames are free and on the list of single ones: they join when a block is wanted. */
  readonly joinableBlocks: number;
  /** Uses of frames that end once other harts have dropped their translations. */
  readonly limbo: number;
  readonly watermarks: { readonly low: number; readonly high: number };
  readonly swap: SwapView;
}

/** `limit` bounds the lists of free frames and blocks. */
export function readFrames(k: Kernel, limit: number): FrameView {
  const { frames } = k.state.memory;
  const owners = new Map<FrameOwner, { frames: number; shared: number }>();
  const shareCounts = new Map<number, number>();
  const freeRuns = { count: 0, longest: 0, longestAt: 0 };
  let run = 0;
  for (let at = 0; at < frames.frameCount; at++) {
    const owner = ownerAt(k, at);
    const count = frames.shareCounts[at] ?? 0;
    const of = owners.get(owner) ?? { frames: 0, shared: 0 };
    of.frames += 1;
    if (count > 1) of.shared += 1;
    owners.set(owner, of);
    if (count > 0) shareCounts.set(count, (shareCounts.get(count) ?? 0) + 1);
    run = count === 0 ? run + 1 : 0;
    if (run === 1) freeRuns.count += 1;
    if (run > freeRuns.longest) {
      freeRuns.longest = run;
      freeRuns.longestAt = frames.firstFrame + at + 1 - run;
    }
  }
  const blockFrames = owners.get("free-block")?.frames ?? 0;
  return {
    firstFrame: frames.firstFrame,
    frameCount: frames.frameCount,
    free: frames.freeCount,
    owners: FRAME_OWNERS.flatMap((owner) => {
      const of = owners.get(owner);
      return of === undefined ? [] : { owner, ...of };
    }),
    shareCounts: [...shareCounts].sort((a, b) => a[0] - b[0]).map(([count, of]) => ({ count, frames: of })),
    freeRuns,
    freeList: listFreeFrames(k, limit),
    freeBlocks: listFreeBlocks(k, limit),
    freeSingles: owners.get("free")?.frames ?? 0,
    freeBlockCount: blockFrames / BLOCK_FRAMES,
    joinableBlocks: frames.wholeBlocks,
    limbo: framesInLimbo(k),
    watermarks: watermarks(k),
    swap: readSwap(k),
  };
}

function ownerAt(k: Kernel, at: number): FrameOwner {
  return FRAME_OWNERS[k.state.memory.frames.owners[at] ?? 0] ?? "free";
}

export interface FrameFormat {
  /** Characters of a line. */
  readonly width: number;
  /** Entries of each free list. */
  readonly limit: number;
  readonly colour: boolean;
}

/** Lines of the map at most; groups of frames grow until it has no more. */
const MAP_LINES = 32;
const ADDRESS_WIDTH = 13;

export function formatFrames(k: Kernel, format: FrameFormat): string {
  const view = readFrames(k, format.limit);
  const { free, frameCount, watermarks: marks } = view;
  const state = free < marks.low ? ": reclaim is due" : "";
  return [
    `${frameCount} frames of 4 KiB, ${free} free; watermarks ${marks.low} and ${marks.high}${state}`,
    "",
    ...formatMap(k, format),
    "",
    ...formatHistogram(
      "owner",
      view.owners.map(({ owner, frames, shared }) => ({
        name: `${LETTERS[owner]} ${owner}`,
        frames,
        note: shared === 0 ? "" : `${shared} shared`,
      })),
      format.width,
    ),
    "",
    ...formatHistogram("uses", shareRows(view), format.width),
    "",
    ...formatFree(view, format),
    `in limbo until other harts have dropped their translations: ${view.limbo}`,
    "",
    ...(view.swap.areas.length === 0 ? ["no swap area"] : []),
    ...view.swap.areas.map(
      ({ device, priority, used, pages }) =>
        `swap area /dev/${device}, priority ${priority}: ${used} of ${pages} pages used`,
    ),
    `swap cache: ${view.swap.cached} frames`,
  ].join("\n");
}

/** The map: a line for so many frames that its address is round. */
function formatMap(k: Kernel, { width, colour }: FrameFormat): string[] {
  const { firstFrame, frameCount } = k.state.memory.frames;
  const columns = 2 ** Math.floor(Math.log2(Math.max(16, width - ADDRESS_WIDTH)));
  let group = 1;
  while (Math.ceil(frameCount / (group * columns)) > MAP_LINES) group *= 2;
  const lines: string[] = [];
  let previous = "";
  for (let at = 0; at < frameCount; at += group * columns) {
    let text = "";
    let painted = 0;
    for (let column = 0; column < columns && at + column * group < frameCount; column++) {
      const { letter, owner } = groupAt(k, at + column * group, Math.min(frameCount, at + (column + 1) * group));
      const code = COLOURS[owner];
      if (colour && code !== painted) text += `\x1b[0;${code}m`;
      painted = code;
      text += letter;
    }
    if (text !== previous)
      lines.push(`${formatAddress((firstFrame + at) * 4096, 10)} ${text}${colour ? "\x1b[0m" : ""}`);
    else if (lines.at(-1) !== "*") lines.push("*");
    previous = text;
  }
  const scale =
    group === 1 ? "one frame" : `${group} frames: the owner of most of the used ones, small where some are free`;
  return [
    ...wrapText(`each sign is ${scale}; * stands for lines like the one above`, width),
    ...wrapWords(
      FRAME_OWNERS.map((owner) => `${LETTERS[owner]} ${owner === "free-block" ? "free, in a block of 2 MiB" : owner}`),
      width,
    ),
    ...lines,
  ];
}

/** The owner of most used frames of a group, if any is used. */
function groupAt(k: Kernel, from: number, to: number): { letter: string; owner: FrameOwner } {
  const counts = new Map<FrameOwner, number>();
  for (let at = from; at < to; at++) counts.set(ownerAt(k, at), (counts.get(ownerAt(k, at)) ?? 0) + 1);
  const isFree = (owner: FrameOwner): boolean => owner === "free" || owner === "free-block";
  const used = [...counts].filter(([owner]) => !isFree(owner)).sort((a, b) => b[1] - a[1]);
  const most = used[0]?.[0];
  if (most === undefined) {
    const owner = counts.has("free") ? "free" : "free-block";
    return { letter: LETTERS[owner], owner };
  }
  const hasFree = [...counts.keys()].some(isFree);
  return { letter: hasFree ? LETTERS[most].toLowerCase() : LETTERS[most], owner: most };
}

interface HistogramRow {
  readonly name: string;
  readonly frames: number;
  readonly note: string;
}

/** Rows for 1, 2, 3-4, 5-8 … uses. */
function shareRows({ shareCounts }: FrameView): HistogramRow[] {
  const buckets = new Map<number, number>();
  for (const { count, frames } of shareCounts) {
    const top = 2 ** Math.ceil(Math.log2(count));
    buckets.set(top, (buckets.get(top) ?? 0) + frames);
  }
  return [...buckets].map(([top, frames]) => ({
    name: top <= 2 ? `${top}` : `${top / 2 + 1}-${top}`,
    frames,
    note: "",
  }));
}

function formatHistogram(title: string, rows: readonly HistogramRow[], width: number): string[] {
  const names = Math.max(title.length, ...rows.map(({ name }) => name.length));
  const notes = Math.max(0, ...rows.map(({ note }) => note.length));
  const most = Math.max(1, ...rows.map(({ frames }) => frames));
  const bar = Math.max(8, Math.min(60, width - names - notes - 14));
  return [
    `${title.padEnd(names)} ${"frames".padStart(8)}`,
    ...rows.map(({ name, frames, note }) =>
      `${name.padEnd(names)} ${String(frames).padStart(8)} ${"#".repeat(Math.ceil((frames / most) * bar))} ${note}`.trimEnd(),
    ),
  ];
}

function formatFree(view: FrameView, { width, limit }: FrameFormat): string[] {
  const { freeRuns, freeSingles, freeBlockCount, joinableBlocks } = view;
  const list = (title: string, frames: readonly number[], total: number): string[] => {
    const cells = frames.map((frame) => formatAddress(frame * 4096, 8));
    const rest = total - frames.length;
    const text = cells.length === 0 ? ["none"] : [...cells, ...(rest > 0 ? [`… ${rest} more`] : [])];
    return [...wrapText(title, width), ...wrapWords(text, width - 2, " -> ").map((line) => `  ${line}`)];
  };
  const first = (total: number): string => (total > limit ? `, the first ${limit}` : "");
  return [
    `free: ${freeRuns.count} runs, the longest of ${freeRuns.longest} frames at ${formatAddress(freeRuns.longestAt * 4096, 8)}`,
    ...list(`single frames in the order of their use${first(freeSingles)}`, view.freeList, freeSingles),
    ...list(
      `blocks of 2 MiB in the order of their use${first(freeBlockCount)} (${joinableBlocks} more would join from single frames)`,
      view.freeBlocks,
      freeBlockCount,
    ),
  ];
}
