"""Every fault, as one table: ways in which a tool, a script or a bad copy breaks a healthy quantized checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from faults_config import CONFIG_FAULTS
from faults_copies import COPY_FILE_FAULTS, COPY_INDEX_FAULTS
from faults_dialect import DIALECT_FAULTS
from faults_files import FILE_FAULTS, INDEX_FAULTS
from faults_model_config import MODEL_CONFIG_FAULTS
from faults_naming import NAMING_FAULTS
from faults_numbers import NUMBER_FAULTS
from faults_storage import STORAGE_FAULTS
from faults_tensors import NAME_FAULTS, TENSOR_FAULTS
from faults_values import VALUE_FAULTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fault import Fault

ALL: Final = (
    *(*CONFIG_FAULTS, *NAME_FAULTS, *TENSOR_FAULTS, *INDEX_FAULTS, *FILE_FAULTS),
    *(*DIALECT_FAULTS, *MODEL_CONFIG_FAULTS, *NAMING_FAULTS, *STORAGE_FAULTS, *COPY_INDEX_FAULTS, *COPY_FILE_FAULTS),
    *(*NUMBER_FAULTS, *VALUE_FAULTS),
)
FAULTS: Final[Mapping[str, Fault]] = {fault.name: fault for fault in ALL}
assert len(FAULTS) == len(ALL), "two faults have one name"
SEEN_BY_LOADING: Final = tuple(fault.name for fault in ALL if fault.part != "numbers")
"""Faults that an engine can meet while it loads."""
NUMBERS: Final = tuple(fault.name for fault in ALL if fault.part == "numbers")
"""Faults that change nothing but values."""
