"""Files that visitors bring, and those that were taken already."""

import pytest
from streamlit.proto.Common_pb2 import FileURLs
from streamlit.runtime.uploaded_file_manager import DeletedFile, UploadedFile, UploadedFileRec

from app.uploads import stem_of, take_upload


def test_a_file_is_taken_once() -> None:
    record = UploadedFileRec(file_id="1", name="a.jpg", type="image/jpeg", data=b"x")
    assert take_upload(UploadedFile(record, FileURLs())) == b"x"
    assert take_upload(DeletedFile("1")) is None
    assert take_upload(None) is None


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("holiday 2024.JPG", "holiday_2024"),
        ("Ünïcode–名前.mp4", "Ünïcode_名前"),
        ("../../etc/passwd", "passwd"),
        ("a:b*c?.png", "a_b_c"),
        (".hidden", "hidden"),
        ("???.png", "photo"),
        ("", "photo"),
        ("x" * 300 + ".png", "x" * 60),
    ],
)
def test_files_made_of_an_upload_are_called_like_it(name: str, stem: str) -> None:
    assert stem_of(name, "photo") == stem
