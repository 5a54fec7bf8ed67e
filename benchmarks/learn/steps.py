"""The order in which a release is learnt, as data: which script writes which of ``ctq/engines/data/``, and after which others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Option = Literal["vllm_python", "work", "answers"]

ELSEWHERE: Final = ("sglang_heads",)
"""What is not of vLLM or transformers, and has a script outside this folder: `benchmarks/sglang_heads.py`."""
VLLM: Final[tuple[Option, ...]] = ("vllm_python",)
KEEPS: Final[tuple[Option, ...]] = ("vllm_python", "work")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One call of a script, a module of ``benchmarks.learn`` unless it names its package.

    ``writes`` is the file of data that it makes or adds to, "" where it only asks an engine and keeps the answers; ``after`` are
    files, and scripts that ask, whose news it needs. ``takes`` are the options that it does not do without, and ``work`` the
    folder that it shares with other scripts; "" is one of its own.
    """

    script: str
    writes: str
    after: tuple[str, ...] = ()
    takes: tuple[Option, ...] = VLLM
    words: tuple[str, ...] = ()
    work: str = ""

    @property
    def module(self) -> str:
        """The module as `python -m` takes it."""
        return self.script if "." in self.script else f"benchmarks.learn.{self.script}"

    @property
    def folder(self) -> str:
        """The folder in which it keeps what it asked, of those that a refresh keeps."""
        return self.work or self.script.rpartition(".")[2]


SWEEP: Final = "benchmarks.conformance"
TOWERS: Final = "benchmarks.tower_values"

STEPS: Final = (
    Step(script="vllm_heads", writes="vllm_heads"),
    Step(script="config_fields", writes="config_fields", takes=()),
    Step(script="config_layers", writes="config_layers", takes=()),
    Step(script="tower_fields", writes="tower_fields", takes=()),
    Step(script="transformers_loading", writes="transformers_loading", takes=()),
    Step(script="known_names", writes="known_names"),
    Step(script="dropped_heads", writes="dropped_heads"),
    Step(script="vllm_checks", writes="vllm_checks"),
    Step(script="engine_names", writes="engine_names"),
    Step(script=SWEEP, writes="", takes=KEEPS, words=("architectures",)),
    Step(script="backend_architectures", writes="backend_architectures", takes=KEEPS, after=("vllm_heads", SWEEP)),
    Step(script="bare_models", writes="bare_models", after=("known_names", "backend_architectures")),
    # Skeletons: of what transformers builds, then of what vLLM alone builds, then of what is made of either.
    Step(script="skeletons", writes="skeletons", after=("config_fields", "config_layers")),
    Step(script="skeleton_variants", writes="skeletons", after=("skeletons", "known_names", "tower_fields"), takes=()),
    Step(script="skeleton_head_dim", writes="skeletons", after=("skeletons",)),
    Step(script="skeleton_switches", writes="skeletons", after=("skeletons",)),
    Step(script="skeleton_sizes", writes="skeletons", after=("skeletons",)),
    Step(script="skeleton_proof", writes="skeletons", after=("skeletons",)),
    Step(script="skeleton_sizes", writes="skeletons", after=("skeletons",)),  # what the proof dropped
    Step(script="skeleton_towers", writes="skeletons", after=("skeletons",)),
    Step(script="feature_layers", writes="skeletons", after=("skeletons",)),
    Step(script="borrowed_skeletons", writes="borrowed_skeletons", after=("skeletons", "engine_names"), takes=KEEPS),
    Step(script="mirrored_skeletons", writes="skeletons", after=("skeletons", "borrowed_skeletons")),
    Step(script="layer_numbers", writes="layer_numbers", after=("skeletons",), takes=KEEPS),
    Step(script="mirrored_sizes", writes="skeletons", after=("skeletons", "layer_numbers"), takes=KEEPS),
    Step(  # around the text models that were mirrored, too
        script="borrowed_skeletons", writes="borrowed_skeletons", after=("skeletons", "engine_names"), takes=KEEPS
    ),
    Step(script="borrowed_towers", writes="borrowed_skeletons", after=("borrowed_skeletons", "engine_names")),
    Step(script="unserved_names", writes="unserved_names", after=("skeletons",)),
    # What comes and goes with values of a config, and what loaders make of too many or too few.
    Step(script="optional_tensors", writes="optional_tensors"),
    Step(script="vllm_switches", writes="vllm_switches", after=("engine_names",)),
    Step(script="passed_over", writes="passed_over", after=("skeletons", "vllm_switches"), takes=KEEPS),
    Step(script="draft_layers", writes="draft_layers", after=("passed_over",), takes=KEEPS),
    Step(script="surplus_experts", writes="surplus_experts"),
    Step(script="fused_layouts", writes="fused_layouts"),
    Step(script="cache_scales", writes="cache_scales"),
    Step(script="tie_levels", writes="tie_levels", after=("config_fields",)),
    Step(script="unignored_layers", writes="unignored_layers", after=("engine_names",)),
    Step(script="other_methods", writes="other_methods", after=("known_names", "engine_names")),
    Step(script="activations", writes="activations", after=("known_names",), takes=KEEPS),
    # Towers, of which every value is asked about first.
    Step(script=TOWERS, writes="", takes=KEEPS, words=("ask",), work="towers"),
    Step(
        script="tower_rules",
        writes="tower_rules",
        after=("activations", "tower_fields", TOWERS),
        takes=KEEPS,
        work="towers",
    ),
    Step(script="tower_switches", writes="tower_switches"),
    Step(script="tower_strangers", writes="tower_strangers", after=("skeletons",), takes=KEEPS),
    Step(script="lacking_fields", writes="lacking_fields", takes=KEEPS, after=("backend_architectures", SWEEP)),
    # Configs as a whole: which of their values vLLM refuses that nothing above explains.
    Step(script="config_classes", writes="config_classes", takes=KEEPS),
    Step(script="config_values", writes="config_values", takes=("vllm_python", "answers")),
)
"""Every step, in an order in which each comes after what it needs; some scripts are called twice."""
