"""MetaImage and NRRD files made by hand, field by field."""

import numpy as np

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
