/**
 * Loads an image by the Multiboot specification, version 0.6.96 ("multiboot 1"): how foreign kernels and test images for x86 start
 * without firmware.
 *
 *     image      a header in its first 8 KiB:  magic 0x1badb002, flags, checksum
 *                ELF, 32 or 64 bits: its loadable segments; or, with flag 16, addresses in the header tell what goes where
 *     start      32-bit protected mode, paging off, eax = 0x2badb002, ebx = information
 *
 *     information, at INFO:   +0 flags 1 | 4 | 64 | 512   +4 memory below 640 KiB, above 1 MiB, in KiB
 *                             +16 command line   +44 memory map: length, address   +64 name of the loader
 */
import { GPR } from "../../isa/x86_64/registers.ts";
import { encodeUtf8, readI64, readU16, readU32, writeU32 } from "../../lib/bytes.ts";
import type { Machine } from "../machine.ts";
import type { PhysicalMemory } from "../physical-memory.ts";
import type { X86Hart } from "../x86_64/hart.ts";

const HEADER_MAGIC = 0x1badb002;
const LOADED_MAGIC = 0x2badb002;
/** The header is 4-byte aligned in the first 8 KiB. */
const HEADER_LIMIT = 8192;
const FLAG_ADDRESSES = 1 << 16;

/** The information: in the first 64 KiB, where no image goes. */
const INFO = 0x9000;
const MAP = INFO + 0x80;
const LOADER_NAME = INFO + 0x100;
const COMMAND_LINE = INFO + 0x200;
const INFO_SIZE = 0x1000;
const INFO_FLAGS = { memory: 1, commandLine: 4, map: 64, loaderName: 512 } as const;
/** The hole of a PC: video memory and firmware, which images expect to be no memory of theirs. */
const HOLE = { start: 0xa_0000, end: 0x10_0000 } as const;
const MAP_KIND = { available: 1, reserved: 2 } as const;
const MAP_ENTRY_SIZE = 24;

interface Segment {
  readonly offset: number;
  readonly fileSize: number;
  readonly address: number;
  readonly memorySize: number;
}

interface Program {
  readonly entry: number;
  readonly segments: readonly Segment[];
}

/** An image that is none, or that RAM cannot hold. */
export class MultibootError extends Error {
  override readonly name = "MultibootError";
}

/** Puts the image into RAM and the first hart at its start. */
export function loadMultiboot(machine: Machine<X86Hart>, image: Uint8Array, commandLine: string): void {
  const { memory, harts } = machine;
  const [hart] = harts;
  const { entry, segments } = readProgram(image);
  for (const { offset, fileSize, address, memorySize } of segments) {
    if (!memory.contains(address, memorySize) || (address < INFO + INFO_SIZE && address + memorySize > INFO)) {
      throw new MultibootError(`nothing can be loaded at 0x${address.toString(16)}, ${memorySize} bytes`);
    }
    memory.fill(address, memorySize, 0);
    memory.write(address, image.subarray(offset, offset + fileSize));
  }
  memory.write(INFO, describeMemory(memory, commandLine));
  hart?.setPc(entry);
  hart?.setGpr(GPR.rax, LOADED_MAGIC, 0);
  hart?.setGpr(GPR.rbx, INFO, 0);
}

function readProgram(image: Uint8Array): Program {
  const header = findHeader(image);
  if (header === undefined) throw new MultibootError("no multiboot header in the first 8 KiB");
  if ((readU32(image, header + 4) & FLAG_ADDRESSES) !== 0) return readAddresses(image, header);
  return readElf(image);
}

function findHeader(image: Uint8Array): number | undefined {
  for (let at = 0; at + 12 <= Math.min(image.length, HEADER_LIMIT); at += 4) {
    if (readU32(image, at) !== HEADER_MAGIC) continue;
    if (((HEADER_MAGIC + readU32(image, at + 4) + readU32(image, at + 8)) | 0) === 0) return at;
  }
  return undefined;
}

/** The header's own addresses: of itself, of what is loaded and zeroed, and of the entry. 0 is "to the end", and "nothing". */
function readAddresses(image: Uint8Array, header: number): Program {
  if (header + 32 > image.length) throw new MultibootError("the header's addresses are cut off");
  const [headerAddress = 0, load = 0, loadEnd = 0, bssEnd = 0, entry = 0] = [12, 16, 20, 24, 28].map((at) =>
    readU32(image, header + at),
  );
  const offset = header - (headerAddress - load);
  const fileSize = loadEnd === 0 ? image.length - offset : loadEnd - load;
  if (offset < 0 || fileSize < 0 || offset + fileSize > image.length) {
    throw new MultibootError("the header's addresses are not in the image");
  }
  const memorySize = Math.max(fileSize, bssEnd === 0 ? 0 : bssEnd - load);
  return { entry, segments: [{ offset, fileSize, address: load, memorySize }] };
}

/** The places of an ELF header and its program headers that matter here, by class. System V ABI, chapter 4. */
const ELF_CLASSES = {
  1: {
    word: readU32,
    entry: 24,
    programs: 28,
    entrySize: 42,
    count: 44,
    offset: 4,
    physical: 12,
    file: 16,
    memory: 20,
  },
  2: {
    word: readI64,
    entry: 24,
    programs: 32,
    entrySize: 54,
    count: 56,
    offset: 8,
    physical: 24,
    file: 32,
    memory: 40,
  },
} as const;
const ELF_MAGIC = 0x464c457f;
const LOADABLE = 1;

function readElf(image: Uint8Array): Program {
  const kind = image[4];
  if (image.length < 64 || readU32(image, 0) !== ELF_MAGIC || (kind !== 1 && kind !== 2)) {
    throw new MultibootError("neither an ELF image, nor addresses in its header");
  }
  const fields = ELF_CLASSES[kind];
  const programs = fields.word(image, fields.programs);
  const entrySize = readU16(image, fields.entrySize);
  const segments: Segment[] = [];
  for (let index = 0; index < readU16(image, fields.count); index++) {
    const at = programs + index * entrySize;
    if (!(at >= 0 && at + entrySize <= image.length)) throw new MultibootError("the program headers are cut off");
    if (readU32(image, at) !== LOADABLE) continue;
    const offset = fields.word(image, at + fields.offset);
    const fileSize = fields.word(image, at + fields.file);
    const memorySize = fields.word(image, at + fields.memory);
    if (!(offset >= 0 && fileSize >= 0 && fileSize <= memorySize && offset + fileSize <= image.length)) {
      throw new MultibootError("a segment is not in the image");
    }
    segments.push({ offset, fileSize, address: fields.word(image, at + fields.physical), memorySize });
  }
  return { entry: fields.word(image, fields.entry), segments };
}

/** The bytes at INFO. */
function describeMemory(memory: PhysicalMemory, commandLine: string): Uint8Array {
  const bytes = new Uint8Array(INFO_SIZE);
  const line = encodeUtf8(commandLine);
  if (COMMAND_LINE - INFO + line.length >= INFO_SIZE) throw new MultibootError("the command line is too long");
  const end = memory.base + memory.size;
  const ranges: readonly [start: number, end: number, kind: number][] = [
    [0, Math.min(end, HOLE.start), MAP_KIND.available],
    [HOLE.start, HOLE.end, MAP_KIND.reserved],
    ...(end > HOLE.end ? [[HOLE.end, end, MAP_KIND.available] as [number, number, number]] : []),
  ];
  const word = (at: number, value: number): void => writeU32(bytes, at, value);
  word(0, INFO_FLAGS.memory | INFO_FLAGS.commandLine | INFO_FLAGS.map | INFO_FLAGS.loaderName);
  word(4, Math.min(end, HOLE.start) / 1024);
  word(8, Math.max(0, end - HOLE.end) / 1024);
  word(16, COMMAND_LINE);
  word(44, ranges.length * MAP_ENTRY_SIZE);
  word(48, MAP);
  word(64, LOADER_NAME);
  ranges.forEach(([start, rangeEnd, kind], index) => {
    const at = MAP - INFO + index * MAP_ENTRY_SIZE;
    // The size does not count itself; addresses are below 4 GiB, so their upper words stay 0.
    word(at, MAP_ENTRY_SIZE - 4);
    word(at + 4, start);
    word(at + 12, rangeEnd - start);
    word(at + 20, kind);
  });
  bytes.set(encodeUtf8("vitrine"), LOADER_NAME - INFO);
  bytes.set(line, COMMAND_LINE - INFO);
  return bytes;
}
