"""Every module gets a decision with a reason, and a recipe that does not fit is refused with all its reasons."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import edit_config, rename_tensor, tiny_checkpoint

from ctq.checkpoint.checkpoint import Checkpoint, open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.errors import ExitCode
from ctq.recipe.decide import decide
from ctq.recipe.decision import Decisions
from ctq.recipe.recipe import BodyGroup, Recipe
from ctq.recipe.schemes import SCHEMES, Scheme, variant

W8A8, W8A16 = SCHEMES["W8A8"], SCHEMES["W8A16"]


def opened(folder: Path) -> Checkpoint:
    return open_checkpoint(LocalFolder(folder))


@pytest.fixture
def llama(tmp_path: Path) -> Checkpoint:
    return opened(tiny_checkpoint(tmp_path / "llama"))


def group(*targets: str, scheme: Scheme = W8A8) -> BodyGroup:
    return BodyGroup(targets=targets, scheme=scheme)


def schemes(decisions: Decisions) -> dict[str, str]:
    return {decision.module: decision.scheme.name for decision in decisions.modules if decision.scheme}


def messages(decisions: Decisions) -> str:
    return "\n".join(problem.message for problem in decisions.problems)


def test_by_default_every_linear_layer_and_no_head(llama: Checkpoint) -> None:
    decisions = decide(llama, Recipe())
    assert not decisions.problems
    assert len(schemes(decisions)) == 2 * 7
    assert decisions.head_scheme is None
    assert "nobody decided" in decisions.head_reason
    reasons = {decision.module: decision.reason for decision in decisions.modules if not decision.scheme}
    assert reasons["model.embed_tokens"] == "embedding"
    assert reasons["model.layers.0.input_layernorm"] == "norm"


def test_included_head_takes_the_body_scheme(llama: Checkpoint) -> None:
    decisions = decide(llama, Recipe(lm_head=True))
    assert decisions.head is not None
    assert decisions.head.name == "lm_head"
    assert decisions.head_scheme == W8A8
    assert "lm_head" not in schemes(decisions), "the head is decided apart from the body"


def test_an_ignored_layer_stays_dense_and_names_the_pattern(llama: Checkpoint) -> None:
    decisions = decide(llama, Recipe(ignore=("re:.*down_proj$",)))
    assert not decisions.problems
    dense = next(decision for decision in decisions.modules if decision.module.endswith("0.mlp.down_proj"))
    assert dense.scheme is None
    assert dense.reason == "ignored by `re:.*down_proj$`"


@pytest.mark.parametrize(
    ("recipe", "words", "code"),
    [
        (Recipe(ignore=("down_proj",)), "ignore `down_proj` matches no module", ExitCode.USAGE),
        (Recipe(body=(group("mlp.up"),)), "target `mlp.up` matches no linear layer", ExitCode.USAGE),
        (Recipe(body=(group("re:.*norm"),)), "never quantized", ExitCode.USAGE),
        (Recipe(ignore=("re:.*q_proj$",)), "fused by engines", ExitCode.USAGE),
        (Recipe(ignore=("re:.*gate_proj$",)), "fused by engines", ExitCode.USAGE),
        (
            Recipe(body=(group("re:.*self_attn.*", scheme=W8A16), group("re:.*_proj$"))),
            "engines decide differently",
            ExitCode.USAGE,
        ),
        (Recipe(lm_head=True, ignore=("re:.*lm_head",)), "but ignore `re:.*lm_head` excludes lm_head", ExitCode.USAGE),
        (Recipe(body=()), "nothing to quantize", ExitCode.USAGE),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else None,
)
def test_what_does_not_fit_is_refused(llama: Checkpoint, recipe: Recipe, words: str, code: ExitCode) -> None:
    decisions = decide(llama, recipe)
    assert words in messages(decisions)
    assert code in {problem.exit_code for problem in decisions.problems}


def test_all_refusals_come_at_once(llama: Checkpoint) -> None:
    decisions = decide(llama, Recipe(body=(group("Linear"), group("nope")), ignore=("nor this", "re:.*q_proj$")))
    assert len(decisions.problems) == 3, "a target, an ignore, a fusion"


def test_a_group_size_that_does_not_divide_is_refused(tmp_path: Path) -> None:
    def shrink(config: dict[str, object]) -> None:
        config["intermediate_size"] = 192

    folder = tiny_checkpoint(tmp_path / "m")
    checkpoint = opened(folder)
    wide = variant(W8A16, group_size=128)
    assert not decide(checkpoint, Recipe(body=(group("Linear", scheme=wide),))).problems
    odd = {
        name: info._replace(shape=(info.shape[0], 200))
        for name, info in checkpoint.tensors.items()
        if "down_proj" in name
    }
    lying = Checkpoint(
        checkpoint.source,
        checkpoint.config,
        checkpoint.headers,
        {**checkpoint.tensors, **odd},
        checkpoint.shard_of,
        None,
    )
    problem = decide(lying, Recipe(body=(group("Linear", scheme=wide),))).problems[0]
    assert "group size 128 does not divide the 200 columns" in problem.message
    assert "and 1 more" in problem.message


@pytest.mark.parametrize(
    ("leaf", "rows", "lm_head", "found"),
    [
        ("lm_head", 321, True, (ExitCode.NOT_GOOD, "321 rows of lm_head.weight")),
        ("lm_head", 321, False, None),
        ("gate_proj", 258, True, (ExitCode.USAGE, "258 rows of model.layers.0.mlp.gate_proj.weight and 1 more")),
        ("gate_proj", 260, True, None),
    ],
)
def test_zero_points_fill_whole_words(
    leaf: str, rows: int, lm_head: bool, found: tuple[ExitCode, str] | None, llama: Checkpoint
) -> None:
    resized = {
        name: info._replace(shape=(rows, info.shape[1])) if leaf in name else info
        for name, info in llama.tensors.items()
    }
    lying = Checkpoint(llama.source, llama.config, llama.headers, resized, llama.shard_of, None)
    scheme = variant(W8A16, strategy="channel", symmetric=False)
    recipe = Recipe(body=(group("Linear", scheme=scheme),), lm_head_scheme=scheme, lm_head=lm_head)
    problems = [(one.exit_code, one.message) for one in decide(lying, recipe).problems]
    assert [(code, found is not None and found[1] in message) for code, message in problems] == (
        [(found[0], True)] if found else []
    )


def test_two_groups_the_name_wins_over_the_class(llama: Checkpoint) -> None:
    recipe = Recipe(body=(group("Linear"), group("re:.*mlp.*", scheme=W8A16)))
    found = schemes(decide(llama, recipe))
    assert found["model.layers.0.mlp.up_proj"] == "W8A16"
    assert found["model.layers.0.self_attn.q_proj"] == "W8A8"


def test_a_target_that_names_the_head_asks_for_it(llama: Checkpoint) -> None:
    decisions = decide(llama, Recipe(body=(group("re:.*lm_head$", scheme=W8A16),)))
    assert not decisions.problems
    assert decisions.head_scheme == W8A16
    assert not schemes(decisions)


def test_a_body_pattern_that_would_give_the_head_another_scheme_is_refused(llama: Checkpoint) -> None:
    recipe = Recipe(body=(group("re:.*"),), lm_head=True, lm_head_scheme=W8A16)
    assert "lm_head is reached by" in messages(decide(llama, recipe))


def test_other_heads_are_ignored_by_their_name(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path / "m")
    rename_tensor(folder, "model.layers.1.self_attn.o_proj.weight", "audio_lm_head.weight")
    decisions = decide(opened(folder), Recipe(lm_head=True))
    assert decisions.head is not None
    assert decisions.head.name == "lm_head"
    other = next(decision for decision in decisions.modules if decision.module == "audio_lm_head")
    assert other.scheme is None
    assert other.ignore == "re:.*audio_lm_head$"


def test_a_model_without_a_head_cannot_include_it(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path / "m", tied=True)
    edit_config(folder, lambda config: config.update(architectures=["LlamaModel"], tie_word_embeddings=False))
    problems = decide(opened(folder), Recipe(lm_head=True)).problems
    assert [problem.exit_code for problem in problems] == [ExitCode.NOT_GOOD]
    assert "the model has none (LlamaModel)" in problems[0].message


@pytest.mark.parametrize(
    ("architecture", "layer"), [("TeleChat2ForCausalLM", "key_value"), ("BloomForCausalLM", "query_key_value")]
)
def test_a_layer_that_the_loader_cuts_is_not_packed(tmp_path: Path, architecture: str, layer: str) -> None:
    folder = tiny_checkpoint(tmp_path / "m")
    for number in range(2):
        old = f"model.layers.{number}.self_attn.v_proj.weight"
        rename_tensor(folder, old, f"model.layers.{number}.self_attn.{layer}.weight")
    edit_config(folder, lambda raw: raw.update(architectures=[architecture]))
    packed = BodyGroup(targets=("Linear",), scheme=W8A16)
    assert f"cuts the tensors of model.layers.0.self_attn.{layer}" in messages(
        decide(opened(folder), Recipe(body=(packed,)))
    )
    assert not decide(opened(folder), Recipe(body=(packed,), ignore=(rf"re:.*\.({layer}|qkv_proj)$",))).problems
    assert not decide(opened(folder), Recipe()).problems
