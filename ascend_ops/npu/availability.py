"""Whether this process can use an NPU, found without importing torch or torch_npu."""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from collections.abc import Iterator

from op_builder import envs
from op_builder.cann import CannInstall
from op_builder.cann.compatibility import check
from op_builder.errors import AscendOpsError, CannNotFoundError
from op_builder.lazy_dataclass import dataclass
from op_builder.toolchain.torch_install import find_torch, find_torch_npu

_LIBRARY = "libascendcl.so"
_DRIVER = "libascend_hal.so"
_EMULATE = (
    "`ascend-ops doctor` finds out why; `ascend-ops emulate -- <program>` runs a program on the "
    "emulated NPU"
)

_found: Availability | None = None


@dataclass(frozen=True)
class Availability:
    """What :func:`is_available` found; true only if all three are there.

    ``str()`` gives the reason, or "available".

    Attributes:
        package: torch_npu is installed, and made for the installed torch.
        cann: the loader finds CANN's libraries in this process.
        device: AscendCL reports at least one NPU.
        reason: what is missing and what to do; "" if nothing is.

    Example:
        >>> from ascend_ops.npu import Availability
        >>> found = Availability(package=True, cann=False, device=False, reason="no CANN")
        >>> bool(found), str(found)
        (False, 'no CANN')
    """

    package: bool
    cann: bool
    device: bool
    reason: str = ""

    def __bool__(self) -> bool:
        return self.package and self.cann and self.device

    def __str__(self) -> str:
        return "available" if self else self.reason


class NotAvailableError(AscendOpsError, RuntimeError):
    """This process cannot use an NPU; ``availability`` has the three answers.

    Example:
        >>> from ascend_ops import npu
        >>> try:
        ...     free, total = npu.memory_info()
        ... except npu.NotAvailableError as error:
        ...     print(error.availability.reason)
    """

    def __init__(self, availability: Availability) -> None:
        self.availability = availability
        super().__init__(f"ascend_ops.npu requires an NPU: {availability}")


def is_available() -> Availability:
    """Return whether torch_npu, CANN and an NPU are there, and if not, the reason.

    It imports neither torch nor torch_npu and initialises no device. It loads CANN's
    libascendcl.so, to query the number of NPUs, as torch_npu would. A positive result is memoized.

    Example:
        >>> from ascend_ops import npu
        >>> found = npu.is_available()
        >>> found.package, found.cann, found.device, found.reason
        (True, True, True, '')
    """
    global _found
    if _found is None:
        package = "" if is_imported() else _why_no_package()
        library = _library()
        cann = _why_no_cann(library, not package) if isinstance(library, OSError) else ""
        device = "" if isinstance(library, OSError) else _why_no_device(library)
        reasons = "; ".join(reason for reason in (package, cann, device) if reason)
        has_device = not cann and not device
        found = Availability(not package, not cann, has_device, reasons)
        if not found:
            return found
        _found = found
    return _found


def is_imported() -> bool:
    """Return whether torch_npu is imported; None in ``sys.modules`` forbids the import."""
    return sys.modules.get("torch_npu") is not None


def count_devices() -> int:
    """Return the number of NPUs that AscendCL reports; 0 without CANN."""
    library = _library()
    if isinstance(library, OSError):
        return 0
    return max(_query(library), 0)


def _why_no_package() -> str:
    torch, torch_npu = (
        find() if _is_importable(name) else None
        for name, find in (("torch", find_torch), ("torch_npu", find_torch_npu))
    )
    if torch is None:
        return "torch is not installed: install torch and the torch_npu of the same version"
    if torch_npu is None:
        release = ".".join(map(str, torch.release))
        return f"torch_npu is not installed: pip install torch_npu=={release}"
    findings = check(torch.version, torch_npu.version, None)
    return "; ".join(each.message for each in findings if each.severity == "error")


def _is_importable(name: str) -> bool:
    """``find_torch`` also finds packages that are hidden from ``sys.path``, for builds."""
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _library() -> ctypes.CDLL | OSError:
    try:
        return ctypes.CDLL(_LIBRARY)
    except OSError as error:
        return error


def _why_no_cann(error: OSError, has_package: bool) -> str:
    return ". ".join(_cann_sentences(error, has_package))


def _cann_sentences(error: OSError, has_package: bool) -> Iterator[str]:
    if _DRIVER in str(error):
        yield f"CANN's {_LIBRARY} cannot be loaded, because the NPU's driver is missing ({error})"
    else:
        yield f"CANN is missing: the loader cannot load {_LIBRARY} ({error})"
        try:
            install = CannInstall.find(need_headers=False)
        except CannNotFoundError:
            yield "Install the CANN toolkit and source its set_env.sh before Python starts"
        else:
            yield (
                f"CANN {install.version or 'of unknown version'} is installed in {install.root}: "
                f"source its set_env.sh before Python starts"
            )
    if has_package:
        yield (
            "Until then `import torch` fails, because it imports torch_npu, unless "
            "TORCH_DEVICE_BACKEND_AUTOLOAD=0 is set"
        )
    yield _EMULATE


def _why_no_device(library: ctypes.CDLL) -> str:
    count = _query(library)
    if count > 0:
        return ""
    visible = envs.process_environment().get("ASCEND_RT_VISIBLE_DEVICES")
    limited = "" if visible is None else f" with ASCEND_RT_VISIBLE_DEVICES={visible!r}"
    found = "finds no NPU" if count == 0 else f"fails with error {-count}"
    return f"aclrtGetDeviceCount {found}{limited}: `npu-smi info` lists the NPUs. {_EMULATE}"


def _query(library: ctypes.CDLL) -> int:
    """Return the number of NPUs, or AscendCL's error code as a negative number."""
    count = ctypes.c_uint32()
    status: int = library.aclrtGetDeviceCount(ctypes.byref(count))
    return -abs(status) if status else count.value
