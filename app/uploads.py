"""Files that visitors bring."""

from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import DeletedFile, UploadedFile


def is_there(uploaded: UploadedFile | DeletedFile | None) -> bool:
    """Whether there is an upload to take; a drop zone may tell of one again that was taken."""
    return uploaded is not None and not isinstance(uploaded, DeletedFile)


def take_upload(uploaded: UploadedFile) -> bytes:
    """The content of an upload, which Streamlit forgets.

    Streamlit keeps an upload in memory until its visitor removes it or leaves; a drop zone that is
    emptied by a new key has nothing left to remove. `st.chat_input` gives its files up in this way.
    """
    context = get_script_run_ctx()
    if context is not None and isinstance(context.uploaded_file_mgr, MemoryUploadedFileManager):
        context.uploaded_file_mgr.remove_file(context.session_id, uploaded.file_id)
    return uploaded.getvalue()
