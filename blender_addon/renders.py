# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's renders as files: a scene, or Grease Pencil drawings alone, at frames.

Each step of the generators renders one picture and leaves every setting as it was, so that a
caller may stop between two. Rendering blocks; Blender shows its own progress.

The render operator is run with the scene as its context: given as the operator's `scene`, it
would be set to the current frame of the scene in the window (4.5 to 5.2).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import bpy

from protocol.errors import BadInput, MissingFile


class Made(NamedTuple):
    """A picture that was made: its frame, its file, and the layer if only one was drawn."""

    frame: int
    path: Path
    layer: str = ""


class Form(NamedTuple):
    """How a picture is written: Blender's names."""

    file_format: str = "PNG"
    color_depth: str = "8"
    color_mode: str = "RGBA"

    @property
    def suffix(self) -> str:
        return {"PNG": ".png", "OPEN_EXR": ".exr", "TARGA_RAW": ".tga"}[self.file_format]


def form_of(scene: bpy.types.Scene) -> Form:
    """EXR or 16-bit PNG if the scene is set so, otherwise 8-bit PNG; always with alpha."""
    wanted = scene.render.image_settings
    if wanted.file_format.startswith("OPEN_EXR"):
        return Form("OPEN_EXR", wanted.color_depth)
    deep = wanted.file_format in ("PNG", "TIFF") and wanted.color_depth == "16"
    return Form("PNG", "16" if deep else "8")


def scene_frames(
    scene: bpy.types.Scene,
    frames: Sequence[int],
    folder: Path,
    name: str,
    *,
    form: Form | None = None,
    standard: bool = False,
) -> Iterator[Made]:
    """Render the scene with its own engine, once for each different frame.

    Straight alpha where the film is transparent. PNG gets the scene's view transform (only
    "Standard" keeps the colours as painted; `standard` asks for it), EXR is linear and gets none.
    The compositor and the sequencer are left out, and so are stamps and stereo.
    Raises BadInput (no camera, the render failed or was stopped) or MissingFile (the folder).
    """
    form = form or form_of(scene)
    for frame in dict.fromkeys(frames):
        path = folder / frame_name(name, frame, form)
        scene_frame(scene, frame, path, form, standard=standard)
        yield Made(frame, path)


def scene_frame(
    scene: bpy.types.Scene,
    frame: int,
    path: Path,
    form: Form,
    *,
    standard: bool = False,
    camera: Any = None,
) -> None:
    """One picture of a scene that belongs to the artist; nothing of it stays changed."""
    with _kept_frame(scene):
        scene.frame_set(frame)
        if camera is not None:
            scene.camera = camera
        if scene.camera is None:
            raise BadInput(
                f"{scene.name} has no camera.", fix="Add a camera (Shift+A) and render again."
            )
        with standard_view(scene, enough=not standard):
            still(scene, path, form)


def grease_pencil_frames(
    scene: bpy.types.Scene,
    objects: Sequence[Any],
    frames: Sequence[int],
    folder: Path,
    name: str,
    *,
    layers: Sequence[str] | None = None,
    form: Form | None = None,
    size: tuple[int, int] | None = None,
) -> Iterator[Made]:
    """Grease Pencil drawings alone, through the scene's camera, straight alpha around them.

    With `layers` one file for each of these layers and each frame, also if the layer is hidden.
    `size` stands for the scene's resolution. Everything else is left out, lights too: colours are
    those of the materials (view "Standard"). Raises BadInput or MissingFile.
    """
    form = form or Form()
    _require_drawings(objects)
    for frame in dict.fromkeys(frames):
        for layer in layers if layers is not None else [""]:
            label = f"{name}_{bpy.path.clean_name(layer)}" if layer else name
            path = folder / frame_name(label, frame, form)
            with (
                _drawings_only(scene, objects, frame, size) as alone,
                _one_layer(objects, layer),
                _unlit(objects),
            ):
                alone.frame_current = frame
                still(alone, path, form)
            yield Made(frame, path, layer)


def frame_name(name: str, frame: int, form: Form) -> str:
    return f"{name}_{frame:04d}{form.suffix}"


def still(scene: bpy.types.Scene, path: Path, form: Form, *, sequencer: bool = False) -> None:
    """Render the scene at its current frame into the file. Raises BadInput or MissingFile."""
    had_result = _render_result() is not None
    path.unlink(missing_ok=True)
    with kept(scene.render, *_OUTPUT), kept(scene.render.image_settings, *_IMAGE):
        _set_output(scene.render, path, form)
        scene.render.use_sequencer = sequencer
        try:
            with bpy.context.temp_override(scene=scene):
                bpy.ops.render.render(write_still=True)
        except RuntimeError as problem:
            if not path.parent.is_dir():
                raise MissingFile(f"{path} cannot be written.") from None
            raise BadInput(
                f"{scene.name} could not be rendered: {problem}",
                fix="Render it in Blender (F12) to see why.",
            ) from None
        finally:
            if not had_result and (result := _render_result()):
                bpy.data.images.remove(result)
    if not path.is_file():
        raise BadInput(f"{scene.name} was not rendered to the end.", fix="Start it again.")


_IMAGE = (
    "media_type",  # 5.0+; first: it says which formats there are
    "file_format",
    "color_mode",
    "color_depth",
    "compression",
    "exr_codec",
    "color_management",
)
_OUTPUT = (
    "filepath",
    "use_file_extension",
    "use_overwrite",
    "save_output",  # 5.2+
    "use_sequencer",
    "use_compositing",
    "use_stamp",
    "use_multiview",
    "dither_intensity",
)


def _set_output(render: Any, path: Path, form: Form) -> None:
    settings = render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format = form.file_format
    settings.color_mode = form.color_mode
    settings.color_depth = form.color_depth
    settings.compression = 15
    settings.exr_codec = "ZIP"  # lossless, and read everywhere
    settings.color_management = "FOLLOW_SCENE"
    render.filepath = str(path)
    render.use_overwrite = True
    render.use_file_extension = render.use_stamp = render.use_multiview = False
    render.use_compositing = False
    render.dither_intensity = 0
    if hasattr(render, "save_output"):
        render.save_output = True


@contextmanager
def kept(owner: Any, *names: str) -> Iterator[None]:
    """Give these properties their values back at the end; those that this Blender lacks are not
    looked at."""
    before = [(name, getattr(owner, name)) for name in names if hasattr(owner, name)]
    try:
        yield
    finally:
        for name, value in before:
            if getattr(owner, name) != value:
                setattr(owner, name, value)


@contextmanager
def _kept_frame(scene: bpy.types.Scene) -> Iterator[None]:
    frame, part, camera = scene.frame_current, scene.frame_subframe, scene.camera
    try:
        yield
    finally:
        scene.frame_set(frame, subframe=part)
        scene.camera = camera  # a marker may have switched it


@contextmanager
def standard_view(scene: bpy.types.Scene, *, enough: bool = False) -> Iterator[None]:
    """Colours as they are: no view transform, look, exposure or curve. `enough`: leave them."""
    if enough:
        yield
        return
    view: Any = scene.view_settings
    device: Any = scene.display_settings
    names = ("view_transform", "look", "exposure", "gamma", "use_curve_mapping")
    with kept(device, "display_device"), kept(view, *names, "use_white_balance"):
        device.display_device = "sRGB"
        view.view_transform = "Standard"
        view.look = "None"
        view.exposure, view.gamma = 0, 1
        view.use_curve_mapping = view.use_white_balance = False
        yield


def _render_result() -> Any:
    return next((image for image in bpy.data.images if image.type == "RENDER_RESULT"), None)


def _require_drawings(objects: Sequence[Any]) -> None:
    if not objects or any(one.type != "GREASEPENCIL" for one in objects):
        raise BadInput(
            "No Grease Pencil object is selected.", fix="Select the object with the drawings."
        )
    for one in objects:
        if any("LINEART" in modifier.type for modifier in one.modifiers if modifier.show_render):
            raise BadInput(
                f"{one.name} draws the lines of other objects (Line Art).",
                fix="Bake its Line Art modifier, or render the whole scene.",
            )


@contextmanager
def _drawings_only(
    scene: bpy.types.Scene, objects: Sequence[Any], frame: int, size: tuple[int, int] | None
) -> Iterator[bpy.types.Scene]:
    """A scene for the moment, with these objects and the camera of the artist's."""
    alone: Any = bpy.data.scenes.new("Tweencel drawings")
    try:
        for one in dict.fromkeys(objects):
            alone.collection.objects.link(one)
        alone.camera = _camera_at(scene, frame)
        if alone.camera is None:
            raise BadInput(f"{scene.name} has no camera.", fix="Add a camera (Shift+A).")
        alone.world = scene.world
        alone.render.engine = "BLENDER_WORKBENCH"
        alone.render.film_transparent = True
        for name in _FRAMING:
            setattr(alone.render, name, getattr(scene.render, name))
        if size is not None:
            alone.render.resolution_x, alone.render.resolution_y = size
            alone.render.resolution_percentage = 100
            alone.render.use_border = False
        pencil = alone.grease_pencil_settings
        theirs: Any = scene.grease_pencil_settings
        pencil.antialias_threshold = theirs.antialias_threshold
        if hasattr(pencil, "aa_samples"):
            pencil.aa_samples = 1  # 5.0+: the default of 8 takes ten seconds at 1920x1080
        with standard_view(alone):
            yield alone
    finally:
        bpy.data.scenes.remove(alone)


_FRAMING = (
    "resolution_x",
    "resolution_y",
    "resolution_percentage",
    "pixel_aspect_x",
    "pixel_aspect_y",
    "use_border",
    "use_crop_to_border",
    "border_min_x",
    "border_min_y",
    "border_max_x",
    "border_max_y",
    "fps",
    "fps_base",
    "frame_map_old",
    "frame_map_new",
)


def _camera_at(scene: bpy.types.Scene, frame: int) -> Any:
    """The camera that Blender would take: markers may switch it."""
    bound = sorted(
        (marker.frame, number)
        for number, marker in enumerate(scene.timeline_markers)
        if marker.camera is not None
    )
    if not bound:
        return scene.camera
    earlier = [number for at, number in bound if at <= frame]
    return scene.timeline_markers[earlier[-1] if earlier else bound[0][1]].camera


@contextmanager
def _unlit(objects: Sequence[Any]) -> Iterator[None]:
    """The drawings in their own colours: without lights "Use Lights" would make them black."""
    lit = [one for one in objects if one.use_grease_pencil_lights]
    try:
        for one in lit:
            one.use_grease_pencil_lights = False
        yield
    finally:
        for one in lit:
            one.use_grease_pencil_lights = True


@contextmanager
def _one_layer(objects: Sequence[Any], wanted: str) -> Iterator[None]:
    if not wanted:
        yield
        return
    every = [layer for data in {one.data for one in objects} for layer in data.layers]
    if all(layer.name != wanted for layer in every):
        raise BadInput(f"There is no layer {wanted}.", fix="Choose one of the object's layers.")
    before = [(layer, layer.hide) for layer in every]
    try:
        for layer in every:
            layer.hide = layer.name != wanted
        yield
    finally:
        for layer, hidden in before:
            layer.hide = hidden
