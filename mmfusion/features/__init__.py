"""Features that a foundation model reads from scans: encoded once, kept under what they were made from."""

from mmfusion.features.encoder import FoundationEncoder
from mmfusion.features.extraction import Extraction, extract

__all__ = ["Extraction", "FoundationEncoder", "extract"]
