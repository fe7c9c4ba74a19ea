// Scheduling calls: affinity, the one policy there is, priorities. sched(7), sched_setaffinity(2), getpriority(2).

import { readI32, writeU32 } from "../../lib/bytes.ts";
import * as abi from "../../abi/linux/process.ts";
import { encodeTimespec } from "../../abi/linux/time.ts";
import { copyFromUser, copyToUser } from "../mem/user-memory.ts";
import { allHarts } from "../process/create.ts";
import { endSlice, TIME_SLICE_NS } from "../process/scheduler.ts";
import { prodHart } from "../process/signals.ts";
import type { Process, Thread } from "../process/types.ts";
import { findProcess, mayControl } from "./resources.ts";
import { defineCall, type Call, type SyscallRow } from "./row.ts";

const schedYield = defineCall({
  name: "sched_yield",
  args: [],
  result: "int",
  handler: ({ k, thread }) => {
    endSlice(k, thread);
    return 0;
  },
});

function findThread(call: Call, tid: number): Thread | undefined {
  return tid === 0 ? call.thread : call.k.state.threads.get(tid);
}

const schedSetaffinity = defineCall({
  name: "sched_setaffinity",
  args: [
    { name: "pid", type: "pid" },
    { name: "cpusetsize", type: "size" },
    { name: "mask", type: "pointer" },
  ],
  result: "int",
  handler: (call, tid, size, at) => {
    const { k, process } = call;
    const bytes = copyFromUser(k, process.space, at, Math.min(size, 8));
    if (bytes === "EFAULT") return "EFAULT";
    const target = findThread(call, tid);
    if (target === undefined) return "ESRCH";
    if (!mayControl(process, target.process)) return "EPERM";
    const mask = (bytes[0] ?? 0) & allHarts(k);
    if (mask === 0) return "EINVAL";
    target.affinity = mask;
    // A thread that may not stay where it is moves the next time it leaves the kernel.
    if (target.state.kind === "running") prodHart(k, target.state.hart, target);
    return 0;
  },
});

const schedGetaffinity = defineCall({
  name: "sched_getaffinity",
  args: [
    { name: "pid", type: "pid" },
    { name: "cpusetsize", type: "size" },
    { name: "mask", type: "pointer" },
  ],
  result: "int",
  handler: (call, tid, size, at) => {
    if (size < 8 || size % 8 !== 0) return "EINVAL";
    const target = findThread(call, tid);
    if (target === undefined) return "ESRCH";
    const bytes = new Uint8Array(8);
    writeU32(bytes, 0, target.affinity);
    return copyToUser(call.k, call.process.space, at, bytes) === 0 ? 8 : "EFAULT";
  },
});

const schedGetscheduler = defineCall({
  name: "sched_getscheduler",
  args: [{ name: "pid", type: "pid" }],
  result: "int",
  handler: (call, tid) => (findThread(call, tid) === undefined ? "ESRCH" : abi.SCHED_OTHER),
});

/** There is one policy; asking for it, or for a batch or idle flavour of it, succeeds. */
const schedSetscheduler = defineCall({
  name: "sched_setscheduler",
  args: [
    { name: "pid", type: "pid" },
    { name: "policy", type: "int", show: "sched" },
    { name: "param", type: "pointer" },
  ],
  result: "int",
  handler: (call, tid, policy, at) => {
    const priority = readPriority(call, at);
    if (typeof priority === "string") return priority;
    if (findThread(call, tid) === undefined) return "ESRCH";
    const plain = policy & ~abi.SCHED_RESET_ON_FORK;
    if (plain === abi.SCHED_FIFO || plain === abi.SCHED_RR) return "EPERM";
    return [abi.SCHED_OTHER, abi.SCHED_BATCH, abi.SCHED_IDLE].includes(plain) && priority === 0 ? 0 : "EINVAL";
  },
});

function readPriority(call: Call, at: number): number | "EFAULT" {
  const bytes = copyFromUser(call.k, call.process.space, at, 4);
  return bytes === "EFAULT" ? bytes : readI32(bytes, 0);
}

const schedGetparam = defineCall({
  name: "sched_getparam",
  args: [
    { name: "pid", type: "pid" },
    { name: "param", type: "pointer" },
  ],
  result: "int",
  handler: (call, tid, at) => {
    if (findThread(call, tid) === undefined) return "ESRCH";
    return copyToUser(call.k, call.process.space, at, new Uint8Array(4));
  },
});

const schedSetparam = defineCall({
  name: "sched_setparam",
  args: [
    { name: "pid", type: "pid" },
    { name: "param", type: "pointer" },
  ],
  result: "int",
  handler: (call, tid, at) => {
    const priority = readPriority(call, at);
    if (typeof priority === "string") return priority;
    if (findThread(call, tid) === undefined) return "ESRCH";
    return priority === 0 ? 0 : "EINVAL";
  },
});

/** Range of priorities of a policy: 1..99 for the real-time ones, else only 0. */
const priorityBound = (name: string, realTimeBound: number): SyscallRow =>
  defineCall({
    name,
    args: [{ name: "policy", type: "int", show: "sched" }],
    result: "int",
    handler: (_call, policy) => {
      if (policy === abi.SCHED_FIFO || policy === abi.SCHED_RR) return realTimeBound;
      return [abi.SCHED_OTHER, abi.SCHED_BATCH, abi.SCHED_IDLE].includes(policy) ? 0 : "EINVAL";
    },
  });

const schedRrGetInterval = defineCall({
  name: "sched_rr_get_interval",
  args: [
    { name: "pid", type: "pid" },
    { name: "tp", type: "pointer", show: "timespec:out" },
  ],
  result: "int",
  handler: (call, tid, at) => {
    if (findThread(call, tid) === undefined) return "ESRCH";
    return copyToUser(call.k, call.process.space, at, encodeTimespec(TIME_SLICE_NS));
  },
});

/** Processes that getpriority and setpriority mean. */
function chooseByPriority(call: Call, which: number, who: number): Process[] | "EINVAL" {
  const { k, process } = call;
  const all = [...k.state.processes.values()];
  switch (which) {
    case abi.PRIO_PROCESS: {
      const target = findProcess(call, who);
      return target === undefined ? [] : [target];
    }
    case abi.PRIO_PGRP:
      return all.filter((other) => other.processGroup === (who === 0 ? process.processGroup : who));
    case abi.PRIO_USER:
      return all.filter((other) => other.credentials.uid === (who === 0 ? process.credentials.uid : who));
    default:
      return "EINVAL";
  }
}

/** The call returns 20 - nice, so that it is never negative. */
const getpriority = defineCall({
  name: "getpriority",
  args: [
    { name: "which", type: "int", show: "priority" },
    { name: "who", type: "int" },
  ],
  result: "int",
  handler: (call, which, who) => {
    const targets = chooseByPriority(call, which, who);
    if (targets === "EINVAL") return "EINVAL";
    return targets.length === 0 ? "ESRCH" : 20 - Math.min(...targets.map((target) => target.nice));
  },
});

/** The nice value is kept and shown; every thread gets the same slice. */
const setpriority = defineCall({
  name: "setpriority",
  args: [
    { name: "which", type: "int", show: "priority" },
    { name: "who", type: "int" },
    { name: "prio", type: "int" },
  ],
  result: "int",
  handler: (call, which, who, value) => {
    const targets = chooseByPriority(call, which, who);
    if (targets === "EINVAL") return "EINVAL";
    if (targets.length === 0) return "ESRCH";
    const nice = Math.max(-20, Math.min(19, value));
    const { process } = call;
    if (targets.some((target) => !mayControl(process, target))) return "EPERM";
    if (process.credentials.euid !== 0 && targets.some((target) => nice < target.nice)) return "EACCES";
    for (const target of targets) target.nice = nice;
    return 0;
  },
});

const getcpu = defineCall({
  name: "getcpu",
  args: [
    { name: "cpu", type: "pointer" },
    { name: "node", type: "pointer" },
    { name: "cache", type: "pointer" },
  ],
  result: "int",
  handler: ({ k, process, hart }, cpuAt, nodeAt) => {
    const bytes = new Uint8Array(4);
    writeU32(bytes, 0, hart);
    if (cpuAt !== 0 && copyToUser(k, process.space, cpuAt, bytes) !== 0) return "EFAULT";
    return nodeAt === 0 ? 0 : copyToUser(k, process.space, nodeAt, new Uint8Array(4));
  },
});

export const schedulingCalls: readonly SyscallRow[] = [
  schedYield,
  schedSetaffinity,
  schedGetaffinity,
  schedGetscheduler,
  schedSetscheduler,
  schedGetparam,
  schedSetparam,
  priorityBound("sched_get_priority_max", 99),
  priorityBound("sched_get_priority_min", 1),
  schedRrGetInterval,
  getpriority,
  setpriority,
  getcpu,
];
