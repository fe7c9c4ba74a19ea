/**
 * Finds what a translated region consists of: the instructions of a page that control can reach from a hot one, without leaving the page
 * or an instruction that has no fast shape, as basic blocks in order of address. Of a loop only what leads back to its head is kept.
 */
import { newDecoded, OPERAND, type Decoded } from "../../isa/x86_64/decode-types.ts";
import type { CodeCache } from "./code.ts";
import { CELL } from "./layout.ts";
import type { Shape } from "./shapes.ts";

/** An instruction of a region. */
export interface Member {
  readonly offset: number;
  readonly record: number;
  readonly shape: Shape;
  readonly decoded: Decoded;
}

/** Instructions that control goes through from the first to the last. */
export interface Block {
  readonly members: readonly Member[];
}

export interface Region {
  /** Offset of the head in its page, and its record. */
  readonly head: number;
  readonly headRecord: number;
  readonly blocks: readonly Block[];
  /** Cells that must not be 0 for the region to run. */
  readonly requirements: readonly number[];
  /** The record of an instruction of the page, in the region or not. */
  recordOf(offset: number): number;
}

/** Instructions of a region at most. */
const LONGEST = 240;
/** A region that does not loop is worth a call from so many instructions on. */
const SHORTEST_STRAIGHT = 10;

/** The region that begins at a record; undefined where none is worth it. */
export function findRegion(code: CodeCache, head: number): Region | undefined {
  if (code.isRegion(head)) return undefined;
  const place = code.placeOf(head);
  if (place === undefined) return undefined;
  const { map, offset: headOffset } = place;
  const found = explore(code, map, headOffset);
  const loop = keepLoop(found, headOffset);
  const members = loop.size > 0 ? loop : found;
  if (loop.size === 0 && members.size < SHORTEST_STRAIGHT) return undefined;
  if (!members.has(headOffset)) return undefined;
  // Making a record may forget everything when there is no more room: then there is nothing to translate.
  const records = new Map<number, number>();
  for (const [offset, { decoded }] of members) {
    for (const wanted of [offset, offset + decoded.length, targetOf(offset, decoded)]) {
      if (wanted === undefined || records.has(wanted)) continue;
      const record = code.recordAt(map, wanted);
      if (record === 0) return undefined;
      records.set(wanted, record);
    }
  }
  if (!code.isPlaceOf(head, map, headOffset)) return undefined;
  const recordOf = (offset: number): number => {
    const record = records.get(offset);
    if (record === undefined) throw new Error(`no record of offset ${offset}`);
    return record;
  };
  const blocks = makeBlocks(members, headOffset, recordOf);
  return { head: headOffset, headRecord: head, blocks, requirements: requirementsOf(members), recordOf };
}

interface Found {
  readonly shape: Shape;
  readonly decoded: Decoded;
  /** Offsets in the page that control may go to next. */
  readonly next: readonly number[];
}

const isJump = (shape: Shape): boolean => shape.mnemonic === "jcc" || shape.mnemonic === "jmp";

/** Where a direct jump goes, if it stays in the page. */
function targetOf(offset: number, decoded: Decoded): number | undefined {
  if (decoded.operandCount === 0 || decoded.operands[0].kind !== OPERAND.relative) return undefined;
  const target = offset + decoded.length + decoded.immLo;
  return target >= 0 && target < 4096 ? target : undefined;
}

/** What can be reached from the head, first come first kept. */
function explore(code: CodeCache, map: number, head: number): Map<number, Found> {
  const found = new Map<number, Found>();
  const wanted = [head];
  for (let offset = wanted.shift(); offset !== undefined && found.size < LONGEST; offset = wanted.shift()) {
    if (found.has(offset) || offset >= 4096) continue;
    const decoded = newDecoded();
    const shape = code.shapeAt(map, offset, decoded);
    if (shape === undefined || shape.transfer === "far") continue;
    const target = targetOf(offset, decoded);
    if (target !== undefined && !isJump(shape)) continue;
    const isIndirect = target === undefined && (isJump(shape) || shape.mnemonic === "call" || shape.mnemonic === "ret");
    if (isIndirect) continue;
    const next = [
      ...(shape.mnemonic === "jmp" ? [] : [offset + decoded.length]),
      ...(target === undefined ? [] : [target]),
    ];
    // What ends at the page's end goes on in another.
    if (next.some((to) => to >= 4096)) continue;
    found.set(offset, { shape, decoded, next });
    wanted.push(...next);
  }
  return found;
}

/** Of the instructions found those from which control can come to the head again. */
function keepLoop(found: ReadonlyMap<number, Found>, head: number): Map<number, Found> {
  const previous = new Map<number, number[]>();
  for (const [offset, { next }] of found) {
    for (const to of next) previous.set(to, [...(previous.get(to) ?? []), offset]);
  }
  const kept = new Map<number, Found>();
  const wanted = [...(previous.get(head) ?? [])];
  for (let offset = wanted.pop(); offset !== undefined; offset = wanted.pop()) {
    const member = found.get(offset);
    if (member === undefined || kept.has(offset)) continue;
    kept.set(offset, member);
    wanted.push(...(previous.get(offset) ?? []));
  }
  return kept;
}

function makeBlocks(
  members: ReadonlyMap<number, Found>,
  head: number,
  recordOf: (offset: number) => number,
): readonly Block[] {
  const leaders = new Set<number>([head]);
  for (const [offset, { shape, decoded, next }] of members) {
    if (!isJump(shape)) continue;
    for (const to of next) leaders.add(to);
    leaders.add(offset + decoded.length);
  }
  const blocks: Member[][] = [];
  let end: number | undefined;
  for (const offset of [...members.keys()].toSorted((a, b) => a - b)) {
    const member = members.get(offset);
    if (member === undefined) continue;
    const { shape, decoded } = member;
    if (offset !== end || leaders.has(offset)) blocks.push([]);
    blocks[blocks.length - 1]?.push({ offset, record: recordOf(offset), shape, decoded });
    end = offset + decoded.length;
  }
  return blocks.map((block) => ({ members: block }));
}

function requirementsOf(members: ReadonlyMap<number, Found>): number[] {
  const usesVectors = [...members.values()].some(({ decoded }) =>
    decoded.operands.slice(0, decoded.operandCount).some(({ kind }) => kind === OPERAND.xmm),
  );
  // Floating-point arithmetic asks for the stronger of the two, which implies the other; code with vectors nearly always has it.
  return usesVectors ? [CELL.sseNearest] : [];
}
