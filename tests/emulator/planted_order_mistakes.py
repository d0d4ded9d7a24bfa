"""Planted mistakes in the order of instructions: queues, pipes, cores, caches, events."""

from __future__ import annotations

from planted_mistake import (
    ADD,
    FREE_LOADED,
    FREE_STORED,
    LOAD,
    LOADED,
    REFILL,
    ROW,
    SCALE,
    SQUARE,
    STORE,
    STORED,
    Mistake,
    at_row,
    norm,
)

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
