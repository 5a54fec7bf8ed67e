"""Values, names and patterns as nobody means well with them, for hypothesis to choose from."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any, Final

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Sequence

HUGE_DIGITS: Final = "@digits@"
"""Stands in JSON for an integer of 5,000 digits, which no encoder here would write."""

PARTS: Final = (
    "lm_head", "model", "layers", "0", "1", "99999999999999999999", "weight", "weight_scale", "weight_packed", "weight_shape",
    "weight_zero_point", "embed_tokens", "experts", "mlp", "gate", "qzeros", "bias", ".", "..", "", "#", "%s", "{0}", "{x}",
    "\x1b[31m", "\x1b]0;title\x07", "\x9b2J", "\r", "\n", "\t", "\0", "\u202e", "\u2028", "\ufeff", "\ud800", "\U000e0001",
    "[red]", "[/]", "[link=http://x]", ":smile:", "é", "e\u0301", "ﬁ", "ß", "İ", "/etc/passwd", "../x", "\\", "~", "$HOME",
    "a" * 300, "a" * 5000, "__metadata__", "__class__", "__init__", "model.safetensors", "config.json", "re:", "Linear",
)  # fmt: skip
PATTERNS: Final = (
    "re:.*lm_head$", "re:.*", "re:(a+)+$", "re:(.*)*x", "re:(a|aa)+b", "re:(", "re:" + "(" * 500, "re:a{1,99999}", "re:(?P<n>.)(?P=n)+$",
    "re:((a{1,99}){1,99}){1,99}b", "re:.*.*.*.*.*.*.*.*x", "re:(?=(.*)+)x", "re:(?i)LM_HEAD", "re:\\", "re:[", "re:(?<=a)b", "re:(?>a+)+b",
    "re:" + "a?" * 200 + "a" * 200, "re:^$", "re:\x1b[31m", "Linear", "lm_head", "ParallelLMHead", "re:(?s:.)+\\Z", "re:\\d{4300}",
)  # fmt: skip
NUMBERS: Final = (
    0, 1, -1, 2, 3, 4, 7, 8, 16, 31, 64, 127, 128, 129, 255, 256, 320, 1 << 31, (1 << 32) - 1, 1 << 53, 1 << 60, (1 << 63) - 1, 1 << 63,
    (1 << 64) - 1, 1 << 64, 1 << 70, -(1 << 63), 10**100, 0.5, -0.0, 1e-320, 1e308, 8.0, float("nan"), float("inf"), float("-inf"),
)  # fmt: skip
WORDS: Final = (
    "int", "float", "channel", "group", "tensor", "token", "block", "tensor_group", "int-quantized", "pack-quantized", "float-quantized",
    "mixed-precision", "naive-quantized", "dense", "compressed-tensors", "compressed", "awq", "gptq", "bitsandbytes", "minmax", "mse",
    "W8A8", "W8A16", "llama", "LlamaForCausalLM", "OPTForCausalLM", "GptOssForCausalLM", "torch.int8", "true", "null", HUGE_DIGITS, "9" * 5000,
    "BF16", "F16", "F32", "I8", "I32", "I64", "U8", "F8_E4M3", "F8_E8M0", "F4", "BOOL", "C64", "F64", "U4", "bf16",
)  # fmt: skip

names = st.lists(st.sampled_from(PARTS), min_size=1, max_size=4).map(".".join)
texts = names | st.sampled_from(PATTERNS) | st.sampled_from(WORDS) | st.text(st.characters(), max_size=6)
scalars = st.none() | st.booleans() | st.sampled_from(NUMBERS) | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
PIECES: Final = (
    b"", b'"', b"{", b"}", b"[", b"]", b",", b":", b"0", b"-", b"9" * 30, b"NaN", b"\x00", b"\xff", b"\n", b"\xed\xa0\x80", b"\\ud800",
    b"&a [*a,*a]", b"!!python/object/apply:os.system [id]", b"*a", b"<<: *a", b"? ", b"- " * 50, b"[" * 2000, b"{a: " * 300, b"\xef\xbb\xbf",
    b'"a":1,"a":2,', b"\x1b[31m", b"e999", b"1_0", b"0x10", b"2001-01-01", b"|+\n", b"%YAML 9\n---\n", b"\x7f" * 8,
)  # fmt: skip


def paths(value: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value inside ``value``, itself (the empty path) first."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [prefix, *(path for key, item in items for path in paths(item, (*prefix, key)))]


@st.composite
def changed_json(draw: st.DrawFn, value: Any) -> Any:
    """Change one to three places of a JSON value: another value, another key, gone, or one more."""
    changed = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(paths(changed)))
        changed = draw(_changed_at(changed, path))
    return changed


@st.composite
def _changed_at(draw: st.DrawFn, value: Any, path: Sequence[Any]) -> Any:
    if not path:
        return draw(values) if draw(st.integers(0, 9)) == 0 else value
    inner = value
    for key in path[:-1]:
        inner = inner[key]
    action = draw(st.sampled_from(("replace", "replace", "remove", "rename", "wrap")))
    if action == "replace":
        inner[path[-1]] = draw(values)
    elif action == "remove":
        del inner[path[-1]]
    elif action == "wrap":
        inner[path[-1]] = draw(st.sampled_from(([inner[path[-1]]], {"text_config": inner[path[-1]]})))
    elif isinstance(inner, dict):
        inner[draw(texts)] = inner.pop(path[-1])
    return value


def json_bytes(value: Any) -> bytes:
    """Encode JSON as freely as Python does: NaN, lone surrogates as escapes, and integers longer than any parser takes."""
    return json.dumps(value).replace(f'"{HUGE_DIGITS}"', "9" * 5000).encode()


@st.composite
def damaged(draw: st.DrawFn, raw: bytes) -> bytes:
    """Damage bytes in one to three places, or cut them off, or repeat them."""
    content = bytearray(raw)
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(content)))
        stop = draw(st.sampled_from((start, start + 1, start + 4, len(content))))
        piece = draw(st.binary(max_size=4) | st.sampled_from(PIECES))
        content[start:stop] = piece
    return bytes(content)
