"""The head's arithmetic: what a kernel computes from its parameters, and the plain product that it has to agree with. Needs torch.

W8A8 is real integer arithmetic: activations are quantized per token and multiplied as int8. Weight-only schemes are dequantized a
block of rows at a time in the model's dtype, as the engine's kernels do in registers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ctq.recipe.packing import offset, values_per_word
from ctq.verify.row_threads import over_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctq.engines.engine_args import EngineArgs
    from ctq.engines.vllm.scheme_predicates import SchemeArgs

INT8_BLOCK_ROWS, BLOCK_ROWS = 8192, 512
"""Rows at a time: small enough that a dequantized block stays in the processor's cache."""
_CUDA_BLOCK_ROWS = 16384
_CUDA_LEAST_TOKENS = 32
"""`torch._int_mm` takes more than 16 rows on CUDA."""
_FLOAT8_MAX = 448.0


def kernel_logits(
    scheme: str | None, args: SchemeArgs | None, parameters: Mapping[str, torch.Tensor], hidden: torch.Tensor
) -> torch.Tensor:
    """Return float32 logits ``[tokens, rows]`` of one rank, computed as the scheme's kernels do."""
    if scheme == "W8A8Int8" and args is not None and args.inputs is not None:
        logits = _int8_logits(args.inputs, parameters, hidden)
    else:
        if scheme == "W8A8Fp8" and args is not None and args.inputs is not None:
            hidden = _through_float8(args.inputs, parameters, hidden)
        logits = _blockwise(args, parameters, hidden, rounded=parameters_dtype(parameters, hidden))
    return _with_bias(logits, parameters)


def exact_logits(args: SchemeArgs | None, parameters: Mapping[str, torch.Tensor], hidden: torch.Tensor) -> torch.Tensor:
    """Return float32 logits ``[tokens, rows]`` of the same tensors dequantized in float32, with unquantized activations."""
    return _with_bias(_blockwise(args, parameters, hidden, rounded=torch.float32), parameters)


def parameters_dtype(parameters: Mapping[str, torch.Tensor], hidden: torch.Tensor) -> torch.dtype:
    """Return the dtype in which weight-only kernels multiply: that of the scales, where they have the model's."""
    scale = parameters.get("weight_scale")
    return scale.dtype if scale is not None and "weight_packed" in parameters else hidden.dtype


def can_dequantize(args: SchemeArgs | None) -> bool:
    """Tell whether weights of these arguments can be taken apart here: whole bytes and halves of them, columns in their order."""
    return args is None or (args.weights.num_bits in (4, 8) and args.weights.actorder != "group")


def _with_bias(logits: torch.Tensor, parameters: Mapping[str, torch.Tensor]) -> torch.Tensor:
    return logits.add_(parameters["bias"].float()) if "bias" in parameters else logits


def _blockwise(
    args: SchemeArgs | None, parameters: Mapping[str, torch.Tensor], hidden: torch.Tensor, *, rounded: torch.dtype
) -> torch.Tensor:
    weight = _weight(parameters)
    states = hidden.float().T.contiguous()
    step = _CUDA_BLOCK_ROWS if weight.is_cuda else BLOCK_ROWS
    logits = torch.empty(states.shape[1], weight.shape[0], device=weight.device)

    def multiply(first: int, last: int) -> None:
        block = torch.empty(min(step, last - first), states.shape[0], device=weight.device)
        for start in range(first, last, step):
            rows = slice(start, min(start + step, last))
            part = block[: rows.stop - rows.start]
            dequantize(args, parameters, rows, part)
            if rounded is not torch.float32:
                part.copy_(part.to(rounded))
            logits[:, rows] = torch.mm(part, states).T

    over_rows(weight.shape[0], multiply, device=weight.device.type)
    return logits


def dequantize(args: SchemeArgs | None, parameters: Mapping[str, torch.Tensor], rows: slice, out: torch.Tensor) -> None:
    """Write the float32 values of some rows of the weight into ``out`` [rows, hidden]."""
    if args is None:
        out.copy_(parameters["weight"][rows])
        return
    if "weight_packed" in parameters:
        out.copy_(_unpacked(parameters["weight_packed"][rows], args.weights.num_bits, out.shape[1]))
        _subtract_zero_point(args.weights, parameters, rows, out)
    else:
        out.copy_(parameters["weight"][rows])
    scale = parameters["weight_scale"]
    per_row = scale[rows].float() if scale.ndim == 2 else scale.float()  # [rows, groups], or one for all
    groups = per_row.shape[-1]
    out.view(out.shape[0], groups, -1).mul_(per_row.unsqueeze(-1))


def _weight(parameters: Mapping[str, torch.Tensor]) -> torch.Tensor:
    return parameters["weight_packed"] if "weight_packed" in parameters else parameters["weight"]


def _unpacked(words: torch.Tensor, bits: int, columns: int) -> torch.Tensor:
    """Return the unsigned codes of int32 words, the first in the lowest bits."""
    # Normal strides even where a dimension of one has odd ones, which `contiguous` leaves alone and `view` refuses.
    codes = words.clone(memory_format=torch.contiguous_format).view(torch.uint8)
    if bits == 4:  # two codes to the byte
        codes = torch.stack((codes & 15, codes >> 4), dim=-1).flatten(1)
    return codes[:, :columns]


def _subtract_zero_point(
    weights: EngineArgs, parameters: Mapping[str, torch.Tensor], rows: slice, out: torch.Tensor
) -> None:
    packed = parameters.get("weight_zero_point")
    if packed is None:
        out.sub_(float(offset(weights.num_bits)))
        return
    per_word = values_per_word(weights.num_bits)
    words = packed[rows.start // per_word : -(-rows.stop // per_word)]  # [words, groups], several rows to the word
    groups = words.shape[1]
    codes = _unpacked(words.reshape(-1, 1), weights.num_bits, per_word).view(-1, groups, per_word)
    zero = codes.transpose(1, 2).reshape(-1, groups)[rows.start % per_word :][: out.shape[0]]
    out.view(out.shape[0], groups, -1).sub_(zero.unsqueeze(-1).float())


def _int8_logits(inputs: EngineArgs, parameters: Mapping[str, torch.Tensor], hidden: torch.Tensor) -> torch.Tensor:
    codes, scale, zero = _quantized_states(inputs, parameters, hidden.float())
    weight = parameters["weight"]
    tokens, rows = codes.shape[0], weight.shape[0]
    if weight.is_cuda and tokens < _CUDA_LEAST_TOKENS:
        codes = torch.cat((codes, codes.new_zeros(_CUDA_LEAST_TOKENS - tokens, codes.shape[1])))
    step = _CUDA_BLOCK_ROWS if weight.is_cuda else INT8_BLOCK_ROWS
    logits = torch.empty(tokens, rows, device=weight.device)

    def multiply(first: int, last: int) -> None:
        for start in range(first, last, step):
            part = weight[start : min(start + step, last)]
            products = _integer_product(codes, part)[:tokens]
            if zero is not None:
                products = products - zero * part.sum(1, dtype=torch.int32)
            logits[:, start : start + part.shape[0]] = products

    over_rows(rows, multiply, device=weight.device.type)
    return logits.mul_(scale).mul_(parameters["weight_scale"].float().reshape(1, -1))


def _integer_product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Multiply int8 ``[tokens, columns]`` by int8 ``[rows, columns]`` transposed, exactly, in int32."""
    tokens, columns, rows = *left.shape, right.shape[0]
    # On CUDA it takes multiples of eight; on the CPU torch 2.13 gives garbage for one column.
    fits = columns % 8 == 0 and rows % 8 == 0 and tokens > 16 if left.is_cuda else columns > 1
    if fits:
        return torch._int_mm(left, right.T)  # the only integer product that torch has
    return (left.double() @ right.double().T).to(torch.int32)


def _quantized_states(
    inputs: EngineArgs, parameters: Mapping[str, torch.Tensor], hidden: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """Return int8 codes, their scales ``[tokens, 1]`` and zero points, if any.

    Source: vLLM 0.32.0 csrc ``scaled_int8_quant``: symmetric max/127, asymmetric (max - min)/255, static as stored.
    """
    zero: torch.Tensor | None = None
    if not inputs.dynamic:
        scale = parameters["input_scale"].float().reshape(1, 1)
        stored = parameters.get("input_zero_point")
        zero = stored.to(torch.int32).reshape(1, 1) if stored is not None else None
    elif inputs.symmetric:
        scale = (hidden.abs().amax(1, keepdim=True) / 127).clamp_min(1e-12)
    else:
        low, high = hidden.amin(1, keepdim=True), hidden.amax(1, keepdim=True)
        scale = ((high - low) / 255).clamp_min(1e-12)
        zero = torch.round(-128 - low / scale).to(torch.int32)
    codes = torch.round(hidden / scale) + (zero if zero is not None else 0)
    return codes.clamp(-128, 127).to(torch.int8), scale, zero


def _through_float8(inputs: EngineArgs, parameters: Mapping[str, torch.Tensor], hidden: torch.Tensor) -> torch.Tensor:
    """Round hidden states to float8 and back, per token or with the stored scale."""
    if inputs.dynamic:
        scale = (hidden.float().abs().amax(1, keepdim=True) / _FLOAT8_MAX).clamp_min(1e-12)
    else:
        scale = parameters["input_scale"].float().reshape(1, 1)
    codes = (hidden.float() / scale).clamp(-_FLOAT8_MAX, _FLOAT8_MAX).to(torch.float8_e4m3fn)
    return codes.float() * scale
