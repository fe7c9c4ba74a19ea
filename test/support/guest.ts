// Small guest programs for tests: assembled from text into an ELF file, put into a tar root, booted and run to the end.

import { assemble as assembleRiscv64 } from "../../src/isa/riscv64/assembler.ts";
import { assemble as assembleX86 } from "../../src/isa/x86_64/assembler.ts";
import { encodeUtf8 } from "../../src/lib/bytes.ts";
import type { HostDirectory } from "../../src/kernel/host.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import type { Architecture } from "../../src/system/platform.ts";
import { PLATFORMS } from "./architectures.ts";
import { bootSystem, type RunState, type System } from "../../src/system/boot.ts";
import { translate } from "./portable.ts";

/** Load address of assembled programs: one segment, readable, writable and executable. */
export const PROGRAM_BASE = 0x10000;
const HEADERS = 0x78;

/** The assembler of each architecture, and what its ELF files say in e_machine. */
const TOOLS = {
  riscv64: { assemble: assembleRiscv64, machine: 243 },
  x86_64: { assemble: assembleX86, machine: 62 },
} as const;

/** A program that is written once for all architectures (portable.ts). */
export function portableProgram(
  arch: Architecture,
  source: string,
  symbols: Readonly<Record<string, number>> = {},
): Uint8Array {
  return assembleProgram(arch, translate(source, arch), symbols);
}

/** A static ELF file whose code begins at `_start`, or at its first instruction. Page 0 of the file is mapped too. */
export function assembleProgram(
  arch: Architecture,
  source: string,
  symbols: Readonly<Record<string, number>> = {},
): Uint8Array {
  const { assemble, machine } = TOOLS[arch];
  const code = assemble(source, { base: PROGRAM_BASE + HEADERS, symbols });
  const file = new Uint8Array(HEADERS + code.bytes.length);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1], 0);
  const u16 = (at: number, value: number): void => view.setUint16(at, value, true);
  const u32 = (at: number, value: number): void => view.setUint32(at, value, true);
  const u64 = (at: number, value: number): void => view.setBigUint64(at, BigInt(value), true);
  u16(16, 2); // ET_EXEC
  u16(18, machine);
  u32(20, 1);
  u64(24, code.symbols.get("_start") ?? PROGRAM_BASE + HEADERS);
  u64(32, 0x40);
  u16(52, 0x40);
  u16(54, 0x38);
  u16(56, 1);
  u32(0x40, 1); // PT_LOAD
  u32(0x44, 7);
  u64(0x48, 0);
  u64(0x50, PROGRAM_BASE);
  u64(0x58, PROGRAM_BASE);
  u64(0x60, file.length);
  u64(0x68, file.length);
  u64(0x70, 0x1000);
  file.set(code.bytes, HEADERS);
  return file;
}

/** A tar archive (ustar) of regular files with mode 755; directories come from the names. */
export function makeTar(files: Readonly<Record<string, Uint8Array>>): Uint8Array {
  const blocks: Uint8Array[] = [];
  const directories = new Set<string>(["dev", "proc", "tmp"]);
  for (const name of Object.keys(files)) {
    const parts = name.split("/").slice(0, -1);
    parts.forEach((_, i) => directories.add(parts.slice(0, i + 1).join("/")));
  }
  for (const name of directories) blocks.push(tarHeader(`${name}/`, 0, "5"));
  for (const [name, bytes] of Object.entries(files)) {
    const padded = new Uint8Array(Math.ceil(bytes.length / 512) * 512);
    padded.set(bytes);
    blocks.push(tarHeader(name, bytes.length, "0"), padded);
  }
  blocks.push(new Uint8Array(1024));
  const archive = new Uint8Array(blocks.reduce((sum, block) => sum + block.length, 0));
  let at = 0;
  for (const block of blocks) {
    archive.set(block, at);
    at += block.length;
  }
  return archive;
}

export interface GuestOptions {
  readonly arch: Architecture;
  readonly files: Readonly<Record<string, Uint8Array>>;
  readonly argv: readonly string[];
  readonly harts?: number;
  readonly memoryBytes?: number;
  readonly checkInvariants?: boolean;
  readonly onKernel?: (k: Kernel) => void;
  /** Host directories by port name; they are mounted by the test or the guest. */
  readonly directories?: ReadonlyMap<string, HostDirectory>;
}

export interface Guest {
  readonly system: System;
  /** What the console showed so far. */
  output(): string;
  /** Runs until it stops, jumping over idle time. Throws when that takes more instructions than the limit. */
  finish(limit?: number): Extract<RunState, { kind: "stopped" }>;
}

/** Boots a system whose pid 1 is `argv[0]` on the console. */
export function bootGuest(options: GuestOptions): Guest {
  const chunks: Uint8Array[] = [];
  const channel = {
    read: () => undefined,
    available: () => 0,
    write: (bytes: Uint8Array) => void chunks.push(bytes),
    isOpen: () => true,
  };
  const system = bootSystem({
    platform: PLATFORMS[options.arch],
    memoryBytes: options.memoryBytes ?? 32 << 20,
    harts: options.harts ?? 1,
    root: { kind: "archive", bytes: makeTar(options.files) },
    hostPorts: {
      channels: new Map([["console", channel]]),
      directories: options.directories ?? new Map(),
      blockDevices: new Map(),
    },
    init: { path: options.argv[0] ?? "", argv: options.argv, env: [], cwd: "/" },
    bootTime: { seconds: 1_000_000_000, nanoseconds: 0 },
    randomSeed: 1,
    checkInvariants: options.checkInvariants ?? false,
    ...(options.onKernel === undefined ? {} : { onKernel: options.onKernel }),
  });
  return {
    system,
    output: () => Buffer.concat(chunks).toString("latin1"),
    finish(limit = 200_000_000) {
      for (let spent = 0; spent < limit; spent += 1_000_000) {
        const state = system.run({ instructions: 1_000_000 });
        if (state.kind === "stopped") return state;
        if (state.kind === "idle" && state.untilNs !== undefined) system.skipTo(state.untilNs);
        else if (state.kind === "idle") throw new Error("the guest waits for ever");
      }
      throw new Error(`the guest did not end within ${limit} instructions`);
    },
  };
}

function tarHeader(name: string, size: number, kind: string): Uint8Array {
  const header = new Uint8Array(512);
  const put = (at: number, text: string): void => header.set(encodeUtf8(text), at);
  put(0, name);
  put(100, "0000755\0");
  put(108, "0000000\0");
  put(116, "0000000\0");
  put(124, `${size.toString(8).padStart(11, "0")}\0`);
  put(136, "00000000000\0");
  put(148, "        ");
  put(156, kind);
  put(257, "ustar\x0000");
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(148, `${sum.toString(8).padStart(6, "0")}\0 `);
  return header;
}
