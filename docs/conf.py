"""The site: guides in Markdown, and a reference built from the docstrings. `make docs` builds it."""

import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"  # tern_keras.tfmot takes no other
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

import keras  # noqa: E402
from docstrings import as_restructured_text  # noqa: E402
from sphinx.util.inspect import signature, stringify_signature  # noqa: E402

import tern_keras  # noqa: E402

project = "tern-keras"
version = release = tern_keras.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]

html_theme = "furo"
html_title = "tern-keras"
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["width.css"]

# `[text](page.md#heading)` links to headings down to this level
myst_heading_anchors = 3
myst_enable_extensions = ["deflist"]

autoclass_content = "class"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_use_ivar = True
napoleon_custom_sections = ["Input shape", "Output shape"]
viewcode_follow_imported_members = True
toc_object_entries_show_parents = "hide"

# `name` in a docstring links to that name where it is one of ours, and is code elsewhere
default_role = "py:obj"
nitpicky = True
nitpick_ignore_regex = [
    # `w`, `None`, `model.fit`: a name that starts otherwise is no reference to the project
    ("py:obj", r"(?!(tern_keras|tflite_export)\.).*"),
    # the inventories of other projects would have to be downloaded
    ("py:class", r"(keras|tf_keras|tensorflow_model_optimization|numpy|np|rich|matplotlib)\..*"),
    ("py:class", r"(collections|os|pathlib|re|typing)\..*"),
    ("py:class", r"Path|Figure|Axes"),
]

# what every Keras layer has; the class' own docstring says what is particular
KERAS_PLUMBING = {
    "build",
    "call",
    "compute_output_shape",
    "compute_output_spec",
    "from_config",
    "get_build_config",
    "get_config",
}


def skip_plumbing(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leave out the methods of `KERAS_PLUMBING` and the hooks of callbacks; None means that Sphinx decides."""
    return True if what == "class" and (name in KERAS_PLUMBING or name.startswith("on_")) else None


def layer_signature(
    app: Any, what: str, name: str, obj: Any, options: Any, arguments: str, returned: str
) -> tuple[str, str] | None:
    """Return the arguments of a layer's constructor, which Keras' `Layer.__new__(cls, *args, **kwargs)` hides."""
    if what != "class" or not issubclass(obj, keras.layers.Layer):
        return None
    return stringify_signature(signature(obj.__init__, bound_method=True), show_return_annotation=False), returned


def process_docstring(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Translate a docstring's plain text before napoleon translates its sections."""
    lines[:] = as_restructured_text(lines, is_property=what == "property")


def setup(app: Any) -> None:
    """Connect the hooks; napoleon's has the priority 500."""
    app.connect("autodoc-skip-member", skip_plumbing)
    app.connect("autodoc-process-signature", layer_signature)
    app.connect("autodoc-process-docstring", process_docstring, priority=400)
