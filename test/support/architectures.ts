// The architectures that kernel tests run on, each from the same source: a test of `eachArch` is one test for each, with the
// architecture in its title.

import { test, type TestContext, type TestOptions } from "node:test";
import type { Architecture } from "../../src/system/platform.ts";

export const ARCHITECTURES: readonly Architecture[] = chosen() ?? ["riscv64"];

/** VITRINE_ARCH leaves one. */
function chosen(): readonly Architecture[] | undefined {
  const name = process.env["VITRINE_ARCH"];
  return name === "riscv64" ? [name] : undefined;
}

/** C compilers for Linux. */
export const COMPILERS: Readonly<Record<Architecture, string>> = {
  riscv64: "riscv64-linux-gnu-gcc",
};

export interface ArchTest {
  readonly arch: Architecture;
  /** node:test's `test`, with the architecture behind the title. */
  test(title: string, run: (context: TestContext) => void | Promise<void>): void;
  test(title: string, options: TestOptions, run: (context: TestContext) => void | Promise<void>): void;
}

/** Defines the tests of `define` once for each architecture. */
export function eachArch(define: (on: ArchTest) => void): void {
  for (const arch of ARCHITECTURES) {
    define({
      arch,
      test(title: string, ...rest: unknown[]): void {
        const [options, run] = rest.length === 1 ? [{}, rest[0]] : rest;
        void test(`${title} [${arch}]`, options as TestOptions, run as (context: TestContext) => void | Promise<void>);
      },
    });
  }
}
