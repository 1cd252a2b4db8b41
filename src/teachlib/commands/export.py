"""``teachlib export``."""

from pathlib import Path
from typing import Any

from teachlib import registry, zoo
from teachlib.chapter import Chapter, checkpoint_file
from teachlib.checkpoints import read_checkpoint, write_atomically
from teachlib.errors import TeachlibError
from teachlib.live import largest_difference, onnx_of


def run(model: str, *, out: Path) -> None:
    """Write the parts of a trained model as ONNX files, each compared with torch first.

    Args:
        model: of the zoo, e.g. ``vae-glyphs``, or the folder of a run.
        out: folder that gets ``PART.onnx``.

    Raises:
        TeachlibError: neither a model of the zoo nor a run, one of which no part can be exported, missing packages, or
            a folder that cannot be written.
    """
    if out.exists() and not out.is_dir():
        raise TeachlibError(f"{out}: a file; expected a folder for the exported parts")
    chapter, opened = _opened(model.removeprefix("zoo:"))
    graphs = chapter.graphs(opened)
    if not graphs:
        raise TeachlibError(f"{model}: none of its parts can be exported ({chapter.title})")
    files = {name: onnx_of(graph) for name, graph in graphs.items()}  # all of them, or none
    for name, written in files.items():
        graph = graphs[name]
        write_atomically(out / f"{name}.onnx", written)
        shapes = ", ".join(f"{key} {tuple(example.shape)}" for key, example in graph.inputs.items())
        print(
            f"{out / name}.onnx: {shapes} → {', '.join(graph.outputs)}; {len(written) / 1e6:.2f} MB; "
            f"at most {largest_difference(graph, written, seed=1):.1g} from torch"
        )


def _opened(model: str) -> tuple[Chapter[Any, Any, Any], Any]:
    """The chapter and the model of a zoo's name or a run's folder."""
    if model in zoo.names():
        recipe = zoo.card(model)["recipe"]
        chapter = registry.chapter_of_recipe(recipe["name"])
        shipped = next(one for one in chapter.zoo if f"{one.name}-{one.dataset}" == model)
        return chapter, chapter.from_zoo(shipped.name, shipped.dataset)
    if not model.strip() or not Path(model).exists():
        raise TeachlibError(
            f"{model}: neither a model of the zoo nor the folder of a run; 'teachlib zoo list' names the zoo's"
        )
    _, header = read_checkpoint(checkpoint_file(model))
    chapter = registry.chapter_of_checkpoint(header, model)
    return chapter, chapter.open_run(model)[0]
