"""Recipes in YAML: ours and llm-compressor's, with errors that name file, line and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctq.errors import ExitCode, RecipeError
from ctq.recipe.recipe import Recipe
from ctq.recipe.recipe_file import read_recipe
from ctq.recipe.schemes import SCHEMES

EXAMPLES = Path(__file__).parents[2] / "examples" / "recipes"


def read(tmp_path: Path, text: str) -> Recipe:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return read_recipe(path)


@pytest.mark.parametrize(
    ("name", "body", "head", "head_scheme"),
    [
        ("head-in", ["W8A8"], True, "W8A8"),
        ("head-out", ["W8A8"], False, "W8A8"),
        ("mixed", ["W8A8"], True, "W8A16"),
        ("head-only", [], True, "W8A16"),
        ("llm-compressor", ["W8A8"], False, "W8A8"),
    ],
)
def test_examples(name: str, body: list[str], head: bool, head_scheme: str) -> None:
    recipe = read_recipe(EXAMPLES / f"{name}.yaml")
    assert [group.scheme.name for group in recipe.body] == body
    assert recipe.lm_head is head
    assert recipe.head_scheme.name == head_scheme


def test_every_example_is_tested() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.yaml")} == {
        "head-in",
        "head-out",
        "mixed",
        "head-only",
        "llm-compressor",
    }


def test_ours_with_groups(tmp_path: Path) -> None:
    recipe = read(
        tmp_path,
        """
groups:
  - {targets: ["re:.*mlp.*"], scheme: W8A16, group_size: 64, symmetric: false}
  - {targets: [Linear], scheme: W8A8}
ignore: ["re:.*o_proj$"]
observer: mse
""",
    )
    weights = recipe.body[0].scheme.weights
    assert (weights.strategy, weights.group_size, weights.symmetric) == ("group", 64, False)
    assert recipe.body[1].scheme == SCHEMES["W8A8"]
    assert (recipe.ignore, recipe.observer, recipe.lm_head) == (("re:.*o_proj$",), "mse", None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("scheme: W8A8\nlm_haed: {include: true}\n", "recipe.yaml:2: lm_haed: no such key"),
        (
            "scheme: W8A8\nlm_head:\n  include: maybe\n",
            "recipe.yaml:3: lm_head.include: true or false is expected",
        ),
        ("lm_head: yes please\n", "recipe.yaml:1: lm_head: a mapping of keys is expected"),
        ("lm_head: {scheme: W8A16}\n", "recipe.yaml:1: lm_head.include: is missing"),
        ("groups:\n  - scheme: W8A8\n    targets: Linear\n", "recipe.yaml:3: groups.0.targets: a list is expected"),
        ("ignore: lm_head\n", "recipe.yaml:1: ignore: a list is expected"),
        ("scheme: W8A8\nscheme: W8A16\n", "recipe.yaml:2: scheme: given in line 1 already"),
        ("lm_head:\n  include: true\n  include: false\n", "recipe.yaml:3: lm_head.include: given in line 2 already"),
        (
            "groups:\n  - {targets: [a], scheme: W8A8}\nscheme: W8A8\n",
            "give either groups or scheme, not both",
        ),
        ("groups: []\ngroup_size: 64\n", "give either groups or group_size, not both"),
        ("scheme: W8A16\nstrategy: channel\ngroup_size: 64\n", "a group size with the strategy channel"),
        ("lm_head: {include: true, group_size: 64}\n", "W8A8 is per-channel"),
        ("scheme: W4A4\n", "no scheme 'W4A4'"),
        ("scheme: W8A8\nstrategy: group\n", "W8A8 is per-channel"),
        ("scheme: W8A16\ngroup_size: 48\n", "group size 48 has no 8-bit kernel"),
        ("scheme: [\n", "recipe.yaml: not YAML: line 2, column 1: expected the node content"),
        ("- a\n", "a recipe is a mapping of keys, found a list"),
        ("", "a recipe is a mapping of keys, found nothing"),
        ("scheme: W8A8\nno: 1\n", "recipe.yaml:2: the key 'no' is no text"),
        ("lm_head: {include: true, 8: W8A16}\n", "recipe.yaml:1: the key '8' is no text"),
        ("groups:\n  - targets: [Linear]\n    ~: 1\n", "recipe.yaml:3: the key '~' is no text"),
        ("a: &x [1]\nb: *x\n", "aliases are not read in recipes"),
        ("scheme: !!python/object/apply:os.system [true]\n", "not YAML"),
        ("quant_modifiers:\n  GPTQModifier: {scheme: W8A8}\n", "GPTQModifier needs calibration data"),
        (
            "quant_modifiers:\n  SmoothQuantModifier: {}\n  QuantizationModifier: {scheme: W8A8}\n",
            "SmoothQuantModifier needs",
        ),
        ("QuantizationModifier: {scheme: {}}\n", "a preset's name is expected"),
        ("QuantizationModifier: {scheme: {W8A8: 3}}\n", "scheme.W8A8: a list of strings is expected"),
        ("QuantizationModifier: {scheme: FP8_DYNAMIC, targets: [Linear]}\n", "scheme FP8_DYNAMIC is not written"),
    ],
)
def test_errors_name_the_place(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(RecipeError) as error:
        read(tmp_path, text)
    assert words in error.value.message
    assert "recipe.yaml" in error.value.message
    assert error.value.exit_code == ExitCode.USAGE


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="No such file") as error:
        read_recipe(tmp_path / "none.yaml")
    assert error.value.hint == "--recipe takes a YAML file"


@pytest.mark.parametrize("text", ["", "- a\n", "scheme: [\n"])
def test_what_is_no_recipe_is_answered_with_one(tmp_path: Path, text: str) -> None:
    with pytest.raises(RecipeError) as error:
        read(tmp_path, text)
    assert error.value.hint is not None
    recipe = read(tmp_path, error.value.hint.removeprefix("a recipe is YAML like "))
    assert (recipe.body[0].scheme, recipe.lm_head) == (SCHEMES["W8A8"], True)


def test_another_kind_of_file_is_not_listed_line_by_line(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as error:
        read(tmp_path, "".join(f"key_{number}: 1\n" for number in range(30)))
    lines = error.value.message.splitlines()
    assert len(lines) == 6
    assert lines[-1].endswith("and 25 more like these")


@pytest.mark.parametrize(
    ("text", "strategy", "group_size", "symmetric"),
    [
        ("lm_head: {include: true, group_size: 32}", "group", 32, False),
        ("lm_head: {include: true, strategy: channel}", "channel", None, False),
        ("lm_head: {include: true, symmetric: true}", "group", 64, True),
        ("lm_head: {include: true, scheme: W8A16}", "group", 128, True),
    ],
)
def test_the_heads_own_choices_go_over_the_bodys(
    tmp_path: Path, text: str, strategy: str, group_size: int | None, symmetric: bool
) -> None:
    weights = read(tmp_path, f"scheme: W8A16\ngroup_size: 64\nsymmetric: false\n{text}\n").head_scheme.weights
    assert (weights.strategy, weights.group_size, weights.symmetric) == (strategy, group_size, symmetric)


def test_the_head_may_be_decided_in_one_word(tmp_path: Path) -> None:
    assert [read(tmp_path, f"lm_head: {word}\n").lm_head for word in ("true", "false", "null")] == [True, False, None]


def test_llm_compressor_includes_the_head_unless_it_ignores_it(tmp_path: Path) -> None:
    text = "quant_modifiers:\n  QuantizationModifier: {scheme: W8A8, targets: Linear, ignore: []}\n"
    assert read(tmp_path, text).lm_head is True
    assert read(tmp_path, text.replace("[]", "['re:.*lm_head']")).lm_head is False


def test_llm_compressor_config_groups(tmp_path: Path) -> None:
    recipe = read(
        tmp_path,
        """
quant_stage:
  quant_modifiers:
    QuantizationModifier:
      ignore: [lm_head]
      config_groups:
        group_0:
          weights: {num_bits: 8, type: int, symmetric: true, strategy: group, group_size: 64, observer: mse}
          targets: ["re:.*mlp.*"]
        group_1:
          weights: {num_bits: 8, type: int, symmetric: true, strategy: channel}
          input_activations: {num_bits: 8, type: int, strategy: token, dynamic: true}
          targets: [Linear]
""",
    )
    assert [group.scheme.name for group in recipe.body] == ["W8A16", "W8A8"]
    assert recipe.body[0].scheme.weights.group_size == 64
    assert recipe.observer == "mse"


def test_llm_compressor_presets_with_their_own_targets(tmp_path: Path) -> None:
    recipe = read(
        tmp_path, "QuantizationModifier: {scheme: {W8A16: ['re:.*mlp.*'], W8A8: Linear}, ignore: [lm_head]}\n"
    )
    assert [(group.scheme.name, group.targets) for group in recipe.body] == [
        ("W8A16", ("re:.*mlp.*",)),
        ("W8A8", ("Linear",)),
    ]
    assert recipe.lm_head is False


def test_static_activations_need_calibration(tmp_path: Path) -> None:
    text = """
QuantizationModifier:
  config_groups:
    group_0: {targets: [Linear], weights: {num_bits: 8, strategy: channel}, input_activations: {num_bits: 8, dynamic: false}}
"""
    with pytest.raises(RecipeError, match="static activations need calibration"):
        read(tmp_path, text)


@pytest.mark.parametrize("bomb", ["[" * 60_000, "{a: " * 15_000, "- " * 30_000, "x: [" + "[a," * 20_000])
def test_nesting_is_refused_before_it_takes_time(tmp_path: Path, bomb: str) -> None:
    # Scanned to the end, the first takes hours: what is tested is that the refusal comes at all.
    with pytest.raises(RecipeError, match="nested more than 20 levels deep"):
        read(tmp_path, bomb)


def test_a_file_that_never_ends_is_no_recipe() -> None:
    with pytest.raises(RecipeError, match="/dev/zero: more than 65536 bytes"):
        read_recipe(Path("/dev/zero"))


def test_a_key_that_there_is_not_is_answered_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as error:
        read(tmp_path, "lm_haed: true\n")
    assert error.value.message.endswith("lm_haed: no such key; did you mean lm_head?")
    assert error.value.hint is not None
    assert error.value.hint.startswith(
        "keys: scheme, strategy, group_size, symmetric, groups, targets, ignore, lm_head, observer;"
    )
