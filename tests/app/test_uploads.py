"""Files that visitors bring, and those that were taken already."""

from streamlit.proto.Common_pb2 import FileURLs
from streamlit.runtime.uploaded_file_manager import DeletedFile, UploadedFile, UploadedFileRec

from app.uploads import is_there


def test_a_file_that_was_taken_is_none() -> None:
    record = UploadedFileRec(file_id="1", name="a.jpg", type="image/jpeg", data=b"x")
    assert is_there(UploadedFile(record, FileURLs()))
    assert not is_there(DeletedFile("1"))
    assert not is_there(None)
