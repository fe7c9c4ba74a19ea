// Who a process is: user and group ids, process groups, sessions. credentials(7), setpgid(2), setsid(2).

import { readU32, writeU32 } from "../../lib/bytes.ts";
import type { Errno } from "../../abi/linux/errno.ts";
import type { Kernel } from "../kernel.ts";
import { checkUserRange, copyFromUser, copyToUser } from "../mem/user-memory.ts";
import { applyLimits } from "../process/load.ts";
import type { Credentials, Process } from "../process/types.ts";
import { defineCall, type Call, type SyscallResult, type SyscallRow } from "./row.ts";

/** -1 as an id: leave it as it is. */
const UNCHANGED = 0xffff_ffff;
/** NGROUPS_MAX. */
const MAX_GROUPS = 65536;

const isPrivileged = (process: Process): boolean => process.credentials.euid === 0;

function getter(name: string, read: (credentials: Credentials) => number): SyscallRow {
  return defineCall({ name, args: [], result: "int", handler: ({ process }) => read(process.credentials) });
}

/** Ids are replaced as a whole, so that records that others hold do not change under them. */
function setCredentials(process: Process, change: Partial<Credentials>): 0 {
  process.credentials = { ...process.credentials, ...change };
  applyLimits(process, process.space); // the limit of locked memory is for the unprivileged
  return 0;
}

const setuid = defineCall({
  name: "setuid",
  args: [{ name: "uid", type: "uint" }],
  result: "int",
  handler: ({ process }, uid) => {
    const { uid: real, suid } = process.credentials;
    if (uid === UNCHANGED) return "EINVAL";
    if (isPrivileged(process)) return setCredentials(process, { uid, euid: uid, suid: uid, fsuid: uid });
    return uid === real || uid === suid ? setCredentials(process, { euid: uid, fsuid: uid }) : "EPERM";
  },
});

const setgid = defineCall({
  name: "setgid",
  args: [{ name: "gid", type: "uint" }],
  result: "int",
  handler: ({ process }, gid) => {
    const { gid: real, sgid } = process.credentials;
    if (gid === UNCHANGED) return "EINVAL";
    if (isPrivileged(process)) return setCredentials(process, { gid, egid: gid, sgid: gid, fsgid: gid });
    return gid === real || gid === sgid ? setCredentials(process, { egid: gid, fsgid: gid }) : "EPERM";
  },
});

/** Real, effective and saved id, as the two families of calls treat alike. */
interface Triple {
  readonly real: number;
  readonly effective: number;
  readonly saved: number;
}

const userIds = ({ uid, euid, suid }: Credentials): Triple => ({ real: uid, effective: euid, saved: suid });
const groupIds = ({ gid, egid, sgid }: Credentials): Triple => ({ real: gid, effective: egid, saved: sgid });
const asUser = ({ real, effective, saved }: Triple): Partial<Credentials> => ({
  uid: real,
  euid: effective,
  suid: saved,
  fsuid: effective,
});
const asGroup = ({ real, effective, saved }: Triple): Partial<Credentials> => ({
  gid: real,
  egid: effective,
  sgid: saved,
  fsgid: effective,
});

/** setreuid and setregid: the saved id follows the effective one when the real id is set or the effective id is not the real one. */
function setRealAndEffective(old: Triple, real: number, effective: number, privileged: boolean): Triple | "EPERM" {
  if (!privileged && real !== UNCHANGED && real !== old.real && real !== old.effective) return "EPERM";
  const known = [old.real, old.effective, old.saved];
  if (!privileged && effective !== UNCHANGED && !known.includes(effective)) return "EPERM";
  const next = {
    real: real === UNCHANGED ? old.real : real,
    effective: effective === UNCHANGED ? old.effective : effective,
  };
  const savesNew = real !== UNCHANGED || (effective !== UNCHANGED && effective !== old.real);
  return { ...next, saved: savesNew ? next.effective : old.saved };
}

/** setresuid and setresgid: each id becomes one that the process has, or with privilege any. */
function setAllThree(old: Triple, ids: readonly [number, number, number], privileged: boolean): Triple | "EPERM" {
  const known = [old.real, old.effective, old.saved];
  if (!privileged && ids.some((id) => id !== UNCHANGED && !known.includes(id))) return "EPERM";
  const pick = (id: number, before: number): number => (id === UNCHANGED ? before : id);
  return { real: pick(ids[0], old.real), effective: pick(ids[1], old.effective), saved: pick(ids[2], old.saved) };
}

function apply(
  process: Process,
  triple: Triple | "EPERM",
  as: (triple: Triple) => Partial<Credentials>,
): SyscallResult {
  return triple === "EPERM" ? "EPERM" : setCredentials(process, as(triple));
}

const setreuid = defineCall({
  name: "setreuid",
  args: [
    { name: "ruid", type: "uint" },
    { name: "euid", type: "uint" },
  ],
  result: "int",
  handler: ({ process }, real, effective) =>
    apply(process, setRealAndEffective(userIds(process.credentials), real, effective, isPrivileged(process)), asUser),
});

const setregid = defineCall({
  name: "setregid",
  args: [
    { name: "rgid", type: "uint" },
    { name: "egid", type: "uint" },
  ],
  result: "int",
  handler: ({ process }, real, effective) =>
    apply(process, setRealAndEffective(groupIds(process.credentials), real, effective, isPrivileged(process)), asGroup),
});

const setresuid = defineCall({
  name: "setresuid",
  args: [
    { name: "ruid", type: "uint" },
    { name: "euid", type: "uint" },
    { name: "suid", type: "uint" },
  ],
  result: "int",
  handler: ({ process }, real, effective, saved) =>
    apply(process, setAllThree(userIds(process.credentials), [real, effective, saved], isPrivileged(process)), asUser),
});

const setresgid = defineCall({
  name: "setresgid",
  args: [
    { name: "rgid", type: "uint" },
    { name: "egid", type: "uint" },
    { name: "sgid", type: "uint" },
  ],
  result: "int",
  handler: ({ process }, real, effective, saved) =>
    apply(
      process,
      setAllThree(groupIds(process.credentials), [real, effective, saved], isPrivileged(process)),
      asGroup,
    ),
});

function storeThree(call: Call, triple: Triple, at: readonly [number, number, number]): 0 | "EFAULT" {
  const { k, process } = call;
  if (at.some((address) => checkUserRange(k, process.space, address, 4, "write") !== 0)) return "EFAULT";
  [triple.real, triple.effective, triple.saved].forEach((id, i) => {
    const bytes = new Uint8Array(4);
    writeU32(bytes, 0, id);
    copyToUser(k, process.space, at[i] ?? NaN, bytes);
  });
  return 0;
}

const getresuid = defineCall({
  name: "getresuid",
  args: [
    { name: "ruid", type: "pointer" },
    { name: "euid", type: "pointer" },
    { name: "suid", type: "pointer" },
  ],
  result: "int",
  handler: (call, real, effective, saved) =>
    storeThree(call, userIds(call.process.credentials), [real, effective, saved]),
});

const getresgid = defineCall({
  name: "getresgid",
  args: [
    { name: "rgid", type: "pointer" },
    { name: "egid", type: "pointer" },
    { name: "sgid", type: "pointer" },
  ],
  result: "int",
  handler: (call, real, effective, saved) =>
    storeThree(call, groupIds(call.process.credentials), [real, effective, saved]),
});

/** Both return the previous id and have no way to report failure. */
const setfsuid = defineCall({
  name: "setfsuid",
  args: [{ name: "fsuid", type: "uint" }],
  result: "int",
  handler: ({ process }, id) => {
    const { uid, euid, suid, fsuid } = process.credentials;
    if (isPrivileged(process) ? id !== UNCHANGED : [uid, euid, suid, fsuid].includes(id))
      setCredentials(process, { fsuid: id });
    return fsuid;
  },
});

const setfsgid = defineCall({
  name: "setfsgid",
  args: [{ name: "fsgid", type: "uint" }],
  result: "int",
  handler: ({ process }, id) => {
    const { gid, egid, sgid, fsgid } = process.credentials;
    if (isPrivileged(process) ? id !== UNCHANGED : [gid, egid, sgid, fsgid].includes(id))
      setCredentials(process, { fsgid: id });
    return fsgid;
  },
});

const getgroups = defineCall({
  name: "getgroups",
  args: [
    { name: "size", type: "int" },
    { name: "list", type: "pointer" },
  ],
  result: "int",
  handler: ({ k, process }, size, at) => {
    const { groups } = process.credentials;
    if (size < 0 || (size > 0 && size < groups.length)) return "EINVAL";
    if (size === 0) return groups.length;
    const bytes = new Uint8Array(groups.length * 4);
    groups.forEach((group, i) => writeU32(bytes, i * 4, group));
    return copyToUser(k, process.space, at, bytes) === 0 ? groups.length : "EFAULT";
  },
});

const setgroups = defineCall({
  name: "setgroups",
  args: [
    { name: "size", type: "size" },
    { name: "list", type: "pointer" },
  ],
  result: "int",
  handler: ({ k, process }, size, at) => {
    if (!isPrivileged(process)) return "EPERM";
    if (size > MAX_GROUPS) return "EINVAL";
    const bytes = copyFromUser(k, process.space, at, size * 4);
    if (bytes === "EFAULT") return "EFAULT";
    const groups = Array.from({ length: size }, (_, i) => readU32(bytes, i * 4));
    return setCredentials(process, { groups });
  },
});

/** The process that a pid argument means: 0 is the caller. */
function target(call: Call, pid: number): Process | undefined {
  if (pid === 0) return call.process;
  const process = call.k.state.processes.get(pid) ?? call.k.state.threads.get(pid)?.process;
  return process;
}

const setpgid = defineCall({
  name: "setpgid",
  args: [
    { name: "pid", type: "pid" },
    { name: "pgid", type: "pid" },
  ],
  result: "int",
  handler: (call, pid, group) => {
    const { k, process } = call;
    if (group < 0) return "EINVAL";
    const child = target(call, pid);
    if (child === undefined) return "ESRCH";
    const invalid = checkGroupChange(process, child);
    if (invalid !== 0) return invalid;
    const wanted = group === 0 ? child.pid : group;
    if (wanted !== child.pid && !isGroupInSession(k, wanted, process.session)) return "EPERM";
    child.processGroup = wanted;
    return 0;
  },
});

/** setpgid acts on oneself and on children that have not called execve, within the session; never on a session leader. */
function checkGroupChange(process: Process, child: Process): 0 | Errno {
  if (child !== process) {
    if (child.parent !== process.pid) return "ESRCH";
    if (child.session !== process.session) return "EPERM";
    if (child.hasExecuted) return "EACCES";
  }
  return child.session === child.pid ? "EPERM" : 0;
}

function isGroupInSession(k: Kernel, group: number, session: number): boolean {
  for (const process of k.state.processes.values()) {
    if (process.processGroup === group && process.session === session) return true;
  }
  return false;
}

const getpgid = defineCall({
  name: "getpgid",
  args: [{ name: "pid", type: "pid" }],
  result: "pid",
  handler: (call, pid) => target(call, pid)?.processGroup ?? "ESRCH",
});

const getpgrp = defineCall({
  name: "getpgrp",
  args: [],
  result: "pid",
  handler: ({ process }) => process.processGroup,
});

const getsid = defineCall({
  name: "getsid",
  args: [{ name: "pid", type: "pid" }],
  result: "pid",
  handler: (call, pid) => target(call, pid)?.session ?? "ESRCH",
});

const setsid = defineCall({
  name: "setsid",
  args: [],
  result: "pid",
  handler: ({ k, process }) => {
    for (const other of k.state.processes.values()) if (other.processGroup === process.pid) return "EPERM";
    process.session = process.pid;
    process.processGroup = process.pid;
    process.controllingTty = undefined;
    return process.pid;
  },
});

export const identityCalls: readonly SyscallRow[] = [
  getter("getuid", (credentials) => credentials.uid),
  getter("geteuid", (credentials) => credentials.euid),
  getter("getgid", (credentials) => credentials.gid),
  getter("getegid", (credentials) => credentials.egid),
  setuid,
  setgid,
  setreuid,
  setregid,
  setresuid,
  setresgid,
  getresuid,
  getresgid,
  setfsuid,
  setfsgid,
  getgroups,
  setgroups,
  setpgid,
  getpgid,
  getpgrp,
  getsid,
  setsid,
];
