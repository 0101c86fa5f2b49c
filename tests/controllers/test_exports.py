"""The room's doors, and what stays outside until it is needed."""

import subprocess
import sys

from trimtab import controllers


def test_the_exports_of_the_room_are_there():
    assert controllers.__all__ == sorted(
        controllers.__all__, key=lambda name: (not name.isupper(), name[0].islower(), name)
    )
    assert all(hasattr(controllers, name) for name in controllers.__all__)


def test_a_gateway_without_controllers_loads_no_numpy_and_no_engine():
    code = "import sys, trimtab.app.serve; print([n for n in ('numpy', 'openvino', 'torch') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
