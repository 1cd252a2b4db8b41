"""Frames between frames by the motion that is seen: optical flow, a peer of averaged codes that needs no model."""

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from teachlib.errors import TeachlibError, require_at_least, require_images

# OpenCV's own example: pyramid's ratio and levels, window, iterations, neighbourhood of the polynomials, its deviation.
_FARNEBACK = (0.5, 3, 15, 3, 5, 1.2, 0)


def flow(first: Tensor, last: Tensor) -> Tensor:
    """How far each place of one picture has moved in another: first(x) ≈ last(x + flow(x)).

    By polynomials that are fitted to every neighbourhood (Farnebäck 2003), as OpenCV has it; of grey pictures.

    Args:
        first: (C, H, W) in [0, 1].
        last: likewise.

    Returns:
        (2, H, W), in pixels: to the right, and down.

    Raises:
        TeachlibError: OpenCV is missing; pictures of different shapes, or of other values.
    """
    try:
        import cv2
    except ImportError:
        raise TeachlibError("optical flow needs OpenCV; 'pip install opencv-python-headless'") from None
    if first.ndim != 3 or first.shape != last.shape:
        raise TeachlibError(
            f"pictures of shapes {tuple(first.shape)} and {tuple(last.shape)}; expected (C, height, width), the same"
        )
    require_images(torch.stack([first, last]))
    before, after = ((255 * one.detach().mean(0)).round().clamp(0, 255).byte().cpu().numpy() for one in (first, last))
    found = np.zeros((*before.shape, 2), np.float32)  # is written over; None is not what its types say
    found = cv2.calcOpticalFlowFarneback(before, after, found, *_FARNEBACK)
    return torch.from_numpy(found).movedim(2, 0).to(first.device)


def warped(picture: Tensor, motion: Tensor) -> Tensor:
    """A picture fetched from where each place points: result(x) = picture(x + motion(x)), bilinear.

    Args:
        picture: (C, H, W); beyond its border it goes on as it ends there.
        motion: (2, H, W), in pixels, to the right and down.

    Returns:
        (C, H, W).

    Raises:
        TeachlibError: a motion of another size.
    """
    height, width = picture.shape[-2:]
    if picture.ndim != 3 or motion.shape != (2, height, width):
        raise TeachlibError(
            f"a picture of shape {tuple(picture.shape)} and a motion of {tuple(motion.shape)}; expected (C, height, "
            "width) and (2, height, width)"
        )
    down, right = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = torch.stack([right, down]).to(motion.device) + motion.double()
    sides = torch.tensor([max(width - 1, 1), max(height - 1, 1)]).to(places)[:, None, None]
    grid = (2 * places / sides - 1).movedim(
        0, 2
    )  # corners are at ±1; in float32 a still picture would not stay as it is
    made = grid_sample(picture.double()[None], grid[None], padding_mode="border", align_corners=True)
    return made[0].to(picture.dtype)


def interpolated(film: Tensor, factor: int) -> Tensor:
    """More frames: both neighbours, each warped along its share of the flow, and blended.

    The flow at a time between is put together from the flows of both directions, as if motion were straight and even
    (Jiang et al. 2018, equation 4). What one frame shows and the other hides becomes a double image.

    Args:
        film: (T, C, H, W) in [0, 1], two frames or more.
        factor: frames for each that there is.

    Returns:
        (factor · (T − 1) + 1, C, H, W) in [0, 1]; every factor-th is a frame of the film.

    Raises:
        TeachlibError: as :func:`flow`; fewer than two frames; a factor below one.
    """
    require_at_least(1, factor=factor)
    if film.ndim != 4 or len(film) < 2:
        raise TeachlibError(f"a film of shape {tuple(film.shape)}; expected (T, C, height, width), two frames or more")
    frames = [film[0]]
    for first, last in pairwise(film):
        forth, back = flow(first, last), flow(last, first)
        for share in (step / factor for step in range(1, factor)):
            to_first = share * (share * back - (1 - share) * forth)
            to_last = (1 - share) * ((1 - share) * forth - share * back)
            frames.append((1 - share) * warped(first, to_first) + share * warped(last, to_last))
        frames.append(last)
    return torch.stack(frames)
