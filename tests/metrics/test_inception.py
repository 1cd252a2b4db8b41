import hashlib
import io
import pickle
from pathlib import Path

import pytest
import torch

from teachlib.errors import TeachlibError
from teachlib.metrics import inception_features
from teachlib.metrics.inception import extract, read_checked, weights_file

IMAGES = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))


class Evil:
    """Leaves a mark wherever it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.fixture(scope="module")
def network():
    inception = pytest.importorskip(
        "torch_fidelity.feature_extractor_inceptionv3", reason="torch-fidelity is not installed (optional)"
    )

    class Untrained(inception.FeatureExtractorInceptionV3):
        def load_state_dict(self, state):
            """Keep the random weights."""

    nothing = io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    torch.manual_seed(0)
    return Untrained("inception", ["2048"], feature_extractor_weights_path=nothing)


def test_another_file_is_refused_before_anything_opens_it(tmp_path):
    fake, mark = tmp_path / "pt_inception-2015-12-05-6726825d.pth", tmp_path / "mark"
    fake.write_bytes(pickle.dumps(Evil(mark)))
    with pytest.raises(TeachlibError, match=r"was not opened \(sha256 .*expected 6726825d"):
        inception_features(IMAGES, weights=fake)
    assert not mark.exists()
    pickle.loads(fake.read_bytes())
    assert mark.exists()  # so the file would have done harm


def test_missing_weights_say_which_where_and_what_instead(tmp_path):
    with pytest.raises(TeachlibError) as error:
        inception_features(IMAGES, weights=tmp_path / "none.pth")
    for part in (str(tmp_path / "none.pth"), "pytorch-fid", "TEACHLIB_INCEPTION", "FD-glyphs"):
        assert part in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_with_the_right_hash_is_read(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"weights")
    assert read_checked(file, hashlib.sha256(b"weights").hexdigest()[:8]) == b"weights"


def test_where_the_weights_are_looked_for(monkeypatch, tmp_path):
    monkeypatch.delenv("TEACHLIB_INCEPTION", raising=False)
    monkeypatch.setenv("TEACHLIB_DATA", str(tmp_path))
    assert weights_file() == tmp_path / "inception" / "pt_inception-2015-12-05-6726825d.pth"
    monkeypatch.setenv("TEACHLIB_INCEPTION", str(tmp_path / "elsewhere"))
    assert weights_file() == tmp_path / "elsewhere"
    assert weights_file(tmp_path / "argument") == tmp_path / "argument"


def test_features_of_an_untrained_network(network):
    found = extract(network, IMAGES, batch_size=1)
    assert found.shape == (2, 2048)
    assert found.dtype == torch.float32
    # The network itself, fed by hand: bytes from 0 to 255, grey three times.
    expected = network((IMAGES * 255).round().to(torch.uint8).repeat(1, 3, 1, 1))[0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    assert (found[0] - found[1]).abs().max() > 1e-3 * found.abs().max()


def test_other_images_are_refused(network):
    for images in (IMAGES[0], IMAGES.repeat(1, 2, 1, 1), IMAGES[:0]):
        with pytest.raises(TeachlibError, match="expected"):
            extract(network, images)
    for images in (IMAGES * 255, IMAGES - 1, (IMAGES * 255).byte(), IMAGES * torch.nan):
        with pytest.raises(TeachlibError, match=r"pixels (in|outside) \[0, 1\]"):
            extract(network, images)


def test_pixels_are_rounded_to_bytes() -> None:
    class Bytes(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
            return (x.float().flatten(1),)

    levels = torch.arange(254.0)
    seen = extract(Bytes(), ((levels + 0.6) / 255).view(1, 1, 2, 127))
    assert torch.equal(seen[0, :254], levels + 1)
