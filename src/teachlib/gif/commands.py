"""``teachlib animate``, ``prepare``, ``study`` and ``tally``: the commands that this chapter adds."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch
import typer
from PIL import Image

from teachlib.checkpoints import write_atomically
from teachlib.commands.runs import refuse_folders, seeds_of_one_recipe
from teachlib.errors import TeachlibError
from teachlib.gif import animation, parameters, portraits, study
from teachlib.gif.evaluation import drawn
from teachlib.gif.rendering import render

if TYPE_CHECKING:
    from teachlib.gif.models import Face

_ZOO = "zoo"


def animate(
    run: Annotated[str, typer.Argument(help="Folder of 'teachlib train gif', or 'zoo' for the model that ships.")],
    out: Annotated[Path, typer.Option(help="The film: .mp4, .gif or .webp.")],
    curves: Annotated[Path | None, typer.Option(help="Table: time in seconds, and a column for each curve.")] = None,
    audio: Annotated[Path | None, typer.Option(help="WAV of speech, which moves jaw and lips.")] = None,
    styles: Annotated[int, typer.Option(min=1, max=8, help="How many styles, side by side.")] = 3,
    fps: Annotated[float, typer.Option(min=1, max=60, help="Frames a second.")] = 25.0,
    side: Annotated[int, typer.Option(min=16, max=512, help="Pixels of each picture, enlarged.")] = 128,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of the styles.")] = 0,
) -> None:
    """Move a face by curves or by speech: its rendering, and beside it several styles of it."""
    if (curves is None) == (audio is None):
        raise TeachlibError("expected one of --curves FILE.csv and --audio FILE.wav")
    if out.suffix.lower() not in animation.KINDS:
        raise TeachlibError(f"--out {out}: expected a film that ends in {', '.join(animation.KINDS)}")
    refuse_folders(out)
    moved = animation.from_csv(curves, fps) if curves is not None else animation.from_audio(audio, fps)  # type: ignore[arg-type]
    face = _face(run)
    generator = torch.Generator().manual_seed(seed)
    chosen = face.styles(torch.randint(face.recipe.pictures, (styles,), generator=generator))
    frames = animation.film(face, animation.posed(animation.at_rest(), moved), chosen, side=side)
    print(f"{animation.save(frames, out, fps)}: {len(frames)} frames, {fps:g} a second, {styles} styles")


def make_study(
    first: Annotated[str, typer.Argument(help="Folder of a run, or 'zoo': the model whose preference is asked.")],
    second: Annotated[str, typer.Argument(help="Folder of the run that it is compared with.")],
    out: Annotated[Path, typer.Option(help="The page; the key goes beside it, to <out>.key.json.")],
    questions: Annotated[int, typer.Option(min=1, max=500, help="How many.")] = 20,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of heads, styles and sides.")] = 0,
) -> None:
    """Write a page that asks people which of two models drew the head that was asked for."""
    refuse_folders(out, key := out.with_name(out.name + ".key.json") if out.name else out)
    faces = _face(first), _face(second)
    generator = torch.Generator().manual_seed(seed)
    asked = parameters.randomly(questions, generator)
    numbers = torch.randint(min(face.recipe.pictures for face in faces), (questions,), generator=generator)
    ours, theirs = (drawn(face, asked, face.styles(numbers)) for face in faces)
    where = study.sides(questions, generator)
    references = render(asked, max(face.recipe.size for face in faces)).colours
    page = study.pairs_page(references, ours, theirs, where, title="Which picture shows this head?")
    study.write_key(key, [face.recipe.name for face in faces], where)
    write_atomically(out, page.encode())
    print(f"{out}: {questions} questions; keep {key} for 'teachlib tally'")


def tally(
    answers: Annotated[list[Path], typer.Argument(help="Files that people saved on the page.")],
    key: Annotated[Path, typer.Option(help="Written beside the page.")],
) -> None:
    """Count the answers of a study: how often the first model was chosen, with an exact interval."""
    name, share = study.tally(answers, key)
    print(f"{name} was chosen in {share}; a coin does as much with probability {share.p_value():.3g}")


def prepare(
    pictures: Annotated[Path, typer.Argument(help="Folder or zip of portraits.")],
    landmarks: Annotated[Path, typer.Option(help=".npz of 'names' and 'points', as MediaPipe's face mesh finds them.")],
    out: Annotated[Path, typer.Option(help="Folder of what is made: conditions.npz, and sheet.png to look at.")],
    size: Annotated[int, typer.Option(min=16, max=512, help="Pixels of pictures and conditions.")] = 64,
    skins: Annotated[int, typer.Option(min=1, help="Components of the linear model of skins.")] = 10,
) -> None:
    """Make conditions for your own portraits: a mesh on each face, its normals and its skin."""
    refuse_folders(out / "conditions.npz", out / "sheet.png")
    found = portraits.read(pictures, landmarks, size)
    mesh = portraits.face_mesh(found.screen)
    model = portraits.fit_skins(*portraits.steal(found, mesh), skins)
    made = portraits.conditions(found, mesh, model, size)
    stream = io.BytesIO()
    stored = ((made + 1) * 127.5).round().byte().numpy()
    np.savez_compressed(stream, names=np.array(found.names), images=found.images.numpy(), conditions=stored)
    write_atomically(out / "conditions.npz", stream.getvalue())
    rows = torch.cat([found.images.float() / 255, made[:, :3] / 2 + 0.5, made[:, 3:] / 2 + 0.5], 2)[:12]
    sheet = io.BytesIO()
    pixels = (torch.cat(list(rows), 2).clamp(0, 1) * 255).round().byte().movedim(0, -1).numpy()
    Image.fromarray(pixels).save(sheet, "PNG")
    write_atomically(out / "sheet.png", sheet.getvalue())
    print(f"{out / 'conditions.npz'}: {len(found)} portraits of {size} pixels; look at {out / 'sheet.png'}")


def _face(run: str) -> "Face":
    from teachlib.gif.chapter import CHAPTER  # which has these commands
    from teachlib.gif.models import Face

    model = CHAPTER.from_zoo("gif") if run == _ZOO else seeds_of_one_recipe([Path(run)]).opened()[0].model
    if not isinstance(model, Face):
        raise TeachlibError(f"{run}: draws no faces; expected a run of 'teachlib train gif' or of a variant")
    return model
