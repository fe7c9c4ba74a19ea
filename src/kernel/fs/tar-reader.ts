// Reading tar: POSIX ustar and pax (IEEE Std 1003.1, "pax Interchange Format"), and GNU's long names and base-256 numbers.
//
//   header block of 512 bytes                                    then the contents, padded to 512
//   0 name 100 mode 108 uid 116 gid 124 size 136 mtime 148 checksum 156 type 157 linkname 257 magic 329 major 337 minor 345 prefix
//
// Two blocks of zeros end it; so does the end of the bytes at a block's border.

import { ArchiveFormatError } from "./archive-format-error.ts";
import type { ArchiveEntry } from "./archive.ts";

const BLOCK = 512;
const KINDS: ReadonlyMap<string, ArchiveEntry["kind"]> = new Map([
  ["0", "file"],
  ["\0", "file"],
  ["7", "file"],
  ["1", "hard-link"],
  ["2", "symlink"],
  ["3", "character"],
  ["4", "block"],
  ["5", "directory"],
  ["6", "fifo"],
]);

/** What a pax or GNU extension header says of the entry after it. */
interface Extension {
  path?: string;
  linkpath?: string;
  size?: number;
  mtime?: number;
  uid?: number;
  gid?: number;
}

/** The entries of a tar archive, in order. Throws ArchiveFormatError where it is not one. */
export function* readTar(bytes: Uint8Array): Generator<ArchiveEntry> {
  const global: Extension = {};
  let extension: Extension = {};
  let offset = 0;
  if (bytes.length < BLOCK) throw new ArchiveFormatError("not a tar or cpio archive: too short");
  while (offset + BLOCK <= bytes.length) {
    const header = bytes.subarray(offset, offset + BLOCK);
    if (header.every((byte) => byte === 0)) return;
    checkSum(header, offset);
    offset += BLOCK;
    const type = String.fromCharCode(header[156] ?? 0);
    const isExtension = "xgLK".includes(type);
    const size = (isExtension ? undefined : (extension.size ?? global.size)) ?? readNumber(header, 124, 12);
    const hasContents = isExtension || KINDS.get(type) === "file";
    const length = hasContents || !KINDS.has(type) ? size : 0;
    if (!(length <= bytes.length - offset)) {
      throw new ArchiveFormatError(
        `tar archive is cut short: ${length} bytes wanted at ${offset}, ${bytes.length - offset} there`,
      );
    }
    const contents = bytes.subarray(offset, offset + length);
    offset += Math.ceil(length / BLOCK) * BLOCK;
    switch (type) {
      case "x":
        Object.assign(extension, parsePax(contents));
        continue;
      case "g":
        Object.assign(global, parsePax(contents));
        continue;
      case "L":
        extension.path = textOf(contents);
        continue;
      case "K":
        extension.linkpath = textOf(contents);
        continue;
      default:
        break;
    }
    const kind = KINDS.get(type);
    const known = { ...global, ...extension };
    extension = {};
    // Unknown types (GNU volume labels and the like) are passed over, as POSIX lets readers treat them.
    if (kind === undefined) continue;
    const name = known.path ?? readName(header);
    yield {
      name,
      // Old archives mark directories by a slash alone.
      kind: kind === "file" && name.endsWith("/") ? "directory" : kind,
      mode: readNumber(header, 100, 8) & 0o7777,
      uid: known.uid ?? readNumber(header, 108, 8),
      gid: known.gid ?? readNumber(header, 116, 8),
      mtimeSeconds: known.mtime ?? readNumber(header, 136, 12),
      target: known.linkpath ?? textOf(header.subarray(157, 257)),
      contents,
      device:
        kind === "character" || kind === "block"
          ? { major: readNumber(header, 329, 8), minor: readNumber(header, 337, 8) }
          : undefined,
    };
  }
  if (offset < bytes.length && bytes.subarray(offset).some((byte) => byte !== 0)) {
    throw new ArchiveFormatError(`tar archive is cut short: ${bytes.length - offset} bytes of a header at ${offset}`);
  }
}

function readName(header: Uint8Array): string {
  const name = textOf(header.subarray(0, 100));
  const isPosix = textOf(header.subarray(257, 263)) === "ustar";
  const prefix = isPosix ? textOf(header.subarray(345, 500)) : "";
  return prefix === "" ? name : `${prefix}/${name}`;
}

/** The sum of the header's bytes, its own field taken as blanks. */
function checkSum(header: Uint8Array, offset: number): void {
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 0x20 : (header[i] ?? 0);
  const stored = textOf(header.subarray(148, 156)).trim();
  if (!/^[0-7]+$/.test(stored) || sum !== Number.parseInt(stored, 8)) {
    const what = offset === 0 ? "not a tar or cpio archive" : "tar archive is damaged";
    throw new ArchiveFormatError(`${what}: wrong header checksum at ${offset}`);
  }
}

/** An octal number, or GNU's base 256 when the first byte has its top bit set. */
function readNumber(header: Uint8Array, start: number, length: number): number {
  const field = header.subarray(start, start + length);
  if (((field[0] ?? 0) & 0x80) !== 0) {
    let value = (field[0] ?? 0) & 0x3f;
    for (const byte of field.subarray(1)) value = value * 256 + byte;
    if (((field[0] ?? 0) & 0x40) !== 0) return 0; // negative: only times before 1970 are
    return value;
  }
  const text = textOf(field).trim();
  if (text === "") return 0;
  if (!/^[0-7]+$/.test(text))
    throw new ArchiveFormatError(`tar header has a malformed number: ${JSON.stringify(text)}`);
  return Number.parseInt(text, 8);
}

/** Records of "LENGTH KEY=VALUE\n"; LENGTH counts the whole record. */
function parsePax(contents: Uint8Array): Extension {
  const extension: Extension = {};
  let offset = 0;
  while (offset < contents.length && contents[offset] !== 0) {
    const space = contents.indexOf(0x20, offset);
    const digits = space < 0 ? "" : latin1(contents.subarray(offset, Math.min(space, offset + 12)));
    const length = /^[0-9]+$/.test(digits) ? Number(digits) : NaN;
    const end = offset + length;
    if (!(end <= contents.length) || contents[end - 1] !== 0x0a || end <= space) {
      throw new ArchiveFormatError("tar archive has a malformed pax header");
    }
    const record = latin1(contents.subarray(space + 1, end - 1));
    const equals = record.indexOf("=");
    setPax(extension, record.slice(0, equals), record.slice(equals + 1));
    offset = end;
  }
  return extension;
}

function setPax(extension: Extension, key: string, value: string): void {
  switch (key) {
    case "path":
    case "linkpath":
      extension[key] = value;
      break;
    case "size":
    case "uid":
    case "gid":
      if (!/^[0-9]{1,15}$/.test(value)) throw new ArchiveFormatError(`tar archive has a malformed pax ${key}`);
      extension[key] = Number(value);
      break;
    case "mtime":
      extension.mtime = Math.max(0, Math.floor(Number(value))) || 0;
      break;
    default:
      break;
  }
}

/** Bytes up to the first NUL, as a byte string. */
function textOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return latin1(end < 0 ? bytes : bytes.subarray(0, end));
}

function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 4096) text += String.fromCharCode(...bytes.subarray(i, i + 4096));
  return text;
}
