// The frame allocator.
//
//   freeHead ──> frame <──> frame <──> frame          single frames: last in, first out; the links to the next and to the previous
//                 |links|    |links|    |links|        one lie in the first 16 bytes of each free frame
//
//   blockHead ─> 2 MiB <──> 2 MiB <──> 2 MiB          aligned blocks of 512 frames, linked in the same way
//
// A frame is taken from the list of single frames; when that is empty a block is broken up, so the memory of an idle machine
// stays untouched. A block is taken from the block list; when that is empty, blocks all of whose frames are free and single come
// together again: each block counts its free single frames, and the links both ways let them leave their list at once.
// The order of release shapes the list, as in xv6's kalloc.

import { frameAddress, frameOf, PAGE_SIZE, physAddr, type FrameNumber, type PhysAddr } from "../../lib/address.ts";
import { KernelBug, type Kernel } from "../kernel.ts";
import { forgetCached } from "./swap-slots.ts";
import { FRAME_OWNERS, type FrameOwner, type FrameState } from "./types.ts";

/** Frames of a block: what a page one level above the last maps (2 MiB). */
export const BLOCK_FRAMES = 512;

/** Index of each owner in `FRAME_OWNERS`, as `FrameState.owners` stores it. */
export const OWNER_INDEX: Readonly<Record<FrameOwner, number>> = Object.fromEntries(
  FRAME_OWNERS.map((owner, index) => [owner, index]),
) as Record<FrameOwner, number>;

/** The allocator's state for RAM of `frameCount` frames: nothing is free until `freeRange`. */
export function createFrameState(firstFrame: FrameNumber, frameCount: number): FrameState {
  return {
    firstFrame,
    frameCount,
    freeHead: 0,
    freeCount: 0,
    blockHead: 0,
    freeInBlock: new Uint16Array(blockOf(firstFrame + frameCount - 1) - blockOf(firstFrame) + 1),
    wholeBlocks: 0,
    freeableCount: 0,
    failCountdown: 0,
    shareCounts: new Uint32Array(frameCount).fill(1),
    owners: new Uint8Array(frameCount).fill(OWNER_INDEX.kernel),
    families: new Uint32Array(frameCount),
    takers: new Uint32Array(frameCount),
    pageIndices: new Float64Array(frameCount),
  };
}

/** Start-up: gives all whole frames of [start, end) to the allocator, whole blocks as such. They leave it in ascending order. */
export function freeRange(k: Kernel, start: PhysAddr, end: PhysAddr): void {
  const first = Math.ceil(start / PAGE_SIZE);
  const last = Math.floor(end / PAGE_SIZE);
  const firstBlock = Math.min(Math.ceil(first / BLOCK_FRAMES), Math.floor(last / BLOCK_FRAMES));
  const lastBlock = Math.max(firstBlock, Math.floor(last / BLOCK_FRAMES));
  for (let block = lastBlock - 1; block >= firstBlock; block--) pushBlock(k, (block * BLOCK_FRAMES) as FrameNumber);
  const afterBlocks = Math.max(lastBlock * BLOCK_FRAMES, first);
  for (let frame = last - 1; frame >= afterBlocks; frame--) pushFrame(k, frame as FrameNumber);
  for (let frame = Math.min(firstBlock * BLOCK_FRAMES, last) - 1; frame >= first; frame--)
    pushFrame(k, frame as FrameNumber);
}

/** A frame with one use. It is zeroed unless the caller is to overwrite all of it. */
export function allocateFrame(
  k: Kernel,
  owner: FrameOwner,
  contents: "zeroed" | "unset" = "zeroed",
): FrameNumber | "ENOMEM" {
  const { frames } = k.state.memory;
  if (mustFail(frames) || (frames.freeHead === 0 && !breakBlock(k))) return "ENOMEM";
  const address = physAddr(frames.freeHead);
  unlinkFrame(k, frameOf(address));
  if (contents === "zeroed") k.memory.fill(address, PAGE_SIZE, 0);
  const frame = frameOf(address);
  take(k, frame, owner);
  return frame;
}

/**
 * `count` contiguous frames, aligned to their count, each with one use, zeroed unless the caller is to overwrite them. `count` is a power of
 * two; above `BLOCK_FRAMES`, the frames of so many blocks in a row.
 */
export function allocateFrames(
  k: Kernel,
  count: number,
  owner: FrameOwner,
  contents: "zeroed" | "unset" = "zeroed",
): FrameNumber | "ENOMEM" {
  if (!(count >= 1) || !Number.isInteger(Math.log2(count))) throw new KernelBug(`${count} contiguous frames`);
  const { frames } = k.state.memory;
  if (mustFail(frames)) return "ENOMEM";
  const first = count > BLOCK_FRAMES ? takeBlocks(k, count) : takeBlock(k);
  if (first === "ENOMEM") return "ENOMEM";
  for (let i = BLOCK_FRAMES - 1; i >= count; i--) pushFrame(k, (first + i) as FrameNumber);
  if (contents === "zeroed") k.memory.fill(frameAddress(first), count * PAGE_SIZE, 0);
  for (let i = 0; i < count; i++) take(k, (first + i) as FrameNumber, owner);
  return first;
}

/** Whether a block can be had, at once or by joining single frames. */
export function hasFreeBlock(k: Kernel): boolean {
  const { frames } = k.state.memory;
  return frames.blockHead !== 0 || frames.wholeBlocks > 0;
}

/** A whole block off the lists. */
function takeBlock(k: Kernel): FrameNumber | "ENOMEM" {
  const { frames } = k.state.memory;
  if (frames.blockHead === 0) joinBlocks(k);
  if (frames.blockHead === 0) return "ENOMEM";
  const first = frameOf(frames.blockHead);
  unlinkBlock(k, first);
  return first;
}

/** Aligned blocks in a row off the lists, `count` frames in all. */
function takeBlocks(k: Kernel, count: number): FrameNumber | "ENOMEM" {
  const { frames } = k.state.memory;
  joinBlocks(k);
  const last = frames.firstFrame + frames.frameCount - count;
  for (let first = Math.ceil(frames.firstFrame / count) * count; first <= last; first += count) {
    const blocks = Array.from({ length: count / BLOCK_FRAMES }, (_, i) => (first + i * BLOCK_FRAMES) as FrameNumber);
    if (!blocks.every((block) => frameOwner(k, block) === "free-block")) continue;
    for (const block of blocks) unlinkBlock(k, block);
    return first as FrameNumber;
  }
  return "ENOMEM";
}

/** Counts one more use of a frame. */
export function retainFrame(k: Kernel, frame: FrameNumber): void {
  const { frames } = k.state.memory;
  const index = indexOf(frames, frame);
  if (frames.shareCounts[index] === 0) throw new KernelBug(`retain of free frame ${frame}`);
  frames.shareCounts[index] = frameShareCount(k, frame) + 1;
}

/** Counts one more use of each frame among the first `count` slots of a chunk (page-map.ts). */
export function retainSlots(k: Kernel, slots: Int32Array, count: number): void {
  const { shareCounts, firstFrame } = k.state.memory.frames;
  for (let i = 0; i < count; i++) {
    const slot = slots[i] ?? 0;
    if (slot <= 0) continue;
    const before = shareCounts[slot - firstFrame] ?? 0;
    if (before === 0) throw new KernelBug(`retain of free frame ${slot}`);
    shareCounts[slot - firstFrame] = before + 1;
  }
}

/**
 * Counts one use less; the last one frees the frame. No PTE may lead to it any more then, and no TLB entry of a hart but of those that
 * have still to acknowledge a shootdown: the frame waits for them in limbo (shootdown.ts, INV-4).
 */
export function releaseFrame(k: Kernel, frame: FrameNumber): void {
  const awaited = k.state.memory.shootdowns.pending.at(-1);
  if (awaited !== undefined && frameShareCount(k, frame) === 1) awaited.frames.push(frame);
  else releaseFrameNow(k, frame);
}

/** As `releaseFrame`, for a frame that no hart's TLB leads to. */
export function releaseFrameNow(k: Kernel, frame: FrameNumber): void {
  const { frames } = k.state.memory;
  const index = indexOf(frames, frame);
  const count = frames.shareCounts[index] ?? 0;
  if (count === 0) throw new KernelBug(`release of free frame ${frame}`);
  if (count > 1) {
    frames.shareCounts[index] = count - 1;
    return;
  }
  forgetCached(k, frame);
  // What is read through a stale translation then shows at once.
  if (k.state.config.checkInvariants) k.memory.fill(frameAddress(frame), PAGE_SIZE, 0xa5);
  pushFrame(k, frame);
  k.probes.frameFree?.(frame);
}

/** Gives up a use of each frame among the first `count` slots of a chunk; those of which it is the last use are put on `last` instead. */
export function releaseSlots(k: Kernel, slots: Int32Array, count: number, last: FrameNumber[]): void {
  const { shareCounts, firstFrame } = k.state.memory.frames;
  for (let i = 0; i < count; i++) {
    const slot = slots[i] ?? 0;
    if (slot <= 0) continue;
    const before = shareCounts[slot - firstFrame] ?? 0;
    if (before > 1) shareCounts[slot - firstFrame] = before - 1;
    else last.push(slot as FrameNumber);
  }
}

/** Releases each of the frames, as `releaseFrame` does; a whole block among them, in order and used once, in one step. */
export function releaseFrames(k: Kernel, released: readonly FrameNumber[]): void {
  const awaited = k.state.memory.shootdowns.pending.at(-1);
  if (awaited === undefined) releaseFramesNow(k, released);
  else for (const frame of released) releaseFrame(k, frame);
}

/** As `releaseFrames`, for frames that no hart's TLB leads to. */
export function releaseFramesNow(k: Kernel, released: readonly FrameNumber[]): void {
  const { shareCounts, firstFrame } = k.state.memory.frames;
  for (let at = 0; at < released.length;) {
    const first = released[at] as FrameNumber; // at < length
    const count = shareCounts[first - firstFrame] ?? 0;
    if (count > 1) {
      shareCounts[first - firstFrame] = count - 1;
      at += 1;
      continue;
    }
    if (count === 0) throw new KernelBug(`release of free frame ${first}`);
    const run = runWithinBlock(k, released, at);
    if (completesBlock(k, first, run)) releaseRestOfBlock(k, first, run);
    else for (let i = 0; i < run; i++) releaseFrameNow(k, (first + i) as FrameNumber);
    at += run;
  }
}

/** How many frames in a row, of one block and each used once, lie in `released` from `at` on; at least 1. */
function runWithinBlock(k: Kernel, released: readonly FrameNumber[], at: number): number {
  const { shareCounts, firstFrame } = k.state.memory.frames;
  const first = released[at] as FrameNumber; // the caller's at < length
  const end = Math.min(released.length - at, BLOCK_FRAMES - (first % BLOCK_FRAMES));
  let run = 1;
  while (run < end && released[at + run] === first + run && shareCounts[first + run - firstFrame] === 1) run += 1;
  return run;
}

/** Whether a block is free when `count` frames of it from `first` on are, which are most of it. */
function completesBlock(k: Kernel, first: FrameNumber, count: number): boolean {
  const { frames } = k.state.memory;
  if (count < BLOCK_FRAMES / 2) return false;
  const free = frames.freeInBlock[blockOf(first) - blockOf(frames.firstFrame)] ?? 0;
  return count + free === BLOCK_FRAMES;
}

/** Frees the frames of a block that are in use, `count` from `first` on, and makes it a free block: only its single frames have links. */
function releaseRestOfBlock(k: Kernel, first: FrameNumber, count: number): void {
  const { frames, swap } = k.state.memory;
  const block = (blockOf(first) * BLOCK_FRAMES) as FrameNumber;
  for (let frame: number = block; frame < block + BLOCK_FRAMES; frame++) {
    if (frame < first || frame >= first + count) unlinkFrame(k, frame as FrameNumber);
  }
  for (let i = 0; i < count; i++) {
    if (swap.slots.size > 0) forgetCached(k, (first + i) as FrameNumber);
    if (frames.freeableCount > 0) setFreeable(k, (first + i) as FrameNumber, false);
  }
  if (k.state.config.checkInvariants) k.memory.fill(frameAddress(first), count * PAGE_SIZE, 0xa5);
  pushBlock(k, block);
  const { frameFree } = k.probes;
  if (frameFree !== undefined) for (let i = 0; i < count; i++) frameFree((first + i) as FrameNumber);
}

export function frameShareCount(k: Kernel, frame: FrameNumber): number {
  const { frames } = k.state.memory;
  return frames.shareCounts[indexOf(frames, frame)] ?? 0;
}

/** Free frames, those in blocks included. */
export function freeFrameCount(k: Kernel): number {
  return k.state.memory.frames.freeCount;
}

export function frameOwner(k: Kernel, frame: FrameNumber): FrameOwner {
  const { frames } = k.state.memory;
  return FRAME_OWNERS[frames.owners[indexOf(frames, frame)] ?? 0] ?? "free";
}

/** Says of a frame with one use whether reclaim may drop what it holds. */
export function setFreeable(k: Kernel, frame: FrameNumber, isFreeable: boolean): void {
  const { frames } = k.state.memory;
  const index = indexOf(frames, frame);
  const owner = OWNER_INDEX[isFreeable ? "freeable" : "anonymous"];
  if (isFreeable === (frames.owners[index] === OWNER_INDEX.freeable)) return;
  frames.owners[index] = owner;
  frames.freeableCount += isFreeable ? 1 : -1;
}

/** Whether `frame` is RAM that the allocator knows. */
export function isRam(k: Kernel, frame: FrameNumber): boolean {
  const { frames } = k.state.memory;
  return frame >= frames.firstFrame && frame < frames.firstFrame + frames.frameCount;
}

/** The free single frames, the next one to be allocated first; at most `limit` of them. */
export function listFreeFrames(k: Kernel, limit = Infinity): FrameNumber[] {
  return followLinks(k, k.state.memory.frames.freeHead, limit);
}

/** The first frame of each free block; at most `limit` of them. */
export function listFreeBlocks(k: Kernel, limit = Infinity): FrameNumber[] {
  return followLinks(k, k.state.memory.frames.blockHead, limit);
}

/** Counts an allocation, and says whether it is the one that tests want to fail (`FrameState.failCountdown`). */
function mustFail(frames: FrameState): boolean {
  if (frames.failCountdown === 0) return false;
  frames.failCountdown -= 1;
  return frames.failCountdown === 0;
}

function followLinks(k: Kernel, head: PhysAddr | 0, limit: number): FrameNumber[] {
  const found: FrameNumber[] = [];
  const bound = Math.min(limit, k.state.memory.frames.frameCount + 1); // a cycle is the checker's to report
  for (let at = head; at !== 0 && found.length < bound; at = readLink(k, at)) found.push(frameOf(at));
  return found;
}

function pushFrame(k: Kernel, frame: FrameNumber): void {
  const { frames } = k.state.memory;
  frames.freeHead = link(k, frame, frames.freeHead);
  frames.freeCount += 1;
  mark(frames, frame, 0, "free");
  countInBlock(frames, frame, 1);
}

/** Takes a free single frame off its list. */
function unlinkFrame(k: Kernel, frame: FrameNumber): void {
  const { frames } = k.state.memory;
  frames.freeHead = unlink(k, frame, frames.freeHead);
  frames.freeCount -= 1;
  countInBlock(frames, frame, -1);
}

function pushBlock(k: Kernel, first: FrameNumber): void {
  const { frames } = k.state.memory;
  frames.blockHead = link(k, first, frames.blockHead);
  frames.freeCount += BLOCK_FRAMES;
  const index = indexOf(frames, first);
  frames.shareCounts.fill(0, index, index + BLOCK_FRAMES);
  frames.owners.fill(OWNER_INDEX["free-block"], index, index + BLOCK_FRAMES);
  frames.families.fill(0, index, index + BLOCK_FRAMES);
}

/** Takes a free block off its list. */
function unlinkBlock(k: Kernel, first: FrameNumber): void {
  const { frames } = k.state.memory;
  frames.blockHead = unlink(k, first, frames.blockHead);
  frames.freeCount -= BLOCK_FRAMES;
}

/** Turns the first free block into single frames. */
function breakBlock(k: Kernel): boolean {
  const { frames } = k.state.memory;
  if (frames.blockHead === 0) return false;
  const first = frameOf(frames.blockHead);
  unlinkBlock(k, first);
  for (let i = BLOCK_FRAMES - 1; i >= 0; i--) pushFrame(k, (first + i) as FrameNumber);
  return true;
}

/** Makes blocks of all single frames that fill one; the other frames keep their order in the list. */
function joinBlocks(k: Kernel): void {
  const { frames } = k.state.memory;
  for (let at = 0; frames.wholeBlocks > 0 && at < frames.freeInBlock.length; at++) {
    if (frames.freeInBlock[at] !== BLOCK_FRAMES) continue;
    const first = ((blockOf(frames.firstFrame) + at) * BLOCK_FRAMES) as FrameNumber;
    for (let i = 0; i < BLOCK_FRAMES; i++) unlinkFrame(k, (first + i) as FrameNumber);
    pushBlock(k, first);
  }
}

/** Number of the aligned block that a frame is in. */
function blockOf(frame: number): number {
  return Math.floor(frame / BLOCK_FRAMES);
}

function countInBlock(frames: FrameState, frame: FrameNumber, change: number): void {
  const at = blockOf(frame) - blockOf(frames.firstFrame);
  const before = frames.freeInBlock[at] ?? 0;
  frames.freeInBlock[at] = before + change;
  if (before + change === BLOCK_FRAMES) frames.wholeBlocks += 1;
  else if (before === BLOCK_FRAMES) frames.wholeBlocks -= 1;
}

function take(k: Kernel, frame: FrameNumber, owner: FrameOwner): void {
  mark(k.state.memory.frames, frame, 1, owner);
  k.probes.frameAllocate?.(frame, owner);
}

function mark(frames: FrameState, frame: FrameNumber, count: number, owner: FrameOwner): void {
  const index = indexOf(frames, frame);
  if (frames.owners[index] === OWNER_INDEX.freeable) frames.freeableCount -= 1;
  frames.shareCounts[index] = count;
  frames.owners[index] = OWNER_INDEX[owner];
  frames.families[index] = 0;
}

function indexOf(frames: FrameState, frame: FrameNumber): number {
  const index = frame - frames.firstFrame;
  if (!(index >= 0 && index < frames.frameCount)) throw new KernelBug(`frame ${frame} is not RAM`);
  return index;
}

/** Puts a free frame or block before the first one of its list; returns the new head. */
function link(k: Kernel, frame: FrameNumber, head: PhysAddr | 0): PhysAddr {
  const address = frameAddress(frame);
  writeLink(k, address, head);
  if (head !== 0) writeLink(k, head + PREVIOUS, address);
  return address;
}

/** Takes a free frame or block out of its list; returns the new head. What the head has before it is not looked at. */
function unlink(k: Kernel, frame: FrameNumber, head: PhysAddr | 0): PhysAddr | 0 {
  const address = frameAddress(frame);
  const next = readLink(k, address);
  if (address === head) return next;
  const previous = readLink(k, address + PREVIOUS);
  writeLink(k, previous, next);
  if (next !== 0) writeLink(k, next + PREVIOUS, previous);
  return head;
}

/** Offset of the link to the previous frame; the one to the next is at 0. */
const PREVIOUS = 8;

function readLink(k: Kernel, address: number): PhysAddr | 0 {
  const value = (k.memory.read32(address + 4) >>> 0) * 0x1_0000_0000 + (k.memory.read32(address) >>> 0);
  return value === 0 ? 0 : physAddr(value);
}

function writeLink(k: Kernel, address: number, target: PhysAddr | 0): void {
  k.memory.write32(address, target | 0);
  k.memory.write32(address + 4, Math.floor(target / 0x1_0000_0000));
}
