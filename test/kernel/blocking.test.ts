// A blocked system call is a restart: it changes nothing but its wait (INV-22), and what it waits for is in order (INV-20, INV-23).

import assert from "node:assert/strict";
import { test } from "node:test";
import type { KernelState } from "../../src/kernel/kernel.ts";
import { checkProcessInvariants } from "../../src/kernel/process/checker.ts";
import { assembleProgram, bootGuest, CALL } from "../support/guest.ts";

/** A parent that reads from a pipe, polls, and waits for a child that sleeps before it writes. */
const PROGRAM = `
_start:
    lla a0, fds
    li a1, 0
    li a7, 59                       # pipe2
    ecall
    li a7, ${CALL.clone}
    li a0, 17
    li a1, 0
    li a2, 0
    li a3, 0
    li a4, 0
    ecall
    beqz a0, child
    lla t0, fds
    lw a0, 0(t0)
    lla a1, buffer
    li a2, 16
    li a7, 63                       # read: blocks until the child writes
    ecall
    mv s0, a0
    lla a0, pollfd
    lla t0, fds
    lw t1, 0(t0)
    sw t1, 0(a0)
    li t1, 1
    sh t1, 4(a0)
    li a1, 1
    li a2, 0
    li a3, 0
    li a4, 8
    li a7, 73                       # ppoll: blocks until there is more
    ecall
    li a0, -1
    lla a1, status
    li a2, 0
    li a3, 0
    li a7, ${CALL.wait4}            # blocks until the child has ended
    ecall
    mv a0, s0
    li a7, ${CALL.exit}
    ecall
child:
    lla a0, duration
    li a1, 0
    li a7, ${CALL.nanosleep}
    ecall
    li s0, 2
1:  lla t0, fds
    lw a0, 4(t0)
    lla a1, text
    li a2, 5
    li a7, ${CALL.write}
    ecall
    lla a0, duration
    li a1, 0
    li a7, ${CALL.nanosleep}
    ecall
    addi s0, s0, -1
    bnez s0, 1b
    li a0, 0
    li a7, ${CALL.exit}
    ecall
    .align 3
fds:      .space 8
buffer:   .space 16
pollfd:   .space 8
status:   .space 8
duration: .dword 0, 5000000
text:     .ascii "hello"
`;

/** State without what a blocked call may change: the wait, restart data, the temporary mask, and the time accounts of its entry. */
function withoutWaits(state: KernelState): KernelState {
  const copy = structuredClone(state);
  copy.scheduler.waiters.clear();
  copy.scheduler.sleepers.clear();
  for (const thread of copy.threads.values()) {
    Object.assign(thread, {
      state: undefined,
      restart: undefined,
      signalMask: undefined,
      savedSignalMask: undefined,
      currentCall: undefined,
    });
    Object.assign(thread, { usage: undefined, scheduledAtNs: 0 });
  }
  Object.assign(copy.scheduler, { earliestNs: 0, earliestIsStale: false });
  return copy;
}

test("INV-22: a call that blocks has changed nothing but its wait; INV-20, INV-23, INV-24 hold meanwhile", () => {
  const blocked: string[] = [];
  let before: KernelState | undefined;
  const guest = bootGuest({
    files: { "bin/waiter": assembleProgram(PROGRAM) },
    argv: ["/bin/waiter"],
    memoryBytes: 8 << 20,
    checkInvariants: true,
    onKernel: (k) => {
      k.probes.syscallEnter = () => {
        before = withoutWaits(k.state);
      };
      k.probes.syscallBlocked = (_thread, number) => {
        assert.deepEqual(withoutWaits(k.state), before);
        blocked.push(k.arch.systemCalls.get(number)?.name ?? `${number}`);
      };
    },
  });
  const state = guest.finish();
  assert.equal(state.report, undefined);
  assert.equal(state.status, 5);
  assert.deepEqual([...new Set(blocked)].toSorted(), ["nanosleep", "ppoll", "read", "wait4"]);
});

test("INV-20: the checker sees a thread on a queue where it does not belong", () => {
  const guest = bootGuest({ files: { "bin/waiter": assembleProgram(PROGRAM) }, argv: ["/bin/waiter"] });
  guest.system.run({ instructions: 2000 });
  const { kernel } = guest.system;
  assert.deepEqual(checkProcessInvariants(kernel), []);
  kernel.state.scheduler.waiters.set("nothing", [1]);
  kernel.state.scheduler.runQueue.push(1);
  const problems = checkProcessInvariants(kernel).join("\n");
  assert.match(problems, /INV-20: thread 1 is on the queue of nothing/);
  assert.match(problems, /INV-23: thread 1/);
});
