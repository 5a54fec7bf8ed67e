"""Every fault, as one table: ways in which a tool, a script or a bad copy breaks a healthy quantized checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from faults_config import CONFIG_FAULTS
from faults_files import FILE_FAULTS, INDEX_FAULTS
from faults_numbers import NUMBER_FAULTS
from faults_tensors import NAME_FAULTS, TENSOR_FAULTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fault import Fault

ALL: Final = (*CONFIG_FAULTS, *NAME_FAULTS, *TENSOR_FAULTS, *INDEX_FAULTS, *FILE_FAULTS, *NUMBER_FAULTS)
FAULTS: Final[Mapping[str, Fault]] = {fault.name: fault for fault in ALL}
assert len(FAULTS) == len(ALL), "two faults have one name"
SEEN_BY_LOADING: Final = tuple(fault.name for fault in ALL if fault.part != "numbers")
"""Faults that an engine can meet while it loads."""
NUMBERS: Final = tuple(fault.name for fault in NUMBER_FAULTS)
