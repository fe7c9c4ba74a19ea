// The frame allocator.
//
//   freeHead ──> frame ──> frame ──> frame ──> 0     single frames: last in, first out; the link to the next
//                 |link|    |link|    |link|          free frame lies in the first 8 bytes of each free frame
//
//   blockHead ─> 2 MiB ──> 2 MiB ──> 0               aligned blocks of 512 frames, linked in the same way
//
// A frame is taken from the list of single frames; when that is empty a block is broken up, so the memory of an idle machine
// stays untouched. A block is taken from the block list; when that is empty, free frames that make up whole blocks are joined.
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
    failCountdown: 0,
    shareCounts: new Uint32Array(frameCount).fill(1),
    owners: new Uint8Array(frameCount).fill(OWNER_INDEX.kernel),
    families: new Uint32Array(frameCount),
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
  frames.freeHead = readLink(k, address);
  frames.freeCount -= 1;
  if (contents === "zeroed") k.memory.fill(address, PAGE_SIZE, 0);
  const frame = frameOf(address);
  take(k, frame, owner);
  return frame;
}

/** `count` contiguous zeroed frames, aligned to their count, each with one use. `count` is a power of two up to `BLOCK_FRAMES`. */
export function allocateFrames(k: Kernel, count: number, owner: FrameOwner): FrameNumber | "ENOMEM" {
  if (count < 1 || count > BLOCK_FRAMES || (count & (count - 1)) !== 0)
    throw new KernelBug(`${count} contiguous frames`);
  const { frames } = k.state.memory;
  if (mustFail(frames) || (frames.blockHead === 0 && !joinBlocks(k))) return "ENOMEM";
  const address = physAddr(frames.blockHead);
  frames.blockHead = readLink(k, address);
  frames.freeCount -= BLOCK_FRAMES;
  const first = frameOf(address);
  for (let i = BLOCK_FRAMES - 1; i >= count; i--) pushFrame(k, (first + i) as FrameNumber);
  k.memory.fill(address, count * PAGE_SIZE, 0);
  for (let i = 0; i < count; i++) take(k, (first + i) as FrameNumber, owner);
  return first;
}

/** Counts one more use of a frame. */
export function retainFrame(k: Kernel, frame: FrameNumber): void {
  const { frames } = k.state.memory;
  const index = indexOf(frames, frame);
  if (frames.shareCounts[index] === 0) throw new KernelBug(`retain of free frame ${frame}`);
  frames.shareCounts[index] = frameShareCount(k, frame) + 1;
}

/** Counts one use less; the last one frees the frame. No PTE and no TLB entry may lead to it any more then (INV-4). */
export function releaseFrame(k: Kernel, frame: FrameNumber): void {
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
  const address = frameAddress(frame);
  writeLink(k, address, frames.freeHead);
  frames.freeHead = address;
  frames.freeCount += 1;
  mark(frames, frame, 0, "free");
}

function pushBlock(k: Kernel, first: FrameNumber): void {
  const { frames } = k.state.memory;
  const address = frameAddress(first);
  writeLink(k, address, frames.blockHead);
  frames.blockHead = address;
  frames.freeCount += BLOCK_FRAMES;
  const index = indexOf(frames, first);
  frames.shareCounts.fill(0, index, index + BLOCK_FRAMES);
  frames.owners.fill(OWNER_INDEX["free-block"], index, index + BLOCK_FRAMES);
}

/** Turns the first free block into single frames. */
function breakBlock(k: Kernel): boolean {
  const { frames } = k.state.memory;
  if (frames.blockHead === 0) return false;
  const address = frames.blockHead;
  frames.blockHead = readLink(k, address);
  frames.freeCount -= BLOCK_FRAMES;
  const first = frameOf(address);
  for (let i = BLOCK_FRAMES - 1; i >= 0; i--) pushFrame(k, (first + i) as FrameNumber);
  return true;
}

/** Finds whole blocks among the free single frames; the other frames keep their order in the list. */
function joinBlocks(k: Kernel): boolean {
  const { frames } = k.state.memory;
  const singles = listFreeFrames(k);
  const perBlock = new Map<number, number>();
  for (const frame of singles) {
    const block = Math.floor(frame / BLOCK_FRAMES);
    perBlock.set(block, (perBlock.get(block) ?? 0) + 1);
  }
  const whole = new Set([...perBlock].filter(([, count]) => count === BLOCK_FRAMES).map(([block]) => block));
  if (whole.size === 0) return false;
  frames.freeHead = 0;
  frames.freeCount -= singles.length;
  for (const frame of singles.toReversed()) if (!whole.has(Math.floor(frame / BLOCK_FRAMES))) pushFrame(k, frame);
  for (const block of whole) pushBlock(k, (block * BLOCK_FRAMES) as FrameNumber);
  return true;
}

function take(k: Kernel, frame: FrameNumber, owner: FrameOwner): void {
  mark(k.state.memory.frames, frame, 1, owner);
  k.probes.frameAllocate?.(frame, owner);
}

function mark(frames: FrameState, frame: FrameNumber, count: number, owner: FrameOwner): void {
  const index = indexOf(frames, frame);
  frames.shareCounts[index] = count;
  frames.owners[index] = OWNER_INDEX[owner];
  frames.families[index] = 0;
}

function indexOf(frames: FrameState, frame: FrameNumber): number {
  const index = frame - frames.firstFrame;
  if (!(index >= 0 && index < frames.frameCount)) throw new KernelBug(`frame ${frame} is not RAM`);
  return index;
}

function readLink(k: Kernel, address: PhysAddr | 0): PhysAddr | 0 {
  const value = (k.memory.read32(address + 4) >>> 0) * 0x1_0000_0000 + (k.memory.read32(address) >>> 0);
  return value === 0 ? 0 : physAddr(value);
}

function writeLink(k: Kernel, address: PhysAddr, next: PhysAddr | 0): void {
  k.memory.write32(address, next | 0);
  k.memory.write32(address + 4, Math.floor(next / 0x1_0000_0000));
}
