"""One range of one file over HTTP, with the session, the token and the patience of huggingface_hub."""

from __future__ import annotations

import time

from ctq import __version__
from ctq.errors import CheckpointError

_PAUSES = (1.0, 4.0)
"""Seconds before a broken connection is tried again."""
_CHUNK = 64 * 1024
_PARTIAL_CONTENT = 206


def fetch_range(url: str, start: int, stop: int) -> bytes:
    """Return the bytes from ``start`` up to ``stop`` of the file at ``url``, or fewer where the answer ends early.

    Server errors and rate limits are waited out by huggingface_hub, broken connections here; its errors pass through.

    Raises:
        CheckpointError: the server does not serve ranges.

    """
    from huggingface_hub import errors

    broken: type[Exception] = errors.HTTPError  # type: ignore[attr-defined]  # the base class of its HTTP client's errors
    for pause in _PAUSES:
        try:
            return _fetch_once(url, start, stop)
        except errors.HfHubHTTPError:  # an answer, though not the one hoped for
            raise
        except broken:
            time.sleep(pause)
    return _fetch_once(url, start, stop)


def _fetch_once(url: str, start: int, stop: int) -> bytes:
    from huggingface_hub import constants
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        build_hf_headers,
        hf_raise_for_status,
        http_stream_backoff,
    )

    headers = build_hf_headers(library_name="ctq", library_version=__version__)
    headers |= {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}
    # No retry on exceptions in there: a connection that breaks in the middle of the body could not be taken up again.
    with http_stream_backoff(
        "GET", url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT, max_retries=3, retry_on_exceptions=()
    ) as response:
        hf_raise_for_status(response)
        if start and response.status_code != _PARTIAL_CONTENT:
            raise CheckpointError("the server does not send ranges of files", hint="check HF_ENDPOINT")
        data = bytearray()
        for part in response.iter_bytes(_CHUNK):
            data += part
            if len(data) >= stop - start:  # a server that ignores the range would send all of it
                break
        return bytes(data[: stop - start])
