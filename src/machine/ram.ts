/**
 * Guest RAM: a window of the machine's WebAssembly memory.
 *
 *     physical base .. base + size   <->   host .. host + size
 *
 * Every write goes through here or through the harts' stores, and both tell the predecoded code.
 */
import type { PhysicalMemory } from "./physical-memory.ts";

/** What must know of writes: pages, counted from the start of RAM, whose code was decoded. */
export interface CodeTracker {
  hasCode(page: number): boolean;
  invalidate(page: number, offset: number, length: number): void;
}

export class Ram implements PhysicalMemory {
  readonly base: number;
  readonly size: number;
  /** Where RAM begins in the WebAssembly memory. */
  readonly host: number;
  private readonly bytes: Uint8Array;
  private readonly halves: Uint16Array;
  private readonly view: DataView;
  private code: CodeTracker | undefined;

  constructor(buffer: ArrayBuffer, host: number, base: number, size: number) {
    this.base = base;
    this.size = size;
    this.host = host;
    this.bytes = new Uint8Array(buffer, host, size);
    this.halves = new Uint16Array(buffer, host, size / 2);
    this.view = new DataView(buffer, host, size);
  }

  /** Sets who is told of writes to pages that hold decoded code. */
  trackCode(code: CodeTracker): void {
    this.code = code;
  }

  contains(address: number, length: number): boolean {
    return address >= this.base && address + length <= this.base + this.size && length >= 0;
  }

  /** The page of RAM, counted from its start. */
  pageOf(address: number): number {
    return Math.floor((address - this.base) / 4096);
  }

  read8(address: number): number {
    return this.view.getUint8(this.offset(address, 1));
  }

  read16(address: number): number {
    return this.view.getUint16(this.offset(address, 2), true);
  }

  /** As `read16`, of an even address that is known to be in RAM. */
  readHalf(address: number): number {
    return this.halves[(address - this.base) >>> 1] ?? 0;
  }

  read32(address: number): number {
    return this.view.getInt32(this.offset(address, 4), true);
  }

  write8(address: number, value: number): void {
    this.view.setUint8(this.changing(address, 1), value);
  }

  write16(address: number, value: number): void {
    this.view.setUint16(this.changing(address, 2), value, true);
  }

  write32(address: number, value: number): void {
    this.view.setInt32(this.changing(address, 4), value, true);
  }

  read(address: number, length: number): Uint8Array {
    const start = this.offset(address, length);
    return this.bytes.slice(start, start + length);
  }

  readInto(address: number, target: Uint8Array): void {
    const start = this.offset(address, target.length);
    target.set(this.bytes.subarray(start, start + target.length));
  }

  write(address: number, bytes: Uint8Array): void {
    this.bytes.set(bytes, this.changing(address, bytes.length));
  }

  fill(address: number, length: number, byte: number): void {
    const start = this.changing(address, length);
    this.bytes.fill(byte, start, start + length);
  }

  copy(to: number, from: number, length: number): void {
    const source = this.offset(from, length);
    this.bytes.copyWithin(this.changing(to, length), source, source + length);
  }

  private offset(address: number, length: number): number {
    const offset = address - this.base;
    if (!(offset >= 0 && offset + length <= this.size && length >= 0)) {
      throw new RangeError(`0x${address.toString(16)} (${length} bytes) is outside RAM`);
    }
    return offset;
  }

  /** The offset of bytes about to change; forgets what was decoded from them. */
  private changing(address: number, length: number): number {
    const offset = this.offset(address, length);
    const { code } = this;
    if (code !== undefined && length > 0) {
      const last = Math.floor((offset + length - 1) / 4096);
      for (let page = Math.floor(offset / 4096); page <= last; page++) {
        if (!code.hasCode(page)) continue;
        const start = Math.max(0, offset - page * 4096);
        code.invalidate(page, start, Math.min(4096, offset + length - page * 4096) - start);
      }
    }
    return offset;
  }
}
