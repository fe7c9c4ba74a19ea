// A file of the host as a swap area.
//
// The file is made, or grown, to the size asked for, and gets a header as mkswap(8) writes it. A file that holds something else than a swap
// area is refused: nobody's data is overwritten by a slip of the hand. What it held before means nothing, each boot begins empty.

import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import type { HostBlockDevice } from "../kernel/host.ts";
import { LEAST_SWAP_PAGES, pagesOfHeader, swapHeader } from "../kernel/mem/swap-areas.ts";
import { VitrineError } from "./error.ts";

export interface SwapOption {
  /** Path on the host. */
  readonly file: string;
  /** Bytes, rounded down to pages of 4096, at least 40 KiB; default: what the file has. */
  readonly size?: number | undefined;
}

export interface SwapFile extends HostBlockDevice {
  close(): void;
}

const PAGE = 4096;
/** The most that the kernel can number: 256 GiB. */
const MOST_BYTES = 2 ** 38;

/** Opens a swap file. Throws VitrineError when it cannot be opened, is too small, or holds other data. */
export function openSwapFile({ file, size }: SwapOption): SwapFile {
  const handle = open(file, size !== undefined);
  try {
    const present = fstatSync(handle);
    if (!present.isFile()) throw new VitrineError(`swap: ${file} is not a regular file`);
    const header = new Uint8Array(PAGE);
    const length = readSync(handle, header, 0, PAGE, 0);
    if (present.size > 0 && (length < PAGE || pagesOfHeader(header) === undefined) && !isBlank(header)) {
      throw new VitrineError(`swap: ${file} holds something else than a swap area; remove it, or name another file`);
    }
    const pages = Math.floor((size ?? present.size) / PAGE);
    if (pages < LEAST_SWAP_PAGES || pages * PAGE > MOST_BYTES) {
      throw new VitrineError(
        `swap: ${file} would have ${pages * PAGE} bytes; it takes ${LEAST_SWAP_PAGES * PAGE} to ${MOST_BYTES} (--swap-size)`,
      );
    }
    ftruncateSync(handle, pages * PAGE);
    writeSync(handle, swapHeader(pages), 0, PAGE, 0);
    return {
      size: pages * PAGE,
      read: (offset, target) => transfer(() => readSync(handle, target, 0, target.length, offset), target.length),
      write: (offset, bytes) => transfer(() => writeSync(handle, bytes, 0, bytes.length, offset), bytes.length),
      close: () => closeSync(handle),
    };
  } catch (error) {
    closeSync(handle);
    throw error instanceof VitrineError ? error : new VitrineError(`swap: ${file}: ${reason(error)}`);
  }
}

function open(file: string, mayCreate: boolean): number {
  try {
    return openSync(file, constants.O_RDWR | (mayCreate ? constants.O_CREAT : 0), 0o600);
  } catch (error) {
    throw new VitrineError(`swap: ${file}: ${reason(error)}${mayCreate ? "" : " (--swap-size makes it)"}`);
  }
}

/** A page that was never written: part of a file that only has a size. */
const isBlank = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);

/** A transfer that moves less than all is an error of the device, whatever the host says of it. */
function transfer(move: () => number, length: number): 0 | "EIO" {
  try {
    return move() === length ? 0 : "EIO";
  } catch {
    return "EIO";
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
