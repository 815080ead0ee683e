"""FusionNet: encoders, a fusion, a head and a calibration, for patients who may lack some streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from mmfusion.errors import MMFusionError
from mmfusion.modalities import STREAMS
from mmfusion.nn.calibration import Calibration
from mmfusion.nn.encoders import default_encoder
from mmfusion.nn.heads import make_head
from mmfusion.registry import ENCODERS, FUSIONS
from mmfusion.streams import StreamSpec


class FusionNet(nn.Module):
    """One encoder per stream, a fusion of their tokens, a head, and a calibration that `fit` sets.

    If a patient lacks a stream, its placeholder (such as NaN) is replaced by zeros before the encoder, and
    its tokens are replaced by zeros after the encoder. The placeholder therefore changes neither the output
    nor a gradient. `forward` has no branch that depends on data, and it checks nothing. Call
    `StreamInputs.check` once before the network.

    Parameters
    ----------
    specs : sequence of StreamSpec
        The streams, in the order of the columns of `present`.
    n_classes : int
        Number of classes, K.
    encoders : mapping of str to str, optional
        Stream name -> registered encoder. The default depends on the shape (`mmfusion.nn.encoders.DEFAULTS`).
    fusion, head : str
        Name of a registered fusion, and of the head: "mixed", "softmax" or "ordinal".
    d, hidden : int
        Width of the tokens, and width of the fusion's hidden layer.
    dropout : float
        Dropout of encoders and fusion.
    modality_dropout : float
        Probability that a present stream is hidden in training. Every patient keeps one stream.
    encoder_options, fusion_options : mapping, optional
        Encoder name -> further arguments of the encoder; further arguments of the fusion.

    Raises
    ------
    MMFusionError
        If a name, an option or a stream is unknown.

    Examples
    --------
    >>> rna, ehr = StreamSpec("rna", "rna", (100,)), StreamSpec("ehr", "ehr", (2, 3))
    >>> net = FusionNet([rna, ehr], n_classes=4, encoders={"rna": "gene_mlp"}, fusion="concat").eval()
    >>> present = torch.tensor([[True, True], [False, True]])  # the second patient has no genes
    >>> net(present, rna=torch.zeros(2, 100), ehr=torch.zeros(2, 2, 3)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        specs: Sequence[StreamSpec],
        n_classes: int,
        *,
        encoders: Mapping[str, str] | None = None,
        fusion: str = "daft",
        head: str = "softmax",
        d: int = 32,
        hidden: int = 64,
        dropout: float = 0.3,
        modality_dropout: float = 0.15,
        encoder_options: Mapping[str, Mapping[str, object]] | None = None,
        fusion_options: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__()
        self.specs, self.n_classes = tuple(specs), n_classes
        self.modality_dropout = modality_dropout
        names = encoder_names(specs, encoders)
        # a setting may name streams that the cohort does not have, as in ablations
        _check_known("encoders", encoders, [*names, *STREAMS])
        _check_known("encoder_options", encoder_options, ENCODERS.frame().index)
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
        self.calibration = Calibration(n_classes)

    def forward(self, present: torch.Tensor, **streams: torch.Tensor) -> torch.Tensor:
        """Return the logits of each patient.

        Parameters
        ----------
        present : Tensor of bool, shape (b, m)
            True where a patient has a stream, in the order of `specs`.
        **streams : Tensor
            Stream name -> values, shape (b, *shape) with the shape of its spec.

        Returns
        -------
        Tensor, shape (b, K)
            Logits; their softmax gives the probabilities of the classes.
        """
        if self.training and self.modality_dropout:
            present = drop_streams(present, self.modality_dropout)
        return self.fuse(self.encode(present, **streams), present)

    def encode(self, present: torch.Tensor, **streams: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the tokens of each stream, shape (b, t, d); zeros for patients who lack it."""
        return {
            name: self._tokens(name, streams[name], present[:, i]) for i, name in enumerate(self.encoders)
        }

    def fuse(self, tokens: Mapping[str, torch.Tensor], present: torch.Tensor) -> torch.Tensor:
        """Return calibrated logits, shape (b, K), from tokens."""
        return self.calibration(self.head(self.fusion(tokens, present)))

    def _tokens(self, name: str, x: torch.Tensor, has: torch.Tensor) -> torch.Tensor:
        """Return the tokens of one stream; placeholders are zeros before and after the encoder."""
        known = torch.where(_along(has, x), x, 0.0)
        tokens = self.encoders[name](known)
        return torch.where(_along(has, tokens), tokens, 0.0)


def encoder_names(specs: Sequence[StreamSpec], encoders: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the name of the encoder of each stream: the given one, or the default of the stream's shape.

    Examples
    --------
    >>> encoder_names([StreamSpec("rna", "rna", (4,))])
    {'rna': 'gene_gat'}
    """
    return {spec.name: (encoders or {}).get(spec.name) or default_encoder(spec) for spec in specs}


def _along(has: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return the mask (b,) with as many axes as `x`, so that both can be broadcast."""
    return has.reshape(-1, *[1] * (x.ndim - 1))


def drop_streams(present: torch.Tensor, p: float) -> torch.Tensor:
    """Hide each present stream with probability p, but keep at least one per patient, shape (b, m).

    Examples
    --------
    >>> present = torch.tensor([[True, True, False]])
    >>> drop_streams(present, 0.0).tolist()
    [[True, True, False]]
    >>> drop_streams(present, 1.0).sum().item()  # one stream stays
    1
    """
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


def _check_known(what: str, given: Mapping[str, object] | None, known: Sequence[str]) -> None:
    """Raise `MMFusionError` if a setting has names that are not known."""
    unknown = [name for name in given or {} if name not in known]
    if unknown:
        raise MMFusionError(f"unknown names in {what}", got=", ".join(unknown), expected=", ".join(known))
