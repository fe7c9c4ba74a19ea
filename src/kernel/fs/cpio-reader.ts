// Reading cpio in the "newc" format, as kernels take their initial file system (Linux Documentation/driver-api/early-userspace/
// buffer-format.rst).
//
//   header: 6 magic "070701" (or "070702"), then 13 fields of 8 hexadecimal digits:
//   ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
//   name (NUL included) padded to 4, contents padded to 4. "TRAILER!!!" ends it.
//
// Files with several links share an inode number; their contents come with the last (or the first) of them.

import { ArchiveFormatError } from "./archive-format-error.ts";
import type { ArchiveEntry } from "./archive.ts";
import { kindFromMode } from "./inode.ts";

const HEADER = 110;

/** The entries of a cpio archive, in order. Throws ArchiveFormatError where it is not one. */
export function* readCpio(bytes: Uint8Array): Generator<ArchiveEntry> {
  /** Names of files with several links, by device and inode. */
  const linked = new Map<string, string>();
  let offset = 0;
  for (;;) {
    if (offset + HEADER > bytes.length) throw new ArchiveFormatError(`cpio archive is cut short at ${offset}`);
    const header = latin1(bytes.subarray(offset, offset + HEADER));
    if (!/^07070[12][0-9a-fA-F]{104}$/.test(header)) {
      throw new ArchiveFormatError(`cpio archive is damaged: no header at ${offset}`);
    }
    const field = (index: number): number => Number.parseInt(header.slice(6 + 8 * index, 14 + 8 * index), 16);
    const [mode, nlink, size, nameSize] = [field(1), field(4), field(6), field(11)];
    const nameStart = offset + HEADER;
    const dataStart = alignUp4(nameStart + nameSize);
    const dataEnd = dataStart + size;
    if (nameSize < 1 || nameSize > 4096 || dataEnd > bytes.length) {
      throw new ArchiveFormatError(`cpio archive is cut short or damaged: entry at ${offset}`);
    }
    const name = latin1(bytes.subarray(nameStart, nameStart + nameSize - 1));
    if (name === "TRAILER!!!") return;
    const kind = kindFromMode(mode);
    if (kind === undefined)
      throw new ArchiveFormatError(`cpio archive is damaged: mode 0${mode.toString(8)} at ${offset}`);
    const contents = bytes.subarray(dataStart, dataEnd);
    const common = { name, mode, uid: field(2), gid: field(3), mtimeSeconds: field(5), contents };
    const key = `${field(7)}:${field(8)}:${field(0)}`;
    const first = kind === "file" && nlink > 1 ? linked.get(key) : undefined;
    if (first === undefined) {
      if (kind === "file" && nlink > 1) linked.set(key, name);
      const device = kind === "character" || kind === "block" ? { major: field(9), minor: field(10) } : undefined;
      yield { ...common, kind, target: kind === "symlink" ? latin1(contents) : "", device };
    } else {
      // The data come with this link: they go into the file of the first name.
      if (size > 0) yield { ...common, name: first, kind: "file", target: "", device: undefined, fillsExisting: true };
      yield { ...common, kind: "hard-link", target: first, device: undefined };
    }
    offset = alignUp4(dataEnd);
  }
}

function alignUp4(value: number): number {
  return Math.ceil(value / 4) * 4;
}

function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 4096) text += String.fromCharCode(...bytes.subarray(i, i + 4096));
  return text;
}
