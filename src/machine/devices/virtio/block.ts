/**
 * A virtio block device: a disk of 512-byte sectors over a backend that the host provides.
 *
 *   readable:  | type u32 | reserved u32 | sector u64 | data for a write ...... |
 *   writable:  | data of a read ...... | status u8 |
 *
 * Virtual I/O Device specification 1.2, section 5.2. How a driver cuts a request into buffers is its own affair; only the
 * order counts. A request that is well-formed but cannot be done answers IOERR or UNSUPP; one without room for the header
 * or the status is the driver's error, and the device needs a reset.
 */
import { readU32, readWord64, writeU32, writeU64 } from "../../../lib/bytes.ts";
import type { PhysicalMemory } from "../../physical-memory.ts";
import type { VirtioFunction } from "./mmio.ts";
import { sliceSegments, totalLength, type Chain, type Segment } from "./virtqueue.ts";

export const sectorSize = 512;

/** Where the sectors are. All calls are synchronous; false is an I/O error, and nothing is thrown. */
export interface BlockBackend {
  readonly sectors: number;
  readonly readOnly: boolean;
  /** At most 20 ASCII characters. */
  readonly id: string;
  /** Fills `target`, a whole number of sectors, from `sector` on. The range has been checked. */
  read(sector: number, target: Uint8Array): boolean;
  write(sector: number, data: Uint8Array): boolean;
  /** Makes what was written durable. */
  flush(): boolean;
}

const deviceId = 2;
const REQUEST = { in: 0, out: 1, flush: 4, getId: 8, discard: 11, writeZeroes: 13 } as const;
const STATUS = { ok: 0, ioError: 1, unsupported: 2 } as const;
const FEATURE = {
  segMax: 1 << 2,
  readOnly: 1 << 5,
  blockSize: 1 << 6,
  flush: 1 << 9,
  discard: 1 << 13,
  writeZeroes: 1 << 14,
} as const;
const headerSize = 16;
const idSize = 20;
const rangeSize = 16;
/** Ranges of one discard or write-zeroes request. */
const maxRanges = 16;
const maxRangeSectors = 1 << 11;
/** Data of one request; Linux asks for 1.25 MiB at most. Buffers may overlap, so RAM does not bound it. */
const maxDataBytes = 16 << 20;
/** Data goes through a host buffer of this size. */
const bounceBytes = 64 << 10;
const defaultLatencyNs = 20_000;

export interface VirtioBlockOptions {
  readonly memory: PhysicalMemory;
  readonly backend: BlockBackend;
  readonly latencyNs?: number;
}

export function createVirtioBlock({
  memory,
  backend,
  latencyNs = defaultLatencyNs,
}: VirtioBlockOptions): VirtioFunction {
  const bounce = new Uint8Array(bounceBytes);
  const writable = backend.readOnly ? FEATURE.readOnly : FEATURE.discard | FEATURE.writeZeroes;

  return {
    deviceId,
    queues: 1,
    features: FEATURE.segMax | FEATURE.blockSize | FEATURE.flush | writable,
    config: makeConfig(backend.sectors),
    latencyNs,
    serve(chain: Chain) {
      const writableLength = totalLength(chain.writable);
      if (totalLength(chain.readable) < headerSize) return { error: "a block request without a header" };
      if (writableLength < 1) return { error: "a block request without a status byte" };
      const header = gather(sliceSegments(chain.readable, 0, headerSize));
      const { status, written, workBytes } = perform(readU32(header, 0), sectorOf(header, 8), chain);
      scatter(sliceSegments(chain.writable, writableLength - 1, 1), new Uint8Array([status]));
      return { written: written + 1, workBytes };
    },
  };

  function perform(type: number, sector: number, chain: Chain): { status: number; written: number; workBytes: number } {
    const input = sliceSegments(chain.writable, 0, totalLength(chain.writable) - 1);
    const output = sliceSegments(chain.readable, headerSize, totalLength(chain.readable) - headerSize);
    switch (type) {
      case REQUEST.in: {
        const length = totalLength(input);
        const isDone = isTransfer(sector, length) && transfer(input, sector, readSectors);
        return { ...outcome(isDone, length), written: isDone ? length : 0 };
      }
      case REQUEST.out: {
        const length = totalLength(output);
        return outcome(
          !backend.readOnly && isTransfer(sector, length) && transfer(output, sector, writeSectors),
          length,
        );
      }
      case REQUEST.flush:
        return outcome(backend.flush(), 0);
      case REQUEST.getId: {
        const id = new Uint8Array(idSize);
        for (let i = 0; i < Math.min(idSize, backend.id.length); i++) id[i] = backend.id.charCodeAt(i) & 0x7f;
        const length = Math.min(idSize, totalLength(input));
        scatter(sliceSegments(input, 0, length), id);
        return { ...outcome(true, 0), written: length };
      }
      case REQUEST.discard:
      case REQUEST.writeZeroes:
        return backend.readOnly ? { ...outcome(false, 0), status: STATUS.unsupported } : zeroRanges(output);
      default:
        return { ...outcome(false, 0), status: STATUS.unsupported };
    }
  }

  function isTransfer(sector: number, length: number): boolean {
    return length % sectorSize === 0 && length <= maxDataBytes && sector + length / sectorSize <= backend.sectors;
  }

  /** Moves the sectors through the bounce buffer, chunk by chunk. An error leaves the chunks before it done. */
  function transfer(
    segments: readonly Segment[],
    sector: number,
    move: (sector: number, part: Segment[], chunk: Uint8Array) => boolean,
  ): boolean {
    const length = totalLength(segments);
    for (let at = 0; at < length; at += bounceBytes) {
      const chunk = bounce.subarray(0, Math.min(bounceBytes, length - at));
      if (!move(sector + at / sectorSize, sliceSegments(segments, at, chunk.length), chunk)) return false;
    }
    return true;
  }

  function readSectors(sector: number, part: Segment[], chunk: Uint8Array): boolean {
    if (!backend.read(sector, chunk)) return false;
    scatter(part, chunk);
    return true;
  }

  function writeSectors(sector: number, part: Segment[], chunk: Uint8Array): boolean {
    let at = 0;
    for (const { address, length } of part) {
      memory.readInto(address, chunk.subarray(at, at + length));
      at += length;
    }
    return backend.write(sector, chunk);
  }

  /** 5.2.6: ranges of { sector u64, count u32, flags u32 }. A discarded sector reads as zeros here. */
  function zeroRanges(output: readonly Segment[]): { status: number; written: number; workBytes: number } {
    const length = totalLength(output);
    if (length === 0 || length % rangeSize !== 0 || length > maxRanges * rangeSize) return outcome(false, 0);
    const ranges = gather(output);
    let total = 0;
    for (let at = 0; at < length; at += rangeSize) {
      const sector = sectorOf(ranges, at);
      const count = readU32(ranges, at + 8);
      if (count > maxRangeSectors || sector + count > backend.sectors) return outcome(false, total * sectorSize);
      const zeros = bounce.fill(0);
      for (let done = 0; done < count; done += bounceBytes / sectorSize) {
        const sectors = Math.min(bounceBytes / sectorSize, count - done);
        if (!backend.write(sector + done, zeros.subarray(0, sectors * sectorSize)))
          return outcome(false, total * sectorSize);
      }
      total += count;
    }
    return outcome(true, total * sectorSize);
  }

  function gather(segments: readonly Segment[]): Uint8Array {
    const bytes = new Uint8Array(totalLength(segments));
    let at = 0;
    for (const { address, length } of segments) {
      memory.readInto(address, bytes.subarray(at, at + length));
      at += length;
    }
    return bytes;
  }

  function scatter(segments: readonly Segment[], bytes: Uint8Array): void {
    let at = 0;
    for (const { address, length } of segments) {
      memory.write(address, bytes.subarray(at, at + length));
      at += length;
    }
  }
}

/** A disk in host memory; a partial last sector is dropped. */
export function createMemoryBlock(
  bytes: Uint8Array,
  options: { readonly readOnly?: boolean; readonly id?: string } = {},
): BlockBackend {
  return {
    sectors: Math.floor(bytes.length / sectorSize),
    readOnly: options.readOnly ?? false,
    id: options.id ?? "vitrine-disk",
    read(sector, target) {
      target.set(bytes.subarray(sector * sectorSize, sector * sectorSize + target.length));
      return true;
    },
    write(sector, data) {
      bytes.set(data, sector * sectorSize);
      return true;
    },
    flush: () => true,
  };
}

function outcome(isDone: boolean, workBytes: number): { status: number; written: number; workBytes: number } {
  return { status: isDone ? STATUS.ok : STATUS.ioError, written: 0, workBytes };
}

/** A sector number; beyond 2^53 it is rounded, and still far past the end of any disk. */
function sectorOf(bytes: Uint8Array, offset: number): number {
  const { hi, lo } = readWord64(bytes, offset);
  return (hi >>> 0) * 4294967296 + (lo >>> 0);
}

/** struct virtio_blk_config (5.2.4); what no offered feature covers stays 0. */
function makeConfig(sectors: number): Uint8Array {
  const config = new Uint8Array(60);
  writeU64(config, 0, sectors);
  writeU32(config, 12, 254); // seg_max: a queue of 256 less header and status
  writeU32(config, 20, sectorSize); // blk_size
  writeU32(config, 36, maxRangeSectors); // max_discard_sectors
  writeU32(config, 40, maxRanges); // max_discard_seg
  writeU32(config, 44, 1); // discard_sector_alignment
  writeU32(config, 48, maxRangeSectors); // max_write_zeroes_sectors
  writeU32(config, 52, maxRanges); // max_write_zeroes_seg
  return config;
}
