/**
 * A split virtqueue, from the device's side.
 *
 *   descriptor table   num x { addr u64, len u32, flags u16, next u16 }     the driver's buffers, in chains
 *   available ring     flags u16, idx u16, ring[num] u16                    chains for the device
 *   used ring          flags u16, idx u16, ring[num] { id u32, len u32 }    chains given back
 *
 * Virtual I/O Device specification 1.2, section 2.7. Everything here is the guest's to write, so nothing is believed: each
 * address is checked against RAM, each index against the queue, and a chain that loops, nests indirect tables or has a
 * readable buffer after a writable one is a `QueueError`, upon which the device asks for a reset.
 */
import type { PhysicalMemory } from "../../physical-memory.ts";

/** Plain data: what the driver configured, and how far the device has come. */
export interface VirtqueueState {
  num: number;
  ready: boolean;
  /** Physical addresses as low and high int32 halves, as written. */
  descriptors: { lo: number; hi: number };
  driver: { lo: number; hi: number };
  device: { lo: number; hi: number };
  /** Free-running 16-bit counters. */
  lastAvailable: number;
  usedIndex: number;
}

/** A buffer in RAM, already checked. */
export interface Segment {
  readonly address: number;
  readonly length: number;
}

/** One request: the buffers of a descriptor chain in order, by direction as the device sees it. */
export interface Chain {
  readonly head: number;
  readonly readable: readonly Segment[];
  readonly writable: readonly Segment[];
}

/** What the driver did that no driver may; the text is for the reader of a log. */
export interface QueueError {
  readonly error: string;
}

const descriptorSize = 16;
const flagNext = 1;
const flagWrite = 2;
const flagIndirect = 4;
const availableNoInterrupt = 1;

export function createVirtqueueState(): VirtqueueState {
  const zero = (): { lo: number; hi: number } => ({ lo: 0, hi: 0 });
  return { num: 0, ready: false, descriptors: zero(), driver: zero(), device: zero(), lastAvailable: 0, usedIndex: 0 };
}

/** Takes the next chain that the driver made available; undefined when there is none. */
export function takeChain(
  queue: VirtqueueState,
  memory: PhysicalMemory,
  indirectAllowed: boolean,
): Chain | QueueError | undefined {
  const error = checkRings(queue, memory);
  if (error !== undefined) return { error };
  const available = addressOf(queue.driver);
  const pending = (memory.read16(available + 2) - queue.lastAvailable) & 0xffff;
  if (pending === 0) return undefined;
  if (pending > queue.num) return { error: `${pending} chains available in a queue of ${queue.num}` };
  const head = memory.read16(available + 4 + 2 * (queue.lastAvailable % queue.num));
  queue.lastAvailable = (queue.lastAvailable + 1) & 0xffff;
  return walkChain(queue, memory, head, indirectAllowed);
}

/** Gives a chain back; `written` bytes of its writable buffers hold data. Only for a chain that `takeChain` gave. */
export function returnChain(queue: VirtqueueState, memory: PhysicalMemory, head: number, written: number): void {
  // Checked again: the device writes only where RAM is, whatever happened to the queue's addresses in between.
  if (checkRings(queue, memory) !== undefined) return;
  const used = addressOf(queue.device);
  const entry = used + 4 + 8 * (queue.usedIndex % queue.num);
  memory.write32(entry, head);
  memory.write32(entry + 4, written);
  queue.usedIndex = (queue.usedIndex + 1) & 0xffff;
  memory.write16(used + 2, queue.usedIndex);
}

/** Whether the driver asks not to be interrupted for used buffers (2.7.7, without VIRTIO_F_EVENT_IDX). */
export function interruptSuppressed(queue: VirtqueueState, memory: PhysicalMemory): boolean {
  return (
    checkRings(queue, memory) === undefined && (memory.read16(addressOf(queue.driver)) & availableNoInterrupt) !== 0
  );
}

/** Total length of segments, as a JS number (they may overlap, so it can exceed RAM). */
export function totalLength(segments: readonly Segment[]): number {
  return segments.reduce((sum, segment) => sum + segment.length, 0);
}

/** The part [from, from + length) of what the segments hold, as segments; the caller stays within the total. */
export function sliceSegments(segments: readonly Segment[], from: number, length: number): Segment[] {
  const slice: Segment[] = [];
  let start = 0;
  for (const segment of segments) {
    const first = Math.max(from - start, 0);
    const last = Math.min(from + length - start, segment.length);
    if (first < last) slice.push({ address: segment.address + first, length: last - first });
    start += segment.length;
  }
  return slice;
}

function checkRings(queue: VirtqueueState, memory: PhysicalMemory): string | undefined {
  const { num } = queue;
  if (num === 0) return "the queue has no size";
  const areas = [
    { name: "descriptor table", address: addressOf(queue.descriptors), length: descriptorSize * num, alignment: 16 },
    { name: "available ring", address: addressOf(queue.driver), length: 6 + 2 * num, alignment: 2 },
    { name: "used ring", address: addressOf(queue.device), length: 6 + 8 * num, alignment: 4 },
  ];
  for (const { name, address, length, alignment } of areas) {
    if (!memory.contains(address, length)) return `the ${name} is not in RAM`;
    if (address % alignment !== 0) return `the ${name} is not aligned`;
  }
  return undefined;
}

/** A table of descriptors in RAM: the queue's own, or an indirect one. */
interface Table {
  readonly address: number;
  readonly entries: number;
}

function walkChain(
  queue: VirtqueueState,
  memory: PhysicalMemory,
  head: number,
  indirectAllowed: boolean,
): Chain | QueueError {
  const readable: Segment[] = [];
  const writable: Segment[] = [];
  let table: Table = { address: addressOf(queue.descriptors), entries: queue.num };
  let isIndirect = false;
  let index = head;
  // 2.7.5.2 and 2.7.5.3.1: no chain is longer than the queue, so that a longer one is a loop.
  for (let length = 0; length <= queue.num; length++) {
    if (index >= table.entries) return { error: `descriptor ${index} in a table of ${table.entries}` };
    const at = table.address + descriptorSize * index;
    const address = joinAddress(memory.read32(at + 4), memory.read32(at));
    const size = memory.read32(at + 8) >>> 0;
    const flags = memory.read16(at + 12);
    if ((flags & flagIndirect) !== 0) {
      if (!indirectAllowed || isIndirect || (flags & flagNext) !== 0)
        return { error: "an indirect descriptor out of place" };
      if (size === 0 || size % descriptorSize !== 0) return { error: `an indirect table of ${size} bytes` };
      if (!memory.contains(address, size)) return { error: "an indirect table outside RAM" };
      table = { address, entries: size / descriptorSize };
      isIndirect = true;
      index = 0;
      continue;
    }
    if (size > 0 && !memory.contains(address, size)) return { error: "a buffer outside RAM" };
    if ((flags & flagWrite) !== 0) writable.push({ address, length: size });
    else if (writable.length === 0) readable.push({ address, length: size });
    else return { error: "a readable buffer after a writable one" };
    if ((flags & flagNext) === 0) return { head, readable, writable };
    index = memory.read16(at + 14);
  }
  return { error: "a chain longer than the queue" };
}

function addressOf(halves: { lo: number; hi: number }): number {
  return joinAddress(halves.hi, halves.lo);
}

/** Beyond 2^53 the number is rounded, but it stays far outside RAM. */
function joinAddress(hi: number, lo: number): number {
  return (hi >>> 0) * 4294967296 + (lo >>> 0);
}
