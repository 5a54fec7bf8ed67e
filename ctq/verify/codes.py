"""The findings that a verification adds to those of inspection, as one table: codes are never used again."""

from __future__ import annotations

from dataclasses import dataclass

from ctq.findings import Finding, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """One kind of finding; ``summary`` is its line in the documentation, ``hint`` the next step."""

    code: str
    name: str
    severity: Severity
    summary: str
    hint: str

    @property
    def sections(self) -> dict[str, str]:
        """The documentation by heading, as rules have it."""
        return {"How to mend": f"{self.hint[0].upper()}{self.hint[1:]}."}

    def at(self, where: str, message: str) -> Finding:
        """Return a finding of this kind."""
        return Finding(
            code=self.code, name=self.name, severity=self.severity, message=message, where=where, hint=self.hint
        )


FAMILY = {"VER": "What `ctq verify` adds"}

LOW_SQNR = Code(
    code="VER001",
    name="weight-far-from-original",
    severity=Severity.ERROR,
    summary="A quantized weight is further from its original than `--min-sqnr` allows.",
    hint="is the reference the right one? if so, quantize again; weights that were changed on purpose (SmoothQuant, AWQ, GPTQ) "
    "want another --min-sqnr, or no --reference",
)
CHANGED_RESULT = Code(
    code="VER002",
    name="result-changed",
    severity=Severity.ERROR,
    summary="A tensor of a result of ctq is not what the reference and the recipe on record give, byte for byte.",
    hint="is the reference the very one that it was made from? if so, the file was changed or damaged later: quantize again",
)
CHANGED_DENSE = Code(
    code="VER003",
    name="dense-tensor-changed",
    severity=Severity.ERROR,
    summary="A tensor that was not quantized differs from the reference's.",
    hint="is the reference the right one? SmoothQuant and AWQ change norms on purpose: verify such results without --reference",
)
LOST = Code(
    code="VER004",
    name="tensor-lost",
    severity=Severity.ERROR,
    summary="The reference holds a tensor of which the checkpoint holds nothing.",
    hint="engines serve it uninitialised or refuse to load: quantize again",
)
WITHOUT_ORIGINAL = Code(
    code="VER005",
    name="tensor-without-original",
    severity=Severity.WARNING,
    summary="A tensor has no counterpart of its name in the reference, so nothing about it is proven.",
    hint="give the original whose names the checkpoint keeps",
)
BEYOND_HALF_STEP = Code(
    code="VER006",
    name="beyond-half-a-step",
    severity=Severity.ERROR,
    summary="With `--strict`: a weight is further than half a step from its original, which rounding to nearest never is.",
    hint="leave --strict out for searched scales, GPTQ, AWQ and SmoothQuant",
)
NOT_COMPARED = Code(
    code="VER007",
    name="weight-not-compared",
    severity=Severity.WARNING,
    summary="A quantized weight is stored in a form that is not taken apart here, so it is not proven.",
    hint="a real engine proves its loading: --engine vllm",
)
OTHER_SOURCE = Code(
    code="VER008",
    name="another-source",
    severity=Severity.WARNING,
    summary="The reference is not the source that `ctq.json` names, so the result was compared, not computed again.",
    hint="give the checkpoint that was quantized as --reference",
)
NO_RECORD = Code(
    code="VER009",
    name="record-not-followed",
    severity=Severity.WARNING,
    summary="`ctq.json` is there, but the run that it describes cannot be planned again.",
    hint="quantize again with this version",
)
CALIBRATED = Code(
    code="VER010",
    name="calibrated-tensor",
    severity=Severity.NOTE,
    summary="A tensor comes from calibration data: the reference has nothing to compare it with.",
    hint="run the model on real prompts",
)
CONVERTED = Code(
    code="VER011",
    name="dense-tensor-rounded",
    severity=Severity.NOTE,
    summary="A dense tensor has another dtype than the reference's, and holds the reference's values rounded to it.",
    hint="nothing to do, if the dtype is meant",
)
CONFIG_CHANGED = Code(
    code="VER012",
    name="config-changed",
    severity=Severity.WARNING,
    summary="The quantization config of a result of ctq is not the one that its recipe gives.",
    hint="targets and ignore decide what engines do: quantize again rather than editing them",
)
NOT_FINITE = Code(
    code="VER013",
    name="original-not-finite",
    severity=Severity.ERROR,
    summary="The reference holds weights that are NaN or infinite where the checkpoint holds quantized ones.",
    hint="the reference is damaged: fetch it again",
)
OTHER_VERSION = Code(
    code="VER014",
    name="another-version",
    severity=Severity.WARNING,
    summary="Another version of ctq made the result, so it was compared with the reference, not computed again.",
    hint="verify with the version that quantized, or quantize again",
)
ENGINE_NOTE = Code(
    code="VER015",
    name="engine-note",
    severity=Severity.NOTE,
    summary="What an engine proved only in part: a kernel that this machine lacks, a head that was not run, tensors not used.",
    hint="verify on the hardware that will serve",
)
CONFIG_DIFFERS = Code(
    code="VER016",
    name="config-differs",
    severity=Severity.ERROR,
    summary="`config.json` says something else about the model than the reference's.",
    hint="right weights under another config are another model: give the reference that it was made from, or mend the config",
)
SIDE_FILE_CHANGED = Code(
    code="VER017",
    name="side-file-changed",
    severity=Severity.WARNING,
    summary="A tokenizer or another file that `ctq quantize` copied is not the reference's any more.",
    hint="a changed tokenizer gives other tokens to the same weights: was it meant?",
)
FALSE_SHAPE = Code(
    code="VER018",
    name="shape-not-the-originals",
    severity=Severity.ERROR,
    summary="A `weight_shape` is not the shape of the original.",
    hint="vLLM does not read it, transformers unpacks to it: quantize again",
)
GENERATED = Code(
    code="VER019",
    name="generated",
    severity=Severity.NOTE,
    summary="With `--generate`: the whole engine ran and gave these tokens, with finite probabilities.",
    hint="random prompts say little of a model's quality: run the model on real ones",
)
STRAY = Code(
    code="VER020",
    name="stray-weight",
    severity=Severity.WARNING,
    summary="A weight that is near its original on the whole holds values tens of steps off, as a flipped bit makes them.",
    hint="copy or fetch the file again; scales that clip hard do it too",
)
FAR_ROW = Code(
    code="VER021",
    name="row-far-from-original",
    severity=Severity.ERROR,
    summary="A row of a weight is far from its original although the other rows are near theirs: another row's scale or values.",
    hint="rows or scales were exchanged or damaged: quantize or fetch again; --min-sqnr lowers what is asked of rows too",
)

CODES = (
    LOW_SQNR,
    CHANGED_RESULT,
    CHANGED_DENSE,
    LOST,
    WITHOUT_ORIGINAL,
    BEYOND_HALF_STEP,
    NOT_COMPARED,
    OTHER_SOURCE,
    NO_RECORD,
    CALIBRATED,
    CONVERTED,
    CONFIG_CHANGED,
    NOT_FINITE,
    OTHER_VERSION,
    ENGINE_NOTE,
    CONFIG_DIFFERS,
    SIDE_FILE_CHANGED,
    FALSE_SHAPE,
    GENERATED,
    STRAY,
    FAR_ROW,
)
