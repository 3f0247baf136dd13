# SPDX-License-Identifier: GPL-3.0-or-later
"""From files to Blender, outside the sequencer: an image sequence and what shows it.

Every result is found again by the marks on its image, in whichever .blend file it was saved.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import bpy
import msgspec
from mathutils import Matrix

from protocol.errors import BadInput

from . import provenance, standing
from .blend_paths import stored
from .ledger import ENDED, Stage
from .record_place import folder_of
from .shot import Plan, Shot
from .storage import EXR_SUFFIX
from .timeline_mark import (
    BEFORE,
    ENGINE,
    GENERATED,
    JOB,
    OPEN,
    PROVENANCE,
    job_of,
    noted,
)

_NODES = "tweencel_nodes"
"""How many nodes a compositor had when it was made for a job."""
_START = "frame_start"
_TIMES = ("frame_duration", _START, "frame_offset", "use_cyclic")
PLANE, CAMERA, COMPOSITOR, REFERENCE = "PLANE", "CAMERA", "COMPOSITOR", "GP_REFERENCE"


class Sequence(NamedTuple):
    """What is to be shown: the first file of a run, its size in pixels, and when."""

    first: Path
    size: tuple[int, int]
    name: str
    start: int
    frames: int
    cycle: bool
    colourspace: str
    standing: str = standing.UPRIGHT
    in_front: bool = False
    """Whether a camera shows it before the scene instead of behind."""


class _Before(msgspec.Struct):
    """What an image showed before it was made again. `path`: the file's whole path."""

    file: str
    marks: dict[str, str | int | bool]
    time: dict[str, int | bool]
    path: str = ""


def sequence_of(
    shot: Shot,
    plan: Plan,
    first: Path,
    size: tuple[int, int],
    *,
    cycle: bool,
    standing: str = standing.UPRIGHT,
) -> Sequence:
    """The image sequence that shows a shot; in a `cycle` it begins anew after its last frame."""
    return Sequence(
        first,
        size,
        name=f"{shot.name} in-betweens",
        start=plan.start,
        frames=plan.end - plan.start,
        cycle=cycle,
        colourspace=shot.colourspace,
        standing=standing,
        in_front=shot.editor == "VIEW3D",  # behind the scene it was rendered of it is not seen
    )


def require(target: str, scene: bpy.types.Scene, place: str = standing.UPRIGHT) -> None:
    """Raise BadInput if the scene lacks what the target needs."""
    if scene.camera is not None:
        return
    if target == CAMERA:
        raise BadInput(
            "The scene has no camera for a background picture.",
            fix="Add a camera, or choose another result.",
        )
    if target in (PLANE, REFERENCE) and place != standing.UPRIGHT:
        raise BadInput(
            "The scene has no camera that the picture could face.",
            fix="Add a camera, or let the picture stand upright.",
        )


def place(
    target: str, scene: bpy.types.Scene, shown: Sequence, marks: dict[str, Any]
) -> bpy.types.ID:
    """Make what shows the sequence. Its first file must be there. Gives the marked image."""
    image = _image(shown)
    _mark(image, marks)
    match target:
        case "PLANE":
            _mark(_plane(scene, image, shown), marks)
        case "CAMERA":
            _camera(scene, image, shown)
        case "COMPOSITOR":
            _node(scene, image, shown)
        case "GP_REFERENCE":
            _mark(_reference(scene, image, shown), marks)
        case "IMAGE":
            image.use_fake_user = True  # nothing uses it until the artist chooses it
    return image


def refresh(job: str) -> None:
    """The files of a job's sequence have changed."""
    for image in images_of(job):
        image.reload()


def settle(job: str) -> None:
    """The job has ended, and its results show what there is."""
    for owner in (*images_of(job), *_objects_of(job)):
        for mark in (OPEN, BEFORE):
            if mark in owner:
                del owner[mark]


def switch(job: str, shown: Sequence, marks: dict[str, Any]) -> bool:
    """Let what shows a job's frames show another version; what was shown can come back.

    Gives whether there is anything that shows them.
    """
    images = list(images_of(job))
    for image in images:
        user = next(_users_of(image), None)
        before = _Before(
            file=image.filepath,
            path=bpy.path.abspath(image.filepath),
            marks={name: image[name] for name in marks if name in image},
            time={name: getattr(user, name) for name in _TIMES} if user else {},
        )
        _remark(job, image, marks)
        image[BEFORE] = msgspec.json.encode(before).decode()
        _show_file(image, stored(shown.first))
        for user in _users_of(image):
            _time(user, shown)
        _hide_until(marks[JOB], before.time.get(_START), shown.start)
    return bool(images)


def revert(job: str) -> str:
    """Let what was made again show what it showed before. Gives the job that it shows then."""
    shown = ""
    for image in [image for image in images_of(job) if BEFORE in image]:
        before = noted(image, _Before)
        if before is None:
            continue
        is_there = not before.path or Path(bpy.path.abspath(before.file)).is_file()
        # A .blend file that was saved elsewhere meanwhile knows it by its whole path only.
        _show_file(image, before.file if is_there else stored(Path(before.path)))
        users = list(_users_of(image))
        begun = users[0].frame_start if users else None
        for user in users:
            for name, value in before.time.items():
                setattr(user, name, value)
        _hide_until(job, begun, before.time.get(_START, begun))
        for mark in (BEFORE, OPEN):
            if mark in image:
                del image[mark]
        _remark(job, image, before.marks)
        shown = job_of(image)
    return shown


def _remark(job: str, image: Any, marks: dict[str, Any]) -> None:
    """Mark an image, and with it what was made for the same job."""
    shared: tuple[Any, ...] = (bpy.data.objects, bpy.data.materials, bpy.data.meshes)
    trees = filter(None, map(compositor_of, bpy.data.scenes))
    for owner in (*(one for kind in shared for one in kind), *trees):
        if job_of(owner) == job:
            owner[JOB] = marks[JOB]
            if PROVENANCE in owner:
                _mark(owner, marks)
    if OPEN not in marks:
        for thing in _objects_of(marks[JOB]):
            if OPEN in thing:
                del thing[OPEN]
    _mark(image, marks)


def _show_file(image: Any, path: str) -> None:
    image.filepath = path
    image.reload()


def _users_of(image: Any) -> Iterator[Any]:
    """What says when each of the image's frames is shown, wherever the image is used."""
    trees = [material.node_tree for material in bpy.data.materials]
    for tree in filter(None, (*trees, *map(compositor_of, bpy.data.scenes))):
        for node in tree.nodes:
            if getattr(node, "image", None) == image:
                # A compositor's node has the times itself.
                yield getattr(node, "image_user", node)
    for camera in bpy.data.cameras:
        yield from (b.image_user for b in camera.background_images if b.image == image)
    for thing in bpy.data.objects:
        if thing.type == "EMPTY" and thing.data == image:
            yield thing.image_user


def mend() -> None:
    """Let results that were saved while their jobs were open show what has landed since.

    For jobs that nobody here follows any more: whoever did has laid the run of files.
    """
    for image in [image for image in bpy.data.images if OPEN in image]:
        folder = folder_of(image)
        record = provenance.read(folder)
        if record is None or record.job != job_of(image):
            if BEFORE in image and not folder.is_dir():
                revert(job_of(image))  # it failed, and a redo has brought it here
            continue
        image.reload()
        if record.state in ENDED and not (record.state != Stage.DONE and revert(record.job)):
            settle(record.job)


def remove(job: str) -> None:
    """Remove what was made for a job that made nothing."""
    for shown in list(_objects_of(job)):
        action: Any = shown.animation_data.action if shown.animation_data else None
        bpy.data.objects.remove(shown)
        if action is not None:
            bpy.data.actions.remove(action)
    for image in list(images_of(job)):
        _unlink(image)
        bpy.data.images.remove(image)
    for scene in bpy.data.scenes:
        _forget_compositor(scene, job)
    owned: tuple[Any, ...] = (bpy.data.materials, bpy.data.meshes)
    for collection in owned:
        for owner in [one for one in collection if job_of(one) == job]:
            collection.remove(owner)


def _unlink(image: Any) -> None:
    """Take the image out of cameras and compositors."""
    for camera in bpy.data.cameras:
        for back in [b for b in camera.background_images if b.image == image]:
            camera.background_images.remove(back)
    for tree in filter(None, map(compositor_of, bpy.data.scenes)):
        for node in [n for n in tree.nodes if getattr(n, "image", None) == image]:
            tree.nodes.remove(node)


def compositor_of(scene: Any) -> Any:
    """The scene's compositor tree; None if it has none. (5.0 made it a node group.)"""
    if hasattr(scene, "compositing_node_group"):
        return scene.compositing_node_group
    return scene.node_tree


def images_of(job: str) -> Iterator[Any]:
    """The images that show a job's frames."""
    return (image for image in bpy.data.images if job_of(image) == job)


def behind(cameras: Iterable[Any]) -> list[Any]:
    """The background images of these camera objects, the newest first."""
    return [b.image for one in cameras for b in reversed(one.data.background_images) if b.image]


def _objects_of(job: str) -> Iterator[Any]:
    return (shown for shown in bpy.data.objects if job_of(shown) == job)


def _mark(owner: Any, marks: dict[str, Any]) -> None:
    for name, value in marks.items():
        owner[name] = value


def marks_of(job: str, engine: str, generated: str, record: Path) -> dict[str, Any]:
    """The custom properties of a result."""
    return {
        JOB: job,
        ENGINE: engine,
        GENERATED: generated,
        OPEN: True,
        PROVENANCE: stored(record),
    }


def _image(shown: Sequence) -> Any:
    image: Any = bpy.data.images.load(str(shown.first))
    image.name = shown.name
    image.filepath = stored(shown.first)
    image.source = "SEQUENCE"
    if shown.first.suffix != EXR_SUFFIX:  # an EXR is premultiplied and linear, as Blender assumes
        image.alpha_mode = "STRAIGHT"
        image.colorspace_settings.name = shown.colourspace or "sRGB"
    return image


def _time(user: Any, shown: Sequence) -> None:
    user.frame_duration = shown.frames
    user.frame_start = shown.start
    user.frame_offset = 0
    user.use_cyclic = shown.cycle
    user.use_auto_refresh = True


def _plane(scene: bpy.types.Scene, image: Any, shown: Sequence) -> Any:
    width = shown.size[0] / shown.size[1] / 2
    mesh = bpy.data.meshes.new(shown.name)
    corners = [(-width, 0, -0.5), (width, 0, -0.5), (width, 0, 0.5), (-width, 0, 0.5)]
    mesh.from_pydata(corners, [], [(0, 1, 2, 3)])
    layer: Any = mesh.uv_layers.new(name="UVMap")
    for corner, place in zip(layer.data, ((0, 0), (1, 0), (1, 1), (0, 1)), strict=True):
        corner.uv = place
    material = _material(image, shown)
    mesh.materials.append(material)
    plane = bpy.data.objects.new(shown.name, mesh)
    for owner in (mesh, material):
        owner[JOB] = image[JOB]
    scene.collection.objects.link(plane)
    turn = Matrix.Rotation(-math.pi / 2, 4, "X")  # it stands in its own X and Z
    standing.stand(scene, plane, shown.standing, shown.size, turn)
    if not shown.cycle:
        _hide_before(plane, shown.start)
    return plane


def _hide_until(job: str, before: int | None, start: int | None) -> None:
    """What was hidden before the frame `before` is hidden before `start` now."""
    if before is None or start is None or before == start:
        return
    for thing in _objects_of(job):
        if _unhidden(thing, before):
            _hide_before(thing, start)


def _unhidden(thing: Any, start: int) -> bool:
    """Take away the keys that _hide_before has set; gives whether they were there."""
    gone = [
        thing.keyframe_delete(name, frame=frame)
        for name in ("hide_render", "hide_viewport")
        for frame in (start - 1, start)
        if thing.animation_data and thing.animation_data.action
    ]
    return any(gone)


def _hide_before(plane: Any, start: int) -> None:
    """Before its first frame a sequence is magenta."""
    for name in ("hide_render", "hide_viewport"):
        for frame, hidden in ((start - 1, True), (start, False)):
            setattr(plane, name, hidden)
            plane.keyframe_insert(name, frame=frame)


def _material(image: Any, shown: Sequence) -> Any:
    """Drawn colours shine by themselves: no lamp changes them."""
    material: Any = bpy.data.materials.new(shown.name)
    if material.node_tree is None:  # before 5.0
        material.use_nodes = True
    material.surface_render_method = "BLENDED"
    tree: Any = material.node_tree
    tree.nodes.clear()
    made = {
        name: tree.nodes.new(f"ShaderNode{name}")
        for name in ("TexImage", "Emission", "BsdfTransparent", "MixShader", "OutputMaterial")
    }
    for step, node in enumerate(made.values()):
        node.location = (step * 220, 0)
    picture, mix = made["TexImage"], made["MixShader"]
    picture.image = image
    picture.extension = "CLIP"
    _time(picture.image_user, shown)
    link = tree.links.new
    link(picture.outputs["Color"], made["Emission"].inputs["Color"])
    link(picture.outputs["Alpha"], mix.inputs[0])
    link(made["BsdfTransparent"].outputs[0], mix.inputs[1])
    link(made["Emission"].outputs[0], mix.inputs[2])
    link(mix.outputs[0], made["OutputMaterial"].inputs["Surface"])
    return material


def _camera(scene: Any, image: Any, shown: Sequence) -> None:
    camera = scene.camera.data
    back = camera.background_images.new()
    back.image = image
    back.alpha = 1.0
    back.frame_method = "FIT"
    back.display_depth = "FRONT" if shown.in_front else "BACK"
    _time(back.image_user, shown)
    camera.show_background_images = True


def _node(scene: Any, image: Any, shown: Sequence) -> None:
    """An image node; where it is linked to is the artist's affair."""
    node = _compositor(scene, image[JOB]).nodes.new("CompositorNodeImage")
    node.name = node.label = shown.name
    node.location = (-300, -300)
    node.image = image
    _time(node, shown)


def _compositor(scene: Any, job: str) -> Any:
    """The scene's compositor; one that has to be made is marked with the job."""
    is_group = hasattr(scene, "compositing_node_group")
    if scene.compositing_node_group if is_group else scene.use_nodes:
        return compositor_of(scene)
    if is_group:
        scene.compositing_node_group = _passing_on()
    else:
        scene.use_nodes = True  # with its usual nodes
    tree = compositor_of(scene)
    tree[JOB], tree[_NODES] = job, len(tree.nodes)
    return tree


def _forget_compositor(scene: Any, job: str) -> None:
    """Take the compositor away that was made for the job, unless the artist has used it."""
    tree = compositor_of(scene)
    if tree is None or job_of(tree) != job or len(tree.nodes) != tree[_NODES]:
        return
    if hasattr(scene, "compositing_node_group"):
        scene.compositing_node_group = None
        bpy.data.node_groups.remove(tree)
    else:
        del tree[JOB], tree[_NODES]
        scene.use_nodes = False


def _passing_on() -> Any:
    """A compositor that leaves the render as it is."""
    tree: Any = bpy.data.node_groups.new("Compositing", "CompositorNodeTree")
    tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
    layers = tree.nodes.new("CompositorNodeRLayers")
    out = tree.nodes.new("NodeGroupOutput")
    out.location = (400, 0)
    tree.links.new(layers.outputs["Image"], out.inputs[0])
    return tree


def _reference(scene: bpy.types.Scene, image: Any, shown: Sequence) -> Any:
    """An upright picture that is seen while drawing and never rendered."""
    empty: Any = bpy.data.objects.new(shown.name, None)
    empty.empty_display_type = "IMAGE"
    empty.data = image
    empty.empty_image_depth = "BACK"
    empty.empty_display_size = max(1.0, shown.size[0] / shown.size[1])  # its longer side
    _time(empty.image_user, shown)
    view = bpy.context.view_layer
    active: Any = view.objects.active if view else None
    scene.collection.objects.link(empty)
    standing.stand(scene, empty, shown.standing, shown.size, Matrix())
    upright = shown.standing == standing.UPRIGHT
    if upright and active is not None and active.type in {"GREASEPENCIL", "GPENCIL"}:
        empty.location = active.matrix_world.translation
    if not shown.cycle:
        _hide_before(empty, shown.start)
    return empty
