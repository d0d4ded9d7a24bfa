"""Planted mistakes in the operands of instructions: memory, alignment, ranges."""

from __future__ import annotations

from planted_mistake import INIT, LOAD, LOAD_WHOLE, SQUARE, STORE, at_row, norm

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
    at_row(
        "merges the first list and the third",
        "LocalTensor<float> list = other_.Get<float>(); const uint16_t lengths[4] = {2, 0, 2, 0};"
        " MrgSort(list, MrgSortSrcList<float>(list, list, list, list),"
        " MrgSort4Info(lengths, false, 5, 1));",
        "validBit must be 3, 7 or 15",
    ),
    at_row(
        "an image without rows",
        "const uint8_t pads[4] = {}; SetFmatrix(0, 16, pads, FmatrixMode::FMATRIX_LEFT);",
        "l1H and l1W must be 1 to 32767",
    ),
    at_row(
        "the image of the right matrix",
        "const uint8_t pads[4] = {}; SetFmatrix(1, 16, pads, FmatrixMode::FMATRIX_RIGHT);",
        "fmatrixMode must be FMATRIX_LEFT",
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
