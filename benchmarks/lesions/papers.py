"""What the papers report of their own data. None of it is comparable with a number of the phantom."""

from __future__ import annotations

# RAEMD-Net reports six steps of its ablation without saying which; here in the order of its text
RAEMD = ("0.88", "0.90", "0.91", "0.93", "0.95", "0.97")
RASEG = {
    "no boxes": "nnU-Net 3D without boxes: 0.558 (MSD), 0.627 (LUNG1)",
    "ORACLE boxes (of the true mask)": "0.673 (MSD), 0.724 (LUNG1)",
}
SLICES = {
    "2D, scratch": "baseline 0.385",
    "2.5D, slice interaction, pretrained": "0.609",
}


def column(network: str, rows: list[str]) -> dict[str, str]:
    """Return the paper's Dice of each row of an ablation."""
    if network == "raemd":
        return dict(zip(rows, RAEMD, strict=True))
    if network == "raseg":
        return RASEG
    return dict.fromkeys(rows, "none reported")
