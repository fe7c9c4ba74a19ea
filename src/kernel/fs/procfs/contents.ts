// Contents of the files of /proc, made when they are read.

import type { Errno } from "../../../abi/linux/errno.ts";
import type { Kernel } from "../../kernel.ts";
import type { Process } from "../../process/types.ts";
import type { Inode } from "../types.ts";
import { PROCESS_FILES } from "./process-files.ts";
import { SYSTEM_FILES } from "./system-files.ts";
import { encodeByteString } from "./text.ts";

/** All of a file of /proc as it is now. */
export function readProcFile(k: Kernel, inode: Inode): Uint8Array | Errno {
  if (inode.content.kind !== "procfs") return "EINVAL";
  const { node } = inode.content;
  if (node.pid === undefined) return encodeByteString(SYSTEM_FILES.get(node.entry)?.read(k) ?? "");
  const process = k.state.processes.get(node.pid);
  if (process === undefined) return "ESRCH";
  const thread = k.state.threads.get(node.tid ?? process.threads[0] ?? 0);
  const name = node.entry === "fdinfo-file" ? "fdinfo" : node.entry;
  const read = PROCESS_FILES.get(name)?.read ?? (name === "fdinfo" ? readDescriptorInfo : undefined);
  if (read === undefined) return "EINVAL";
  const contents = read(k, { process, thread, fd: node.fd });
  return typeof contents === "string" ? encodeByteString(contents) : contents;
}

/** A write to a file of /proc; the few that may be written take the whole value at once. */
export function writeProcFile(k: Kernel, writer: Process, inode: Inode, bytes: Uint8Array): number | Errno {
  if (inode.content.kind !== "procfs") return "EINVAL";
  const { node } = inode.content;
  const value = String.fromCharCode(...bytes.subarray(0, 4096));
  const process = node.pid === undefined ? undefined : k.state.processes.get(node.pid);
  if (node.pid === undefined) {
    const write = SYSTEM_FILES.get(node.entry)?.write;
    if (write === undefined) return "EIO";
    const done = write(k, value.trimEnd());
    return done === 0 ? bytes.length : done;
  }
  if (process === undefined) return "ESRCH";
  if (node.entry === "comm") {
    if (process !== writer) return "EINVAL";
    process.name = value.trimEnd().slice(0, 15);
    return bytes.length;
  }
  if (node.entry !== "oom_score_adj") return "EIO";
  const done = setOomPreference(writer, process, value.trim());
  return done === 0 ? bytes.length : done;
}

/** proc_pid_oom_score_adj(5). Without privilege, no process gets below the least that one with privilege set. */
function setOomPreference(writer: Process, process: Process, value: string): 0 | Errno {
  if (!/^[+-]?[0-9]{1,4}$/.test(value)) return "EINVAL";
  const preference = Number(value);
  if (Math.abs(preference) > 1000) return "EINVAL";
  const isPrivileged = writer.credentials.euid === 0;
  if (preference < process.oomScoreAdjustLeast && !isPrivileged) return "EACCES";
  process.oomScoreAdjust = preference;
  if (isPrivileged) process.oomScoreAdjustLeast = preference;
  return 0;
}

function readDescriptorInfo(_k: Kernel, { process, fd }: { process: Process; fd: number | undefined }): string {
  const descriptor = process.files.descriptors[fd ?? -1];
  if (descriptor === undefined) return "";
  const { file, closeOnExec } = descriptor;
  const flags = file.flags | (closeOnExec ? 0o2000000 : 0);
  return [
    `pos:\t${file.offset}`,
    `flags:\t0${flags.toString(8)}`,
    `mnt_id:\t${file.path?.mount.id ?? 1}`,
    `ino:\t${file.inode.number}`,
    "",
  ].join("\n");
}
