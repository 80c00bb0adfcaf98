"""Readers for the CC0 MakeHuman head assets: meshes, morph targets, fitted pieces (formats: the asset folder's README)."""

import gzip
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class AssetError(Exception):
    """The asset folder lacks something that an identity asks for."""


@dataclass(frozen=True)
class Mesh:
    """Polygons as they stand in an .obj; a triangle repeats its last corner."""

    vertices: Floats  # [n, 3]
    uvs: Floats  # [m, 2]
    faces: Ints  # [f, 4]
    face_uvs: Ints  # [f, 4]
    groups: NDArray[np.str_]  # [f]


@dataclass(frozen=True)
class Piece:
    """A .mhclo piece (hair, clothes, teeth, ...) bound to the base mesh: position = weights . base + offset * scale."""

    category: str
    mesh: Mesh
    texture: Path
    anchors: Ints  # [n, 3] base vertices
    weights: Floats  # [n, 3]
    offsets: Floats  # [n, 3]
    scales: dict[int, tuple[int, int, float]]  # axis -> (vertex, vertex, reference length)
    hidden: Ints  # base vertices that the piece hides

    def fit(self, base: Floats, identity: Floats) -> Floats:
        """Positions `[n, 3]` on `base`; the piece's size follows `identity` (the face at rest)."""
        scale = np.ones(3)
        for axis, (a, b, length) in self.scales.items():
            scale[axis] = abs(identity[a, axis] - identity[b, axis]) / length
        return self.carry(base) + self.offsets * scale

    def carry(self, values: Floats) -> Floats:
        """Values given on base vertices `[v, ...]` brought to the piece `[n, ...]`."""
        return np.einsum("nk,nk...->n...", self.weights, values[self.anchors])


def load_mesh(path: Path) -> Mesh:
    vertices, uvs, faces, face_uvs, groups, group = [], [], [], [], [], ""
    for line in path.read_text(encoding="utf8", errors="replace").splitlines():
        words = line.split()
        if not words:
            continue
        if words[0] == "v":
            vertices.append([float(x) for x in words[1:4]])
        elif words[0] == "vt":
            uvs.append([float(x) for x in words[1:3]])
        elif words[0] == "g":
            group = words[1] if len(words) > 1 else ""
        elif words[0] == "f":
            corners = [word.split("/") for word in words[1:5]]
            corners += [corners[-1]] * (4 - len(corners))
            faces.append([int(c[0]) - 1 for c in corners])
            face_uvs.append([int(c[1]) - 1 if len(c) > 1 and c[1] else 0 for c in corners])
            groups.append(group)
    return Mesh(np.array(vertices), np.array(uvs), np.array(faces), np.array(face_uvs), np.array(groups))


@dataclass(frozen=True)
class Assets:
    """The asset folder. Raises AssetError when `root` does not hold the base mesh."""

    root: Path
    _targets: dict[str, tuple[Ints, Floats]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not (self.root / "base" / "base.obj").is_file():
            raise AssetError(f"no MakeHuman assets in {self.root}: give the folder that holds base/base.obj")

    @cached_property
    def base(self) -> Mesh:
        return load_mesh(self.root / "base" / "base.obj")

    @cached_property
    def shapes(self) -> dict[str, dict]:
        """ARKit name -> targets and procedural parts."""
        return json.loads((self.root / "arkit_to_makehuman.json").read_text())["shapes"]

    def target(self, name: str) -> tuple[Ints, Floats]:
        """Base vertices `[k]` that a morph target moves and their displacements `[k, 3]`."""
        if name not in self._targets:
            path = self.root / "targets" / f"{name}.target.gz"
            if not path.is_file():
                raise AssetError(f"morph target {name} is not in {self.root / 'targets'}")
            with gzip.open(path, "rt") as file:
                rows = [line.split() for line in file if line[0] not in '#\n"']
            rows = [row for row in rows if len(row) == 4]
            self._targets[name] = (
                np.array([int(row[0]) for row in rows], np.int64),
                np.array([[float(x) for x in row[1:]] for row in rows]).reshape(-1, 3),
            )
        return self._targets[name]

    def displacement(self, weights: dict[str, float]) -> Floats:
        """Sum of weighted targets as a dense `[v, 3]`."""
        total = np.zeros_like(self.base.vertices)
        for name, weight in weights.items():
            index, delta = self.target(name)
            total[index] += weight * delta
        return total

    def joint(self, vertices: Floats, name: str) -> Floats:
        """A joint's place `[3]`: the centre of its helper cube."""
        return vertices[np.unique(self.base.faces[self.base.groups == f"joint-{name}"])].mean(0)

    @cached_property
    def bone_weights(self) -> dict[str, Floats]:
        """Share `[v]` of each base vertex that follows neck01..neck03 and head (the rest stands still)."""
        with gzip.open(self.root / "base" / "default_weights.mhw.gz") as file:
            weights = json.loads(file.read())["weights"]
        bones = json.loads((self.root / "base" / "default.mhskel").read_text())["bones"]

        def below(name: str) -> list[str]:
            children = [bone for bone, entry in bones.items() if entry["parent"] == name]
            return [name] + [deeper for child in children for deeper in below(child)]

        def total(names: list[str]) -> Floats:
            out = np.zeros(len(self.base.vertices))
            for name in names:
                for index, weight in weights.get(name, []):
                    out[index] += weight
            return out

        everything = np.maximum(total(list(weights)), 1e-9)
        groups = {"neck01": ["neck01"], "neck02": ["neck02"], "neck03": ["neck03"], "head": below("head")}
        out = {name: total(group) / everything for name, group in groups.items()}
        rigid_parts = ("helper-tongue", "helper-l-eye", "helper-r-eye", "helper-upper-teeth", "helper-lower-teeth")
        rigid = [g for g in np.unique(self.base.groups) if g in rigid_parts or "eyelashes" in g]
        helpers = np.unique(self.base.faces[np.isin(self.base.groups, rigid)])
        for name in out:
            out[name][helpers] = 1.0 if name == "head" else 0.0
        return out

    def piece(self, category: str, name: str, material: str | None = None) -> Piece:
        """Piece `category/name`; `material` names another .mhmat in `category/materials`."""
        folder = self.root / category / name
        found = sorted(folder.glob("*.mhclo"))
        if not found:
            raise AssetError(f"{category}/{name} has no .mhclo in {self.root}")
        parsed = _parse_mhclo(found[0])
        own_material = folder / parsed.material
        material_path = self.root / category / "materials" / f"{material}.mhmat" if material else own_material
        mesh = load_mesh(folder / parsed.mesh)
        return Piece(
            category, mesh, _diffuse_texture(material_path), np.array(parsed.anchors), np.array(parsed.weights),
            np.array(parsed.offsets), parsed.scales, np.array(parsed.hidden, np.int64),
        )  # fmt: skip


@dataclass
class _Mhclo:
    mesh: str = ""
    material: str = ""
    anchors: list[list[int]] = field(default_factory=list)
    weights: list[list[float]] = field(default_factory=list)
    offsets: list[list[float]] = field(default_factory=list)
    scales: dict[int, tuple[int, int, float]] = field(default_factory=dict)
    hidden: list[int] = field(default_factory=list)


def _parse_mhclo(path: Path) -> _Mhclo:
    out, section = _Mhclo(), ""
    for line in path.read_text(encoding="utf8", errors="replace").splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        key = words[0]
        if key == "obj_file":
            out.mesh = words[1]
        elif key == "material":
            out.material = words[1]
        elif key in ("x_scale", "y_scale", "z_scale"):
            out.scales["xyz".index(key[0])] = (int(words[1]), int(words[2]), float(words[3]))
        elif key == "verts":
            section = "verts"
        elif key == "delete_verts":
            section = "hidden"
        elif section == "verts" and key.lstrip("-").isdigit():
            _add_binding(out, words)
        elif section == "hidden":
            out.hidden += _ranges(words)
        elif key != "tag" and not key.lstrip("-").isdigit():
            section = ""
    return out


def _add_binding(out: _Mhclo, words: list[str]) -> None:
    if len(words) == 1:
        out.anchors.append([int(words[0])] * 3)
        out.weights.append([1.0, 0.0, 0.0])
        out.offsets.append([0.0, 0.0, 0.0])
        return
    out.anchors.append([int(x) for x in words[:3]])
    out.weights.append([float(x) for x in words[3:6]])
    out.offsets.append([float(x) for x in words[6:9]] if len(words) >= 9 else [0.0, 0.0, 0.0])


def _ranges(words: list[str]) -> list[int]:
    out: list[int] = []
    position = 0
    while position < len(words):
        first = int(words[position])
        if words[position + 1 : position + 2] == ["-"]:
            out += range(first, int(words[position + 2]) + 1)
            position += 3
        else:
            out.append(first)
            position += 1
    return out


def _diffuse_texture(material: Path) -> Path:
    for line in material.read_text(encoding="utf8", errors="replace").splitlines():
        words = line.split(None, 1)
        if len(words) == 2 and words[0] == "diffuseTexture":
            return material.parent / words[1].strip()
    raise AssetError(f"{material} names no diffuse texture")
