"""What a file is, judged by its first bytes and never by its name."""

HEAD_BYTES = 4096
"""As much of a file as is looked at."""

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"II*\x00", "TIFF"),
    (0, b"MM\x00*", "TIFF"),
    (0, b"II+\x00", "TIFF"),
    (0, b"MM\x00+", "TIFF"),
    (0, b"GIF87a", "GIF"),
    (0, b"GIF89a", "GIF"),
    (0, b"%PDF-", "PDF"),
    (0, b"8BPS", "Photoshop"),
    (0, b"\x00\x00\x01\x00", "ICO"),
    (0, b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\x1aE\xdf\xa3", "Matroska or WebM video"),
    (0, b"FLV\x01", "Flash video"),
    (0, b"OggS", "Ogg file"),
    (0, b"ID3", "MP3 audio file"),
    (0, b"fLaC", "FLAC audio file"),
    (0, b"PK\x03\x04", "ZIP archive"),
    (0, b"\x1f\x8b", "gzip archive"),
    (4, b"moov", "QuickTime video"),
    (4, b"mdat", "QuickTime video"),
)
_RIFF_KINDS = {b"WEBP": "WebP", b"AVI ": "AVI video", b"WAVE": "WAV audio file"}
_FTYP_KINDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"), "HEIC"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    b"M4A ": "M4A audio file",
    b"qt  ": "QuickTime video",
}
_BMP_HEADER_BYTES = {12, 16, 40, 52, 56, 64, 108, 124}


def recognise(data: bytes) -> str | None:
    """Names the kind of a file: `"JPEG"`, `"GIF"`, `"MP4 video"`, `"plain text"`; None if unknown.

    >>> recognise(b"GIF89a...")
    'GIF'
    """
    head = data[:HEAD_BYTES]
    for offset, signature, kind in _SIGNATURES:
        if head.startswith(signature, offset):
            return kind
    if head.startswith(b"RIFF"):
        return _RIFF_KINDS.get(head[8:12])
    if head.startswith(b"ftyp", 4):
        return _FTYP_KINDS.get(head[8:12], "MP4 video")
    # Two letters are little to go by, so the size of the header that follows must be a known one.
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _BMP_HEADER_BYTES:
        return "BMP"
    return _recognise_text(head)


def with_article(kind: str) -> str:
    """Puts "a" or "an" before a kind, for a sentence."""
    if kind == "plain text":
        return kind
    # By sound: "an MP4 video" and "an SVG", but "a GIF".
    return f"{'an' if kind.startswith(('A', 'I', 'O', 'MP', 'M4', 'SVG')) else 'a'} {kind}"


def _recognise_text(head: bytes) -> str | None:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "plain text"
    # Cut inside a character, the end of a long text would not decode: ignore up to 3 bytes of it.
    for cut in range(4):
        try:
            text = head[: len(head) - cut].decode("utf-8-sig")
            break
        except UnicodeDecodeError:
            continue
    else:
        return None
    if not text or any(ord(letter) < 32 and letter not in "\t\n\r\f" for letter in text):
        return None
    if "<svg" in text:
        return "SVG"
    return "web page" if "<html" in text.lower() else "plain text"
