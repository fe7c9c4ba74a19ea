// Moves of MMX and SSE registers: whole, halves, single values; between register files; with hints. None changes a bit of what it moves.
//
// SDM volume 2, under each name. Where memory must be aligned, `readVectorAligned` and `storeVector` see to it.

import type { I64 } from "../../../wasm/values.ts";
import type { Semantics, X86Emitter } from "../emitter.ts";
import { isMmxForm, shuffleLanes, zeroExtended } from "./sse-packed.ts";

const sse =
  (semantics: Semantics): Semantics =>
  (e) => {
    e.require("sse");
    semantics(e);
  };

const moveAligned = sse((e) => e.storeVector(0, e.readVectorAligned(1), "aligned"));
const moveUnaligned = sse((e) => e.storeVector(0, e.readVector(1), "any"));

/** Moves 4 or 8 bytes: into the low end of a register, between registers; from memory with zeros above. */
const moveScalar = (size: 4 | 8): Semantics =>
  sse((e) => {
    if (e.isMemory(0)) e.write(0, e.readScalar(1, size));
    else if (e.isMemory(1))
      e.writeVector(
        0,
        zeroExtended(e, () => e.readScalar(1, size)),
      );
    else e.writeScalar(0, size, e.readScalar(1, size));
  });

/** movd and movq: between the low end of a vector register and a general register, memory, or another one. */
const moveInteger =
  (size: 4 | 8): Semantics =>
  (e) => {
    e.require(isMmxForm(e) ? "mmx" : "sse");
    const source = (): I64 => {
      if (e.isMmx(1)) return size === 8 ? e.readMmx(1) : e.i64.and(e.readMmx(1), e.i64.constWords(0, -1));
      return e.isXmm(1) ? e.readScalar(1, size) : e.readUnsigned(1);
    };
    if (e.isMmx(0)) {
      const value = e.let(source());
      e.tagMmx("valid");
      e.writeMmx(0, value.get());
    } else if (e.isXmm(0)) {
      e.writeVector(0, zeroExtended(e, source));
    } else {
      e.write(0, source());
      if (e.isMmx(1)) e.tagMmx("valid");
    }
  };

const moveLowHalf = sse((e) => {
  if (e.isMemory(0)) e.write(0, e.readScalar(1, 8));
  else e.writeScalar(0, 8, e.readScalar(1, 8));
});

const highHalf = (e: X86Emitter, n: number): I64 => e.v128.i64x2_extract(e.readVector(n), 1);

const moveHighHalf = sse((e) => {
  if (e.isMemory(0)) e.write(0, highHalf(e, 1));
  else e.writeVector(0, e.v128.i64x2_replace(e.readVector(0), e.readScalar(1, 8), 1));
});

/** Each lane of 4 bytes from one of the source's. */
const duplicate = (lanes: readonly number[]): Semantics =>
  sse((e) => {
    const source = e.let(e.readVectorAligned(1));
    e.writeVector(0, shuffleLanes(e.v128, 4, source.get(), source.get(), lanes));
  });

export const sseMoveSemantics = {
  movaps: moveAligned,
  movapd: moveAligned,
  movdqa: moveAligned,
  movntps: moveAligned,
  movntpd: moveAligned,
  movntdq: moveAligned,
  movntdqa: moveAligned,
  movups: moveUnaligned,
  movupd: moveUnaligned,
  movdqu: moveUnaligned,
  lddqu: moveUnaligned,
  movss: moveScalar(4),
  movsd: moveScalar(8),
  movd: moveInteger(4),
  movq: moveInteger(8),
  movlps: moveLowHalf,
  movlpd: moveLowHalf,
  movhps: moveHighHalf,
  movhpd: moveHighHalf,
  movhlps: sse((e) => e.writeScalar(0, 8, highHalf(e, 1))),
  movlhps: moveHighHalf,
  movddup: sse((e) => e.writeVector(0, e.v128.i64x2_splat(e.readScalar(1, 8)))),
  movsldup: duplicate([0, 0, 2, 2]),
  movshdup: duplicate([1, 1, 3, 3]),
  movnti: (e) => e.write(0, e.read(1)),
  movntq: (e) => {
    e.require("mmx");
    e.write(0, e.readMmx(1));
    e.tagMmx("valid");
  },
  movq2dq: (e) => {
    e.require("mmx");
    e.require("sse");
    e.writeVector(
      0,
      zeroExtended(e, () => e.readMmx(1)),
    );
    e.tagMmx("valid");
  },
  movdq2q: (e) => {
    e.require("mmx");
    e.require("sse");
    e.tagMmx("valid");
    e.writeMmx(0, e.readScalar(1, 8));
  },
  emms: (e) => {
    e.require("mmx");
    e.tagMmx("empty");
  },
  movmskps: sse((e) => e.writeWord(0, e.v128.i32x4_bitmask(e.readVector(1)))),
  movmskpd: sse((e) => e.writeWord(0, e.v128.i64x2_bitmask(e.readVector(1)))),
  pmovmskb: (e) => {
    const { v128, i32 } = e;
    if (!e.isMmx(1)) return sse((e) => e.writeWord(0, v128.i8x16_bitmask(e.readVector(1))))(e);
    e.require("mmx");
    e.writeWord(0, i32.and(v128.i8x16_bitmask(v128.i64x2_splat(e.readMmx(1))), i32.const(0xff)));
    e.tagMmx("valid");
  },
  // Bytes that are stored or left one by one: for the exact tier.
  maskmovq: (e) => e.slow(),
  maskmovdqu: (e) => e.slow(),
  stmxcsr: sse((e) => e.writeWord(0, e.mxcsr())),
  // Changes what the other instructions check.
  ldmxcsr: (e) => e.slow(),
} satisfies Record<string, Semantics>;
