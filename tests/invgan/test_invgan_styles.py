"""The inverse of a GIF: styles that were planted are found again, and nothing else is touched."""

import pytest
import torch
from torch import Tensor

from teachlib import gif, invgan
from teachlib.errors import TeachlibError
from teachlib.gif import heads
from teachlib.invgan import styles


@pytest.fixture(scope="module")
def face() -> gif.Face:
    return gif.from_zoo("gif")


def _told(face: gif.Face, some: heads.Heads) -> Tensor:
    return face.told(some.vectors, some.condition(torch.arange(len(some))))


def test_the_generator_is_the_given_one_and_stays_as_it_was(face: gif.Face) -> None:
    some = heads.load("train", 32, 50)
    before = {key: value.clone() for key, value in face.state_dict().items()}
    encoder = styles.train_style_encoder(face, some, steps=2, batch_size=8)
    assert all(torch.equal(before[key], value) for key, value in face.state_dict().items())
    assert not any(name.startswith("_given") for name, _ in encoder.named_parameters())
    assert all(weight.requires_grad for weight in face.parameters())
    style = torch.randn(3, face.recipe.width, generator=torch.Generator().manual_seed(3))
    conditions = _told(face, some.first(3))
    with torch.no_grad():
        mapping, _ = face.generator.networks()
        assert torch.allclose(encoder.generate(mapping(style), conditions), face.draw(conditions, style), atol=1e-5)


@pytest.mark.slow
def test_styles_of_samples_are_learned_and_so_are_photographs(face: gif.Face) -> None:
    some = heads.load("train", 32, 50)
    conditions, images = _told(face, some), some[:][0]
    first, last = (styles.train_style_encoder(face, some, steps=steps, batch_size=16, width=8) for steps in (1, 40))
    with torch.no_grad():
        mapping, _ = face.generator.networks()
        wanted = mapping(torch.randn(50, face.recipe.width, generator=torch.Generator().manual_seed(9)))
        planted = first.generate(wanted, conditions)
        codes = [((e(planted, conditions) - wanted) / e.deviation).square().mean() for e in (first, last)]
        errors = [invgan.pixel_error(images, e.generate(e(images, conditions), conditions)) for e in (first, last)]
    assert codes[1] < codes[0]
    assert errors[1] < 0.9 * errors[0]


def test_what_cannot_be_inverted_is_refused(face: gif.Face) -> None:
    with pytest.raises(TeachlibError, match="told a vector"):
        styles.StyleEncoder(gif.from_zoo("gif-vector-projection"))
    encoder = styles.StyleEncoder(face)
    with pytest.raises(TeachlibError, match="3, 32, 32"):
        encoder(torch.rand(2, 3, 64, 64), torch.rand(2, 6, 32, 32))
    with pytest.raises(TeachlibError, match="48"):
        encoder.generate(torch.rand(2, 5), torch.rand(2, 6, 32, 32))
    with pytest.raises(TeachlibError, match="steps is 0"):
        styles.train_style_encoder(face, heads.load("train", 32, 50), steps=0)
