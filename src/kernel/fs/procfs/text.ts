// Text as /proc prints it.

import { highHalf } from "../../../lib/word64.ts";

/** Bytes of a byte string. */
export function encodeByteString(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** An address in hexadecimal, at least 8 digits; negative numbers are the upper half. */
export function hexAddress(address: number): string {
  const high = highHalf(address) >>> 0;
  const low = (address | 0) >>> 0;
  const digits = high === 0 ? low.toString(16) : high.toString(16) + low.toString(16).padStart(8, "0");
  return digits.padStart(8, "0");
}

/** Blanks and the like in a path, as /proc/mounts and maps escape them. */
export function escapePath(path: string): string {
  return path.replace(/[ \t\n\\]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, "0")}`);
}

/** Nanoseconds in clock ticks of 1/100 s. */
export function ticks(ns: number): number {
  return Math.floor(ns / 10_000_000);
}
