"""Files that visitors bring."""

from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import DeletedFile, UploadedFile


def take_upload(uploaded: UploadedFile | DeletedFile | None) -> bytes | None:
    """The content of an upload, which Streamlit forgets; None if there is none.

    There is none any more where a browser tells a second time of one that was taken.

    Streamlit keeps an upload in memory until its visitor removes it or leaves; a drop zone that is
    emptied by a new key has nothing left to remove. `st.chat_input` gives its files up in this way.
    """
    if uploaded is None or isinstance(uploaded, DeletedFile):
        return None
    context = get_script_run_ctx()
    if context is not None and isinstance(context.uploaded_file_mgr, MemoryUploadedFileManager):
        context.uploaded_file_mgr.remove_file(context.session_id, uploaded.file_id)
    return uploaded.getvalue()
