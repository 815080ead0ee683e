"""FusionNet: encoders, a fusion and a head, for patients of whom some lack some streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from mmfusion.errors import DataError, MMFusionError
from mmfusion.modalities import STREAMS
from mmfusion.nn.encoders import default_encoder
from mmfusion.nn.heads import make_head
from mmfusion.registry import ENCODERS, FUSIONS
from mmfusion.streams import StreamSpec


class FusionNet(nn.Module):
    """One encoder a stream, a fusion of their tokens, and a head.

    Each encoder runs on the patients who have its stream and on nobody else, so what stands in the place of a
    missing stream (NaN, say) is never read.

    Parameters
    ----------
    specs : sequence of StreamSpec
        The streams, in the order of `present`'s columns.
    n_classes : int
        Classes, K.
    encoders : mapping of str to str, optional
        Registered encoder by stream name; default by shape (`mmfusion.nn.encoders.DEFAULTS`).
    fusion, head : str
        Registered fusion; "softmax" or "ordinal".
    d, hidden : int
        Width of tokens; of the fusion's hidden layer.
    dropout : float
        Dropout of encoders and fusion.
    modality_dropout : float
        In training, the probability that a present stream is hidden; one always stays.
    encoder_options, fusion_options : mapping, optional
        Further arguments of encoders, by encoder name; of the fusion.

    Raises
    ------
    MMFusionError
        On unknown names, options or streams.
    """

    def __init__(
        self,
        specs: Sequence[StreamSpec],
        n_classes: int,
        *,
        encoders: Mapping[str, str] | None = None,
        fusion: str = "crossmodal",
        head: str = "softmax",
        d: int = 32,
        hidden: int = 64,
        dropout: float = 0.3,
        modality_dropout: float = 0.15,
        encoder_options: Mapping[str, Mapping[str, object]] | None = None,
        fusion_options: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__()
        self.specs = tuple(specs)
        self.modality_dropout = modality_dropout
        names = {spec.name: (encoders or {}).get(spec.name) or default_encoder(spec) for spec in specs}
        # a setting may speak of streams that the cohort lacks, as in ablations
        _no_strangers("encoders", encoders, [*names, *STREAMS])
        _no_strangers("encoder_options", encoder_options, ENCODERS.frame().index)
        options = encoder_options or {}
        self.encoders = nn.ModuleDict(
            {
                spec.name: _build(
                    ENCODERS.get(names[spec.name]), options.get(names[spec.name]), spec, d, dropout
                )
                for spec in specs
            }
        )
        n_tokens = {name: encoder.n_tokens for name, encoder in self.encoders.items()}
        self.fusion = _build(FUSIONS.get(fusion), fusion_options, self.specs, n_tokens, d, hidden, dropout)
        self.head = make_head(head, self.fusion.out_features, n_classes)

    def forward(self, present: torch.Tensor, **streams: torch.Tensor) -> torch.Tensor:
        """Logits of each patient.

        Parameters
        ----------
        present : Tensor of bool, shape (b, m)
            Which patient has which stream, in the order of `specs`.
        **streams : Tensor
            By stream name, (b, *shape) with the shape of its spec.

        Returns
        -------
        Tensor, shape (b, K)
            Softmax of it is the distribution over classes.

        Raises
        ------
        DataError
            On a stream that is not given or has the wrong shape, or a patient who has none.
        """
        self._check(present, streams)
        if self.training and self.modality_dropout:
            present = drop_streams(present, self.modality_dropout)
        return self.fuse(self.encode(present, **streams), present)

    def encode(self, present: torch.Tensor, **streams: torch.Tensor) -> dict[str, torch.Tensor]:
        """Tokens of each stream, shape (b, t, d); zeros for patients who lack it."""
        return {
            name: self._tokens(name, streams[name], present[:, i]) for i, name in enumerate(self.encoders)
        }

    def fuse(self, tokens: Mapping[str, torch.Tensor], present: torch.Tensor) -> torch.Tensor:
        """Logits, shape (b, K), from tokens."""
        return self.head(self.fusion(tokens, present))

    def _tokens(self, name: str, x: torch.Tensor, has: torch.Tensor) -> torch.Tensor:
        encoder = self.encoders[name]
        if has.all():
            return encoder(x)
        rows = has.nonzero().squeeze(1)
        dtype = next((p.dtype for p in self.parameters()), x.dtype)
        tokens = torch.zeros(len(x), encoder.n_tokens, encoder.d, dtype=dtype, device=x.device)
        return tokens.index_copy(0, rows, encoder(x[rows])) if len(rows) else tokens

    def _check(self, present: torch.Tensor, streams: Mapping[str, torch.Tensor]) -> None:
        b = len(present)
        if present.dtype != torch.bool or present.shape != (b, len(self.specs)):
            raise DataError(
                "the presence mask does not fit the model",
                expected=f"bool, (patients, {len(self.specs)}) for {', '.join(self.encoders)}",
                got=f"{present.dtype}, {tuple(present.shape)}",
            )
        for spec in self.specs:
            if spec.name not in streams:
                raise DataError(f"the stream {spec.name!r} was not given", expected=", ".join(self.encoders))
            x, shape = streams[spec.name], (b, *spec.shape)
            if x.shape != shape:
                raise DataError(
                    f"the stream {spec.name!r} has the wrong shape", expected=shape, got=tuple(x.shape)
                )
        if not present.any(1).all():
            row = int((~present.any(1)).nonzero()[0, 0])
            raise DataError(
                f"the patient in row {row} has none of the streams", expected=", ".join(self.encoders)
            )


def drop_streams(present: torch.Tensor, p: float) -> torch.Tensor:
    """Hide each present stream with probability p, but keep at least one per patient, shape (b, m)."""
    draw = torch.rand(present.shape, device=present.device)
    keep = torch.where(present, draw, -1.0) >= p
    last = torch.where(present, draw, -1.0).argmax(1, keepdim=True)
    return (keep & present).scatter(1, last, value=True) & present


def _build(kind: type[nn.Module], options: Mapping[str, object] | None, *args: object) -> nn.Module:
    try:
        return kind(*args, **(options or {}))
    except TypeError as error:
        raise MMFusionError(
            f"{kind.__name__} does not take these options", got=dict(options or {})
        ) from error


def _no_strangers(what: str, given: Mapping[str, object] | None, known: Sequence[str]) -> None:
    strange = [name for name in given or {} if name not in known]
    if strange:
        raise MMFusionError(
            f"{what} names what is not there", got=", ".join(strange), expected=", ".join(known)
        )
