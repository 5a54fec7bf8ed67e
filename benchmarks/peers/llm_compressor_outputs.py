"""Make real outputs of llm-compressor and compressed-tensors from tiny models, and keep their headers for the tests.

    DIR/bin/python -m benchmarks.peers.llm_compressor_outputs --work /tmp/peers [--only NAME ...]

Runs with the interpreter of ``install.sh``. Each case is one call as a user would write it; what the peer refuses is
reported and leaves no fixture.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import traceback
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from families import build
from peer_fixtures import FOLDER, capture, store

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

EMBEDDING: Final = "re:.*embed_tokens$"
VISUAL: Final = "re:.*visual.*"
ROUTER: Final = "re:.*mlp.gate$"
HEAD: Final = "re:.*lm_head$"
OTHERS: Final = ("W4A16", "W4A16_ASYM", "FP8_DYNAMIC", "NVFP4A16", "MXFP4A16", "MXFP8A16")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One call of one tool: the source family, the scheme, and what is left out."""

    tool: str
    source: str
    scheme: str
    ignore: tuple[str, ...] = ()
    note: str = ""

    @property
    def name(self) -> str:
        """Give the fixture's name: TOOL-SOURCE-SCHEME-HEAD."""
        head = "nohead" if any("lm_head" in pattern for pattern in self.ignore) else "head"
        return "-".join(
            filter(None, (self.tool, self.source, self.scheme.lower().replace("+", "-on-"), head, self.note))
        )


def oneshot(case: Case, source: Path, output: Path) -> str:
    """Run ``oneshot`` with a data-free ``QuantizationModifier``."""
    from llmcompressor import oneshot as run
    from llmcompressor.modifiers.quantization import QuantizationModifier
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(source, dtype="auto")
    recipe = QuantizationModifier(targets="Linear", scheme=case.scheme, ignore=list(case.ignore))
    run(model=model, recipe=recipe, pipeline="datafree")
    model.save_pretrained(output, save_compressed=True)
    return f"oneshot(model, QuantizationModifier(targets='Linear', scheme={case.scheme!r}, ignore={list(case.ignore)}))"


def model_free(case: Case, source: Path, output: Path) -> str:
    """Run ``model_free_ptq`` on the folder."""
    from llmcompressor import model_free_ptq

    model_free_ptq(
        model_stub=str(source), save_directory=str(output), scheme=case.scheme, ignore=list(case.ignore), device="cpu"
    )
    return f"model_free_ptq(model, output, scheme={case.scheme!r}, ignore={list(case.ignore)})"


def model_compressor(case: Case, source: Path, output: Path) -> str:
    """Apply a config with a group for the head by compressed-tensors alone, then compress with ``ModelCompressor``."""
    from compressed_tensors.compressors import ModelCompressor
    from compressed_tensors.quantization import QuantizationConfig, apply_quantization_config, preset_name_to_scheme
    from transformers import AutoModelForCausalLM

    head, _, body = case.scheme.rpartition("+")
    model = AutoModelForCausalLM.from_pretrained(source, dtype="auto")
    groups = {} if case.ignore else {"group_0": preset_name_to_scheme(head or body, [HEAD])}
    groups |= {"group_1": preset_name_to_scheme(body, ["Linear"])}
    apply_quantization_config(model, QuantizationConfig(config_groups=groups, ignore=list(case.ignore)))
    for module in model.modules():
        if (scheme := getattr(module, "quantization_scheme", None)) is not None:
            _choose_scale(module.weight, module.weight_scale, scheme.weights.group_size)
    compressor = ModelCompressor.from_pretrained_model(model)
    compressor.compress_model(model)
    model.save_pretrained(output)
    compressor.update_config(output)
    return f"ModelCompressor: {[list(group.targets) for group in groups.values()]} as {case.scheme}, ignore={list(case.ignore)}"


def _choose_scale(weight: torch.Tensor, scale: torch.Tensor, group_size: int | None) -> None:
    blocks = weight.detach().reshape(len(weight), -1, group_size or weight.shape[1])
    scale.data.copy_(blocks.abs().amax(2) / 127.5)


TOOLS: Final[dict[str, Callable[[Case, Path, Path], str]]] = {
    "oneshot": oneshot,
    "modelfree": model_free,
    "compressor": model_compressor,
}
CASES: Final = (
    *(
        Case(tool=tool, source=source, scheme=scheme, ignore=((EMBEDDING,) if tool == "modelfree" else ()) + head)
        for tool in ("oneshot", "modelfree")
        for source in ("llama", "llama-tied")
        for scheme in ("W8A8", "W8A16")
        for head in ((), ("lm_head",))
    ),
    Case(tool="modelfree", source="llama", scheme="W8A8", ignore=("lm_head",), note="embedding"),
    Case(tool="modelfree", source="llama", scheme="W8A8", ignore=("embed_tokens", "lm_head"), note="deadpattern"),
    Case(tool="modelfree", source="qwen3-moe", scheme="W8A16", ignore=(EMBEDDING, ROUTER, "lm_head")),
    Case(tool="modelfree", source="qwen3-moe", scheme="W8A16", ignore=(EMBEDDING, "lm_head"), note="router"),
    Case(tool="modelfree", source="qwen2.5-vl", scheme="W8A16", ignore=(EMBEDDING, VISUAL, "lm_head")),
    *(Case(tool="oneshot", source="llama", scheme=scheme, ignore=("lm_head",)) for scheme in OTHERS),
    Case(tool="oneshot", source="llama-head64", scheme="FP8_BLOCK", ignore=("lm_head",)),
    *(Case(tool="compressor", source="llama", scheme=scheme) for scheme in ("W8A8", "W8A16", "W8A16+W8A8")),
    Case(tool="compressor", source="llama", scheme="W8A8", ignore=(HEAD,)),
)  # fmt: skip


def run_case(case: Case, work: Path, *, made_by: dict[str, str]) -> None:
    """Make one output afresh and store its headers."""
    source, output = work / "sources" / case.source, work / "outputs" / case.name
    if not source.exists():
        build(case.source, source, shards=2)
    shutil.rmtree(output, ignore_errors=True)
    call = TOOLS[case.tool](case, source, output)
    store(capture(output, {**made_by, "call": call, "source": case.source}), FOLDER / f"{case.name}.json")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for sources and outputs")
    parser.add_argument("--only", nargs="*", help="names of cases")
    options = parser.parse_args()
    made_by = {name: version(name) for name in ("llmcompressor", "compressed-tensors", "transformers", "torch")}
    failed = []
    for case in CASES:
        if options.only and case.name not in options.only:
            continue
        try:
            run_case(case, options.work, made_by=made_by)
            print(f"{case.name}: stored")
        except Exception:  # noqa: BLE001  a peer may fail in any way; the others go on and the report says so
            traceback.print_exc()
            failed.append(case.name)
    print(f"refused or failed: {', '.join(failed) or 'none'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
