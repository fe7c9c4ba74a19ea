/**
 * The interpreters of RISC-V machines as WebAssembly modules. They depend on nothing of the run, so the bundle has them ready-made.
 */
import { buildInterpreterModule } from "./interpreter.ts";

export function plainInterpreter(): Uint8Array<ArrayBuffer> {
  return buildInterpreterModule("plain");
}

export function joinedInterpreter(): Uint8Array<ArrayBuffer> {
  return buildInterpreterModule("joined");
}
