"""A character: an identity's surfaces with everything linear precomputed, posed by the 120 coefficients."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from flap import coefficients as co
from training.render.assets import Assets, Floats, Ints, Mesh, Piece
from training.render.identities import Identity
from training.render.subdivision import subdivide

Singles = NDArray[np.float32]
BODY_VERTICES = 13_380
TONGUE = slice(13_380, 13_606)
LOWER_TEETH = slice(14_992, 15_060)
BONES = ("neck01", "neck02", "neck03", "head")
BONE_FRACTIONS = (0.15, 0.35, 0.60, 1.0)
FRINGE_END = 0.62  # eye distances above the eyes


@dataclass(frozen=True)
class Surface:
    """One drawable with its deformation: positions = rest + weights . deltas, then eyes, then neck and head."""

    name: str  # "body", "hair", "clothes", "eyes", "eyebrows", "eyelashes", "teeth", "tongue"
    texture: Path
    uvs: Singles  # [c, 2]
    triangles: NDArray[np.int32]  # [t, 3] into corners
    point_of: Ints  # [c] corner -> point
    rest: Singles  # [n, 3]
    deltas: Singles  # [k, n, 3], k as Character.shape_names
    bones: Singles  # [n, 4] shares of BONES
    regions: Singles  # [c, 2] mouth, eye: 1 inside the region
    normal_sum: sp.csr_matrix  # [n, t] adds face normals to points
    eye_side: Singles | None  # [n] +1 left eye, -1 right eye; None for other surfaces


@dataclass(frozen=True)
class PosedSurface:
    positions: Singles  # [c, 3]
    normals: Singles  # [c, 3]


def smoothstep(low: float, high: float, values: Floats) -> Floats:
    t = np.clip((values - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


class Character:
    """Surfaces of one identity and the pivots they turn about."""

    def __init__(self, assets: Assets, identity: Identity):
        self.identity = identity
        base = assets.base
        self.rest = base.vertices + assets.displacement(identity.targets())
        for shape, weight in identity.resting.items():
            self.rest += weight * _shape_delta(assets, identity, shape)
        self.shape_names = tuple(assets.shapes)
        shape_deltas = [_shape_delta(assets, identity, name) for name in self.shape_names]
        neck, head = assets.joint(self.rest, "neck"), assets.joint(self.rest, "head")
        self.pivots = (neck, 0.6 * neck + 0.4 * head, 0.3 * neck + 0.7 * head, head)
        self.eye_centres = {1: assets.joint(self.rest, "l-eye"), -1: assets.joint(self.rest, "r-eye")}
        floor_y = neck[1] - 2.6
        bones = np.stack([assets.bone_weights[bone] for bone in BONES], -1)
        pieces = {name: assets.piece(*spec) for name, spec in identity.pieces().items()}
        regions = _regions(self.rest, self.eye_centres)
        self.surfaces = [self._body(assets, identity, pieces, shape_deltas, bones, regions, floor_y)]
        for name, piece in pieces.items():
            self.surfaces.append(self._attach(name, piece, shape_deltas, bones, regions, floor_y, head[1]))

    def _body(self, assets, identity, pieces, shape_deltas, bones, regions, floor_y) -> Surface:  # type: ignore[no-untyped-def]
        hidden = np.zeros(len(self.rest), bool)
        for piece in pieces.values():
            hidden[piece.hidden] = True
        mesh = assets.base
        keep = (mesh.groups == "body") & ~hidden[mesh.faces].all(1)
        keep &= self.rest[mesh.faces][:, :, 1].max(1) > floor_y
        skin = assets.root / "skins" / f"{identity.skin}.jpg"
        return _surface("body", skin, mesh, keep, self.rest, shape_deltas, bones, regions, smooth=True)

    def _attach(self, name, piece: Piece, shape_deltas, bones, regions, floor_y, head_y) -> Surface:  # type: ignore[no-untyped-def]
        rest = piece.fit(self.rest, self.rest)
        keep = np.ones(len(piece.mesh.faces), bool)
        piece_bones = piece.carry(bones)
        deltas = [piece.carry(delta) for delta in shape_deltas]
        if name == "clothes":
            keep = rest[piece.mesh.faces][:, :, 1].max(1) > floor_y
        if name == "hair":
            head_share = np.maximum(piece_bones[:, 3], smoothstep(head_y - 1.0, head_y - 0.2, rest[:, 1]))
            others = piece_bones[:, :3].sum(1)
            scale = np.where(others > 1e-9, np.minimum(1, (1 - head_share) / np.maximum(others, 1e-9)), 0)
            piece_bones = np.concatenate([piece_bones[:, :3] * scale[:, None], head_share[:, None]], 1)
            rest = self._styled(rest)
            deltas = [np.zeros_like(rest)] * len(deltas)
        smooth = name == "tongue"
        piece_regions = np.zeros((len(rest), 2)) if name in ("hair", "clothes") else piece.carry(regions)
        if name in ("teeth", "tongue"):
            piece_regions[:, 0] = 1
        if name == "eyes":
            piece_regions[:, 1] = 1
        return _surface(
            name, piece.texture, piece.mesh, keep, rest, deltas, piece_bones, piece_regions, smooth, name == "eyes"
        )

    def _styled(self, hair: Floats) -> Floats:
        """Hair `[n, 3]` mirrored and with its fringe cut as the identity wears it."""
        out = hair * (-1 if self.identity.hair_mirrored else 1, 1, 1)
        eyes = (self.eye_centres[1] + self.eye_centres[-1]) / 2
        apart = self.eye_centres[1][0] - self.eye_centres[-1][0]
        ends_y = eyes[1] + FRINGE_END * apart
        before_face = smoothstep(eyes[2] - 0.5 * apart, eyes[2] + 0.1 * apart, out[:, 2])
        before_face *= 1 - smoothstep(1.05 * apart, 1.3 * apart, np.abs(out[:, 0]))
        below = np.minimum(out[:, 1] - ends_y, 0)
        out[:, 1] -= below * before_face * (1 - self.identity.fringe) * 0.92
        return out

    def pose(self, face: co.Array) -> list[PosedSurface]:
        """Every surface under coefficients `[120]`, in the order of `surfaces`."""
        return [self._pose(surface, face) for surface in self.surfaces]

    def points(self, surface: Surface, face: co.Array) -> Singles:
        """Corner positions `[c, 3]` of one surface under coefficients `[120]`."""
        return self._points(surface, face)[surface.point_of]

    def _pose(self, surface: Surface, face: co.Array) -> PosedSurface:
        points = self._points(surface, face)
        corners = surface.point_of[surface.triangles]
        a, b, c = points[corners[:, 0]], points[corners[:, 1]], points[corners[:, 2]]
        normals = surface.normal_sum @ np.cross(b - a, c - a)
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        return PosedSurface(points[surface.point_of], normals[surface.point_of].astype(np.float32))

    def _points(self, surface: Surface, face: co.Array) -> Singles:
        arkit = co.to_arkit(face)
        weights = np.array([arkit[name] for name in self.shape_names], np.float32)
        used = np.abs(weights) > 1e-4
        points = surface.rest + np.tensordot(weights[used], surface.deltas[used], 1)
        if surface.eye_side is not None:
            points = self._turn_eyes(points, surface.eye_side, face)
        bones = self._bone_matrices(face[co.ROTATION])
        stay = 1 - surface.bones.sum(1, keepdims=True)
        posed = points * stay
        for share, matrix in zip(surface.bones.T, bones, strict=True):
            posed = posed + share[:, None] * (points @ matrix[:3, :3].T + matrix[:3, 3])
        return posed.astype(np.float32)

    def _turn_eyes(self, points: Singles, side: Singles, face: co.Array) -> Singles:
        yaw, pitch = co.gaze_from_6d(face[co.EYES].reshape(2, 6))
        out = points.copy()
        for sign, index in ((1, 0), (-1, 1)):
            matrix = co.euler_matrix([pitch[index], yaw[index], 0.0]).astype(np.float32)
            centre = self.eye_centres[sign].astype(np.float32)
            chosen = side == sign
            out[chosen] = (points[chosen] - centre) @ matrix.T + centre
        return out

    def _bone_matrices(self, rotation: co.Array) -> list[Singles]:
        matrices, chain, before = [], np.eye(4), 0.0
        for pivot, fraction in zip(self.pivots, BONE_FRACTIONS, strict=True):
            step = np.eye(4)
            step[:3, :3] = co.euler_matrix(rotation * (fraction - before))
            step[:3, 3] = pivot - step[:3, :3] @ pivot
            chain, before = chain @ step, fraction
            matrices.append(chain.astype(np.float32))
        return matrices


def _surface(name, texture, mesh: Mesh, keep, rest, deltas, bones, regions, smooth, eyes=False) -> Surface:  # type: ignore[no-untyped-def]
    faces, face_uvs, uvs = mesh.faces[keep], mesh.face_uvs[keep], mesh.uvs
    matrix = sp.identity(len(rest), format="csr")
    if smooth:
        faces, matrix = subdivide(faces, len(rest), smooth=True)
        face_uvs, uv_matrix = subdivide(face_uvs, len(uvs), smooth=False)
        uvs = uv_matrix @ uvs
    used = np.unique(faces)
    renumber = np.zeros(matrix.shape[0], np.int64)
    renumber[used] = np.arange(len(used))
    matrix, faces = matrix[used], renumber[faces]
    pairs, inverse = np.unique(faces.ravel() * 10**7 + face_uvs.ravel(), return_inverse=True)
    quads, point_of = inverse.reshape(-1, 4), pairs // 10**7
    real_quads = faces[:, 2] != faces[:, 3]
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[real_quads][:, [0, 2, 3]]]).astype(np.int32)
    corners = point_of[triangles]
    rows = np.repeat(np.arange(len(corners)), 3)
    normal_sum = sp.csr_matrix(
        (np.ones(3 * len(corners), np.float32), (corners.ravel(), rows)), shape=(len(used), len(corners))
    )
    points = (matrix @ rest).astype(np.float32)
    return Surface(
        name, texture, uvs[pairs % 10**7].astype(np.float32), triangles, point_of, points,
        np.stack([matrix @ delta for delta in deltas]).astype(np.float32), (matrix @ bones).astype(np.float32),
        (matrix @ regions)[point_of].astype(np.float32), normal_sum, np.sign(points[:, 0]) if eyes else None,
    )  # fmt: skip


def _regions(rest: Floats, eye_centres: dict[int, Floats]) -> Floats:
    """Mouth and eye masks `[v, 2]` on the base mesh, soft at their rims."""
    x, y, z = rest.T
    eye_y = eye_centres[1][1]
    mouth_y = rest[LOWER_TEETH][:, 1].mean() + 0.06
    mouth = (1 - smoothstep(0.30, 0.42, np.abs(x))) * (1 - smoothstep(0.20, 0.34, np.abs(y - mouth_y)))
    mouth *= smoothstep(0.4, 0.7, z - eye_centres[1][2] + 0.7)
    eye = np.zeros(len(rest))
    for centre in eye_centres.values():
        eye = np.maximum(eye, 1 - smoothstep(0.20, 0.30, np.hypot((x - centre[0]) * 0.9, y - centre[1])))
    return np.stack([mouth * (y < eye_y), eye], -1)


def _shape_delta(assets: Assets, identity: Identity, name: str) -> Floats:
    entry = assets.shapes[name]
    base = assets.base.vertices
    left = smoothstep(-0.12, 0.12, base[:, 0])
    sides = {"L": left, "R": 1 - left, None: np.ones(len(base))}
    total = np.zeros_like(base)
    for part in entry.get("proc", []):
        total += _procedural(assets, identity, part["kind"])
    for part in entry["targets"]:
        mask = sides[part.get("side")]
        if part.get("ymin") is not None:
            mask = mask * smoothstep(part["ymin"], part["ymin"] + 0.05, base[:, 1])
        total += part["w"] * mask[:, None] * _race_target(assets, identity, part["target"])
    return total


def _race_target(assets: Assets, identity: Identity, name: str) -> Floats:
    if not name.startswith("units/"):
        return assets.displacement({name: 1.0})
    unit = name.removeprefix("units/")
    return assets.displacement({f"expression/units/{race}/{unit}": w for race, w in identity.races.items() if w > 0})


def _procedural(assets: Assets, identity: Identity, kind: str) -> Floats:
    """Shapes without a target of their own (the asset folder's `procedural` notes)."""
    x, y, z = assets.base.vertices.T
    jaw = _race_target(assets, identity, "units/mouth-open")
    out = np.zeros_like(jaw)
    tongue_z = z[TONGUE]
    if kind == "mouth_close":
        mask = (1 - smoothstep(0.34, 0.56, np.abs(x))) * smoothstep(6.40, 6.56, y)
        mask *= (1 - smoothstep(6.64, 6.72, y)) * smoothstep(1.15, 1.35, z)
        mask[BODY_VERTICES:] = 0
        out = -0.97 * jaw * mask[:, None]
    elif kind == "tongue_follow_jaw":
        share = smoothstep(0.55, 1.35, tongue_z)[:, None]
        out[TONGUE] = 1.05 * jaw[LOWER_TEETH].mean(0) * share - jaw[TONGUE]
    elif kind == "tongue_out":
        f = smoothstep(0.75, 1.40, tongue_z)
        out[TONGUE, 2] = 0.42 * f
        out[TONGUE, 1] = -0.03 * f - 0.10 * f**3 + 0.06 * f * (1 - f)
    else:
        mask = np.minimum(np.linalg.norm(jaw, axis=1) / 0.30, 1) * smoothstep(0.01, 0.06, -jaw[:, 1])
        mask[TONGUE] = 0.6 * smoothstep(0.55, 1.35, tongue_z)
        if kind == "jaw_forward":
            out[:, 2] = 0.07 * mask
        else:
            out[:, 0] = (0.10 if kind == "jaw_left" else -0.10) * mask
            out[:, 2] = -0.02 * mask * np.sign(out[:, 0]) * x
    return out
