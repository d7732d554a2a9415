"""Files that visitors bring, and those that were taken already."""

from streamlit.proto.Common_pb2 import FileURLs
from streamlit.runtime.uploaded_file_manager import DeletedFile, UploadedFile, UploadedFileRec

from app.uploads import take_upload


def test_a_file_is_taken_once() -> None:
    record = UploadedFileRec(file_id="1", name="a.jpg", type="image/jpeg", data=b"x")
    assert take_upload(UploadedFile(record, FileURLs())) == b"x"
    assert take_upload(DeletedFile("1")) is None
    assert take_upload(None) is None
