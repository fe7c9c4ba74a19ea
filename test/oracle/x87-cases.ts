// Random x87 cases: control words, stacks and memory operands full of what arithmetic finds hard.

import type { Form } from "./x87-forms.ts";
import { CODE_BYTES, FIELD, HostCase, MEMORY_BYTES } from "./x87-host.ts";
import type { Random } from "./random.ts";

const ENVIRONMENT_BYTES = 28;
const NOP = 0x90;
const ARITHMETIC_FLAGS = 0x8d5;
const FIXED_FLAGS = 0x202;

export function randomCase(random: Random, { mnemonic, code, memoryBytes }: Form): HostCase {
  const made = new HostCase();
  const { bytes, view } = made;
  bytes.fill(NOP, FIELD.code, FIELD.code + CODE_BYTES);
  bytes.set(code, FIELD.code);
  view.setUint32(FIELD.rflags, FIXED_FLAGS | (random.next() & ARITHMETIC_FLAGS), true);
  view.setUint32(FIELD.rax, random.next(), true);
  writeImage(random, new DataView(bytes.buffer, FIELD.image, 112));
  for (let offset = 0; offset < MEMORY_BYTES; offset += 4) view.setUint32(FIELD.memory + offset, random.next(), true);
  switch (memoryBytes) {
    case 2:
      if (mnemonic !== "fldcw" && random.oneIn(2)) view.setUint16(FIELD.memory, random.below(5) - 2, true);
      break;
    case 4:
      view.setUint32(FIELD.memory, random.oneIn(4) ? random.below(5) - 2 : Number(random.single()), true);
      break;
    case 8:
      view.setBigUint64(FIELD.memory, random.oneIn(8) ? random.integer() : random.double(), true);
      break;
    case 10:
      if (mnemonic === "fbld") writeDecimal(random, view, FIELD.memory);
      else writeExtended(random, view, FIELD.memory, 0x3fff);
      break;
    case 28:
    case 108:
      writeImage(random, new DataView(bytes.buffer, FIELD.memory, 112));
      break;
  }
  return made;
}

function writeImage(random: Random, image: DataView): void {
  const masks = random.oneIn(3) ? random.next() & 0x3f : 0x3f;
  const control = masks | (random.below(4) << 8) | (random.below(4) << 10) | 0x40;
  image.setUint32(0, control | 0xffff0000, true);
  // A pending exception would stop frstor and what follows: flags of masked ones only.
  const status = (random.next() & masks) | (random.below(64) << 8);
  image.setUint32(4, status | (random.oneIn(2) ? 0x4000 : 0) | 0xffff0000, true);
  const top = (status >> 11) & 7;
  let tags = 3 << (((top + 7) & 7) * 2);
  if (random.oneIn(4)) tags = random.next() & 0xffff;
  else if (random.oneIn(3)) tags = 0;
  image.setUint32(8, tags | 0xffff0000, true);
  // Exponents near each other, so that sums cancel and quotients meet the ends of the range.
  const around = random.pick([
    0x3fff,
    0x3fff,
    0x3fff + random.below(80),
    0x3fff - random.below(80),
    1,
    30,
    0x7ffe,
    0x1fff,
    0x5fff,
    0x3c01,
    0x3f81,
    0x43fe,
    0x407e,
  ]);
  for (let register = 0; register < 8; register++)
    writeExtended(random, image, ENVIRONMENT_BYTES + register * 10, around);
}

function writeExtended(random: Random, view: DataView, offset: number, around: number): void {
  const sign = random.below(2) << 15;
  const integerBit = 1n << 63n;
  const set = (exponent: number, significand: bigint): void => {
    view.setBigUint64(offset, BigInt.asUintN(64, significand), true);
    view.setUint16(offset + 8, sign | Math.max(0, Math.min(0x7fff, exponent)), true);
  };
  switch (random.below(24)) {
    case 0:
      return set(0, 0n);
    case 1:
      return set(0x7fff, integerBit);
    case 2:
      return set(0x7fff, integerBit | random.integer());
    case 3:
      return set(0, BigInt(random.next()));
    case 4:
      return set(0, random.integer() & (integerBit - 1n));
    case 5:
      // Pseudo-denormals, unnormals, pseudo-NaNs.
      return set(random.pick([0, 0, around, 0x7fff]), random.integer());
    case 6:
    case 7:
      return set(random.below(0x8000), integerBit | random.integer());
    case 8:
    case 9: {
      // Small integers and halves.
      const value = random.below(64) + 1;
      const length = 32 - Math.clz32(value);
      return set(0x3ffe + length - random.below(3), BigInt(value) << BigInt(64 - length));
    }
    case 10:
    case 11:
      // As wide as a double or a single, or just not.
      return set(
        around + random.below(3) - 1,
        integerBit | (random.integer() << BigInt(random.pick([11, 10, 40, 39]))),
      );
    default:
      return set(
        around + random.pick([0, 0, 1, -1, 3, -3, 62, -63, 64, -65, 10, -10, 30, -30]),
        integerBit | random.integer(),
      );
  }
}

function writeDecimal(random: Random, view: DataView, offset: number): void {
  for (let index = 0; index < 9; index++) view.setUint8(offset + index, random.below(10) * 16 + random.below(10));
  view.setUint8(offset + 9, random.below(2) * 128);
}
