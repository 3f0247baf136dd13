# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that talks lists engines; it must not pay for torch, and never compute."""

import subprocess
import sys

import msgspec
import pytest

from backend import registry
from protocol.engines import EngineSpec
from protocol.params import complete

_PROBE = """
import sys
from backend import registry
assert {"rife", "crossfade"} <= {spec.id for spec in registry.specs()}
heavy = sorted({"torch", "safetensors.torch", "backend.models.ifnet"} & set(sys.modules))
assert not heavy, heavy
"""


def test_discovering_engines_imports_no_torch() -> None:
    done = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("spec", registry.specs(), ids=lambda spec: spec.id)
def test_an_engine_s_record_survives_the_wire(spec: EngineSpec) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(spec), type=EngineSpec) == spec


@pytest.mark.parametrize("spec", registry.specs(), ids=lambda spec: spec.id)
def test_an_engine_s_defaults_are_allowed_values(spec: EngineSpec) -> None:
    assert set(complete(spec.params, {})) == {param.name for param in spec.params}
