"""MetaImage and NRRD files made by hand, field by field."""

import zlib

import numpy as np
import SimpleITK as sitk

VOXELS = np.random.default_rng(0).integers(-1000, 1000, (4, 3, 5)).astype(np.int16)
META = {
    "ObjectType": "Image",
    "NDims": "3",
    "BinaryData": "True",
    "BinaryDataByteOrderMSB": "False",
    "CompressedData": "False",
    "TransformMatrix": "0 1 0 -1 0 0 0 0 1",
    "Offset": "10 -20 30.5",
    "ElementSpacing": "0.7 0.8 2.5",
    "DimSize": "5 3 4",
    "ElementType": "MET_SHORT",
    "ElementDataFile": "LOCAL",
}
NRRD = {
    "type": "short",
    "dimension": "3",
    "space": "left-posterior-superior",
    "sizes": "5 3 4",
    "space directions": "(0,0.7,0) (-0.8,0,0) (0,0,2.5)",
    "kinds": "domain domain domain",
    "endian": "little",
    "encoding": "raw",
    "space origin": "(10,-20,30.5)",
}


def metaimage(path, data=None, extra="", **fields):
    """Write a MetaImage; a field that is None is left out, and the data field comes last."""
    wanted = {**META, **fields}
    last = wanted.pop("ElementDataFile")
    lines = [f"{key} = {value}" for key, value in wanted.items() if value is not None]
    text = "\n".join([*lines, f"ElementDataFile = {last}", *([extra] if extra else []), ""])
    local = last.upper() == "LOCAL"
    path.write_bytes(text.encode() + ((VOXELS.tobytes() if data is None else data) if local else b""))
    return path


def nrrd(path, data=None, extra="", **fields):
    """Write an NRRD; underscores in names stand for spaces, and a field that is None is left out."""
    wanted = {**NRRD, **{key.replace("_", " "): value for key, value in fields.items()}}
    lines = [f"{key}: {value}" for key, value in wanted.items() if value is not None]
    text = "\n".join(["NRRD0004", *lines, *([extra] if extra else []), "", ""])
    local = "data file" not in wanted
    path.write_bytes(
        text.encode() + (VOXELS.tobytes() if data is None else data)
        if local
        else (text.rstrip() + "\n").encode()
    )
    return path


def itk_image(kind="i2"):
    """Return the voxels as an image of ITK, turned about three axes."""
    image = sitk.GetImageFromArray(VOXELS.astype(kind))
    image.SetSpacing((0.7, 0.8, 2.5))
    image.SetOrigin((10, -20, 30.5))
    image.SetDirection(sitk.Euler3DTransform((0, 0, 0), 0.3, -0.2, 0.9).GetMatrix())
    return image


def assert_as_itk(read, path):
    """Read a file, assert that ITK reads the same, and return array and affine."""
    array, affine = read(path)
    image = sitk.ReadImage(str(path))
    expected, there = sitk.GetArrayFromImage(image), np.eye(4)
    there[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    there[:3, 3] = image.GetOrigin()
    np.testing.assert_array_equal(array, expected)
    np.testing.assert_allclose(affine, there, atol=1e-9)
    assert array.dtype == expected.dtype and array.flags.writeable
    return array, affine


def split(folder, packed=False):
    """Write one file per slice: s01.raw to s04.raw."""
    for k, plane in enumerate(VOXELS):
        data = plane.tobytes()
        (folder / f"s{k + 1:02d}.raw").write_bytes(zlib.compress(data) if packed else data)
