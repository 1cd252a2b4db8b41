"""What conditional models ask of their labels."""

from torch import Tensor

from teachlib.errors import TeachlibError


def given(labels: Tensor | None, classes: int) -> Tensor:
    """The labels of a conditional model.

    Raises:
        TeachlibError: there are none.
    """
    if labels is None:
        raise TeachlibError(f"this model is conditional: pass labels, (N,) whole numbers below {classes}")
    return labels
