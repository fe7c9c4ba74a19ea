// The kernel's boot image for RISC-V: its machine code, assembled. It depends on nothing of the run, so the bundle has it ready-made.
//
//     boot        reset, supervisor, enter            runs where it was loaded
//     text        start, high, and the trap path's own part (trampoline.ts)
//     trampoline  mapped in every space               vdso   mapped for user programs           data   words that harts share

import { PAGE_SIZE } from "../../../lib/address.ts";
import { assemble } from "../../../isa/riscv64/assembler.ts";
import { EXCEPTION } from "../../../isa/riscv64/causes.ts";
import { MSTATUS, PMP_MATCH, PMPCFG, PMPCFG_A_SHIFT, SUPERVISOR_INTERRUPTS } from "../../../isa/riscv64/csrs.ts";
import { VIRT } from "../../../machine/boards/virt-map.ts";
import { KernelBug } from "../../kernel.ts";
import { ENTRY } from "./entries.ts";
import { directAddress, IMAGE, imagePage, layout, SATP_WORD } from "./layout.ts";
import { TEXT_SOURCE, TRAMPOLINE_SOURCE, VDSO_SOURCE } from "./trampoline.ts";

/** What a fault or an interrupt of S- or U-mode leaves to S-mode: everything but its own environment calls. */
const DELEGATED_EXCEPTIONS = Object.values(EXCEPTION)
  .filter((code) => code !== EXCEPTION.supervisorEnvironmentCall && code !== EXCEPTION.machineEnvironmentCall)
  .reduce<number>((mask, code) => mask | (1 << code), 0);

const BOOT_SOURCE = `
reset:                              # a0 = hart id
    li t0, -1
    srli t0, t0, 10
    csrw pmpaddr0, t0               # all of physical memory …
    li t0, ${PMPCFG.R | PMPCFG.W | PMPCFG.X | (PMP_MATCH.napot << PMPCFG_A_SHIFT)}
    csrw pmpcfg0, t0                # … may be read, written and executed
    li t0, ${DELEGATED_EXCEPTIONS}
    csrw medeleg, t0
    li t0, ${SUPERVISOR_INTERRUPTS}
    csrw mideleg, t0
    csrw mie, zero
    li t0, 1
    slli t0, t0, 63
    csrw menvcfg, t0                # STCE: stimecmp for S-mode
    li t0, 7
    csrw mcounteren, t0             # cycle, time, instret for S-mode …
    csrw scounteren, t0             # … and for user programs
    lla t0, machine_trap
    csrw mtvec, t0
    lla t0, supervisor
    csrw mepc, t0
    li t0, ${MSTATUS.MPP}
    csrc mstatus, t0
    li t0, ${1 << 11}
    csrs mstatus, t0                # MPP = S
    csrw satp, zero
    mret

    .align 2
machine_trap:                       # nothing is left to M-mode: tell the board that the machine failed
    li t0, ${VIRT.test}
    li t1, 0x13333
    sw t1, 0(t0)
    j machine_trap

supervisor:
    lla t0, kernel_text
    bnez a0, secondary
    jalr ra, 0(t0)                  # kernel text: kentry start
    j enter
secondary:
    lla t0, satp_word
1:  ld t1, 0(t0)
    beqz t1, 1b
enter:
    lla t0, satp_word
    ld t1, 0(t0)
    li t2, HIGH
    csrw stvec, t2
    sfence.vma
    csrw satp, t1                   # the fetch of the next instruction faults, and the trap goes to \`high\`
    j machine_trap
`;

/** First in kernel text; \`start\` runs at its physical address, with paging off. */
const ENTER_SOURCE = `
start:
    kentry ${ENTRY.start}
    ret
    .align 2
high:
    li sp, 0
    kentry ${ENTRY.main}            # leaves through userret or the idle loop
    j stuck
`;

/** The assembled image, and where its symbols are once paging is on. */
export interface BootImage {
  readonly bytes: Uint8Array;
  readonly symbols: ReadonlyMap<string, number>;
}

let assembled: BootImage | undefined;

/** The kernel's machine code; the same for every machine. */
export function bootImage(): BootImage {
  assembled ??= assembleImage();
  return assembled;
}

function assembleImage(): BootImage {
  const bytes = new Uint8Array(IMAGE.pages * PAGE_SIZE);
  const symbols = new Map<string, number>();
  const place = (page: number, source: string, base: number, known: Readonly<Record<string, number>> = {}): void => {
    const code = assemble(source, { base, symbols: known });
    if (code.bytes.length > PAGE_SIZE) throw new KernelBug("machine code of more than a page");
    bytes.set(code.bytes, page * PAGE_SIZE);
    for (const [name, address] of code.symbols) symbols.set(name, address);
  };
  place(IMAGE.text, ENTER_SOURCE + TEXT_SOURCE, directAddress(imagePage(IMAGE.text)));
  place(IMAGE.trampoline, TRAMPOLINE_SOURCE, layout.trampoline);
  place(IMAGE.vdso, VDSO_SOURCE, layout.vdso);
  const high = symbols.get("high");
  if (high === undefined) throw new KernelBug("no symbol high");
  // The boot page runs where it was loaded, before there is a page table.
  place(IMAGE.boot, BOOT_SOURCE, imagePage(IMAGE.boot), {
    kernel_text: imagePage(IMAGE.text),
    satp_word: SATP_WORD,
    HIGH: high,
  });
  return { bytes, symbols };
}
