// A blocked system call is a restart: it changes nothing but its wait (INV-22), and what it waits for is in order (INV-20, INV-23).

import assert from "node:assert/strict";
import type { KernelState } from "../../src/kernel/kernel.ts";
import { checkProcessInvariants } from "../../src/kernel/process/checker.ts";
import { eachArch } from "../support/architectures.ts";
import { bootGuest, portableProgram } from "../support/guest.ts";

/** A parent that reads from a pipe, polls, and waits for a child that sleeps before it writes. */
const PROGRAM = `
_start:
    sys pipe2, &fds, 0
    sys clone, 17, 0, 0, 0, 0
    if r == 0 goto child
    load32 t0, [&fds]
    sys read, t0, &buffer, 16       # blocks until the child writes
    set s0, r
    load32 t0, [&fds]
    store32 t0, [&pollfd]
    set t1, 1
    store16 t1, [&pollfd + 4]
    sys ppoll, &pollfd, 1, 0, 0, 8  # blocks until there is more
    sys wait4, -1, &status, 0, 0    # blocks until the child has ended
    sys exit, s0
child:
    sys nanosleep, &duration, 0
    set s0, 2
again:
    load32 t0, [&fds + 4]
    sys write, t0, &text, 5
    sys nanosleep, &duration, 0
    sub s0, 1
    if s0 != 0 goto again
    sys exit, 0
    .balign 8
fds:      .space 8
buffer:   .space 16
pollfd:   .space 8
status:   .space 8
duration: .quad 0, 5000000
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

eachArch(({ arch, test }) => {
  test("INV-22: a call that blocks has changed nothing but its wait; INV-20, INV-23, INV-24 hold meanwhile", () => {
    const blocked: string[] = [];
    let before: KernelState | undefined;
    const guest = bootGuest({
      arch,
      files: { "bin/waiter": portableProgram(arch, PROGRAM) },
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
    const guest = bootGuest({ arch, files: { "bin/waiter": portableProgram(arch, PROGRAM) }, argv: ["/bin/waiter"] });
    guest.system.run({ instructions: 2000 });
    const { kernel } = guest.system;
    assert.deepEqual(checkProcessInvariants(kernel), []);
    kernel.state.scheduler.waiters.set("nothing", [1]);
    kernel.state.scheduler.runQueue.push(1);
    const problems = checkProcessInvariants(kernel).join("\n");
    assert.match(problems, /INV-20: thread 1 is on the queue of nothing/);
    assert.match(problems, /INV-23: thread 1/);
  });
});
