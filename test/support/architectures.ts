// The architectures that kernel tests run on, each from the same source: a test of `eachArch` is one test for each, with the
// architecture in its title.

import { test, type TestContext, type TestOptions } from "node:test";
import {
  ARCHITECTURES as ALL,
  loadPlatform,
  type Architecture,
  type CreatePlatform,
} from "../../src/system/platform.ts";

/** VITRINE_ARCH leaves one. */
export const ARCHITECTURES: readonly Architecture[] = ALL.filter(
  (arch) => (process.env["VITRINE_ARCH"] ?? arch) === arch,
);

/** All platforms, for tests that do not wait. */
export const PLATFORMS: Readonly<Record<Architecture, CreatePlatform>> = {
  riscv64: await loadPlatform("riscv64"),
  x86_64: await loadPlatform("x86_64"),
};

/** C compilers for Linux. */
export const COMPILERS: Readonly<Record<Architecture, string>> = {
  riscv64: "riscv64-linux-gnu-gcc",
  x86_64: "x86_64-linux-gnu-gcc",
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
