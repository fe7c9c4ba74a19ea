// vitrine pt: a program's page-table tree and its regions, when it ends or at a point on the way.

import { describeLevels, formatPageTable, formatRegions, readPageTable } from "../inspect/page-table-view.ts";
import { shellStatus } from "../node/guest-process.ts";
import { boot } from "../node/index.ts";
import type { Process } from "../kernel/process/types.ts";
import { regionsOf } from "../kernel/mem/region-tree.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { machineOptions, MACHINE_OPTIONS, one, programEnvironment, PROGRAM_OPTIONS, type Command } from "./command.ts";
import { UsageError, type ParsedOptions } from "./options.ts";
import { writeStderr } from "./output.ts";
import { connectProgram, resolveProgram } from "./program.ts";

export const pageTableCommand: Command = {
  name: "pt",
  summary: "run a program and print its page-table tree and regions",
  usage: "[OPTION…] PROGRAM [ARG…]",
  description: "Prints on stderr when the program ends, or at the point of --at. The exit status is the program's.",
  options: [
    {
      name: "at",
      value: "POINT",
      help: '"entry" (before its first instruction), or a count: before its Nth system call',
    },
    { name: "kernel", help: "the kernel's own page table too" },
    { name: "json", help: "the tree and the regions as JSON" },
    ...MACHINE_OPTIONS,
    ...PROGRAM_OPTIONS,
  ],
  async run(options: ParsedOptions): Promise<number> {
    if (options.operands.length === 0) throw new UsageError("pt wants a PROGRAM; vitrine pt --help tells more");
    const point = parsePoint(one(options.values, "at"));
    const program = connectProgram();
    await using system = await boot({
      ...machineOptions(options, undefined, options.operands[0]),
      ...program.bootOptions,
    });
    const argv = resolveProgram(system, options.operands);
    const describeProcess = options.values.has("json") ? describeAsJson : describe;
    const withKernel = options.values.has("kernel");
    let isShown = false;
    const show = (process: Process): void => {
      isShown = true;
      writeStderr(`${describeProcess(system.kernel, process, withKernel)}\n`);
    };
    let calls = 0;
    const probes = system.kernel.probes;
    if (point.kind === "end") {
      probes.beforeExit = (process): void => {
        if (process.pid === pid) show(process);
      };
    } else if (point.kind === "call") {
      probes.syscallEnter = (thread): void => {
        if (thread.process.pid !== pid) return;
        calls += 1;
        if (calls === point.count) show(thread.process);
      };
    }
    const guest = program.start(system, argv, {
      env: programEnvironment(options),
      cwd: one(options.values, "workdir") ?? "/",
    });
    const { pid } = guest;
    if (point.kind === "entry") {
      const process = system.kernel.state.processes.get(pid);
      if (process !== undefined) show(process);
    }
    const status = await guest.status;
    if (!isShown)
      throw new UsageError(
        `the program ended after ${calls} system calls, before --at ${one(options.values, "at") ?? ""}`,
      );
    return shellStatus(status);
  },
};

type Point = { readonly kind: "end" } | { readonly kind: "entry" } | { readonly kind: "call"; readonly count: number };

function parsePoint(text: string | undefined): Point {
  if (text === undefined || text === "end") return { kind: "end" };
  if (text === "entry") return { kind: "entry" };
  if (/^[1-9]\d{0,8}$/.test(text)) return { kind: "call", count: Number(text) };
  throw new UsageError(`--at wants “entry” or the number of a system call, not “${text}”`);
}

function describe(k: Kernel, process: Process, withKernel: boolean): string {
  const { space } = process;
  return [
    `page table of pid ${process.pid} (${process.name}): ${k.arch.format.name}, root frame 0x${space.root.toString(16)}, ${k.arch.narration.asidName} ${space.asid}, ${space.tablePages} table pages, ${space.residentPages} resident pages`,
    `an entry covers: ${describeLevels(k)}`,
    formatPageTable(k, space),
    "",
    "regions",
    formatRegions(k, space),
    ...(withKernel ? ["", ...describeKernelTable(k)] : []),
  ].join("\n");
}

/** The kernel's own table: the linear map of memory, with large pages where they fit, and what every space has. */
function describeKernelTable(k: Kernel): string[] {
  const { kernelSpace } = k.state.memory;
  return [
    `the kernel's page table: root frame 0x${kernelSpace.root.toString(16)}, ${kernelSpace.tablePages} table pages`,
    formatPageTable(k, kernelSpace),
  ];
}

function describeAsJson(k: Kernel, process: Process, withKernel: boolean): string {
  const { space } = process;
  const regions = [...regionsOf(space)].map(({ start, end, protection, sharing, purpose, file }) => ({
    start,
    end,
    protection,
    sharing,
    purpose,
    file: file?.path,
  }));
  return JSON.stringify({
    pid: process.pid,
    name: process.name,
    format: k.arch.format.name,
    root: space.root,
    asid: space.asid,
    tree: readPageTable(k, space),
    regions,
    ...(withKernel ? { kernelTree: readPageTable(k, k.state.memory.kernelSpace) } : {}),
  });
}
