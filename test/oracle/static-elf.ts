// A static ELF executable with nothing but text and data, and how it is run: what both the native host and qemu take.
//
//     +------------+---------------------+------+------+
//     | ELF header | 2 program headers   | text | data |
//     +------------+---------------------+------+------+

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runTool } from "../support/tools.ts";
import type { Image } from "./differential.ts";

/** What an executable is of beside its bytes. */
export interface ElfTarget {
  /** e_machine, and e_flags. */
  readonly machine: number;
  readonly flags: number;
  readonly entry: number;
  readonly textBase: number;
  readonly dataBase: number;
}

/**
 * Runs an image as a program of its own, which writes all of its data to standard output: `command` before the program's path, as an
 * emulator and its options. Throws when it does not come to its end.
 */
export function runStaticElf(image: Image, target: ElfTarget, command: readonly string[]): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), "vitrine-oracle-"));
  try {
    const path = join(folder, "program");
    writeFileSync(path, elfOf(image, target), { mode: 0o755 });
    const [tool = path, ...options] = [...command, path];
    const output = runTool(tool, options);
    if (output.length !== image.data.length)
      throw new Error(`the program wrote ${output.length} of ${image.data.length} bytes`);
    // A plain copy: slices of a Buffer would share its memory.
    return Uint8Array.from(output);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const EXECUTABLE = 2;
const LOAD = 1;
const READ_EXECUTE = 5;
const READ_WRITE = 6;
const PAGE = 4096;

/** ELF-64 Object File Format, version 1.5; figures 2 and 6. */
function elfOf({ text, data }: Image, { machine, flags, entry, textBase, dataBase }: ElfTarget): Uint8Array {
  // File offsets must equal addresses modulo the page size.
  const textOffset = PAGE + (textBase % PAGE);
  const dataOffset = Math.ceil((textOffset + text.length) / PAGE) * PAGE + (dataBase % PAGE);
  const bytes = new Uint8Array(dataOffset + data.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, EXECUTABLE, true);
  view.setUint16(18, machine, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(24, BigInt(entry), true);
  view.setBigUint64(32, 64n, true);
  view.setUint32(48, flags, true);
  view.setUint16(52, 64, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 2, true);
  const segment = (at: number, access: number, offset: number, address: number, size: number): void => {
    view.setUint32(at, LOAD, true);
    view.setUint32(at + 4, access, true);
    view.setBigUint64(at + 8, BigInt(offset), true);
    view.setBigUint64(at + 16, BigInt(address), true);
    view.setBigUint64(at + 24, BigInt(address), true);
    view.setBigUint64(at + 32, BigInt(size), true);
    view.setBigUint64(at + 40, BigInt(size), true);
    view.setBigUint64(at + 48, BigInt(PAGE), true);
  };
  segment(64, READ_EXECUTE, textOffset, textBase, text.length);
  segment(120, READ_WRITE, dataOffset, dataBase, data.length);
  bytes.set(text, textOffset);
  bytes.set(data, dataOffset);
  return bytes;
}
