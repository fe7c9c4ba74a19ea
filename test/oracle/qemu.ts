// Runs a program under qemu-riscv64 (user mode), as a static ELF that it writes itself.
//
//     +------------+---------------------+------+------+
//     | ELF header | 2 program headers   | text | data |
//     +------------+---------------------+------+------+

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runTool } from "../support/tools.ts";
import type { Runner } from "./differential.ts";
import { DATA_BASE, type Image, TEXT_BASE } from "./program.ts";

export const QEMU = "qemu-riscv64";
const CPU = "rv64,zba=true,zbb=true,zbs=true";

/** Runs a program under qemu to its end. */
export const runUnderQemu: Runner = (image) => {
  const folder = mkdtempSync(join(tmpdir(), "vitrine-oracle-"));
  try {
    const path = join(folder, "program");
    writeFileSync(path, elfOf(image), { mode: 0o755 });
    const output = runTool(QEMU, ["-cpu", CPU, path]);
    if (output.length !== image.data.length)
      throw new Error(`${QEMU} wrote ${output.length} of ${image.data.length} bytes`);
    // A plain copy: slices of a Buffer would share its memory.
    return { data: Uint8Array.from(output), failure: undefined };
  } finally {
    rmSync(folder, { recursive: true });
  }
};

const EXECUTABLE = 2;
const MACHINE_RISCV = 243;
const FLAGS_DOUBLE_RVC = 5;
const LOAD = 1;
const READ_EXECUTE = 5;
const READ_WRITE = 6;
const PAGE = 4096;

/** ELF-64 Object File Format, version 1.5; figures 2 and 6. */
function elfOf({ text, data }: Image): Uint8Array {
  // File offsets must equal addresses modulo the page size; both bases are page-aligned.
  const textOffset = PAGE;
  const dataOffset = textOffset + Math.ceil(text.length / PAGE) * PAGE;
  const bytes = new Uint8Array(dataOffset + data.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, EXECUTABLE, true);
  view.setUint16(18, MACHINE_RISCV, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(24, BigInt(TEXT_BASE), true);
  view.setBigUint64(32, 64n, true);
  view.setUint32(48, FLAGS_DOUBLE_RVC, true);
  view.setUint16(52, 64, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 2, true);
  const segment = (at: number, flags: number, offset: number, address: number, size: number): void => {
    view.setUint32(at, LOAD, true);
    view.setUint32(at + 4, flags, true);
    view.setBigUint64(at + 8, BigInt(offset), true);
    view.setBigUint64(at + 16, BigInt(address), true);
    view.setBigUint64(at + 24, BigInt(address), true);
    view.setBigUint64(at + 32, BigInt(size), true);
    view.setBigUint64(at + 40, BigInt(size), true);
    view.setBigUint64(at + 48, BigInt(PAGE), true);
  };
  segment(64, READ_EXECUTE, textOffset, TEXT_BASE, text.length);
  segment(120, READ_WRITE, dataOffset, DATA_BASE, data.length);
  bytes.set(text, textOffset);
  bytes.set(data, dataOffset);
  return bytes;
}
