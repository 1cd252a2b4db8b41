"""Which triangle each pixel shows, of heads at 64²: the z-buffer beside trimesh's ray caster, which is Embree's.

A head that moves is another mesh in each picture, so the peer builds its tree anew for each; that is counted.
"""

import time

import numpy as np
import torch

from benchmarks.table import Row
from teachlib.gif import camera, parameters, rasterize
from teachlib.gif.head import head

SIZE, HEADS = 64, 40


def run() -> Row:
    """Pictures a second, and the share of pixels on which both name one triangle."""
    try:
        import trimesh
        from trimesh.ray.ray_pyembree import RayMeshIntersector
    except ImportError:
        return Row(f"z-buffer, {HEADS} heads at {SIZE}²", "", "needs trimesh and embreex (pip install)")
    asked, body = parameters.randomly(HEADS, torch.Generator().manual_seed(0)), head()
    screen = camera.project(body.vertices(asked.shape, asked.expression, asked.pose), asked.camera)
    rasterize(screen[:2], body.faces, SIZE)
    start = time.perf_counter()
    ours = rasterize(screen, body.faces, SIZE).face
    seconds = time.perf_counter() - start
    middle = (2 * np.arange(SIZE) + 1) / SIZE - 1
    x, y = np.meshgrid(middle, -middle)
    origins = np.stack([x.ravel(), y.ravel(), np.full(SIZE**2, 10.0)], 1)
    down = np.tile([0.0, 0.0, -1.0], (SIZE**2, 1))
    faces, hits = body.faces.numpy(), []
    start = time.perf_counter()
    for vertices in screen.numpy():
        mesh = trimesh.Trimesh(vertices, faces, process=False)
        hits.append(RayMeshIntersector(mesh).intersects_first(origins, down))
    peer = time.perf_counter() - start
    alike = (np.stack(hits).reshape(ours.shape) == ours.numpy()).mean()
    return Row(
        f"z-buffer, {HEADS} heads of {len(faces):,} triangles at {SIZE}²",
        f"{HEADS / seconds:.0f} pictures/s",
        f"trimesh and Embree {HEADS / peer:.0f} pictures/s ({alike:.2%} of pixels agree)",
        peer / seconds,
    )
