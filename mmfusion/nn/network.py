"""NetworkPlan: the parts and widths of a fusion network, as one frozen object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from inspect import signature
from numbers import Real

from mmfusion.errors import DataError, check_whole
from mmfusion.nn.net import FusionNet, encoder_names
from mmfusion.nn.params import FrozenParams
from mmfusion.registry import ENCODERS, FUSIONS
from mmfusion.streams import StreamSpec


@dataclass(frozen=True)
class NetworkPlan(FrozenParams):
    """Parts and widths of a `FusionNet`.

    Parameters
    ----------
    encoders : mapping of str to str
        Stream name ("ct", "ct_table", "pet", "rna", "ehr") -> registered encoder
        (`mmfusion.list_encoders()`). The default depends on the shape of the stream.
    d, hidden : int
        Width of the tokens, and width of the fused vector.
    dropout : float in [0, 1)
        Dropout of encoders and fusion.
    modality_dropout : float in [0, 1)
        Probability that a modality of a training patient is hidden. Each patient keeps at least one.
    head : {"mixed", "ordinal", "softmax"}
        "ordinal": one score with ordered thresholds; it needs fewer parameters, because the stages share the
        score. "softmax": one score per class. "mixed": a mixture of both, whose shares are learned.
    encoder_options : mapping of str to mapping
        Encoder name -> further arguments of the encoder.
    fusion_options : mapping
        Further arguments of the fusion.

    Raises
    ------
    DataError
        If a value is out of range.

    Examples
    --------
    >>> NetworkPlan(hidden=128).replace(d=64).hidden
    128
    """

    encoders: Mapping[str, str] = field(default_factory=dict)
    d: int = 32
    hidden: int = 64
    dropout: float = 0.5
    modality_dropout: float = 0.2
    head: str = "mixed"
    encoder_options: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    fusion_options: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("encoders", "encoder_options", "fusion_options"):
            if not isinstance(getattr(self, name) or {}, Mapping):
                raise DataError("not a mapping", parameter=name, got=repr(getattr(self, name)))
            object.__setattr__(self, name, dict(getattr(self, name) or {}))
        for name in ("d", "hidden"):
            check_whole(name, getattr(self, name))
        for name in ("dropout", "modality_dropout"):
            value = getattr(self, name)
            if not isinstance(value, Real) or not 0 <= value < 1:
                raise DataError("out of range", parameter=name, expected="a number in [0, 1)", got=value)

    def build(self, specs: Sequence[StreamSpec], n_classes: int, fusion: str) -> FusionNet:
        """Build the untrained network for these streams; on the meta device it has only shapes.

        Raises
        ------
        MMFusionError
            If an encoder, a fusion or a head is unknown, or does not have one of the options.

        Examples
        --------
        >>> net = NetworkPlan().build([StreamSpec("ehr", "ehr", (2, 3))], n_classes=4, fusion="concat")
        >>> list(net.encoders)
        ['ehr']
        """
        return FusionNet(specs, n_classes, fusion=fusion, **self.get_params())

    def written_out(self, specs: Sequence[StreamSpec], fusion: str) -> NetworkPlan:
        """Return this plan with the defaults of its encoders and of its fusion among the options.

        A saved model keeps this plan. It is built in the same way by a later release with other defaults.

        Examples
        --------
        >>> genes = StreamSpec("rna", "rna", (4,))
        >>> NetworkPlan().written_out([genes], "concat").encoder_options["gene_gat"]["heads"]
        2
        """
        names = encoder_names(specs, self.encoders)
        used = {name: _defaults(ENCODERS.get(name)) | dict(self.encoder_options.get(name) or {})
                for name in names.values()}  # fmt: skip
        options = _defaults(FUSIONS.get(fusion)) | dict(self.fusion_options)
        return self.replace(encoder_options={**self.encoder_options, **used}, fusion_options=options)


def _defaults(kind: type) -> dict[str, object]:
    """Return the keyword-only arguments of a part with their defaults."""
    parameters = signature(kind).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
