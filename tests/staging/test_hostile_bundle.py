"""A saved model from anybody: no code of it runs, and it takes no more memory than its files hold."""

import copy
import io
import json
import resource
import shutil
import struct
import zipfile

import numpy as np
import pytest

import mmfusion as mf
from mmfusion.bundle import read_bundle
from mmfusion.errors import BundleError
from mmfusion.storage.hashing import hash_file
from mmfusion.storage.npz import read_arrays
from tests.cohorts import tiny_cohort

FILES = ("config.json", "weights.safetensors", "arrays.npz", "README.md")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    cohort = tiny_cohort(30)
    folder = tmp_path_factory.mktemp("saved") / "model"
    mf.StageClassifier(n_members=1, max_epochs=1, n_genes=20).fit(cohort.X, cohort.y).save(folder)
    return folder


@pytest.fixture
def edited(saved, tmp_path):
    """A function that changes a copy of the model, with right checksums, and returns its folder."""

    def edit(change_state=None, **files):
        folder = tmp_path / "model"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(saved, folder)
        if change_state is not None:
            body = json.loads((folder / "config.json").read_text())
            change_state(body)
            (folder / "config.json").write_text(json.dumps(body))
        for name, data in files.items():
            (folder / name.replace("__", ".")).write_bytes(data)
        sums = {name: hash_file(folder / name) for name in FILES}
        (folder / "checksums.json").write_text(json.dumps(sums))
        return folder

    return edit


def set_value(key, value):
    """Return a change that sets every entry of this name in a config to a value."""

    def change(body):
        seen = 0
        parts = [body["state"]]
        while parts:
            part = parts.pop()
            if isinstance(part, dict) and isinstance(part.get("__dict__"), list):
                for pair in part["__dict__"]:
                    if pair[0] == key:
                        pair[1] = copy.deepcopy(value)
                        seen += 1
            if isinstance(part, dict | list):
                parts += part.values() if isinstance(part, dict) else part
        assert seen

    return change


def memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hidden", 10**7),
        ("hidden", 10**9),
        ("hidden", 2**63),
        ("hidden", -1),
        ("hidden", "64"),
        ("hidden", 65),
        ("d", 10**6),
        ("d", 33),
        ("encoder_options", {"__dict__": [["gene_mlp", {"__dict__": [["hidden", 10**8]]}]]}),
        ("fusion_options", {"__dict__": [["layers", 10**8]]}),
        ("classes", ["I"]),
        ("classes", ["I"] * 3),
        ("classes", [f"{k}" for k in range(10**5)]),
        ("history", []),
        ("history", [[]] * 10**4),
        ("prior", {"__dict__": []}),
        ("columns", 3),
        ("columns", [["ehr", "age"]] * 2),
        ("fitted", {"__dict__": []}),
        ("background", {"__dict__": []}),
        ("target", {"__array__": "absent"}),
    ],
)
def test_an_edited_setting(edited, key, value):
    try:
        folder = edited(set_value(key, value))
    except AssertionError:
        pytest.skip(f"a config of this format has no {key}")
    before = memory()
    with pytest.raises(BundleError):
        mf.load(folder)
    assert memory() - before < 2**29


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b"[" * 10**6,
        b'{"a": ' * 400 + b"1" + b"}" * 400,
        b'{"format": 3, "estimator": "StageClassifier", "state": ' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"format": ' + b"9" * 5000 + b"}",
        b'{"format": 3}',
        b'{"format": 3, "estimator": "os.system", "state": {"__dict__": []}}',
        b'{"format": 3, "estimator": ["StageClassifier"], "state": {"__dict__": []}}',
        b'{"format": 3, "estimator": "StageClassifier", "state": {"__dict__": [[[1], 2]]}}',
        b'{"format": 99}',
        b'{"format": -1}',
        b'{"format": "3"}',
    ],
    ids=range(16),
)
def test_another_config(edited, data):
    with pytest.raises(BundleError):
        mf.load(edited(config__json=data))


def npz(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return buffer.getvalue()


def npy(shape, descr="<f8", data=b""):
    head = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}}}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + data


def test_an_array_that_nobody_uses_is_not_read(edited, saved):
    """3.3 GB were taken for such an array."""
    buffer = io.BytesIO((saved / "arrays.npz").read_bytes())
    with (
        zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open("more.npy", "w") as member,
    ):
        member.write(npy((2**28,)))
        for _ in range(64):
            member.write(bytes(2**22))
    before = memory()
    mf.load(edited(arrays__npz=buffer.getvalue()))
    assert memory() - before < 2**28


@pytest.mark.parametrize(
    ("member", "text"),
    [
        (npy((10**12,)), "too large"),
        (npy((2**40, 2**40)), "too large"),
        (npy((3,), data=b"\0" * 8), "does not have the 24 bytes"),
        (npy((3,), data=b"\0" * 32), "does not have the 24 bytes"),
        (npy((3,), descr="|O", data=b"\x80\x04N."), "array of object"),
        (npy((-3,), data=b"\0" * 24), "array of shape"),
        (b"no array", "magic"),
    ],
)
def test_an_array_that_is_not_what_it_states(tmp_path, edited, member, text):
    path = tmp_path / "a.npz"
    path.write_bytes(npz(a0=member))
    with pytest.raises(ValueError, match=text):
        read_arrays(path, ["a0"])
    with pytest.raises(BundleError):
        read_bundle(edited(arrays__npz=path.read_bytes()))


def test_a_bomb_of_zeros_is_within_what_it_states(tmp_path):
    path = tmp_path / "a.npz"
    path.write_bytes(npz(a=npy((4,), data=bytes(2**26))))
    before = memory()
    with pytest.raises(ValueError, match="does not have the 32 bytes"):
        read_arrays(path, ["a"])
    assert memory() - before < 2**26


@pytest.mark.parametrize("limit", ["0.00001"])
def test_files_above_the_limit(saved, monkeypatch, limit):
    monkeypatch.setenv("MMFUSION_MAX_GIB", limit)
    with pytest.raises(BundleError, match=r"too large .*MMFUSION_MAX_GIB"):
        mf.load(saved)


@pytest.mark.parametrize("name", [*FILES, "checksums.json"])
def test_a_file_that_is_absent_or_a_folder(edited, name):
    folder = edited()
    (folder / name).unlink()
    with pytest.raises(BundleError):
        mf.load(folder)
    (folder / name).mkdir()
    with pytest.raises(BundleError):
        mf.load(folder)


def test_weights_of_a_header_that_promises_much(edited):
    head = json.dumps({"w": {"dtype": "F32", "shape": [10**9], "data_offsets": [0, 4 * 10**9]}}).encode()
    for data in (struct.pack("<Q", len(head)) + head, struct.pack("<Q", 2**62), b"", b"\0" * 7):
        with pytest.raises(BundleError):
            mf.load(edited(weights__safetensors=data))


def test_changed_bytes_and_entries(edited, saved):
    """Entries of the config are replaced at random; the model is refused, or predicts."""
    rng = np.random.default_rng(0)
    values = [
        None,
        -1,
        10**9,
        1e300,
        "",
        "x",
        [],
        {},
        {"__array__": "zz"},
        {"__tuple__": [1]},
        {"__dict__": []},
    ]
    X = tiny_cohort(30).X.iloc[:3]
    body = json.loads((saved / "config.json").read_text())
    refused = 0
    for _ in range(60):
        changed = copy.deepcopy(body)
        part, at = {"config": changed}, "config"
        for _ in range(rng.integers(3, 14)):
            inner = part[at]
            if not isinstance(inner, dict | list) or not inner:
                break
            keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
            part, at = inner, keys[rng.integers(len(keys))]
        part[at] = values[rng.integers(len(values))]
        folder = edited(config__json=json.dumps(changed).encode())
        try:
            mf.load(folder).predict_proba(X)
        except mf.MMFusionError:
            refused += 1
    assert refused > 20
