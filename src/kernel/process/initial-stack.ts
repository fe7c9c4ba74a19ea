// The stack that a program finds at its entry point. System V ABI, "Process Initialization"; RISC-V ELF psABI.
//
//   top        8 zero bytes
//              path of the program (AT_EXECFN)
//              environment strings
//              argument strings
//              platform string, 16 random bytes (AT_PLATFORM, AT_RANDOM), padding
//              auxiliary vector: (type, value) pairs, the last (AT_NULL, 0)
//              environment pointers, NULL
//              argument pointers, NULL
//   sp ──────> argc                                   16-byte aligned

import { AT_EXECFN, AT_NULL, AT_PLATFORM, AT_RANDOM } from "../../abi/linux/process.ts";
import { writeU64 } from "../../lib/bytes.ts";

/** What goes onto the stack. Strings are byte strings. */
export interface StackContents {
  readonly path: string;
  readonly argv: readonly string[];
  readonly env: readonly string[];
  readonly platform: string;
  /** 16 bytes. */
  readonly random: Uint8Array;
  /** Pairs (type, value), without those that point into the stack. */
  readonly auxv: readonly number[];
}

export interface InitialStack {
  /** Bytes of [stackPointer, top). */
  readonly bytes: Uint8Array;
  readonly stackPointer: number;
  readonly argumentRange: { readonly start: number; readonly end: number };
  readonly environmentRange: { readonly start: number; readonly end: number };
  /** The whole auxiliary vector, as laid out. */
  readonly auxv: readonly number[];
}

/** Bytes that argument and environment strings and their pointers take. */
export function argumentBytes(argv: readonly string[], env: readonly string[]): number {
  const bytesOf = (strings: readonly string[]): number => strings.reduce((sum, text) => sum + text.length + 1 + 8, 0);
  return bytesOf(argv) + bytesOf(env);
}

export function buildInitialStack(top: number, contents: StackContents): InitialStack {
  const { path, argv, env, platform, random } = contents;
  const pathAt = top - 8 - (path.length + 1);
  const environmentAt = pathAt - stringBytes(env);
  const argumentsAt = environmentAt - stringBytes(argv);
  const platformAt = argumentsAt - (platform.length + 1);
  const randomAt = alignDown(platformAt - random.length, 16);
  const auxv = [...contents.auxv, AT_PLATFORM, platformAt, AT_RANDOM, randomAt, AT_EXECFN, pathAt, AT_NULL, 0];
  const words = 1 + argv.length + 1 + env.length + 1 + auxv.length;
  const stackPointer = alignDown(randomAt - words * 8, 16);

  const bytes = new Uint8Array(top - stackPointer);
  let at = 0;
  const word = (value: number): void => {
    writeU64(bytes, at, value);
    at += 8;
  };
  const pointers = (strings: readonly string[], start: number): void => {
    let address = start;
    for (const text of strings) {
      word(address);
      address += text.length + 1;
    }
    word(0);
  };
  const text = (address: number, value: string): void => {
    for (let i = 0; i < value.length; i++) bytes[address - stackPointer + i] = value.charCodeAt(i);
  };
  const strings = (values: readonly string[], start: number): void => {
    let address = start;
    for (const value of values) {
      text(address, value);
      address += value.length + 1;
    }
  };

  word(argv.length);
  pointers(argv, argumentsAt);
  pointers(env, environmentAt);
  auxv.forEach(word);
  bytes.set(random, randomAt - stackPointer);
  text(platformAt, platform);
  strings(argv, argumentsAt);
  strings(env, environmentAt);
  text(pathAt, path);
  return {
    bytes,
    stackPointer,
    argumentRange: { start: argumentsAt, end: environmentAt },
    environmentRange: { start: environmentAt, end: pathAt },
    auxv,
  };
}

const stringBytes = (strings: readonly string[]): number => strings.reduce((sum, text) => sum + text.length + 1, 0);

const alignDown = (value: number, alignment: number): number => value - (value % alignment);
