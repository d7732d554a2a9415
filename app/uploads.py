"""Files that visitors bring."""

import re
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import TypeVar

import streamlit as st
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import DeletedFile, UploadedFile

from app.background import Progress, wait_for
from app.components.plain_text import plain
from app.state import PageTitle, say
from tokenlearner.errors import MediaError, UnsupportedMediaError
from tokenlearner.media.clip_files import CLIP_KINDS
from tokenlearner.media.images import PHOTO_KINDS

_LONGEST_STEM = 60
_KEY = "upload to {}"

File = TypeVar("File")

_TAKEN_BY: dict[str | None, PageTitle] = {
    **dict.fromkeys(PHOTO_KINDS, "Explore"),
    **dict.fromkeys(CLIP_KINDS, "Clips"),
}


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


def keep_upload(page: PageTitle, name: str, content: bytes) -> None:
    """Leaves a file for `read_upload`, which can tell its visitor that it takes a while."""
    st.session_state[_KEY.format(page)] = name, content


def drop_upload(page: PageTitle) -> None:
    """Forgets a file that was not read yet: something else was chosen."""
    st.session_state.pop(_KEY.format(page), None)


def read_upload(
    page: PageTitle, read: Callable[[bytes, str, Progress], File], show: Callable[[File], None]
) -> None:
    """Reads the file that was left for a page, in view of its visitor, and runs the page again.

    Where the page runs again meanwhile, it is read from the beginning.

    Args:
        page: Which page is drawn.
        read: Given content, name and whom to tell how far it is; in a thread of its own.
        show: Makes what was read the one on the page.
    """
    if (upload := st.session_state.get(_KEY.format(page))) is None:
        return
    name, content = upload
    place = st.empty()

    def report(*_: object) -> None:
        place.empty()  # a moment at which this run can be ended

    try:
        with st.spinner(f"Reading {plain(name)}…"):
            found = wait_for(lambda progress: read(content, name, progress), report, text="Reading")
    except MediaError as error:
        refuse(name, error)
    except Exception:  # of which a run that is ended early raises none
        drop_upload(page)
        raise
    else:
        show(found)
    drop_upload(page)  # afterwards, as this run may be ended early
    st.rerun()


def refuse(name: str, error: MediaError) -> None:
    """Leaves a sentence that says why a file cannot be used, and which page takes it if one does.

    Args:
        name: The file's name.
        error: What is wrong with it here.
    """
    kind = error.kind if isinstance(error, UnsupportedMediaError) else None
    page = _TAKEN_BY.get(kind)
    say(f"{name}: {error}" + (f" Open it on the {page} page." if page else ""), page=page)


def stem_of(name: str, fallback: str) -> str:
    """How the names of files made of an upload begin: as its own does, without what no disk takes.

    Args:
        name: Of the upload.
        fallback: Where nothing of it is left.
    """
    stem = re.sub(r"[^\w.-]+", "_", PurePosixPath(name).stem).strip("._")
    return stem[:_LONGEST_STEM] or fallback
