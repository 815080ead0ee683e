"""Features of a foundation model for CT: computed once per scan and kept in the cache."""

from mmfusion.features.encoder import FoundationEncoder
from mmfusion.features.extraction import Extraction, extract

__all__ = ["Extraction", "FoundationEncoder", "extract"]
