"""One Catmull-Clark step as a sparse matrix, so that everything linear can be done once per identity."""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def subdivide(faces: Ints, vertex_count: int, smooth: bool) -> tuple[Ints, sp.csr_matrix]:
    """New quads `[f2, 4]` and the matrix `[v2, v]` that makes their vertices.

    `smooth` gives Catmull-Clark positions; otherwise midpoints (for texture coordinates). A face whose last two
    corners are equal is a triangle. New vertices are ordered: old vertices, edge points, face points.
    """
    corner_count = np.where(faces[:, 2] == faces[:, 3], 3, 4)
    following = np.empty_like(faces)
    for corner in range(4):
        after = (corner + 1) % corner_count
        following[:, corner] = faces[np.arange(len(faces)), after]
    valid = np.arange(4)[None] < corner_count[:, None]
    ends = np.sort(np.stack([faces[valid], following[valid]], 1), 1)
    edges, edge_of = np.unique(ends, axis=0, return_inverse=True)
    face_of = np.repeat(np.arange(len(faces)), corner_count)
    count, edge_count = len(faces), len(edges)

    face_points = sp.csr_matrix((1.0 / corner_count[face_of], (face_of, faces[valid])), shape=(count, vertex_count))
    edge_ends = np.repeat(np.arange(edge_count), 2)
    middles = sp.csr_matrix(
        (np.full(2 * edge_count, 0.5), (edge_ends, edges.ravel())), shape=(edge_count, vertex_count)
    )
    edge_points, vertex_points = middles, sp.identity(vertex_count, format="csr")
    if smooth:
        edge_points, vertex_points = _smoothed(faces, valid, edges, edge_of.ravel(), face_of, face_points, middles)
    edge_at = np.zeros_like(faces)
    edge_at[valid] = edge_of.ravel()
    quads = []
    for corner in range(4):
        use = corner < corner_count
        before = (corner - 1) % corner_count[use]
        rows = np.flatnonzero(use)
        quads.append(
            np.stack(
                [
                    faces[rows, corner],
                    vertex_count + edge_at[rows, corner],
                    vertex_count + edge_count + rows,
                    vertex_count + edge_at[rows, before],
                ],
                1,
            )
        )
    return np.concatenate(quads), sp.vstack([vertex_points, edge_points, face_points]).tocsr()


def _smoothed(faces, valid, edges, edge_of, face_of, face_points, middles):  # type: ignore[no-untyped-def]
    vertex_count, edge_count, count = middles.shape[1], len(edges), len(faces)
    faces_per_edge = np.bincount(edge_of, minlength=edge_count)
    border = faces_per_edge == 1
    around = sp.csr_matrix((1.0 / faces_per_edge[edge_of], (edge_of, face_of)), shape=(edge_count, count))
    edge_points = sp.diags(border * 1.0) @ middles + sp.diags(~border * 1.0) @ (0.5 * (middles + around @ face_points))

    ends = np.repeat(np.arange(edge_count), 2)
    touching = sp.csr_matrix((np.ones(2 * edge_count), (edges.ravel(), ends)), shape=(vertex_count, edge_count))
    using = sp.csr_matrix((np.ones(valid.sum()), (faces[valid], face_of)), shape=(vertex_count, count))
    valence = np.bincount(edges.ravel(), minlength=vertex_count)
    uses = np.bincount(faces[valid], minlength=vertex_count)
    on_border = np.zeros(vertex_count, bool)
    on_border[edges[border].ravel()] = True
    border_valence = np.bincount(edges[border].ravel(), minlength=vertex_count)

    def inverse(values):  # type: ignore[no-untyped-def]
        return sp.diags(1.0 / np.maximum(values, 1))

    ring = inverse(uses) @ using @ face_points + 2 * (inverse(valence) @ touching @ middles)
    inside = inverse(valence) @ ring + sp.diags((valence - 3) / np.maximum(valence, 1))
    rim = 0.5 * sp.identity(vertex_count) + 0.5 * (
        inverse(border_valence) @ touching @ sp.diags(border * 1.0) @ middles
    )
    used = uses > 0
    vertex_points = (
        sp.diags((used & ~on_border) * 1.0) @ inside + sp.diags((used & on_border) * 1.0) @ rim + sp.diags(~used * 1.0)
    )
    return edge_points, vertex_points
