/**
 * Writes flattened device trees.
 *
 *   +--------------------+ 0
 *   | header (40 bytes)  |
 *   | reservation block  |   one empty entry
 *   | structure block    |   BEGIN_NODE name { PROP length nameOffset data | nodes } END_NODE ... END
 *   | strings block      |   property names, each once
 *   +--------------------+ totalsize
 *
 * Devicetree Specification 0.4, chapter 5; all numbers are big-endian.
 */
import { encodeUtf8 } from "../../lib/bytes.ts";

/** A property: u32 cells, a string, a list of strings, raw bytes, or `true` for one that says all by being there. */
export type FdtProperty = readonly number[] | string | readonly string[] | Uint8Array | true;

export interface FdtNode {
  /** Properties come before children in the blob, in the order given. */
  readonly properties: Readonly<Record<string, FdtProperty>>;
  readonly children?: Readonly<Record<string, FdtNode>>;
}

const magic = 0xd00dfeed;
const headerSize = 40;
const version = 17;
const lastCompatibleVersion = 16;
const token = { beginNode: 1, endNode: 2, property: 3, end: 9 } as const;

/** The blob of the tree below `root`. */
export function writeFdt(root: FdtNode): Uint8Array {
  const structure: number[] = [];
  const strings: number[] = [];
  const stringOffsets = new Map<string, number>();
  writeNode(structure, "", root, (name) => {
    let offset = stringOffsets.get(name);
    if (offset === undefined) {
      offset = strings.length;
      stringOffsets.set(name, offset);
      strings.push(...encodeUtf8(name), 0);
    }
    return offset;
  });
  pushU32(structure, token.end);

  const reservations = Array<number>(16).fill(0);
  const structureOffset = headerSize + reservations.length;
  const stringsOffset = structureOffset + structure.length;
  const header: number[] = [];
  for (const field of [
    magic,
    stringsOffset + strings.length,
    structureOffset,
    stringsOffset,
    headerSize,
    version,
    lastCompatibleVersion,
    0, // boot hart
    strings.length,
    structure.length,
  ]) {
    pushU32(header, field);
  }
  return new Uint8Array([...header, ...reservations, ...structure, ...strings]);
}

/** An address or a size as the two cells that a 64-bit number takes. */
export function cells64(value: number): [number, number] {
  return [Math.floor(value / 4294967296), value >>> 0];
}

function writeNode(out: number[], name: string, node: FdtNode, stringOffset: (name: string) => number): void {
  pushU32(out, token.beginNode);
  pushPadded(out, [...encodeUtf8(name), 0]);
  for (const [property, value] of Object.entries(node.properties)) {
    const data = encodeProperty(value);
    pushU32(out, token.property);
    pushU32(out, data.length);
    pushU32(out, stringOffset(property));
    pushPadded(out, data);
  }
  for (const [childName, child] of Object.entries(node.children ?? {})) writeNode(out, childName, child, stringOffset);
  pushU32(out, token.endNode);
}

function encodeProperty(value: FdtProperty): number[] {
  if (value === true) return [];
  if (typeof value === "string") return [...encodeUtf8(value), 0];
  if (value instanceof Uint8Array) return [...value];
  const data: number[] = [];
  for (const item of value) {
    if (typeof item === "string") data.push(...encodeUtf8(item), 0);
    else pushU32(data, item);
  }
  return data;
}

function pushU32(out: number[], value: number): void {
  out.push((value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}

/** Blocks of the structure are aligned to 4 bytes. */
function pushPadded(out: number[], bytes: readonly number[]): void {
  out.push(...bytes);
  while (out.length % 4 !== 0) out.push(0);
}
