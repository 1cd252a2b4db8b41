"""``teachlib invert``, ``edit`` and ``tile``: a reader's own pictures through a trained InvGAN."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch
import typer
from PIL import Image
from torch import Tensor

from teachlib.checkpoints import write_atomically
from teachlib.commands.runs import refuse_folders, refuse_to_replace, seeds_of_one_recipe
from teachlib.errors import TeachlibError, unknown
from teachlib.gif import animation
from teachlib.invgan import editing, films, inversion, tiling
from teachlib.invgan.losses import pixel_error
from teachlib.invgan.networks import StyleGAN2Generator

if TYPE_CHECKING:
    from teachlib.invgan.networks import InvGAN

_ZOO = "zoo:"
_Run = Annotated[str, typer.Argument(help="Folder of a run of 'teachlib train invgan', or 'zoo:NAME', e.g. zoo:heads.")]


def invert(
    run: _Run,
    pictures: Annotated[list[Path], typer.Argument(help="Pictures; the middle of each, at the size of the networks.")],
    out: Annotated[
        Path, typer.Option(help="Codes, as .npz: 'codes' (N, w_dim), 'names'; beside it a sheet, NAME-sheet.png.")
    ],
    steps: Annotated[int, typer.Option(min=0, max=100_000, help="Of a search from the inferred codes.")] = 0,
) -> None:
    """Infer the codes of pictures, and draw what the model makes of them below each."""
    if out.suffix.lower() != ".npz":
        raise TeachlibError(f"--out {out}: expected a file that ends in .npz, such as codes.npz")
    refuse_folders(out, sheet := out.with_name(f"{out.stem}-sheet.png"))
    refuse_to_replace([out, sheet], pictures)
    model = opened(run)
    images = squares(model, pictures)
    with torch.no_grad():
        codes = model.infer(images)
    if steps:
        codes, _ = inversion.optimized(model, images, codes, steps=steps, stay=1.0)
    with torch.no_grad():
        made = model.generate(codes)
    stream = io.BytesIO()
    np.savez_compressed(stream, codes=codes.numpy(), names=np.array([str(picture) for picture in pictures]))
    write_atomically(out, stream.getvalue())
    write_picture(sheet, torch.cat([torch.cat(list(rows), 2) for rows in (images, made)], 1))
    print(
        f"{out}: {len(codes)} codes of {model.w_dim} numbers; error {pixel_error(images, made):.3f} on ±1, see {sheet}"
    )


def edit(
    run: _Run,
    picture: Annotated[Path, typer.Argument(help="The picture; its middle is taken, at the size of the networks.")],
    out: Annotated[Path, typer.Option(help="What comes out, .png.")],
    mask: Annotated[
        Path | None, typer.Option(help="Picture of the same middle; bright where something is to change.")
    ] = None,
    other: Annotated[
        Path | None, typer.Option(help="Taken where the mask is bright; without it, what is hidden is filled.")
    ] = None,
    layers: Annotated[
        int | None, typer.Option(min=0, help="Of the first layers, from PICTURE; the rest from --other.")
    ] = None,
    steps: Annotated[int, typer.Option(min=0, max=100_000, help="Of a search for codes that fit what is visible.")] = 0,
) -> None:
    """Mend a picture; with --mask fill in, with --mask --other merge, with --layers --other mix."""
    if out.suffix.lower() != ".png":
        raise TeachlibError(f"--out {out}: expected a file that ends in .png, such as edited.png")
    if layers is not None and (other is None or mask is not None):
        raise TeachlibError("--layers mixes PICTURE with --other, and takes no --mask")
    if other is not None and mask is None and layers is None:
        raise TeachlibError("--other needs --mask, which says where it is taken, or --layers")
    if steps and (mask is None or other is not None):
        raise TeachlibError("--steps searches where something is hidden: give --mask, and no --other")
    refuse_folders(out)
    refuse_to_replace([out], [file for file in (picture, mask, other) if file is not None])
    model = opened(run)
    if layers is not None and isinstance(model.generator, StyleGAN2Generator) and layers > model.generator.layers:
        raise TeachlibError(f"--layers {layers}: expected 0 to {model.generator.layers}, as many as this generator has")
    image = squares(model, [picture])
    second = None if other is None else squares(model, [other])
    hidden = None if mask is None else _mask(mask, model)
    if layers is not None and second is not None:
        with torch.no_grad():
            made = editing.mixed(model, model.infer(image), model.infer(second), layers)
    elif hidden is None:
        made = editing.mended(model, image)
    elif second is not None:
        _, made = editing.merged(model, image, second, hidden)
    else:
        made, _ = editing.inpainted(model, image, hidden, steps=steps)
    write_picture(out, made[0])
    print(f"{out}: {made.shape[3]}×{made.shape[2]} pixels")


def tile(
    run: _Run,
    picture: Annotated[Path, typer.Argument(help="A picture of any size from that of a tile on, or a film.")],
    out: Annotated[Path, typer.Option(help="What comes out: .png, or for a film .mp4, .gif or .webp.")],
    sharpen: Annotated[float, typer.Option(min=-10, max=10, help="Strength of the step away from blur.")] = 0.0,
    enlarge: Annotated[int, typer.Option(min=1, max=8, help="First enlarge by so much, bicubic.")] = 1,
    slower: Annotated[int, typer.Option(min=1, max=16, help="Frames for each of a film's.")] = 1,
    fps: Annotated[float, typer.Option(min=1, max=120, help="Frames a second of what comes out.")] = 25.0,
) -> None:
    """Rebuild a picture or film tile by tile; sharpen it, or make more frames of it."""
    refuse_folders(out)
    refuse_to_replace([out], [picture])
    moving = out.suffix.lower() in animation.KINDS
    if not moving and (out.suffix.lower() != ".png" or slower > 1):
        kinds = ", ".join(animation.KINDS)
        raise TeachlibError(f"--out {out}: expected .png for a picture, {kinds} for a film, which --slower makes")
    model = opened(run)
    channels = model.image[0]
    whole = films.read_film(picture, channels) if moving else films.read_picture(picture, channels)[None]
    if slower > 1 and len(whole) < 2:
        raise TeachlibError(f"{picture}: a film of one frame; --slower needs two or more")
    sides = whole.shape[2] * enlarge, whole.shape[3] * enlarge
    films.refuse_large(picture, (len(whole) * slower) * sides[0] * sides[1])
    animation.refuse_sides(out, *sides)
    whole = tiling.enlarged(whole, enlarge) if enlarge > 1 else whole
    tiling.grid_of(model, whole)
    made = tiling.slowed(model, whole, slower) if slower > 1 else whole
    if sharpen or slower == 1:
        made = tiling.sharpened(model, made, sharpen) if sharpen else tiling.rebuilt(model, made)
    if moving:
        animation.save((made.expand(-1, 3, -1, -1) * 255).round().byte(), out, fps)
    else:
        write_picture(out, made[0])
    print(f"{out}: {len(made)} of {made.shape[3]}×{made.shape[2]} pixels, tiles of {model.image[1]}")


def opened(run: str) -> "InvGAN":
    """The model of a run, or the zoo's of a data set.

    Raises:
        TeachlibError: no such run or model, or one that infers nothing.
    """
    from teachlib.invgan.chapter import CHAPTER  # which has these commands
    from teachlib.invgan.networks import InvGAN

    if run.startswith(_ZOO):
        known = {
            shipped.name.replace("invgan-direct", shipped.dataset): shipped
            for shipped in CHAPTER.zoo
            if shipped.recipe == "invgan-direct"
        }
        if (name := run.removeprefix(_ZOO)) not in known:
            raise unknown("model of the zoo", name, known)
        return CHAPTER.from_zoo(known[name].name, known[name].dataset)
    model = seeds_of_one_recipe([Path(run)]).opened()[0].model
    if not isinstance(model, InvGAN):
        raise TeachlibError(f"{run}: no model that infers codes; expected a run of 'teachlib train invgan' or a rival")
    if not model.infers:
        raise TeachlibError(f"{run}: a GAN without inference; expected a run of 'teachlib train invgan' or a rival")
    return model


def squares(model: "InvGAN", pictures: list[Path]) -> Tensor:
    """The middles of pictures at the size of a model's networks, (N, C, size, size)."""
    channels, size, _ = model.image
    return torch.stack([films.read_square(picture, size, channels) for picture in pictures])


def _mask(file: Path, model: "InvGAN") -> Tensor:
    mask = films.read_square(file, model.image[1], 1)[None] > 0.5
    if mask.all() or not mask.any():
        said = "every pixel" if mask.all() else "no pixel"
        raise TeachlibError(
            f"{file}: the middle square of this mask marks {said}; expected bright pixels on a dark ground "
            "(transparent is bright)"
        )
    return mask


def write_picture(file: Path, picture: Tensor) -> None:
    """Write (1 or 3, H, W) in [0, 1] as a PNG."""
    stream = io.BytesIO()
    pixels = (picture.clamp(0, 1) * 255).round().byte().expand(3, -1, -1).movedim(0, -1).numpy()
    Image.fromarray(pixels).save(stream, "PNG")
    write_atomically(file, stream.getvalue())
