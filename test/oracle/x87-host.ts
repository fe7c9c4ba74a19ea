// x87 instructions as the host's processor executes them, by a small C program with a slot for an instruction.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runTool, skipWithout } from "../support/tools.ts";

const source = fileURLToPath(new URL("../../../test/oracle/x87-host.c", import.meta.url));

/** Bytes of a case and of a result, and where its parts are. */
const SIZE = 272;
export const FIELD = { code: 0, rflags: 8, rax: 16, image: 24, memory: 136 } as const;
export const CODE_BYTES = 8;
export const IMAGE_BYTES = 108;
export const MEMORY_BYTES = 128;

/** Why the host cannot say, or false. */
export const hostIsMissing: string | false =
  process.arch === "x64" && process.platform === "linux" ? skipWithout("gcc") : "needs an x86-64 host";

/** One case: bytes laid out as `FIELD` says. The memory operand is at [rdi]. */
export class HostCase {
  readonly bytes: Uint8Array;
  readonly view: DataView;

  constructor(bytes: Uint8Array = new Uint8Array(SIZE)) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, SIZE);
  }
}

/** What the host makes of the cases. */
export function runOnHost(cases: readonly HostCase[]): HostCase[] {
  const folder = mkdtempSync(join(tmpdir(), "vitrine-x87-"));
  try {
    const program = join(folder, "host");
    runTool("gcc", ["-O1", "-w", "-o", program, source]);
    const input = new Uint8Array(cases.length * SIZE);
    cases.forEach(({ bytes }, index) => input.set(bytes, index * SIZE));
    const output = runTool(program, [], { input });
    return cases.map((_, index) => new HostCase(new Uint8Array(output.subarray(index * SIZE, (index + 1) * SIZE))));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
