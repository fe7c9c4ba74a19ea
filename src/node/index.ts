// Vitrine as a library: boot a system, spawn programs in it, feed and read their streams, await their status, listen to it.
//
//   await using system = await boot({ memory: 64 * 2 ** 20 });
//   const program = system.spawn(["wc", "-l"], { stdin: "one\ntwo\n" });
//   for await (const chunk of program.stdout) …
//   await program.status;                            // { kind: "exited", code: 0 }

export { boot, VitrineError, type BootOptions, type MountOption, type RootOption, type Vitrine } from "./vitrine.ts";
export type { ExitStatus, GuestInput, GuestProcess, SpawnOptions } from "./guest-process.ts";
export type { ChunkStream } from "./channels.ts";
export type { KernelProbes } from "../kernel/probes.ts";
export type { MachineProbes } from "../machine/machine.ts";
