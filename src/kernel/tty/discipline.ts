// The line discipline: what becomes of a byte that is typed. termios(3), "Canonical and noncanonical mode".
//
//   wire -> c_iflag -> flow control -> signals -> literal next -> editing (ICANON) -> line -> NL, EOF -> ready
//                                                      |                                       (raw) -> ready
//                                                      +-> echo
//
//   ready     b y t e s | l i n e 2 \n |            lineEnds [6, 13]: where each complete line stops; equal to the one before
//                       6              13           (or 0) is an end of file: a read of no bytes

import * as io from "../../abi/linux/ioctl.ts";
import { SIGNALS } from "../../abi/linux/signals.ts";
import type { Kernel } from "../kernel.ts";
import { kernelSignal, sendGroupSignal } from "../process/signals.ts";
import { wake } from "../wait.ts";
import { transmit, writeTty } from "./output.ts";
import { ttyInputKey, ttyOutputKey } from "./tty.ts";
import type { Tty } from "./types.ts";

/** Bytes that a terminal holds for its readers (N_TTY_BUF_SIZE). */
const CAPACITY = 4096;
const NEWLINE = 10;
const RETURN = 13;
const TAB = 9;
const BELL = 7;
const DISABLED = 0;

/** How many more bytes the terminal takes now. A line that is too long drops its tail, so an unfinished line is never in the way. */
export function inputRoom(tty: Tty): number {
  const isCanonical = (tty.termios.localFlags & io.ICANON) !== 0;
  if (isCanonical && tty.lineEnds.length === 0) return CAPACITY;
  return Math.max(0, CAPACITY - tty.ready.length - tty.line.length);
}

/** Bytes from the wire. */
export function ttyInput(k: Kernel, tty: Tty, bytes: Uint8Array): void {
  const readableBefore = tty.ready.length + tty.lineEnds.length;
  for (const byte of bytes) inputByte(k, tty, byte);
  if (tty.ready.length + tty.lineEnds.length !== readableBefore) wake(k, ttyInputKey(tty));
}

function inputByte(k: Kernel, tty: Tty, received: number): void {
  const { inputFlags, localFlags, controlCharacters: control } = tty.termios;
  const has = (flag: number): boolean => (localFlags & flag) !== 0;
  const is = (index: number): boolean => control[index] !== DISABLED && byte === control[index];
  let byte = (inputFlags & io.ISTRIP) !== 0 ? received & 0x7f : received;

  if (tty.literalNext) {
    tty.literalNext = false;
    acceptByte(k, tty, byte);
    return;
  }
  if ((inputFlags & io.IXON) !== 0) {
    if (is(io.VSTART)) return startOutput(k, tty);
    if (is(io.VSTOP)) {
      tty.stopped = true;
      return;
    }
    if (tty.stopped && (inputFlags & io.IXANY) !== 0) startOutput(k, tty);
  }
  if (has(io.ISIG)) {
    const signal = is(io.VINTR) ? SIGNALS.SIGINT : is(io.VQUIT) ? SIGNALS.SIGQUIT : is(io.VSUSP) ? SIGNALS.SIGTSTP : 0;
    if (signal !== 0) return raiseSignal(k, tty, byte, signal);
  }
  if (byte === RETURN) {
    if ((inputFlags & io.IGNCR) !== 0) return;
    if ((inputFlags & io.ICRNL) !== 0) byte = NEWLINE;
  } else if (byte === NEWLINE && (inputFlags & io.INLCR) !== 0) {
    byte = RETURN;
  }
  if (has(io.IEXTEN) && has(io.ICANON) && is(io.VLNEXT)) {
    tty.literalNext = true;
    if (has(io.ECHO) && has(io.ECHOCTL)) transmit(k, tty, Uint8Array.of(0x5e, 0x08)); // ^, and back over it
    return;
  }
  if (!has(io.ICANON)) {
    echo(k, tty, byte);
    if (tty.ready.length < CAPACITY) tty.ready.push(byte);
    return;
  }

  if (is(io.VERASE) || (byte === 8 && control[io.VERASE] === 127)) return eraseCharacter(k, tty);
  if (is(io.VKILL)) return killLine(k, tty);
  if (has(io.IEXTEN) && is(io.VWERASE)) return eraseWord(k, tty);
  if (has(io.IEXTEN) && has(io.ECHO) && is(io.VREPRINT)) return reprint(k, tty);
  if (is(io.VEOF)) return finishLine(tty);
  if (byte === NEWLINE || is(io.VEOL) || (has(io.IEXTEN) && is(io.VEOL2))) {
    if (has(io.ECHO) || (byte === NEWLINE && has(io.ECHONL))) echoForced(k, tty, byte);
    tty.line.push(byte);
    return finishLine(tty);
  }
  acceptByte(k, tty, byte);
}

/** An ordinary byte of the line. */
function acceptByte(k: Kernel, tty: Tty, byte: number): void {
  const isCanonical = (tty.termios.localFlags & io.ICANON) !== 0;
  if (tty.line.length + tty.ready.length >= CAPACITY - 1) {
    if ((tty.termios.inputFlags & io.IMAXBEL) !== 0) transmit(k, tty, Uint8Array.of(BELL));
    return;
  }
  echo(k, tty, byte);
  (isCanonical ? tty.line : tty.ready).push(byte);
}

/** The line becomes readable. With nothing in it that is an end of file. */
function finishLine(tty: Tty): void {
  for (const byte of tty.line) tty.ready.push(byte);
  tty.line.length = 0;
  tty.lineEnds.push(tty.ready.length);
}

function startOutput(k: Kernel, tty: Tty): void {
  tty.stopped = false;
  wake(k, ttyOutputKey(tty));
}

/** ^C, ^\, ^Z: input and stopped output are dropped unless NOFLSH, and the foreground group hears it. */
function raiseSignal(k: Kernel, tty: Tty, byte: number, signal: number): void {
  if ((tty.termios.localFlags & io.NOFLSH) === 0) flushInput(tty);
  if (tty.stopped) startOutput(k, tty);
  echo(k, tty, byte);
  if (tty.foregroundGroup !== 0) sendGroupSignal(k, tty.foregroundGroup, kernelSignal(signal));
}

/** Drops everything that was typed and not read. */
export function flushInput(tty: Tty): void {
  tty.line.length = 0;
  tty.ready.length = 0;
  tty.lineEnds.length = 0;
  tty.literalNext = false;
}

/** Settings changed between the modes: what was typed stays readable. */
export function switchMode(k: Kernel, tty: Tty): void {
  if ((tty.termios.localFlags & io.ICANON) === 0) {
    for (const byte of tty.line) tty.ready.push(byte);
    tty.line.length = 0;
    tty.lineEnds.length = 0;
  } else if (tty.ready.length > 0) {
    tty.lineEnds.push(tty.ready.length);
  }
  wake(k, ttyInputKey(tty));
}

/** Takes readable bytes: in canonical mode at most the rest of one line. */
export function takeInput(tty: Tty, target: Uint8Array): number {
  const isCanonical = (tty.termios.localFlags & io.ICANON) !== 0;
  const [end] = tty.lineEnds;
  const count = Math.min(target.length, isCanonical ? (end ?? 0) : tty.ready.length);
  target.set(tty.ready.slice(0, count));
  tty.ready.splice(0, count);
  for (let i = 0; i < tty.lineEnds.length; i++) tty.lineEnds[i] = (tty.lineEnds[i] ?? 0) - count;
  if (isCanonical && tty.lineEnds[0] === 0) tty.lineEnds.shift();
  return count;
}

/** Bytes that a read would get now; -1 for none, so that 0 can mean an end of file. */
export function readableInput(tty: Tty): number {
  if ((tty.termios.localFlags & io.ICANON) === 0) return tty.ready.length > 0 ? tty.ready.length : -1;
  return tty.lineEnds[0] ?? -1;
}

// Echo and editing.

function echo(k: Kernel, tty: Tty, byte: number): void {
  if ((tty.termios.localFlags & io.ECHO) !== 0) echoForced(k, tty, byte);
}

function echoForced(k: Kernel, tty: Tty, byte: number): void {
  writeTty(k, tty, Uint8Array.from(echoOf(tty, byte)));
}

/** How a byte shows: control characters as ^X with ECHOCTL, but for tab and newline. */
function echoOf(tty: Tty, byte: number): number[] {
  const isControl = byte < 0x20 || byte === 0x7f;
  if (!isControl || byte === TAB || byte === NEWLINE || (tty.termios.localFlags & io.ECHOCTL) === 0) return [byte];
  return [0x5e, byte ^ 0x40];
}

function eraseCharacter(k: Kernel, tty: Tty): void {
  const erased = popCharacter(tty);
  if (erased !== undefined) showErased(k, tty, erased);
}

/** Removes the last character; with IUTF8 that may be several bytes. Returns its first byte. */
function popCharacter(tty: Tty): number | undefined {
  let byte = tty.line.pop();
  if ((tty.termios.inputFlags & io.IUTF8) !== 0) {
    while (byte !== undefined && (byte & 0xc0) === 0x80 && tty.line.length > 0) byte = tty.line.pop();
  }
  return byte;
}

function showErased(k: Kernel, tty: Tty, byte: number): void {
  const { localFlags, controlCharacters } = tty.termios;
  if ((localFlags & io.ECHO) === 0) return;
  if ((localFlags & io.ECHOE) === 0) return echoForced(k, tty, controlCharacters[io.VERASE] ?? 0x7f);
  let width = byte === TAB ? tabWidth(tty) : echoOf(tty, byte).length;
  if (byte < 0x20 && byte !== TAB && (localFlags & io.ECHOCTL) === 0) width = 0;
  const out: number[] = [];
  for (let i = 0; i < width; i++) {
    if (byte === TAB) out.push(0x08);
    else out.push(0x08, 0x20, 0x08);
  }
  tty.column = Math.max(0, tty.column - width);
  transmit(k, tty, Uint8Array.from(out));
}

/** Columns that the tab just erased took: up to where the line before it ends. */
function tabWidth(tty: Tty): number {
  let before = 0;
  let widest = 0;
  // The line begins somewhere on the screen; only tabs make that matter, and they are relative to column 0.
  for (const byte of tty.line) {
    if ((byte & 0xc0) === 0x80) continue;
    before += byte === TAB ? 8 - (before % 8) : echoOf(tty, byte).length;
    widest = before;
  }
  return Math.min(8 - (widest % 8), Math.max(1, tty.column));
}

function eraseWord(k: Kernel, tty: Tty): void {
  const isWord = (byte: number | undefined): boolean =>
    byte !== undefined && (byte >= 0x80 || byte === 0x5f || /[0-9A-Za-z]/.test(String.fromCharCode(byte)));
  let inWord = false;
  while (tty.line.length > 0) {
    if (isWord(tty.line.at(-1))) inWord = true;
    else if (inWord) break;
    eraseCharacter(k, tty);
  }
}

function killLine(k: Kernel, tty: Tty): void {
  const { localFlags, controlCharacters } = tty.termios;
  if ((localFlags & io.ECHO) !== 0 && (localFlags & io.ECHOKE) !== 0 && (localFlags & io.ECHOE) !== 0) {
    while (tty.line.length > 0) eraseCharacter(k, tty);
    return;
  }
  tty.line.length = 0;
  if ((localFlags & io.ECHO) === 0) return;
  echoForced(k, tty, controlCharacters[io.VKILL] ?? 0);
  if ((localFlags & io.ECHOK) !== 0) echoForced(k, tty, NEWLINE);
}

function reprint(k: Kernel, tty: Tty): void {
  echoForced(k, tty, tty.termios.controlCharacters[io.VREPRINT] ?? 0);
  echoForced(k, tty, NEWLINE);
  for (const byte of tty.line) echoForced(k, tty, byte);
}
