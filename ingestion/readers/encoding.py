"""Text out of bytes, only where the encoding can be proven (trap T10).

In: bytes of a text table, JSON or HTML. Out: the text and the encoding's name. Byte-order marks and
strict UTF-8 are proof by themselves. Windows-1256 fits any bytes, so it has to show Persian words:
letters of the Arabic block that stand beside each other, not inside Latin words. Text that was
decoded wrongly before it reached us (mojibake) is refused, because a repair would be a guess.
"""

from __future__ import annotations

import re
from typing import Final

from ingestion.errors import ReadError

_SAMPLE: Final = 50_000
_ARABIC: Final = re.compile(r"[\u0621-\u064a\u067e\u0686\u0698\u06a9\u06af\u06cc\u06c0\u06be]")
_BESIDE_LATIN: Final = re.compile(r"(?<=[A-Za-z])[\u0621-\u06cc]|[\u0621-\u06cc](?=[A-Za-z])")
# UTF-8 Persian seen through Latin-1 or Windows-1252
_AS_LATIN: Final = re.compile(
    "[\u00d8-\u00db][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc"
    "\u2013-\u203a\u20ac\u2122]"
)
# UTF-8 Persian seen through Windows-1256: most letters begin with these two or three
_AS_1256: Final = re.compile("[\u0637\u0638\u0639\u063a\u00db]")
_CJK: Final = re.compile("[\u4e00-\u9fff\u3400-\u4dbf\ue000-\uf8ff]{2,}")
_RESAVE: Final = "Export it again as UTF-8 (in Excel: 'CSV UTF-8') and send it again."


def decode(data: bytes, name: str, declared: str | None = None) -> tuple[str, str]:
    """The text of `data` and its encoding: utf-8, utf-8-sig, utf-16, cp1256.

    A declared encoding stands in for the proof, not for the bytes: text that cannot be in it, or
    that is proven to be damaged in it, is refused.

    Raises `ReadError`: `encoding-unknown` when no encoding can be proven, `mojibake` when the text
    is proven to have been decoded wrongly before.
    """
    text, encoding = _decode(data, name) if declared is None else _as_declared(data, name, declared)
    if encoding == "cp1252":
        _refuse_persian(data, name)
    fault = damage(text[:_SAMPLE])
    if fault is not None:
        raise ReadError("mojibake", fault, _RESAVE, name)
    return text, encoding


def damage(text: str) -> str | None:
    """Why `text` is mojibake, in words; None when it is not.

    Every verdict is proven by turning the text back: it must give valid UTF-8 with Persian words.
    """
    if text.isascii():
        return None
    if text.count("\ufffd") >= 3:
        return "Letters are lost: the text is full of replacement signs (\ufffd)."
    persian = len(_ARABIC.findall(text))
    if len(_AS_LATIN.findall(text)) > max(2, persian) and (
        _turns_back(text, "cp1252") or _turns_back(text, "latin-1")
    ):
        return "The text is UTF-8 that was read as Latin-1."
    if any(_turns_back(run, "gb18030") for run in _CJK.findall(text)[:50]):
        return "The text is UTF-8 that was read as Chinese (GBK)."
    if len(_AS_1256.findall(text)) > 0.25 * max(persian, 1) and _turns_back(text, "cp1256"):
        return "The text is UTF-8 that was read as Windows-1256."
    return None


def _turns_back(text: str, encoding: str) -> bool:
    """Whether `text`, written in `encoding`, is UTF-8 with Persian letters."""
    # Bytes that the code page does not define were often kept as control characters.
    raw = bytearray()
    for char in text:
        try:
            raw += char.encode(encoding)
        except UnicodeEncodeError:
            if ord(char) > 0xFF:
                if encoding == "gb18030":
                    return False
                continue
            raw.append(ord(char))
    back = bytes(raw).decode("utf-8", errors="ignore")
    letters = sum(char.isalpha() for char in back if ord(char) > 0x7F)
    persian = len(_ARABIC.findall(back))
    kept = len(back.encode()) / max(len(raw), 1)
    return persian >= 2 and persian >= 0.8 * letters and kept > 0.9


def _decode(data: bytes, name: str) -> tuple[str, str]:
    if data.startswith(b"\xef\xbb\xbf"):
        return _strict(data, "utf-8-sig", name), "utf-8-sig"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _strict(data, "utf-16", name), "utf-16"
    sample = data[:_SAMPLE]
    zeros = sample.count(0)
    if zeros or _looks_like_utf16(sample):
        for encoding in ("utf-16-le", "utf-16-be"):
            text = _try(data, encoding)
            if text is not None and _plausible(text[:_SAMPLE]):
                return text, encoding
        raise ReadError(
            "unsupported-format",
            "The file is binary, not text.",
            "Save it as .xlsx or .csv and send it again.",
            name,
        )
    text = _try(data, "utf-8")
    if text is not None:
        return text, "utf-8"
    text = _try(data, "cp1256")
    if text is not None and _is_persian(text[:_SAMPLE]):
        return text, "cp1256"
    raise ReadError(
        "encoding-unknown",
        "The text is neither UTF-8 nor UTF-16 nor Persian in Windows-1256.",
        f"{_RESAVE} A western program's export can be declared with 'text: {{encoding: cp1252}}'.",
        name,
    )


def _as_declared(data: bytes, name: str, declared: str) -> tuple[str, str]:
    if declared == "utf-8":
        return _strict(data, "utf-8-sig", name), "utf-8"
    return _strict(data, declared, name), declared


def _refuse_persian(data: bytes, name: str) -> None:
    """Bytes that are Persian words in Windows-1256 are no western text."""
    persian = _try(data[:_SAMPLE], "cp1256")
    if persian is not None and _is_persian(persian):
        raise ReadError(
            "mojibake",
            "The text is declared as Windows-1252, but it is Persian in Windows-1256.",
            "Correct 'text: {encoding: ...}' in the source file.",
            name,
        )


def _strict(data: bytes, encoding: str, name: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ReadError(
            "damaged-file",
            f"The file should be {encoding} but is not, from byte {error.start} on.",
            _RESAVE,
            name,
        ) from None


def _try(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None


def _looks_like_utf16(sample: bytes) -> bool:
    """Persian text without spaces or digits in UTF-16 has no zero bytes but 06 everywhere."""
    odd, even = sample[1::2].count(6), sample[0::2].count(6)
    return len(sample) >= 8 and max(odd, even) > 0.3 * (len(sample) / 2)


def _plausible(text: str) -> bool:
    """Text of letters, digits and signs that a Persian or English table has."""
    if not text:
        return False
    good = sum(
        ord(c) < 0x250 or 0x600 <= ord(c) <= 0x6FF or 0x2000 <= ord(c) <= 0x206F for c in text
    )
    controls = sum(ord(c) < 32 and c not in "\t\r\n" for c in text)
    return good >= 0.95 * len(text) and controls <= 0.001 * len(text)


def _is_persian(text: str) -> bool:
    foreign = [c for c in text if ord(c) > 0x7F and c.isalpha()]
    persian = len(_ARABIC.findall(text))
    beside = len(_BESIDE_LATIN.findall(text))
    controls = sum(ord(c) < 32 and c not in "\t\r\n" for c in text)
    return (
        persian >= 2 and persian >= 0.9 * len(foreign) and beside <= 0.1 * persian and controls == 0
    )
