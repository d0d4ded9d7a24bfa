"""Mistakes planted in this project's kernels, one per rule, and what the emulated core reports.

Each replaces a text that its kernel, with the header ``rows.h``, contains once.
"""

from __future__ import annotations

from typing import NamedTuple


class Mistake(NamedTuple):
    """One mistake.

    Attributes:
        name: What is wrong.
        kernel: The file in ``csrc/npu/kernels``, without its suffix.
        old: The text that is replaced.
        new: What it is replaced by.
        report: What the core must report.
        auto_sync: False to compile without the order that the compiler inserts.
    """

    name: str
    kernel: str
    old: str
    new: str
    report: str
    auto_sync: bool = True


# Texts of the kernels that several mistakes are planted at.
LOADED = """        queue_.EnQue(loaded);
        loaded = queue_.template DeQue<T>();
"""
STORED = """        queue_.EnQue(stored);
        stored = queue_.template DeQue<T>();
"""
LOAD_WHOLE = "        DataCopy(loaded, global_[begin], count);\n"
REFILL = "        Duplicate(stored, T(0), 8);\n"
LOAD = "        DataCopyPad(loaded, global_[begin], bytes, DataCopyPadExtParams<T>());\n"
STORE = "        DataCopyPad(global_[begin], stored, bytes);\n"
WIDEN = "            Muls(to, loaded, 1.0F, count);\n"
NARROW = "            Muls(stored, from, 1.0F, count);\n"
FREE_LOADED = "        queue_.FreeTensor(loaded);\n"
FREE_STORED = "        queue_.FreeTensor(stored);\n"
ROW = "            begin_ = uint64_t(row) * tiling_.columns;\n"
SCALE = "        scales_.FreeTensor(stored);\n"
SQUARE = "            Mul(other, sum, sum, count);\n"
ADD = "        Add(sum, sum, other, count);\n"
INIT = "        pipe_.InitBuffer(sum_, tile * sizeof(float));\n"


def norm(name: str, old: str, new: str, report: str, **options: object) -> Mistake:
    return Mistake(name, "norm", old, new, report, **options)  # type: ignore[arg-type]


def at_row(name: str, statement: str, report: str) -> Mistake:
    """A mistake that is a statement of its own."""
    return norm(name, ROW, f"{ROW}            {statement}\n", report)


QUEUES = (
    norm("computes before the load has ended", LOADED, "", "read after write: Muls on PIPE_V"),
    norm("stores before the result is there", STORED, "", "DataCopyPad on PIPE_MTE3 does not wait"),
    norm(
        "frees before it computes",
        LOADED,
        LOADED + FREE_LOADED,
        "Muls uses a tensor after FreeTensor",
    ),
    norm(
        "frees before it stores", STORE, FREE_STORED + STORE, "DataCopyPad uses a tensor after Fr"
    ),
    norm("frees twice", FREE_LOADED, FREE_LOADED * 2, "FreeTensor of a tensor that is free alr"),
    norm("never frees an input", FREE_LOADED, "", "all 2 buffers of the queue are in use"),
    norm("never frees an output", FREE_STORED, "", "all 2 buffers of the queue are in use"),
    norm("leaves a tensor at the end", SCALE, "", "was never given to FreeTensor"),
    norm(
        "frees with another queue",
        "        quantized_.FreeTensor(bytes);\n",
        "        scales_.FreeTensor(bytes);\n",
        "FreeTensor: the tensor is not of this queue",
    ),
    norm(
        "takes before it puts", LOADED, LOADED[LOADED.index("loaded =") :], "DeQue of an empty qu"
    ),
    norm(
        "puts twice",
        LOADED,
        "        queue_.EnQue(loaded);\n" + LOADED,
        "EnQue of a tensor that is in the queue already",
    ),
    norm(
        "puts with another queue",
        "        scales_.EnQue(stored);\n",
        "        quantized_.EnQue(stored);\n",
        "EnQue: the tensor is not of this queue",
    ),
    norm(
        "takes from another queue",
        "        stored = scales_.DeQue<float>();\n",
        "        stored = quantized_.DeQue<float>();\n",
        "DeQue of an empty queue",
    ),
    norm(
        "puts more than the queue's depth",
        "        LocalTensor<float> stored = scales_.AllocTensor<float>();\n",
        "        LocalTensor<int8_t> a = quantized_.AllocTensor<int8_t>();\n"
        "        LocalTensor<int8_t> b = quantized_.AllocTensor<int8_t>();\n"
        "        LocalTensor<int8_t> c = quantized_.AllocTensor<int8_t>();\n"
        "        LocalTensor<float> stored = scales_.AllocTensor<float>();\n",
        "all 2 buffers of the queue are in use",
    ),
    at_row(
        "puts two tensors into a queue of one",
        "TQue<TPosition::VECOUT, 1> own; pipe_.InitBuffer(own, 2, 32);"
        " own.EnQue(own.AllocTensor<float>()); own.EnQue(own.AllocTensor<float>());",
        "the queue's depth is 1, and it holds 1 tensors",
    ),
    norm(
        "an input through a queue for outputs",
        "    TQue<TPosition::VECIN, 2> queue_;\n",
        "    TQue<TPosition::VECOUT, 2> queue_;\n",
        "Muls on PIPE_V does not wait for DataCopyPad on PIPE_MTE2",
    ),
    norm(
        "an output through a queue for inputs",
        "    TQue<TPosition::VECOUT, 2> queue_;\n",
        "    TQue<TPosition::VECIN, 2> queue_;\n",
        "DataCopyPad on PIPE_MTE3 does not wait for Muls on PIPE_V",
    ),
    Mistake(
        "a copy through a queue for the vector unit",
        "rotary",
        "    TQueBind<TPosition::VECIN, TPosition::VECOUT, 2> others_;\n",
        "    TQue<TPosition::VECIN, 2> others_;\n",
        "DataCopyPad on PIPE_MTE3 does not wait for DataCopyPad on PIPE_MTE2",
    ),
    norm(
        "keeps a tensor of the iteration before",
        FREE_LOADED,
        FREE_LOADED + "        Muls(to, loaded, 1.0F, count);\n",
        "Muls uses a tensor after FreeTensor",
    ),
)

HAZARDS = (
    norm(
        "fills while it loads",
        LOADED,
        f"        Duplicate(loaded, T(0), 8);\n{LOADED}",
        "write after write: Duplicate on PIPE_V",
    ),
    norm(
        "loads again while it computes",
        FREE_LOADED,
        LOAD + FREE_LOADED,
        "write after read: DataCopyPad on PIPE_MTE2 does not wait for Muls on PIPE_V",
    ),
    norm(
        "changes while it stores",
        FREE_STORED,
        REFILL + FREE_STORED,
        "write after read: Duplicate on PIPE_V does not wait for DataCopyPad on PIPE_MTE3",
    ),
    norm(
        "reads a scalar while it loads",
        LOADED,
        f"        (void)loaded.GetValue(0);\n{LOADED}",
        "GetValue on PIPE_S",
        auto_sync=False,
    ),
    Mistake(
        "waits with the flag of another pipe",
        "rotary",
        "        others_.EnQue(others);\n        others = others_.template DeQue<T>();\n",
        "        SetFlag<HardEvent::MTE2_V>(EVENT_ID0);\n"
        "        WaitFlag<HardEvent::MTE2_V>(EVENT_ID0);\n",
        "DataCopyPad on PIPE_MTE3 does not wait for DataCopyPad on PIPE_MTE2",
    ),
    Mistake(
        "waits in the wrong direction",
        "rotary",
        "        others_.EnQue(others);\n        others = others_.template DeQue<T>();\n",
        "        SetFlag<HardEvent::MTE3_MTE2>(EVENT_ID0);\n"
        "        WaitFlag<HardEvent::MTE3_MTE2>(EVENT_ID0);\n",
        "DataCopyPad on PIPE_MTE3 does not wait for DataCopyPad on PIPE_MTE2",
    ),
    norm(
        "two instructions without a barrier",
        ADD,
        ADD,
        "read after write: Add on PIPE_V does not wait for Muls on PIPE_V",
        auto_sync=False,
    ),
    norm(
        "a scalar read without a flag",
        "        return squares /",
        "        return squares /",
        "GetValue on PIPE_S does not wait for ReduceSum on PIPE_V",
        auto_sync=False,
    ),
    norm(
        "a scalar write without a flag",
        ROW,
        f"{ROW}            other_.Get<float>().SetValue(0, 1.0F);\n"
        "            Muls(other_.Get<float>(), other_.Get<float>(), 2.0F, 8);\n",
        "Muls on PIPE_V does not wait for SetValue on PIPE_S",
        auto_sync=False,
    ),
    norm("a write before the read has ended", SQUARE, SQUARE, "write after read", auto_sync=False),
)

CORES = (
    norm(
        "all blocks write one row",
        ROW,
        "            begin_ = 0;\n",
        "writes bytes of global memory that block",
    ),
    Mistake(
        "counts without an atomic",
        "moe",
        "        SetAtomicAdd<int32_t>();",
        "        SetAtomicNone();",
        "writes bytes of global memory that block",
    ),
    norm(
        "reads what another block writes",
        "            total_.store(begin_ + column, sum, count);\n",
        "            total_.store(begin_ + column, sum, count);\n"
        "            const uint64_t all = uint64_t(tiling_.rows) * tiling_.columns;\n"
        "            Input<T>* other_row = &written_;\n"
        "            other_row->load(other_.Get<float>(),\n"
        "                            (begin_ + tiling_.columns) % all + column, count);\n",
        "writes bytes of global memory that block",
    ),
    at_row(
        "one block skips the barrier", "if (GetBlockIdx() == 0) { SyncAll(); }", "no core can go on"
    ),
    at_row("waits for a flag that nobody sets", "CrossCoreWaitFlag(3);", "waits for flag 3"),
    at_row(
        "a flag that does not exist",
        "CrossCoreSetFlag<0, PIPE_MTE3>(16);",
        "the flag id must be 0 to 15, got 16",
    ),
    at_row(
        "waits for a flag that does not exist",
        "CrossCoreWaitFlag(16);",
        "the flag id must be 0 to 15, got 16",
    ),
    at_row(
        "a mode that does not exist",
        "CrossCoreSetFlag<3, PIPE_MTE3>(1);",
        "the mode must be 0, 2, or 1 on a vector core, got 3",
    ),
    at_row(
        "sets a flag too often",
        "for (int i = 0; i < 17; ++i) { CrossCoreSetFlag<0, PIPE_MTE3>(1); }",
        "is set more than 15 times without a wait",
    ),
)

SET_SCALE = "if (row == 0) { scale_.SetValue(0, 1.0F); } "
CLEAN_SCALE = "DataCacheCleanAndInvalid<float, CacheLine::SINGLE_CACHE_LINE>(scale_); "
READ_SCALE = "if (row == 1) { (void)scale_.GetValue(0); } "

CACHES = (
    norm(
        "blocks write to one cache line",
        "        DataCopyPad(scale_[row], stored, DataCopyExtParams(1, sizeof(float), 0, 0, 0));\n",
        "        scale_.SetValue(row, scale);\n",
        "SetValue changes a cache line of 64 bytes to which block",
    ),
    at_row(
        "loads what is in the data cache only",
        "scale_.SetValue(row, 1.0F);"
        " DataCopyPad(other_.Get<float>(), scale_[row], DataCopyExtParams(1, 4, 0, 0, 0),"
        " DataCopyPadExtParams<float>());",
        "DataCopyPad reads bytes of global memory that SetValue at line 42 has written to the data "
        "cache of this core only; DataCacheCleanAndInvalid must follow",
    ),
    at_row(
        "synchronizes without cleaning the data cache",
        "if (row < 4) { if (row == 3) { scale_.SetValue(3, 1.0F); } SyncAll();"
        " if (row == 0) { (void)scale_.GetValue(3); } }",
        "GetValue reads bytes of global memory that SetValue at line 42 has written to the data "
        "cache of block 3 only",
    ),
    at_row(
        "cleans the data cache after it synchronizes",
        f"if (row < 4) {{ {SET_SCALE}SyncAll(); {CLEAN_SCALE}{READ_SCALE}}}",
        "DataCacheCleanAndInvalid must come before what orders the two, not after it",
    ),
    at_row(
        "reads again what it has stored since",
        "(void)scale_.GetValue(row); store_scale(row, 1.0F);"
        " SetFlag<HardEvent::MTE3_S>(EVENT_ID0); WaitFlag<HardEvent::MTE3_S>(EVENT_ID0);"
        " (void)scale_.GetValue(row);",
        "GetValue finds in the data cache what DataCopyPad at line",
    ),
    at_row(
        "stores to a line that it has changed",
        "if (row == 0) { scale_.SetValue(4, 1.0F); store_scale(0, 1.0F); }",
        "DataCopyPad writes to a cache line of 64 bytes that SetValue at line 42 has changed",
    ),
)

MEMORY = (
    norm("more than UB", INIT, "        pipe_.InitBuffer(sum_, 256 * 1024);\n", "UB would hold"),
    norm(
        "too many buffers",
        INIT,
        f"{INIT}        pipe_.InitBuffer(many_, 60, 32);\n",
        "must not have more than 64 buffers",
    ),
    norm(
        "a queue without memory",
        "        pipe_.InitBuffer(scales_, 1, block_bytes);\n",
        "",
        "the queue has no buffers",
    ),
    norm("a buffer without memory", INIT, "", "Muls uses a tensor after FreeTensor"),
    norm(
        "a buffer that is too small",
        INIT,
        "        pipe_.InitBuffer(sum_, tile * 2);\n",
        "leaves the tensor's buffer of 4096 bytes",
    ),
    norm(
        "an offset that is too large",
        SQUARE,
        "            Mul(other[tile], sum, sum, count);\n",
        "leaves the tensor's buffer of 8192 bytes",
    ),
    norm(
        "reads what was never written",
        "        weight_.load(normed, column, count);\n",
        "        normed = never_.Get<float>();\n",
        "which nothing has written",
    ),
    norm(
        "reads before an allocation",
        LOAD,
        LOAD.replace("[begin]", "[begin - (1 << 28)]"),
        "of which none is allocated",
    ),
    norm(
        "reads behind an allocation",
        LOAD,
        LOAD.replace("[begin]", "[begin + (1 << 28)]"),
        "DataCopyPad reads",
    ),
    norm(
        "reads over the end of an allocation",
        LOAD,
        LOAD.replace("bytes,", "DataCopyExtParams(3, 8192, 0, 0, 0),"),
        "lie behind the end of the allocation",
    ),
    norm(
        "writes behind an allocation",
        STORE,
        STORE.replace("[begin]", "[begin + (1 << 28)]"),
        "DataCopyPad writes",
    ),
    norm(
        "writes one row too many",
        "row < tiling_.rows;",
        "row <= tiling_.rows;",
        "lie behind the end of the allocation",
    ),
    norm(
        "the vector unit on L1",
        "        pipe_.InitBuffer(many_, 1, 32);\n",
        "        pipe_.InitBuffer(on_l1_, 1024);\n"
        "        Duplicate(on_l1_.Get<float>(), 0.0F, 8);\n",
        "the vector unit reads and writes UB only",
    ),
    norm(
        "reads more than UB",
        SQUARE,
        "            Mul(other, LocalTensor<float>(TPosition::VECCALC, 196352, 64), sum, 2000);\n",
        "behind the end of UB",
    ),
)

ALIGNMENT = (
    norm(
        "loads a part of a block",
        LOAD,
        LOAD_WHOLE,
        "a device moves whole blocks of 32",
    ),
    norm(
        "stores a part of a block",
        STORE,
        "        DataCopy(global_[begin], stored, count);\n",
        "a device moves whole blocks of 32",
    ),
    norm(
        "computes at an unaligned address",
        SQUARE,
        "            Mul(other[1], sum, sum, count - 1);\n",
        "the tensor's address must be a multiple of 32 bytes",
    ),
    norm(
        "loads to an unaligned address",
        LOAD,
        LOAD.replace("DataCopyPad(loaded,", "DataCopyPad(loaded[1],").replace(
            "bytes,", "DataCopyExtParams(1, 8, 0, 0, 0),"
        ),
        "the tensor's address must be a multiple of 32 bytes",
    ),
    norm(
        "stores from an unaligned address",
        STORE,
        STORE.replace("stored, bytes", "stored[1], DataCopyExtParams(1, 8, 0, 0, 0)"),
        "the tensor's address must be a multiple of 32 bytes",
    ),
    norm(
        "a tensor at an unaligned address",
        SQUARE,
        f"{SQUARE}            LocalTensor<float> own(TPosition::VECCALC, 8, 64);\n",
        "the address must be a multiple of 32",
    ),
    norm(
        "gathers from an address within an element",
        SQUARE,
        f"{SQUARE}            Duplicate(other.ReinterpretCast<uint32_t>(), 2U, 8);\n"
        "            Gather(sum, sum, other.ReinterpretCast<uint32_t>(), 0, 8);\n",
        "each offset must be a multiple of the element's size",
    ),
)

RANGES = (
    norm(
        "no blocks to load",
        LOAD,
        LOAD.replace("bytes,", "DataCopyExtParams(0, 32, 0, 0, 0),"),
        "the block count must be 1 to 4095",
    ),
    norm(
        "too many blocks to load",
        LOAD,
        LOAD.replace("bytes,", "DataCopyExtParams(4096, 4, -4, 0, 0),"),
        "the block count must be 1 to 4095",
    ),
    norm(
        "no blocks to store",
        STORE,
        STORE.replace("bytes", "DataCopyExtParams(0, 32, 0, 0, 0)"),
        "the block count must be 1 to 4095",
    ),
    norm(
        "a part of an element",
        LOAD,
        LOAD.replace("bytes,", "DataCopyExtParams(1, 30, 0, 0, 0),"),
        "a multiple of the element's size",
    ),
    norm(
        "too much padding",
        LOAD,
        LOAD.replace("DataCopyPadExtParams<T>()", "DataCopyPadExtParams<T>(true, 0, 16, 0)"),
        "leftPadding and rightPadding must be at most 32 bytes",
    ),
    norm(
        "a mask that is too large",
        SQUARE,
        "            Mul(other, sum, sum, uint64_t(65), 1, BinaryRepeatParams());\n",
        "the mask must be 1 to 64, got 65",
    ),
    norm(
        "an empty mask",
        SQUARE,
        "            Mul(other, sum, sum, uint64_t(0), 1, BinaryRepeatParams());\n",
        "the mask must be 1 to 64, got 0",
    ),
    norm(
        "a mask without a bit",
        SQUARE,
        "            uint64_t bits[2] = {0, 0};\n"
        "            Mul(other, sum, sum, bits, 1, BinaryRepeatParams());\n",
        "the mask must have a bit that is set",
    ),
    norm(
        "too many repeats",
        SQUARE,
        f"{SQUARE}            BlockReduceSum<float>(other, other, 256, uint64_t(64), 1, 1, 8);\n",
        "repeatTime must be 0 to 255, got 256",
    ),
    norm(
        "a repeat stride that leaves the buffer",
        SQUARE,
        "            Mul(other, sum, sum, uint64_t(64), 5,"
        " BinaryRepeatParams(1, 1, 1, 255, 8, 8));\n",
        "leaves the tensor's buffer of 8192 bytes",
    ),
    norm(
        "a negative count",
        SQUARE,
        "            Mul(other, sum, sum, -1);\n",
        "the count must not be negative, got -1",
    ),
    norm(
        "a reduction of nothing",
        SQUARE,
        f"{SQUARE}            (void)reducer_.sum(other, 0);\n",
        "the count must be positive",
    ),
    norm(
        "compares a part of a repeat",
        SQUARE,
        f"{SQUARE}            CompareScalar(halves_.Get<uint8_t>(), other,"
        " 0.0F, CMPMODE::GT, 52);\n",
        "the elements must fill whole repeats of 256 bytes",
    ),
    norm(
        "a pattern that does not exist",
        SQUARE,
        f"{SQUARE}            uint64_t kept = 0;\n"
        "            GatherMask(other, other, uint8_t(8), false, 0,"
        " GatherMaskParams(1, 1, 8, 8), kept);\n",
        "the pattern must be 1 to 7",
    ),
)

EVENTS = (
    at_row(
        "waits without a flag",
        "WaitFlag<HardEvent::MTE2_V>(EVENT_ID0);",
        "MTE2_V with event id 0 without a SetFlag before it",
    ),
    at_row(
        "sets without a wait",
        "if (row == 0) { SetFlag<HardEvent::MTE2_V>(EVENT_ID0); }",
        "has no WaitFlag when the kernel ends",
    ),
    at_row(
        "sets twice",
        "SetFlag<HardEvent::MTE2_V>(EVENT_ID1);"
        " SetFlag<HardEvent::MTE2_V>(EVENT_ID1); WaitFlag<HardEvent::MTE2_V>(EVENT_ID1);",
        "which is set since line",
    ),
    at_row(
        "an event that does not exist",
        "SetFlag<HardEvent::MTE2_V>(9);",
        "the event id must be 0 to 7, got 9",
    ),
    at_row(
        "waits for an event that does not exist",
        "WaitFlag<HardEvent::MTE2_V>(-1);",
        "the event id must be 0 to 7, got -1",
    ),
    at_row(
        "waits for another event",
        "SetFlag<HardEvent::MTE2_V>(EVENT_ID0); WaitFlag<HardEvent::MTE2_V>(EVENT_ID1);",
        "MTE2_V with event id 1 without a SetFlag",
    ),
    at_row(
        "releases what it has not taken",
        "GetTPipePtr()->ReleaseEventID<HardEvent::MTE2_V>(3);",
        "which AllocEventID did not give out",
    ),
    at_row(
        "takes more events than there are",
        "for (int i = 0; i < 9; ++i) { GetTPipePtr()->AllocEventID<HardEvent::MTE2_V>(); }",
        "all 8 ids are taken",
    ),
)

OTHERS = (
    at_row(
        "an assertion that does not hold",
        "ascendc_assert(GetBlockNum() == 77);",
        "ascendc_assert(GetBlockNum() == 77) does not hold",
    ),
    at_row("a trap", "Trap();", "the kernel called Trap"),
)

MISTAKES = (*QUEUES, *HAZARDS, *CORES, *CACHES, *MEMORY, *ALIGNMENT, *RANGES, *EVENTS, *OTHERS)
