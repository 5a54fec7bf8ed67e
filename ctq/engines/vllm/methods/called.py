"""What quantization methods are called in configs, where vLLM has several names for one."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAMES: Final[Mapping[str, str]] = MappingProxyType({
    **dict.fromkeys(("auto_gptq", "gptq_marlin"), "gptq"),
    **dict.fromkeys(("auto_awq", "awq_marlin"), "awq"),
    "inc": "auto-round",
})  # fmt: skip


def method_called(quant_method: str) -> str:
    """Return the method that a config's ``quant_method`` names, in lower case (`gptq` of `GPTQ_Marlin`)."""
    name = quant_method.lower()
    return _NAMES.get(name, name)
