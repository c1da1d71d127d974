"""Read the `.h5` files of Keras 2, whose configurations Keras 3 refuses for arguments that have no effect."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import h5py
import keras

# arguments that Keras 2 wrote for every layer of a kind and some classes of Keras 3 refuse, at the value without effect
_WITHOUT_EFFECT = {"groups": 1, "time_major": False}
# arguments of its base class that Keras 2 wrote for a class that makes no use of them, whatever their value
_UNUSED = {
    **dict.fromkeys(
        ("SeparableConv1D", "SeparableConv2D"), ("kernel_initializer", "kernel_regularizer", "kernel_constraint")
    ),
    **dict.fromkeys(("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"), ("noise_shape", "trainable")),
}


def load_h5(path: str | Path, custom_objects: dict[str, Any] | None = None) -> keras.Model:
    """Read a whole model from a `.h5` file, also where Keras 3 refuses the configuration that an older Keras wrote.

    Args:
        path: file that `model.save("name.h5")` of Keras 2 or 3 wrote; not changed.
        custom_objects: classes and functions of your own that the model holds, by name.

    Returns:
        The model with its weights, not compiled.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no HDF5 file, holds weights alone, or a configuration that still cannot be read.

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "old.h5")
        >>> keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(path)
        >>> load_h5(path).output_shape
        (None, 2)
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"load_h5(): there is no file {path}.")
    if not h5py.is_hdf5(path):
        raise ValueError(f"load_h5(): {path} is not an HDF5 file. Read a .keras file with keras.models.load_model().")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "model.h5"
        shutil.copyfile(path, copy)
        with h5py.File(copy, "r+") as file:
            if "model_config" not in file.attrs:
                raise ValueError(
                    f"load_h5(): {path} holds weights without a model. Build the model, then model.load_weights(path)."
                )
            file.attrs["model_config"] = json.dumps(repair_config(json.loads(file.attrs["model_config"])))
        try:
            return keras.models.load_model(copy, custom_objects=custom_objects, compile=False)
        except TypeError as error:
            raise ValueError(f"load_h5(): Keras {keras.__version__} cannot read {path}: {error}") from error


def repair_config(config: Any) -> Any:
    """Return the configuration of a Keras 2 model without the arguments that Keras 3 refuses.

    These are: the dtype of an initializer, which is that of the weight; arguments at the value that has no effect, such
    as the one group of a depthwise convolution; and those that a layer's class inherited but never used.

    Args:
        config: dictionary with "class_name" and "config", or any part of one.

    Returns:
        A repaired copy.

    Example:
        >>> repair_config({"class_name": "DepthwiseConv2D", "config": {"kernel_size": 3, "groups": 1}})
        {'class_name': 'DepthwiseConv2D', 'config': {'kernel_size': 3}}
    """
    if isinstance(config, list):
        return [repair_config(part) for part in config]
    if not isinstance(config, dict):
        return config
    repaired = {key: repair_config(value) for key, value in config.items()}
    if not isinstance(repaired.get("config"), dict):
        return repaired
    name, arguments = str(repaired.get("class_name")), repaired["config"]
    if isinstance(getattr(keras.initializers, name, None), type):
        arguments.pop("dtype", None)
    for argument in _UNUSED.get(name, ()):
        arguments.pop(argument, None)
    for argument, value in _WITHOUT_EFFECT.items():
        if arguments.get(argument) == value:
            del arguments[argument]
    return repaired
