"""Makes the files of this folder that hold objects beside tensors. `pip install numpy`, then run it here.

PyTorch's classes are stand-ins with its names and its ways to be pickled, of which nothing but the names and the ways is in a file: so
no PyTorch is needed, and the files are the same whatever version of it is at hand.
"""

import argparse
import collections
import io
import pickle
import struct
import sys
import types
import zipfile

import numpy


def home(name: str) -> types.ModuleType:
    """A module of that name, with those above it."""
    for end in range(1, name.count(".") + 2):
        part = ".".join(name.split(".")[:end])
        sys.modules.setdefault(part, types.ModuleType(part))
    return sys.modules[name]


def resident(module: str):
    """Puts a class or a function where PyTorch has it."""

    def put(thing):
        thing.__module__ = module
        setattr(home(module), thing.__name__, thing)
        return thing

    return put


@resident("torch")
class FloatStorage:
    def __init__(self, numbers):
        self.numbers = list(numbers)


@resident("torch._utils")
def _rebuild_tensor_v2(*_): ...


@resident("torch._utils")
def _rebuild_parameter(*_): ...


class Tensor:
    def __init__(self, numbers, shape, strides=None, offset=0):
        self.storage, self.shape, self.offset = FloatStorage(numbers), shape, offset
        rows = [1] * len(shape)
        for at in range(len(shape) - 2, -1, -1):
            rows[at] = rows[at + 1] * shape[at + 1]
        self.strides = strides or tuple(rows)

    def __reduce_ex__(self, _):
        hooks = collections.OrderedDict()
        return _rebuild_tensor_v2, (self.storage, self.offset, self.shape, self.strides, False, hooks)


class Parameter:
    def __init__(self, data):
        self.data = data

    def __reduce_ex__(self, _):
        return _rebuild_parameter, (self.data, True, collections.OrderedDict())


class Module:
    def __init__(self, parameters=(), buffers=(), modules=(), unsaved=()):
        self.training = False
        self._parameters = collections.OrderedDict(parameters)
        self._buffers = collections.OrderedDict(buffers)
        self._non_persistent_buffers_set = set(unsaved)
        self._modules = collections.OrderedDict(modules)
        self.attribute = Tensor([9.0], (1,))


@resident("torch.nn.modules.container")
class Sequential(Module): ...


@resident("torch.nn.modules.conv")
class Conv2d(Module): ...


@resident("__main__")
class Net(Module): ...


@resident("torch.optim.sgd")
class SGD: ...


@resident("torch.optim.lr_scheduler")
class CosineAnnealingLR: ...


class Pickler(pickle.Pickler):
    def __init__(self, file, of_1_5=False):
        super().__init__(file, protocol=2)
        self.storages, self.of_1_5, self.classes = [], of_1_5, set()

    def persistent_id(self, thing):
        if isinstance(thing, FloatStorage):
            if thing not in self.storages:
                self.storages.append(thing)
            return "storage", FloatStorage, str(self.storages.index(thing)), "cpu", len(thing.numbers)
        # With its source code, which was compared with the reader's.
        if self.of_1_5 and isinstance(thing, type) and issubclass(thing, Module) and thing not in self.classes:
            self.classes.add(thing)
            return "module", thing, "net.py", "class Net: ..."
        return None


def numbers_of(storage: FloatStorage) -> bytes:
    return struct.pack(f"<{len(storage.numbers)}f", *storage.numbers)


def save(thing, path: str):
    pickled = io.BytesIO()
    pickler = Pickler(pickled)
    pickler.dump(thing)
    with zipfile.ZipFile(path, "w") as archive:
        entries = [("data.pkl", pickled.getvalue()), ("byteorder", b"little")]
        entries += [(f"data/{key}", numbers_of(storage)) for key, storage in enumerate(pickler.storages)]
        for name, held in entries:
            archive.writestr(zipfile.ZipInfo(f"archive/{name}"), held)


def save_as_1_5(thing, path: str):
    with open(path, "wb") as file:
        machine = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
        for head in (0x1950A86A20F9469CFC6C, 1001, machine):
            pickle.dump(head, file, protocol=2)
        pickler = Pickler(file, of_1_5=True)
        pickler.dump(thing)
        pickle.dump([str(key) for key in range(len(pickler.storages))], file, protocol=2)
        for storage in pickler.storages:
            file.write(struct.pack("<q", len(storage.numbers)) + numbers_of(storage))


weight = Parameter(Tensor([0.0, 1.0, 2.0, 3.0, 4.0, 5.0], (3, 2), strides=(1, 3)))
bias = Parameter(Tensor([7.0, 0.5, -0.5, 8.0], (2,), offset=1))
state = collections.OrderedDict([("module.stem.weight", weight.data), ("module.stem.bias", bias.data)])
state._metadata = collections.OrderedDict(version=1)

# What its step size is reduced by knows the optimiser, whose method it has put in its own place.
optimiser, schedule = SGD(), CosineAnnealingLR()
optimiser.defaults = {"lr": 0.025}
optimiser.state = collections.defaultdict(dict, {weight: {"momentum_buffer": Tensor([1.0] * 6, (3, 2))}})
optimiser.param_groups = [{"params": [weight, bias], "lr": 0.025, "schedule": schedule}]
schedule.optimizer, schedule.base_lrs = optimiser, [0.025]
checkpoint = {
    "epoch": 3,
    "state_dict": state,
    "optimizer": optimiser,
    "scheduler": schedule,
    "history": collections.defaultdict(list, {"loss": [1.5, numpy.float64(0.5)]}),
    "args": argparse.Namespace(seed=2**70, layers=8),
    "ema": collections.defaultdict(None, {"stem.bias": bias.data}),
}
save(checkpoint, "optimiser_beside.pt")

stem = Conv2d([("weight", weight), ("bias", None)], [("mask", Tensor([1.0], (1,)))], unsaved=["mask"])
net = Net(modules=[("stem", Sequential(modules=[("0", stem)])), ("again", stem)], buffers=[("scale", Tensor([2.0], ()))])
save_as_1_5(net, "whole_model_of_1_5.pt")

arrays = {
    "rows": numpy.arange(6, dtype="<f4").reshape(2, 3),
    "columns": numpy.asfortranarray(numpy.arange(6, dtype="<f4").reshape(2, 3)),
    "big": numpy.arange(3, dtype=">f8"),
    "count": numpy.array(300, dtype="i8"),
}
save({"model": arrays}, "numpy_arrays.pt")
numpy.savez_compressed("arrays.npz", rows=arrays["rows"], columns=arrays["columns"])
