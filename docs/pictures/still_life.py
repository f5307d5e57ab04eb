"""The photograph-like example picture: a table by a window, rendered by Blender's Cycles from the shapes below.

    python -m venv DIR && DIR/bin/pip install bpy
    DIR/bin/python still_life.py photograph.png          the picture
    DIR/bin/python still_life.py photograph.png --things   and photograph_mug.png ...: how much of each pixel shows it

Nothing is downloaded or taken from elsewhere: every shape and texture is made here by formulas.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import bpy  # isort: skip (it brings the two below)
import bmesh
from mathutils import Vector

WIDTH, HEIGHT = 1024, 1280
SAMPLES = 40
"""Paths of light a pixel: with Cycles' denoiser more cannot be seen."""

GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))

Point = tuple[float, float, float]
Color = tuple[float, float, float]


THINGS = {
    "books": ("navy book", "coral book"),
    "plant": ("pot", "soil", "leaf"),
    "oranges": ("orange",),
    "mug": ("mug", "coffee"),
}
"""The things of the picture, the lowest first, and how the names of their objects begin."""


def main(path: str, with_things: bool) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    random.seed(4)
    room()
    books()
    mug((-0.55, 0.1, 0.344))
    succulent((0.58, 0.42, 0))
    for place, size, turn in (((0.16, -0.62, 0.2), 0.2, 0.4), ((0.6, -0.5, 0.185), 0.185, 2.1)):
        orange(place, size, turn)
    light()
    camera()
    render(path)
    if with_things:
        things(path.removesuffix(".png"))


def material(name: str, color: Color, roughness: float, **inputs: float) -> tuple[Any, Any, Any]:
    """A material of Blender's Principled kind, its node tree and its shader: colour in linear RGB."""
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    shader = made.node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (*color, 1)
    shader.inputs["Roughness"].default_value = roughness
    for key, value in inputs.items():
        shader.inputs[key.replace("_", " ")].default_value = value
    return made, made.node_tree, shader


def noise(tree: Any, scale: float, detail: float = 6, distortion: float = 0, stretch: Point = (1, 1, 1)) -> Any:
    """A noise texture in the object's own coordinates."""
    where, mapping, made = (tree.nodes.new(f"ShaderNode{kind}") for kind in ("TexCoord", "Mapping", "TexNoise"))
    mapping.inputs["Scale"].default_value = stretch
    for key, value in (("Scale", scale), ("Detail", detail), ("Distortion", distortion)):
        made.inputs[key].default_value = value
    tree.links.new(where.outputs["Object"], mapping.inputs["Vector"])
    tree.links.new(mapping.outputs["Vector"], made.inputs["Vector"])
    return made


def mixed(tree: Any, factor: Any, colors: Sequence[tuple[float, Color]], into: Any) -> None:
    """Colours by a texture's value: places 0..1 with their colours, linear between them."""
    ramp = tree.nodes.new("ShaderNodeValToRGB")
    while len(ramp.color_ramp.elements) < len(colors):
        ramp.color_ramp.elements.new(0.5)
    for element, (place, color) in zip(ramp.color_ramp.elements, colors, strict=True):
        element.position, element.color = place, (*color, 1)
    tree.links.new(factor, ramp.inputs["Fac"])
    tree.links.new(ramp.outputs["Color"], into)


def bump(tree: Any, shader: Any, height: Any, strength: float, distance: float) -> None:
    made = tree.nodes.new("ShaderNodeBump")
    made.inputs["Strength"].default_value, made.inputs["Distance"].default_value = strength, distance
    tree.links.new(height, made.inputs["Height"])
    tree.links.new(made.outputs["Normal"], shader.inputs["Normal"])


def shown(name: str, mesh: Any, look: Any, place: Point = (0, 0, 0), turn: Point = (0, 0, 0)) -> Any:
    """An object of a mesh in the scene, smooth where it is round."""
    made = bpy.data.objects.new(name, mesh)
    made.location, made.rotation_euler = place, turn
    made.data.materials.append(look)
    bpy.context.collection.objects.link(made)
    return made


def turned(name: str, profile: Sequence[tuple[float, float]], look: Any, place: Point) -> Any:
    """What a potter's wheel makes of a profile of (radius, height)."""
    shape = bmesh.new()
    points = [shape.verts.new((radius, 0, height)) for radius, height in profile]
    edges = [shape.edges.new(pair) for pair in pairwise(points)]
    bmesh.ops.spin(shape, geom=[*points, *edges], axis=(0, 0, 1), cent=(0, 0, 0), steps=96, angle=math.tau)
    bmesh.ops.remove_doubles(shape, verts=shape.verts, dist=1e-4)
    bmesh.ops.recalc_face_normals(shape, faces=shape.faces)
    return shown(name, meshed(name, shape), look, place)


def meshed(name: str, shape: Any) -> Any:
    mesh = bpy.data.meshes.new(name)
    shape.to_mesh(mesh)
    shape.free()
    for face in mesh.polygons:
        face.use_smooth = True
    return mesh


def box(name: str, size: Point, look: Any, place: Point, turn: float, edge: float) -> Any:
    """A box with rounded edges of this radius."""
    shape = bmesh.new()
    bmesh.ops.create_cube(shape, size=1)
    bmesh.ops.scale(shape, vec=size, verts=shape.verts)
    bmesh.ops.bevel(shape, geom=shape.edges[:], offset=edge, segments=4, affect="EDGES", profile=0.5)
    return shown(name, meshed(name, shape), look, place, (0, 0, turn))


def room() -> None:
    """A table of wood, and a wall behind it."""
    wood, tree, shader = material("wood", (0.3, 0.16, 0.07), 0.42)
    grain = noise(tree, 2.2, 8, 1.6, stretch=(0.5, 6, 1))
    fine = noise(tree, 14, 8, 0.3, stretch=(0.6, 14, 1))
    mixed(
        tree,
        grain.outputs["Fac"],
        ((0.3, (0.2, 0.095, 0.04)), (0.55, (0.4, 0.22, 0.1)), (0.75, (0.52, 0.31, 0.15))),
        shader.inputs["Base Color"],
    )
    bump(tree, shader, fine.outputs["Fac"], 0.25, 0.01)
    box("table", (7, 3.6, 0.12), wood, (0, 0.2, -0.06), 0, 0.02)
    plaster, tree, shader = material("plaster", (0.62, 0.66, 0.6), 0.9)
    mixed(
        tree,
        noise(tree, 1.3, 5).outputs["Fac"],
        ((0.3, (0.5, 0.56, 0.52)), (0.7, (0.62, 0.67, 0.61))),
        shader.inputs["Base Color"],
    )
    bump(tree, shader, noise(tree, 22, 9).outputs["Fac"], 0.18, 0.02)
    box("wall", (12, 0.1, 8), plaster, (0, 2.6, 2), 0, 0.01)


def books() -> None:
    """Two books, one on the other: covers, and pages between them."""
    paper, tree, shader = material("paper", (0.82, 0.76, 0.62), 0.9)
    bump(tree, shader, noise(tree, 60, 2, stretch=(0.02, 0.02, 12)).outputs["Fac"], 0.5, 0.004)
    for name, color, size, place, turn in (
        ("navy book", (0.03, 0.06, 0.16), (1.12, 0.86, 0.2), (-0.56, 0.12, 0.1), 0.1),
        ("coral book", (0.72, 0.13, 0.08), (0.98, 0.74, 0.14), (-0.55, 0.1, 0.272), -0.16),
    ):
        cloth, tree, shader = material(name, color, 0.62)
        bump(tree, shader, noise(tree, 190, 3).outputs["Fac"], 0.35, 0.003)
        wide, deep, high = size
        x, y, z = place
        box(f"{name}, pages", (wide - 0.05, deep - 0.05, high - 0.03), paper, place, turn, 0.004)
        for side in (-1, 1):
            box(name, (wide, deep, 0.02), cloth, (x, y, z + side * (high / 2 - 0.01)), turn, 0.008)
            spine = box(f"{name}, spine", (wide, 0.03, high), cloth, place, turn, 0.008)
        spine.location = (x + math.sin(turn) * (deep / 2 - 0.01), y - math.cos(turn) * (deep / 2 - 0.01), z)


def mug(place: Point) -> None:
    """A glazed mug with coffee in it."""
    glaze, tree, shader = material("glaze", (0.02, 0.2, 0.2), 0.16, Coat_Weight=0.6, Coat_Roughness=0.05)
    mixed(
        tree,
        noise(tree, 3.5, 8, 0.6).outputs["Fac"],
        ((0.35, (0.012, 0.13, 0.14)), (0.7, (0.05, 0.28, 0.27))),
        shader.inputs["Base Color"],
    )
    outside = [(0, 0), (0.2, 0), (0.24, 0.02), (0.262, 0.07), (0.272, 0.2), (0.275, 0.36), (0.28, 0.5), (0.277, 0.512)]
    inside = [(0.266, 0.512), (0.26, 0.5), (0.255, 0.3), (0.25, 0.06), (0.2, 0.035), (0, 0.03)]
    turned("mug", [*outside, *inside], glaze, place)
    bpy.ops.mesh.primitive_torus_add(major_radius=0.13, minor_radius=0.032, major_segments=64, minor_segments=24)
    handle = bpy.context.object
    handle.name = "mug, handle"
    handle.scale, handle.rotation_euler = (1, 1.15, 1), (math.pi / 2, 0, 0.5)
    handle.location = (place[0] - 0.29 * math.cos(0.5), place[1] - 0.29 * math.sin(0.5), place[2] + 0.26)
    handle.data.materials.append(glaze)
    bpy.ops.object.shade_smooth()
    coffee, _, _ = material("coffee", (0.035, 0.013, 0.005), 0.08)
    turned("coffee", [(0, 0.44), (0.254, 0.44), (0.257, 0.445)], coffee, place)


def orange(place: Point, radius: float, turn: float) -> None:
    """An orange with its pores and the place where it hung."""
    peel, tree, shader = material("peel", (0.85, 0.25, 0.01), 0.36, Subsurface_Weight=0.12, Subsurface_Scale=0.03)
    mixed(
        tree,
        noise(tree, 2.5, 4).outputs["Fac"],
        ((0.3, (0.78, 0.2, 0.008)), (0.7, (0.92, 0.33, 0.02))),
        shader.inputs["Base Color"],
    )
    pores = tree.nodes.new("ShaderNodeTexVoronoi")
    pores.inputs["Scale"].default_value = 55
    bump(tree, shader, pores.outputs["Distance"], 0.35, 0.012)
    bpy.ops.mesh.primitive_uv_sphere_add(segments=96, ring_count=64, radius=1)
    fruit = bpy.context.object
    fruit.name = "orange"
    for vertex in fruit.data.vertices:
        flat = max(0.0, vertex.co.z) ** 24
        vertex.co.z -= 0.12 * flat
    fruit.scale, fruit.location = (radius, radius, radius * 0.94), place
    fruit.rotation_euler = (0.5, 0.35, turn)
    fruit.data.materials.append(peel)
    bpy.ops.object.shade_smooth()
    stem, _, _ = material("stem", (0.1, 0.13, 0.03), 0.8)
    up = fruit.rotation_euler.to_matrix() @ Vector((0, 0, radius * 0.835))
    bpy.ops.mesh.primitive_uv_sphere_add(segments=16, ring_count=8, radius=radius * 0.09)
    knob = bpy.context.object
    knob.name = "orange, stem"
    knob.scale, knob.rotation_euler, knob.location = (1, 1, 0.4), fruit.rotation_euler, Vector(place) + up
    knob.data.materials.append(stem)


def succulent(place: Point) -> None:
    """A pot of clay with a plant: leaves at the golden angle, the inner ones steeper and smaller."""
    clay, tree, shader = material("clay", (0.55, 0.2, 0.1), 0.85)
    mixed(
        tree,
        noise(tree, 5, 9).outputs["Fac"],
        ((0.3, (0.42, 0.14, 0.065)), (0.7, (0.62, 0.26, 0.14))),
        shader.inputs["Base Color"],
    )
    bump(tree, shader, noise(tree, 60, 6).outputs["Fac"], 0.3, 0.006)
    rim = [
        (0.335, 0.42),
        (0.36, 0.425),
        (0.365, 0.5),
        (0.36, 0.53),
        (0.33, 0.532),
        (0.32, 0.5),
        (0.31, 0.44),
        (0, 0.43),
    ]
    turned("pot", [(0, 0), (0.25, 0), (0.262, 0.015), (0.335, 0.41), *rim, (0, 0.43)], clay, place)
    soil, tree, shader = material("soil", (0.03, 0.018, 0.01), 1)
    bump(tree, shader, noise(tree, 30, 8).outputs["Fac"], 1, 0.05)
    turned("soil", [(0, 0.48), (0.15, 0.475), (0.318, 0.465)], soil, place)
    leaf, tree, shader = material("leaf", (0.12, 0.3, 0.16), 0.42, Subsurface_Weight=0.1, Subsurface_Scale=0.03)
    where, split = tree.nodes.new("ShaderNodeTexCoord"), tree.nodes.new("ShaderNodeSeparateXYZ")
    tree.links.new(where.outputs["Object"], split.inputs["Vector"])
    mixed(
        tree,
        split.outputs["X"],
        ((0.0, (0.1, 0.27, 0.15)), (0.8, (0.2, 0.4, 0.24)), (0.97, (0.5, 0.16, 0.16))),
        shader.inputs["Base Color"],
    )
    for i in range(46):
        out = i / 45
        length = 0.16 + 0.27 * out**0.7
        rise = 1.45 - 1.28 * out
        one = leaf_mesh()
        made = shown("leaf", one, leaf, (place[0], place[1], 0.52 + 0.1 * (1 - out)), (0, -rise, i * GOLDEN_ANGLE))
        made.scale = (length, length * 0.42, length * 0.3)


def leaf_mesh() -> Any:
    """A thick leaf from 0 to 1 along x, widest at two thirds, with a tip."""
    shape = bmesh.new()
    bmesh.ops.create_uvsphere(shape, u_segments=32, v_segments=32, radius=1)
    for vertex in shape.verts:
        along = (vertex.co.x + 1) / 2
        around = math.sin(math.pi * along) ** 0.8 * (0.45 + 0.75 * along) if 0 < along < 1 else 0
        ring = math.hypot(vertex.co.y, vertex.co.z) or 1
        y, z = vertex.co.y / ring * around, vertex.co.z / ring * around
        vertex.co = (along, y * 0.8, z * 0.55 + 0.25 * along**2 + 0.12 * abs(y))
    return meshed("leaf", shape)


def light() -> None:
    """A window on the left, and what the room reflects."""
    for name, place, size, energy, color, goal in (
        ("window", (-3.4, -1.2, 3.2), 1.7, 330, (1, 0.93, 0.82), (0, 0, 0.2)),
        ("sky", (2.5, -3.5, 3.5), 4.0, 60, (0.75, 0.86, 1), (0, 0, 0.3)),
    ):
        lamp = bpy.data.lights.new(name, "AREA")
        lamp.energy, lamp.size, lamp.color = energy, size, color
        made = bpy.data.objects.new(name, lamp)
        made.location = place
        bpy.context.collection.objects.link(made)
        look_at(made, goal)
    world = bpy.data.worlds.new("room")
    bpy.context.scene.world = world
    world.use_nodes = True
    world.node_tree.nodes["Background"].inputs["Color"].default_value = (0.55, 0.6, 0.66, 1)
    world.node_tree.nodes["Background"].inputs["Strength"].default_value = 0.25


def look_at(made: Any, goal: Point) -> None:
    made.rotation_euler = (Vector(goal) - made.location).to_track_quat("-Z", "Y").to_euler()


def camera() -> None:
    lens = bpy.data.cameras.new("camera")
    lens.lens, lens.dof.use_dof, lens.dof.aperture_fstop, lens.dof.focus_distance = 59, True, 5.6, 4.6
    made = bpy.data.objects.new("camera", lens)
    made.location = (-0.07, -4.75, 2.05)
    bpy.context.collection.objects.link(made)
    look_at(made, (-0.07, 0.1, 0.72))
    bpy.context.scene.camera = made


def render(path: str) -> None:
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.use_denoising, scene.cycles.seed = True, 1
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
    scene.render.threads_mode, scene.render.threads = "FIXED", 2
    scene.view_settings.view_transform = "AgX"
    scene.view_settings.look = "AgX - High Contrast"
    scene.view_settings.exposure = 0.3
    render_to(path, SAMPLES)


def render_to(path: str, samples: int) -> None:
    bpy.context.scene.cycles.samples, bpy.context.scene.render.filepath = samples, path
    bpy.ops.render.render(write_still=True)


def things(stem: str) -> None:
    """A picture for each thing, white where it is seen: the same view, in which it alone shines."""
    scene = bpy.context.scene
    scene.world.node_tree.nodes["Background"].inputs["Strength"].default_value = 0
    scene.view_settings.view_transform, scene.view_settings.look, scene.view_settings.exposure = "Raw", "None", 0
    scene.cycles.use_denoising, scene.cycles.max_bounces = False, 0
    scene.render.image_settings.color_mode = "BW"
    for lamp in [each for each in bpy.data.objects if each.type == "LIGHT"]:
        bpy.data.objects.remove(lamp)
    shine = {on: shining(on) for on in (False, True)}
    for name, parts in THINGS.items():
        for each in bpy.data.objects:
            if each.type == "MESH":
                each.data.materials[0] = shine[each.name.startswith(parts)]
        render_to(f"{stem}_{name}.png", 32)


def shining(is_on: bool) -> Any:
    made = bpy.data.materials.new("shining" if is_on else "dark")
    made.use_nodes = True
    nodes = made.node_tree.nodes
    light = nodes.new("ShaderNodeEmission")
    light.inputs["Strength"].default_value = float(is_on)
    made.node_tree.links.new(light.outputs["Emission"], nodes["Material Output"].inputs["Surface"])
    return made


if __name__ == "__main__":
    main(sys.argv[1], "--things" in sys.argv)
