"""Draws a posed character with OpenGL on EGL (software rendering is enough): the picture, and the exact motion."""

from dataclasses import dataclass
from pathlib import Path

import moderngl
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flap import coefficients as co
from training.render import shaders
from training.render.character import LOWER_TEETH, Character, PosedSurface, Surface
from training.render.scenes import LONG_LENS_DEG, Light, Scene, background_picture, studio

SHADOW_TILE = 256
CAMERA_DISTANCE = 13.5  # decimetres, of the long lens
EYES_TO_MOUTH = 0.72  # decimetres on a head of scale 1
HAIR_MIDDLE = 0.45  # sRGB, of the painted hair texture
CASTERS = ("body", "hair", "clothes")
BLEND_ORDER = ("eyes", "eyebrows", "hair", "eyelashes")


@dataclass(frozen=True)
class Material:
    kind: int
    tint: tuple[float, float, float]
    roughness: float = 0.6
    f0: float = 0.04
    bump: float = 0.0
    cut: float = 0.0  # alpha below which the opaque pass draws nothing; above 1: drawn blended alone


@dataclass(frozen=True)
class Motion:
    """What the mesh knows of each pixel of a frame, sampled at pixel centres."""

    portrait_xy: NDArray[np.float32]  # [s, s, 2] where the pixel's surface stands in the portrait, -1..1, y down
    unposed_xy: NDArray[np.float32]  # [s, s, 2] the same with the frame's expression and the portrait's pose
    masks: NDArray[np.float32]  # [s, s, 4] visible in the portrait, alpha, mouth, eye


class Stage:
    """The OpenGL context and everything uploaded for one character in front of one camera."""

    def __init__(
        self, character: Character, scene: Scene | None = None, portrait: co.Array | None = None, *, size: int = 256,
        motion_size: int = 64, context: moderngl.Context | None = None,
    ):  # fmt: skip
        """`portrait` `[120]` is the face that motion is measured from; without it the neutral one."""
        self.character, self.size, self.motion_size = character, size, motion_size
        self.scene = scene or studio(0)
        self.portrait_face = co.neutral() if portrait is None else portrait
        self.context = context or moderngl.create_context(standalone=True, backend="egl")
        self._build_programs()
        self._build_targets()
        self._textures: dict[Path, moderngl.Texture] = {}
        self._background = self.context.texture((size, size), 3, background_picture(self.scene, size)[::-1].tobytes())
        self._geometry = [self._upload(surface) for surface in character.surfaces]
        self.materials = {s.name: self._material(s) for s in character.surfaces}
        self.eye, self.view_projection = camera(character, self.scene)
        self.lights = light_arrays(self.scene.lights)
        self._portrait = self._remember_portrait()

    def _build_programs(self) -> None:
        program = self.context.program
        self.depth_program = program(shaders.DEPTH_VERTEX, shaders.DEPTH_FRAGMENT)
        self.shade_program = program(shaders.SHADE_VERTEX, shaders.SHADE_FRAGMENT)
        self.back_program = program(shaders.QUAD_VERTEX, shaders.BACKGROUND_FRAGMENT)
        self.motion_program = program(shaders.MOTION_VERTEX, shaders.MOTION_FRAGMENT)
        quad = self.context.buffer(np.array([-1, -1, 3, -1, -1, 3], "f4"))
        self.back_quad = self.context.vertex_array(self.back_program, [(quad, "2f", "corner")])

    def _build_targets(self) -> None:
        context, size, motion = self.context, (self.size,) * 2, (self.motion_size,) * 2
        self.shaded = context.framebuffer(
            [context.renderbuffer(size, 4, samples=4)], context.depth_renderbuffer(size, samples=4)
        )
        self.resolved = context.framebuffer([context.renderbuffer(size, 4)])
        self.shadow = context.depth_texture((SHADOW_TILE * shaders.SHADOW_COLUMNS, SHADOW_TILE * shaders.SHADOW_ROWS))
        self.shadow.compare_func = "<="
        self.shadow.filter = (moderngl.LINEAR, moderngl.LINEAR)
        self.shadow_target = context.framebuffer(depth_attachment=self.shadow)
        self.motion_target = context.framebuffer(
            [context.texture(motion, 4, dtype="f4"), context.texture(motion, 4, dtype="f4")],
            context.depth_renderbuffer(motion),
        )
        self.portrait_depth = context.depth_texture(size)
        self.portrait_depth.compare_func = ""
        self.portrait_target = context.framebuffer(depth_attachment=self.portrait_depth)

    def _upload(self, surface: Surface) -> dict:
        context, count = self.context, len(surface.uvs)
        points, extra = (
            context.buffer(reserve=count * 24, dynamic=True),
            context.buffer(reserve=count * 24, dynamic=True),
        )
        uvs, region = context.buffer(surface.uvs.tobytes()), context.buffer(surface.regions.tobytes())
        index = context.buffer(surface.triangles.tobytes())
        array = context.vertex_array
        return {
            "points": points, "extra": extra,
            "depth": array(self.depth_program, [(points, "3f 12x", "position"), (uvs, "2f", "uv")], index),
            "shade": array(self.shade_program, [(points, "3f 3f", "position", "normal"), (uvs, "2f", "uv")], index),
            "motion": array(
                self.motion_program,
                [(points, "3f 12x", "position"), (extra, "4f 2f", "portrait", "unposed"), (region, "2f", "region"), (uvs, "2f", "uv")],
                index,
            ),
        }  # fmt: skip

    def _texture(self, surface: Surface) -> moderngl.Texture:
        path = surface.texture
        if path not in self._textures:
            pixels = self._painted(
                surface.name, np.asarray(Image.open(path).convert("RGBA"), np.float32) / np.float32(255)
            )
            image = (pixels.clip(0, 1) * 255).astype(np.uint8)[::-1]
            texture = self.context.texture(image.shape[1::-1], 4, image.tobytes())
            texture.build_mipmaps()
            texture.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
            self._textures[path] = texture
        return self._textures[path]

    def _painted(self, name: str, texture: NDArray[np.floating]) -> NDArray[np.floating]:
        """A texture `[h, w, 4]` in 0..1 as the identity wears it."""
        identity, out = self.character.identity, texture.copy()
        if name == "hair":
            # the textures' own highlights are drawn in: plastic under any other light
            light = texture[..., :3].mean(-1)
            middle = (light * texture[..., 3]).sum() / texture[..., 3].sum()
            out[..., :3] = (HAIR_MIDDLE * (light / middle + 0.05) ** 0.55)[..., None].clip(0, 2.2 * HAIR_MIDDLE)
        elif name == "clothes":
            light = texture[..., :3].mean(-1, keepdims=True)
            pattern = 0.75 + 0.9 * (light - light.mean())
            out[..., :3] += identity.cloth_fade * (pattern - texture[..., :3])
        elif name == "eyebrows":
            out[..., 3] *= identity.brow_strength
        return out

    def _material(self, surface: Surface) -> Material:
        identity = self.character.identity
        if surface.name == "hair":
            tint = tuple(x / HAIR_MIDDLE**2.2 for x in identity.hair_colour)
            return Material(2, tint, 0.4, 0.04, cut=0.45)  # type: ignore[arg-type]
        brow = tuple(min(1.0, 0.1 + 1.6 * x) for x in identity.hair_colour)
        return {
            "body": Material(1, identity.skin_tint, 0.48, 0.028, bump=0.03),
            "eyebrows": Material(5, brow, 0.8, 0.0, cut=2.0),  # type: ignore[arg-type]
            "eyelashes": Material(5, (0.02, 0.015, 0.012), 0.8, 0.0, cut=2.0),
            "eyes": Material(4, (0.92, 0.9, 0.9), 0.08, 0.05, cut=0.6),
            "teeth": Material(3, (1.15, 1.08, 1.0), 0.22, 0.045),
            "tongue": Material(3, (0.8, 0.7, 0.7), 0.35, 0.04),
            "clothes": Material(0, identity.cloth_tint, 0.8, 0.03),
        }[surface.name]

    def _remember_portrait(self) -> list[NDArray[np.float32]]:
        face = self.portrait_face
        self._write(self.character.pose(face))
        self.portrait_target.use()
        self.portrait_target.clear(depth=1.0)
        self._draw_depth(
            self.view_projection, [s.name for s in self.character.surfaces if self.materials[s.name].cut < 1]
        )
        return [self._project(self.character.points(s, face)) for s in self.character.surfaces]

    def _project(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Points `[c, 3]` to image x, y (-1..1, y down) and depth `[c, 3]`."""
        clip = np.concatenate([points, np.ones((len(points), 1), np.float32)], 1) @ self.view_projection.T
        ndc = clip[:, :3] / clip[:, 3:]
        return (ndc * (1, -1, 1)).astype(np.float32)

    def _write(self, posed: list[PosedSurface]) -> None:
        for geometry, surface in zip(self._geometry, posed, strict=True):
            geometry["points"].write(np.concatenate([surface.positions, surface.normals], 1).astype("f4").tobytes())

    def _draw_depth(self, view_projection: NDArray, names: list[str] | tuple[str, ...]) -> None:
        self.context.enable_only(moderngl.DEPTH_TEST)
        self.depth_program["view_projection"].write(view_projection.T.astype("f4").tobytes())
        for geometry, surface in zip(self._geometry, self.character.surfaces, strict=True):
            if surface.name in names:
                self._texture(surface).use(0)
                self.depth_program["cut"] = min(self.materials[surface.name].cut, 0.45)
                geometry["depth"].render()

    def render(self, face: co.Array) -> tuple[NDArray[np.uint8], Motion]:
        """The picture `[size, size, 3]` and the motion under coefficients `[120]`."""
        posed = self.character.pose(face)
        self._write(posed)
        views = self._draw_shadows()
        picture = self._draw_picture(views)
        return picture, self._draw_motion(face)

    def _draw_shadows(self) -> NDArray[np.float32]:
        centre = self.character.pivots[-1] + np.array([0, -0.45, 0.3])
        views = []
        self.shadow_target.use()
        self.shadow_target.viewport = (0, 0, *self.shadow_target.size)
        self.shadow_target.clear(depth=1.0)
        for i, direction in enumerate(self.lights[0]):
            up = (0, 1, 0) if abs(direction[1]) < 0.95 else (1, 0, 0)
            view = orthographic(2.6, 1, 15) @ look_at(centre + direction * 8, centre, up)
            column, row = i % shaders.SHADOW_COLUMNS, i // shaders.SHADOW_COLUMNS
            self.shadow_target.viewport = (column * SHADOW_TILE, row * SHADOW_TILE, SHADOW_TILE, SHADOW_TILE)
            self._draw_depth(view, CASTERS)
            views.append(view)
        return np.stack(views)

    def _draw_picture(self, views: NDArray[np.float32]) -> NDArray[np.uint8]:
        context, program = self.context, self.shade_program
        self.shaded.use()
        self.shaded.clear(0, 0, 0, 1, depth=1.0)
        context.disable(moderngl.DEPTH_TEST)
        self._background.use(0)
        self.back_quad.render()
        program["view_projection"].write(self.view_projection.T.astype("f4").tobytes())
        program["light_view"].write(views.transpose(0, 2, 1).astype("f4").tobytes())
        program["light_direction"].write(self.lights[0].astype("f4").tobytes())
        program["light_colour"].write(self.lights[1].astype("f4").tobytes())
        program["eye"], program["exposure"], program["diffuse"], program["shadow"] = (
            tuple(self.eye),
            self.scene.exposure,
            0,
            1,
        )
        self.shadow.use(1)
        solid = [s.name for s in self.character.surfaces if self.materials[s.name].cut < 1]
        self.shaded.color_mask = False, False, False, False
        self._draw_depth(self.view_projection, solid)  # depth first: only what is seen is shaded
        self.shaded.color_mask = True, True, True, True
        context.enable_only(moderngl.DEPTH_TEST)
        context.depth_func = "<="
        for name in solid:
            self._shade(name, blended=0)
        context.enable_only(moderngl.DEPTH_TEST | moderngl.BLEND)
        context.blend_func = moderngl.SRC_ALPHA, moderngl.ONE_MINUS_SRC_ALPHA
        self.shaded.depth_mask = False
        for name in BLEND_ORDER:
            if name in self.materials:
                self._shade(name, blended=1)
        self.shaded.depth_mask = True
        context.depth_func = "<"
        context.copy_framebuffer(self.resolved, self.shaded)
        pixels = np.frombuffer(self.resolved.read(components=3, alignment=1), np.uint8)
        return pixels.reshape(self.size, self.size, 3)[::-1].copy()

    def _shade(self, name: str, blended: int) -> None:
        material = self.materials[name]
        program = self.shade_program
        for uniform in ("kind", "tint", "roughness", "f0", "bump", "cut"):
            program[uniform] = getattr(material, uniform)
        program["blended"] = blended
        for geometry, surface in zip(self._geometry, self.character.surfaces, strict=True):
            if surface.name == name:
                self._texture(surface).use(0)
                geometry["shade"].render()

    def _draw_motion(self, face: co.Array) -> Motion:
        unposed_face = face.copy()
        unposed_face[co.ROTATION] = self.portrait_face[co.ROTATION]
        target, program = self.motion_target, self.motion_program
        target.use()
        target.clear(0, 0, 0, 0, depth=1.0)
        self.context.enable_only(moderngl.DEPTH_TEST)
        program["view_projection"].write(self.view_projection.T.astype("f4").tobytes())
        program["diffuse"], program["portrait_depth"] = 0, 1
        self.portrait_depth.use(1)
        for geometry, surface, portrait in zip(self._geometry, self.character.surfaces, self._portrait, strict=True):
            if self.materials[surface.name].cut >= 1:
                continue
            unposed = self._project(self.character.points(surface, unposed_face))[:, :2]
            ones = np.ones((len(portrait), 1), np.float32)
            geometry["extra"].write(np.concatenate([portrait, ones, unposed], 1).astype("f4").tobytes())
            self._texture(surface).use(0)
            program["cut"] = min(self.materials[surface.name].cut, 0.45)
            geometry["motion"].render()
        motion, masks = (self._read(target, i) for i in (0, 1))
        return self._with_background(motion, masks)

    def _read(self, target: moderngl.Framebuffer, attachment: int) -> NDArray[np.float32]:
        data = np.frombuffer(target.read(components=4, attachment=attachment, dtype="f4"), np.float32)
        return data.reshape(self.motion_size, self.motion_size, 4)[::-1].copy()

    def _with_background(self, motion: NDArray[np.float32], masks: NDArray[np.float32]) -> Motion:
        """The background stands still: it points at itself, and is visible where the portrait shows background."""
        centres = (np.arange(self.motion_size, dtype=np.float32) + 0.5) / self.motion_size * 2 - 1
        grid = np.stack(np.meshgrid(centres, centres), -1)
        empty = masks[..., 1] < 0.5
        depth = np.frombuffer(self.portrait_depth.read(alignment=1), np.float32).reshape(self.size, self.size)[::-1]
        step = self.size // self.motion_size
        open_portrait = depth[step // 2 :: step, step // 2 :: step] > 0.99999
        motion[empty] = np.concatenate([grid, grid], -1)[empty]
        masks[empty] = 0
        masks[..., 0][empty] = open_portrait[empty]
        return Motion(motion[..., :2], motion[..., 2:], masks)


def camera(character: Character, scene: Scene) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Eye `[3]` and view-projection `[4, 4]` that frame any head alike: eyes on one line, mouth on another."""
    eyes = (character.eye_centres[1] + character.eye_centres[-1]) / 2
    mouth_y = character.rest[LOWER_TEETH, 1].mean()
    scale = (eyes[1] - mouth_y) / EYES_TO_MOUTH / scene.zoom
    # the plane of the eyes keeps its size in the picture whatever the lens
    half = np.tan(np.deg2rad(LONG_LENS_DEG / 2)) / np.tan(np.deg2rad(scene.field_of_view_deg / 2))
    distance = (CAMERA_DISTANCE * scale + 0.4 - eyes[2]) * half
    right, up = EYES_TO_MOUTH * scale * np.array(scene.shift)
    centre = np.array([-right, eyes[1] - 0.18 * scale - up, eyes[2]])
    eye = centre + np.array([0.0, 0.1 * half, distance])
    view = look_at(eye, centre, (0, 1, 0))
    return eye, perspective(scene.field_of_view_deg, max(distance - 4 * scale, 0.5), 60) @ view


def light_arrays(lights: tuple[Light, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Directions towards the lights `[n, 3]` and linear colours `[n, 3]`."""
    azimuth, elevation = np.deg2rad([[li.azimuth_deg, li.elevation_deg] for li in lights]).T
    directions = np.stack(
        [np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)], -1
    )
    return directions, np.array([li.colour for li in lights])


def look_at(eye, centre, up) -> NDArray[np.float64]:  # type: ignore[no-untyped-def]
    forward = np.asarray(centre, float) - eye
    forward /= np.linalg.norm(forward)
    side = np.cross(forward, up)
    side /= np.linalg.norm(side)
    out = np.eye(4)
    out[0, :3], out[1, :3], out[2, :3] = side, np.cross(side, forward), -forward
    out[:3, 3] = -out[:3, :3] @ eye
    return out


def perspective(fov_deg: float, near: float, far: float) -> NDArray[np.float64]:
    scale = 1 / np.tan(np.deg2rad(fov_deg) / 2)
    out = np.zeros((4, 4))
    out[0, 0] = out[1, 1] = scale
    out[2, 2], out[2, 3], out[3, 2] = (far + near) / (near - far), 2 * far * near / (near - far), -1
    return out


def orthographic(radius: float, near: float, far: float) -> NDArray[np.float64]:
    out = np.eye(4)
    out[0, 0] = out[1, 1] = 1 / radius
    out[2, 2], out[2, 3] = -2 / (far - near), -(far + near) / (far - near)
    return out
