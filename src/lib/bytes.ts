// Little-endian numbers in byte arrays, a growable byte buffer, and UTF-8. A 64-bit value is read as a Word64 or as a
// number, and an access outside the array throws RangeError: callers check the bounds of hostile input first.

import { highHalf, toNumber, word64, type Word64 } from "./word64.ts";

export function readU8(bytes: Uint8Array, offset: number): number {
  checkBounds(bytes, offset, 1);
  return bytes[offset] ?? 0;
}

export function readU16(bytes: Uint8Array, offset: number): number {
  checkBounds(bytes, offset, 2);
  return (bytes[offset] ?? 0) | ((bytes[offset + 1] ?? 0) << 8);
}

/** The 32 bits as an int32. */
export function readI32(bytes: Uint8Array, offset: number): number {
  return readU16(bytes, offset) | (readU16(bytes, offset + 2) << 16);
}

export function readU32(bytes: Uint8Array, offset: number): number {
  return readI32(bytes, offset) >>> 0;
}

export function readWord64(bytes: Uint8Array, offset: number): Word64 {
  return word64(readI32(bytes, offset + 4), readI32(bytes, offset));
}

/** The 64 bits as a signed number, exact within 2^53. */
export function readI64(bytes: Uint8Array, offset: number): number {
  return toNumber(readI32(bytes, offset + 4), readI32(bytes, offset));
}

/** Unsigned 64 bits as a JS number, exact below 2^53. */
export function readU64(bytes: Uint8Array, offset: number): number {
  return readU32(bytes, offset + 4) * 0x1_0000_0000 + readU32(bytes, offset);
}

export function writeU8(bytes: Uint8Array, offset: number, value: number): void {
  checkBounds(bytes, offset, 1);
  bytes[offset] = value;
}

export function writeU16(bytes: Uint8Array, offset: number, value: number): void {
  checkBounds(bytes, offset, 2);
  bytes[offset] = value;
  bytes[offset + 1] = value >>> 8;
}

export function writeU32(bytes: Uint8Array, offset: number, value: number): void {
  checkBounds(bytes, offset, 4);
  bytes[offset] = value;
  bytes[offset + 1] = value >>> 8;
  bytes[offset + 2] = value >>> 16;
  bytes[offset + 3] = value >>> 24;
}

export function writeWord64(bytes: Uint8Array, offset: number, value: Word64): void {
  checkBounds(bytes, offset, 8);
  writeU32(bytes, offset, value.lo);
  writeU32(bytes, offset + 4, value.hi);
}

/** Writes an integer in [-2^63, 2^64), modulo 2^64. */
export function writeU64(bytes: Uint8Array, offset: number, value: number): void {
  checkBounds(bytes, offset, 8);
  writeU32(bytes, offset, value | 0);
  writeU32(bytes, offset + 4, highHalf(value));
}

/** Bytes that grow as they are appended to. */
export class ByteBuffer {
  #bytes: Uint8Array;
  #length = 0;

  constructor(initialCapacity = 256) {
    this.#bytes = new Uint8Array(Math.max(initialCapacity, 16));
  }

  get length(): number {
    return this.#length;
  }

  u8(value: number): void {
    const at = this.#reserve(1); // before reading #bytes, which it may replace
    writeU8(this.#bytes, at, value);
  }

  u16(value: number): void {
    const at = this.#reserve(2); // before reading #bytes, which it may replace
    writeU16(this.#bytes, at, value);
  }

  u32(value: number): void {
    const at = this.#reserve(4); // before reading #bytes, which it may replace
    writeU32(this.#bytes, at, value);
  }

  /** Appends an integer in [-2^63, 2^64), modulo 2^64. */
  u64(value: number): void {
    const at = this.#reserve(8); // before reading #bytes, which it may replace
    writeU64(this.#bytes, at, value);
  }

  word64(value: Word64): void {
    const at = this.#reserve(8); // before reading #bytes, which it may replace
    writeWord64(this.#bytes, at, value);
  }

  bytes(source: Uint8Array): void {
    const at = this.#reserve(source.length);
    this.#bytes.set(source, at);
  }

  /** Appends `count` bytes of the given value. */
  fill(count: number, value: number): void {
    const at = this.#reserve(count);
    this.#bytes.fill(value, at, at + count);
  }

  /** Appends zeros until the length is a multiple of the alignment. */
  align(alignment: number): void {
    this.fill((alignment - (this.#length % alignment)) % alignment, 0);
  }

  /** Overwrites four bytes appended before. */
  patchU32(offset: number, value: number): void {
    if (offset + 4 > this.#length) throw new RangeError(`patch at ${offset} beyond length ${this.#length}`);
    writeU32(this.#bytes, offset, value);
  }

  /** A copy of what was appended. */
  toUint8Array(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#bytes.subarray(0, this.#length));
  }

  #reserve(count: number): number {
    const at = this.#length;
    const needed = at + count;
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
      grown.set(this.#bytes.subarray(0, at));
      this.#bytes = grown;
    }
    this.#length = needed;
    return at;
  }
}

const utf8Encoder = new TextEncoder();
const utf8Decoder = new TextDecoder("utf-8", { ignoreBOM: true });

export function encodeUtf8(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(utf8Encoder.encode(text));
}

/** Malformed sequences become U+FFFD. */
export function decodeUtf8(bytes: Uint8Array): string {
  return utf8Decoder.decode(bytes);
}

/** The text up to the first zero byte, or to the end when there is none. */
export function decodeCString(bytes: Uint8Array, offset = 0): string {
  const end = bytes.indexOf(0, offset);
  return decodeUtf8(bytes.subarray(offset, end === -1 ? bytes.length : end));
}

/** Whether both hold the same bytes. */
export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

function checkBounds(bytes: Uint8Array, offset: number, length: number): void {
  if (!(offset >= 0 && offset + length <= bytes.length)) {
    throw new RangeError(`${length} bytes at ${offset} of an array of ${bytes.length}`);
  }
}
