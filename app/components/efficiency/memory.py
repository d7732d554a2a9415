"""What a batch takes of a device's memory, by the shapes of its tensors."""

import streamlit as st
import torch

from app import resources
from app.components.efficiency.measuring import Setup
from tokenlearner.efficiency.memory import activation_bytes
from tokenlearner.efficiency.throughput import input_shape


def activations(name: str, setup: Setup) -> int:
    """Bytes that the tensors of a batch take at most at the same time, as `setup` runs the model.

    The same as a measurement says of it, without one.
    """
    return _activations(
        name,
        resources.state_of(name),
        setup.device,
        setup.batch_size,
        setup.execution.torch_dtype,
    )


# It takes a tenth of a second, and the table is drawn after every round.
@st.cache_data(max_entries=64, show_spinner=False)
def _activations(name: str, state: str, device: str, batch_size: int, dtype: torch.dtype) -> int:
    model = resources.load_model(name, device)
    return activation_bytes(model, input_shape(model, batch_size), dtype)
