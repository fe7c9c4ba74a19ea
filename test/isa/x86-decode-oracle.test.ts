// The decoder of x86-64 against objdump: whether arbitrary bytes are an instruction, and how long it is.

import assert from "node:assert/strict";
import test from "node:test";
import { decode } from "../../src/isa/x86_64/decode.ts";
import { newDecoded } from "../../src/isa/x86_64/decode-types.ts";
import { type Instruction, instructionOf } from "../../src/isa/x86_64/instructions.ts";
import { skipWithout } from "../support/tools.ts";
import { int32Generator } from "./random-words.ts";
import { type DumpedX86, objdumpBytes, X86_OBJDUMP } from "./x86-objdump.ts";

const skip = skipWithout(X86_OBJDUMP);
const SEED = 20261126;
const SLOT = 32;
const COUNT = 30_000;

/** Bytes that random code has too seldom at its beginning: escapes and prefixes. */
const BEGINNINGS = [0x0f, 0x66, 0xf2, 0xf3, 0x48, 0xf0, 0x67, 0x64];

/** Slots of random bytes, ended by nops so that objdump is in step again at the next. */
function randomSlots(next: () => number): Uint8Array {
  const image = new Uint8Array(COUNT * SLOT).fill(0x90);
  for (let slot = 0; slot < COUNT; slot++) {
    const at = slot * SLOT;
    for (let i = 0; i < 16; i++) image[at + i] = next() >>> 7;
    if ((slot & 1) === 1) image[at] = BEGINNINGS[(next() >>> 5) & 7] ?? 0;
    if ((slot & 7) === 7) image[at + 1] = 0x0f;
  }
  return image;
}

const LONE_PREFIXES = /^((data16|addr32|lock|repn?z|[c-gs]s|rex(\.[WRXB]+)?)( |$))+$/;
const PREFIXES = /^((data16|addr32|lock|repn?z|rep|[c-gs]s|bnd|notrack|xacquire|xrelease|rex(\.[WRXB]+)?) )+/;

/** What objdump makes of a slot. It breaks some rows of prefixes into several lines. */
function dumpedAt(lines: ReadonlyMap<number, DumpedX86>, start: number): { length: number; text: string } | undefined {
  let address = start;
  for (;;) {
    const line = lines.get(address);
    if (line === undefined) return undefined;
    address += line.bytes.length;
    if (!LONE_PREFIXES.test(line.text)) return { length: address - start, text: line.text.replace(PREFIXES, "") };
  }
}

/** What came after the level that the table describes, or was dropped before: undefined here. */
const OTHER_LEVELS =
  /^(pf|pi2f|pavgusb|pmulhrw |pswapd|femms|extrq|insertq|movnts[sd]|ad[co]x|x(begin|abort|end|test|saves|savec|rstors|crypt|sha|store)|movbe|movdir|rd(rand|seed|pid|pkru|pru|msrlist)|wr(pkru|u?ss[dq]|msrns|msrlist)|(inc|set|clr|saveprev|rstor)ss|clrssbsy|clflushopt|clwb|ptwrite|tpause|umwait|umonitor|getsec|rsm|enc[lsv]|vm|sea|serialize|xresldtrk|xsusldtrk|monitorx|mwaitx|clzero|invlpg[ab]|invept|invvpid|tlbsync|skinit|stgi|clgi|psmash|pvalidate|rmp|aes|sha|pclmul|gf2p8|lkgs|eret[su]|hreset|uiret|clui|stui|testui|senduipi|enqcmd|montmul|frstpm|pconfig)/;

/** Prefixes of VEX, EVEX and XOP. */
const LATER_ENCODINGS: ReadonlySet<number> = new Set([0xc4, 0xc5, 0x62, 0x8f]);

function hasLaterEncoding(image: Uint8Array, at: number): boolean {
  const opcode = image.subarray(at, at + 15).find((byte) => !isPrefix(byte));
  return opcode !== undefined && LATER_ENCODINGS.has(opcode);
}

/** Registers that there are not, and mov to cs. */
const NO_REGISTER = /^mov (cs,|.*\?|.*\b(cr([15-7]|9|1[0-5])|dr([89]|1[0-5])))/;

/** Valid here, though objdump takes the bytes for something newer or for nothing. */
function isOursAlone(row: Instruction, text: string): boolean {
  if (row.extension === "vitrine") return true;
  // Second encodings that processors have but objdump has not (DF D0 is another fstp), or that bounds registers got (0F 1A).
  if (row.attributes.has("alias")) return true;
  // The rm field of fences does not count, nor do repeat prefixes.
  if (/^([ms]fence|wbinvd|bsf|bsr)$/.test(row.mnemonic)) return true;
  // fwait and what follows it.
  return row.mnemonic === "fwait" && text.includes("(bad)");
}

test("arbitrary bytes are an instruction here when they are one for objdump, of the same length", { skip }, () => {
  const image = randomSlots(int32Generator(SEED));
  const lines = new Map(objdumpBytes(image, 64, "intel").map((line) => [line.address, line]));
  const decoded = newDecoded();
  const unexplained: string[] = [];
  let agreements = 0;
  for (let at = 0; at < image.length; at += SLOT) {
    const theirs = dumpedAt(lines, at);
    if (theirs === undefined) continue; // out of step: more than 15 bytes
    const result = decode(image, at, image.length - at, 64, decoded);
    const isTheirs = !theirs.text.includes("(bad)");
    const report = (): void => {
      const hex = Buffer.from(image.subarray(at, at + 15)).toString("hex");
      unexplained.push(`${hex}: ${result} ${decoded.length}, objdump ${theirs.length} ${theirs.text}`);
    };
    if (result !== "ok") {
      // objdump takes lock on everything, and 66 and F2 before what has no such form.
      const isExcused =
        decoded.hasLock ||
        OTHER_LEVELS.test(theirs.text) ||
        hasLaterEncoding(image, at) ||
        NO_REGISTER.test(theirs.text) ||
        hasUnknownForm(image, at, theirs.text);
      if (isTheirs && !isExcused) report();
      else agreements++;
    } else if (!isTheirs) {
      if (!isOursAlone(instructionOf(decoded.id), theirs.text)) report();
    } else if (decoded.length !== theirs.length) {
      if (!isBrokenUp(image, at)) report();
    } else agreements++;
  }
  assert.deepEqual(unexplained.slice(0, 20), [], `seed ${SEED}`);
  assert.ok(agreements > COUNT * 0.95, `${agreements}`);
});

/** A prefix before opcodes where the manual has none: undefined by what processors do, but objdump does not look at it. */
function hasUnknownForm(image: Uint8Array, at: number, text: string): boolean {
  const start = image.subarray(at, at + 15);
  const hasPrefix = start.includes(0xf2) || start.includes(0xf3) || start.includes(0x66);
  return (
    hasPrefix &&
    /^(fxsave|fxrstor|ldmxcsr|stmxcsr|xsetbv|xgetbv|clac|stac|pmovmskb|monitor|mwait|xsave|xrstor)/.test(text)
  );
}

/** objdump has no REX before other prefixes, and takes fwait for part of the x87 instruction behind it. */
function isBrokenUp(image: Uint8Array, at: number): boolean {
  const start = image.subarray(at, at + 15);
  const rex = start.findIndex((byte) => (byte & 0xf0) === 0x40);
  return start.includes(0x9b) || (rex >= 0 && isPrefix(start[rex + 1] ?? 0));
}

function isPrefix(byte: number): boolean {
  return /^(26|2e|36|3e|4.|64|65|66|67|f0|f2|f3)$/.test(byte.toString(16));
}
